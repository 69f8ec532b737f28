"""Columns of Parquet files as arrays, and the files opened within limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sgdsheet.data.formats.source import Array, called, text_array, unreadable
from sgdsheet.errors import DataError, FileError, quoted
from sgdsheet.system.extras import optional

_ENTRIES = 100_000_000  # bytes and entries of the description at the end of the file
LIMITS = {
    "thrift_string_size_limit": _ENTRIES,
    "thrift_container_size_limit": _ENTRIES,
    "page_checksum_verification": True,
}
"""How files are read, of which nobody knows who wrote them."""


@contextmanager
def readable(path: Path) -> Iterator[Any]:
    """A context in which damage that pyarrow finds becomes a FileError that names the file; its value is pyarrow."""
    arrow = optional("pyarrow", "parquet")
    try:
        yield arrow
    except (arrow.ArrowException, OSError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise unreadable(path, quoted(str(error).partition("\n")[0]), "Save it again as Parquet") from None


def opened(path: Path) -> Any:
    """The file, of which nothing has been read but its description; texts that repeat are read once."""
    parquet = optional("pyarrow.parquet", "parquet")
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError(f"{called(path)} is empty", remedy="Use a file with data")
    return parquet.ParquetFile(path, **LIMITS)


def texts_in(file: Any) -> list[str]:
    """The columns of an open file that hold text."""
    arrow = optional("pyarrow", "parquet")
    schema = file.schema_arrow
    return [name for name, kind in zip(schema.names, schema.types, strict=True) if _is_text(arrow, kind)]


def row_width(schema: Any) -> int:
    """Bytes that one sample takes in memory."""
    arrow = optional("pyarrow", "parquet")
    return sum(_width(arrow, kind) for kind in schema.types)


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


def array_of(path: Path, arrow: Any, name: str, column: Any) -> Array:
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
    flat = array_of(path, arrow, name, compute.list_flatten(column))
    return flat.reshape(len(column), -1) if len(column) else flat
