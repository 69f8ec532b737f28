"""Apache Parquet, with pyarrow (the extra `parquet`).

Numbers stay as stored, with NaN for missing ones; TRUE and FALSE become 1 and 0; text becomes `str`. A column
of lists that all have the same length is a field with that many values per sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sgdsheet.data.formats.source import (
    MAX_UNPACKED,
    Array,
    Source,
    called,
    dataset_format,
    text_array,
    too_large,
    unreadable,
)
from sgdsheet.errors import DataError, FileError, quoted
from sgdsheet.system.extras import optional

_LIMIT = 100_000_000  # bytes and entries of the description at the end of the file


@dataset_format("Parquet", endings=(".parquet",))
def read(path: Path, part: str) -> Source:
    """All columns of the table."""
    arrow = optional("pyarrow", "parquet")
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError(f"{called(path)} is empty", remedy="Use a file with data")
    try:
        table = _table(path, arrow)
        fields = {name: _array(path, arrow, name, table[name]) for name in table.column_names}
    except (arrow.ArrowException, OSError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise unreadable(path, quoted(str(error).partition("\n")[0]), "Save it again as Parquet") from None
    return Source(path.name, part, fields, tuple(fields), first_row=1)


def _table(path: Path, arrow: Any) -> Any:
    parquet = optional("pyarrow.parquet", "parquet")
    limits = {"thrift_string_size_limit": _LIMIT, "thrift_container_size_limit": _LIMIT}
    with parquet.ParquetFile(path, page_checksum_verification=True, **limits) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise DataError(f"{called(path)} has two columns of the same name", remedy="Rename one of them")
        # Not the columns' own sizes: pyarrow ends the process if their description is damaged.
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        stored = sum(group.total_byte_size for group in groups)
        size = max(stored, rows * sum(_width(arrow, kind) for kind in schema.types))
        if size > MAX_UNPACKED:
            raise too_large(path, size)
    # Texts that repeat are stored once in the file, and are kept once in memory.
    texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if _is_text(arrow, kind)]
    return parquet.read_table(
        path,
        read_dictionary=texts,
        page_checksum_verification=True,
        use_pandas_metadata=False,
        partitioning=None,
        **limits,
    )


def _is_text(arrow: Any, kind: Any) -> bool:
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _width(arrow: Any, kind: Any) -> int:
    """Bytes that one sample takes in memory."""
    if arrow.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(arrow, kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 8


def _array(path: Path, arrow: Any, name: str, column: Any) -> Array:
    kind = column.type
    if arrow.types.is_dictionary(kind) and _is_text(arrow, kind.value_type):
        return _text(column)
    if arrow.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if _is_text(arrow, kind):
        return text_array(["" if value is None else value for value in column.to_pylist()])
    if arrow.types.is_fixed_size_list(kind) or arrow.types.is_list(kind) or arrow.types.is_large_list(kind):
        return _lists(path, arrow, name, column)
    return _numbers(path, arrow, name, column)


def _numbers(path: Path, arrow: Any, name: str, column: Any) -> Array:
    kind = column.type
    if arrow.types.is_boolean(kind):
        column = column.cast(arrow.uint8())
    elif arrow.types.is_decimal(kind) or arrow.types.is_null(kind):
        column = column.cast(arrow.float64())
    elif not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind)):
        cause = f"the column {quoted(name)} of {called(path)} has the type {quoted(str(kind))[1:-1]}"
        raise DataError(cause + ", which is neither number nor text", remedy="Save it as numbers or leave it out")
    values: Array = column.to_numpy()
    return values if values.flags.writeable else values.copy()  # a read-only array cannot become a tensor


def _text(column: Any) -> Array:
    pieces = []
    for chunk in column.chunks:
        known = text_array(["" if value is None else value for value in chunk.dictionary.to_pylist()] + [""])
        pieces.append(known[chunk.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(pieces) if pieces else text_array([])


def _lists(path: Path, arrow: Any, name: str, column: Any) -> Array:
    compute = optional("pyarrow.compute", "parquet")
    lengths = set(compute.unique(compute.list_value_length(column)).to_pylist())
    if len(lengths) > 1 or None in lengths:
        cause = f"the lists in the column {quoted(name)} of {called(path)} differ in length"
        raise DataError(cause, remedy="Make them equally long, or leave the column out")
    flat = _array(path, arrow, name, compute.list_flatten(column))
    return flat.reshape(len(column), -1) if len(column) else flat
