"""Apache Parquet, with pyarrow (the extra `parquet`): a file, or a folder of files.

Numbers stay as stored, with NaN for missing ones; TRUE and FALSE become 1 and 0; text becomes `str`. A column
of lists that all have the same length is a field with that many values per sample.

The files of a folder, and of the folders in it, are one table. Those whose name, or that of a folder around them,
begins with `train`, `valid` or `test` are that part: `train-00000-of-00004.parquet`, `test/part-0.parquet`. What would
take more than IN_MEMORY bytes is not read as a whole, but a block at a time (see `row_groups`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sgdsheet.data.formats.parquet_columns import LIMITS, array_of, opened, readable, row_width, texts_in
from sgdsheet.data.formats.row_groups import Group, RowGroups
from sgdsheet.data.formats.source import PARTS, Array, Source, called, dataset_format
from sgdsheet.errors import DataError, quoted
from sgdsheet.system.extras import optional

IN_MEMORY = 256 << 20
"""Bytes up to which all samples are kept in memory."""

_PART = re.compile(r"(?P<part>train|valid|val|test)(?:ing|idation)?(?![a-z])", re.I)
_PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}


def _is_folder(path: Path) -> bool:
    return bool(_by_part(path))


def _files(path: Path) -> list[Path]:
    return [file for files in _by_part(path).values() for file in files]


@dataset_format("Parquet", endings=(".parquet",), recognises=_is_folder, files=_files)
def read(path: Path, part: str) -> Source:
    """All columns of the table."""
    parts = _by_part(path) if path.is_dir() else {"train": [path]}
    existing = tuple(name for name in PARTS if name in parts)
    files = parts.get(part, [])
    if not files:
        return Source(path.name, part, {}, existing=existing)
    first_row = 1 if files == [path] else None
    described = {name: _row_groups(found) for name, found in parts.items()}
    groups = described[part][0]
    if sum(size for _, size in described.values()) <= IN_MEMORY or not groups:
        fields = _joined([_read(file) for file in files])
        return Source(path.name, part, fields, tuple(fields), existing, first_row)
    stream = RowGroups(path.name, part, groups, first_row)
    fields = stream.block(0).fields
    return Source(path.name, part, fields, tuple(fields), existing, first_row, stream)


def _by_part(path: Path) -> dict[str, list[Path]]:
    """The Parquet files of a folder and of the folders in it, by part; without names of parts all belong to `train`."""
    found: dict[str, list[Path]] = {}
    if not path.is_dir():
        return found
    for file in sorted(path.rglob("*")):
        names = file.relative_to(path).parts
        hidden = any(name.startswith((".", "_")) for name in names)  # such as _metadata, or what is being written
        if file.suffix.lower() == ".parquet" and not hidden and file.is_file():
            named = [match["part"].lower() for name in names if (match := _PART.match(name))]
            found.setdefault(_PARTS[named[0]] if named else "train", []).append(file)
    return found


def _row_groups(files: Sequence[Path]) -> tuple[list[Group], int]:
    """The row groups of files, and how many bytes they take in memory. DataError where their columns differ."""
    found, total, names = list[Group](), 0, list[str]()
    for path in files:
        with readable(path), opened(path) as file:
            own = file.schema_arrow.names
            if len(set(own)) < len(own):
                raise DataError(f"{called(path)} has two columns of the same name", remedy="Rename one of them")
            if names and set(names) != set(own):
                apart = ", ".join(map(quoted, sorted(set(names) ^ set(own))[:3]))
                cause = f"{called(files[0])} and {called(path)} differ in their columns ({apart})"
                raise DataError(cause, remedy="Leave files of one table in the folder")
            names, above = names or own, 0
            # Not the columns' own sizes: pyarrow ends the process if their description is damaged.
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            width = row_width(file.schema_arrow)
            total += max(sum(group.total_byte_size for group in groups), file.metadata.num_rows * width)
            for number, group in enumerate(groups):
                if group.num_rows:
                    each = max(width, group.total_byte_size // group.num_rows)
                    found.append(Group(path, number, above, group.num_rows, group.num_rows, each))
                above += group.num_rows
    return found, total


def _read(path: Path) -> dict[str, Array]:
    parquet = optional("pyarrow.parquet", "parquet")
    with readable(path) as arrow:
        with opened(path) as file:
            texts = texts_in(file)
        # Texts that repeat are stored once in the file, and are kept once in memory.
        table = parquet.read_table(path, read_dictionary=texts, use_pandas_metadata=False, partitioning=None, **LIMITS)
        return {name: array_of(path, arrow, name, table[name]) for name in table.column_names}


def _joined(tables: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """The rows of tables with the same columns, one below the other."""
    if len(tables) == 1:
        return tables[0]
    return {name: _below(name, [table[name] for table in tables]) for name in tables[0]}


def _below(name: str, columns: Sequence[Array]) -> Array:
    kinds = {column.dtype.kind in "buif" for column in columns if len(column)}
    if len(kinds) > 1 or len({column.shape[1:] for column in columns}) > 1:
        cause = f"the column {quoted(name)} is of another type in some files than in others"
        raise DataError(cause, remedy="Leave files of one table in the folder")
    return np.concatenate(columns)
