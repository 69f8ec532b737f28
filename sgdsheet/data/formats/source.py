"""What a source is, and the registry of the formats that can be read: one declaration each.

@dataset_format("CSV", endings=(".csv", ".tsv"))
def read(path: Path, part: str) -> Source: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import DataError, FileError, SettingError, quoted

Array = NDArray[Any]

PARTS = ("train", "valid", "test")
MAX_UNPACKED = 8 << 30
"""Bytes that the compressed arrays of one file may take in memory, together."""
MAX_DEFLATE = 1032
"""A byte of a .gz or .zip file holds about this many bytes at most: what promises more is damaged."""


class RowStream(Protocol):
    """Samples that are read a block at a time, in their order. Blocks have about one size, and none is empty."""

    starts: tuple[int, ...]
    """The number of each block's first sample."""
    groups: tuple[int, ...]
    """The number of each block's group: those of a group are read quickly one after the other only."""
    count: int
    """The number of samples."""

    def block(self, number: int) -> Source:
        """The samples of a block. One after the other, they are read without going back in a file."""
        ...

    def where(self, field: str, among: Callable[[Array], Array]) -> RowStream:
        """The samples for whose field [samples] `among` says so [samples]; they may be none."""
        ...


@dataclass(frozen=True)
class Source:
    """The samples of one part of a dataset."""

    name: str
    """The file or folder, without the folders around it."""
    part: str
    fields: dict[str, Array]
    """The arrays by name; their first axis is the samples. Numbers are as stored; text is an array of `str` objects."""
    columns: tuple[str, ...] = ()
    """The names of the columns in their order, if the file is a table."""
    existing: tuple[str, ...] = ("train",)
    first_row: int | None = None
    """The row of a table's first sample, counted as in a spreadsheet: 2 if there is a header."""
    stream: RowStream | None = None
    """What reads the samples piece by piece, where they may not fit into memory: `fields` are the first of them."""

    @property
    def count(self) -> int:
        """The number of samples."""
        return self.stream.count if self.stream is not None else len(next(iter(self.fields.values())))

    def parts(self) -> tuple[str, ...]:
        """Which of train, valid and test exist, in this order."""
        return self.existing


Reader = Callable[[Path, str], Source]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that holds samples."""

    name: str
    endings: tuple[str, ...]
    read: Reader
    recognises: Callable[[Path], bool] | None
    """Whether a path is of this format, for paths that no ending tells, such as a folder; None if the ending tells."""
    files: Callable[[Path], list[Path]] | None = None
    """Lists the files that a path means, where it is not a single file; None if it always is one."""


FORMATS: dict[str, Format] = {}


def dataset_format(
    name: str,
    *,
    endings: Sequence[str] = (),
    recognises: Callable[[Path], bool] | None = None,
    files: Callable[[Path], list[Path]] | None = None,
) -> Callable[[Reader], Reader]:
    """Declare a format. It is chosen by the file's ending, or else because it recognises the path."""

    def declare(read: Reader) -> Reader:
        if name in FORMATS:
            raise ValueError(f"{name} is declared twice")
        FORMATS[name] = Format(name, tuple(endings), read, recognises, files)
        return read

    return declare


def open_source(path: Path, part: str = "train") -> Source:
    """Read one part of a dataset. FileError if it cannot be read, DataError if its content is no use."""
    path = Path(str(path).replace("\0", " ")).expanduser()  # a zero byte is in no file's name
    if part not in PARTS:
        raise SettingError(f"there is no part {quoted(part)}", remedy=f"Choose one of: {', '.join(PARTS)}")
    try:
        found = _format_of(path).read(path, part)
    except OSError as error:
        raise unreadable(path, error.strerror or quoted(str(error))) from None
    except MemoryError:
        raise unreadable(path, "it does not fit into memory", "Use a smaller file, or an uncompressed .npz") from None
    if part not in found.existing:
        there = " and ".join(f"“{item}”" for item in found.existing)
        raise DataError(f"{called(path)} has no part “{part}”, only {there}", remedy="Name a part that it has")
    _check(found)
    return found


def source_files(path: Path) -> list[Path]:
    """All files and folders that a source's path means, so that nobody writes over them."""
    path = Path(str(path).replace("\0", " ")).expanduser()
    found = [path]
    for item in FORMATS.values():
        if item.files is not None:
            with suppress(OSError):
                found += item.files(path)
    return found


def _format_of(path: Path) -> Format:
    by_ending = [item for item in FORMATS.values() if path.suffix.lower() in item.endings]
    found = by_ending or [item for item in FORMATS.values() if item.recognises and item.recognises(path)]
    if by_ending and path.is_dir():  # such as a folder of Parquet files, as Spark writes them
        found = [item for item in by_ending if item.recognises and item.recognises(path)]
    if found and (not by_ending or path.is_file() or path.is_dir()):
        return found[0]
    if path.is_dir():
        cause = f"the folder {called(path)} holds neither MNIST IDX files nor Parquet files"
        raise FileError(cause, remedy="Name the file that has the data")
    if not path.exists():
        raise FileError(f"{called(path)} does not exist", remedy="Check the name of the source and its folder")
    endings = ", ".join(ending for item in FORMATS.values() for ending in item.endings)
    raise FileError(
        f"{called(path)} is in no format that can be read",
        remedy=f"Use a file with one of {endings}, or MNIST's files",
    )


def _check(source: Source) -> None:
    """There are samples, and as many in one field as in another."""
    lengths = {name: len(values) for name, values in source.fields.items()}
    if not lengths or max(lengths.values()) == 0:
        raise DataError(f"{quoted(source.name)} has no samples", remedy="Use a file with data")
    (first, expected), *others = lengths.items()
    for name, length in others:
        if length != expected:
            found = f"{expected:,} samples of {quoted(first)} but {length:,} of {quoted(name)}"
            raise DataError(f"{quoted(source.name)} has {found}", remedy="Use files that belong together")


def called(path: Path) -> str:
    """A file's name as it stands in a message."""
    return quoted(path.name or str(path))


def unreadable(path: Path, reason: str, remedy: str = "Get the file again") -> FileError:
    """The error that a file is damaged or cannot be read. What a library or the file says is `quoted` in the reason."""
    return FileError(f"{called(path)} cannot be read: {reason}", remedy=remedy)


def check_unpacked(path: Path, size: int, packed: int) -> None:
    """FileError if `size` bytes are to come from `packed` compressed ones, and that is absurd or too much."""
    if size > MAX_DEFLATE * packed + 1024:
        raise unreadable(path, "it ends too early", "Get the file again, it was cut off or damaged")
    if size > MAX_UNPACKED:
        raise too_large(path, size)


def too_large(path: Path, size: int) -> FileError:
    """The error that a file would unpack to more than MAX_UNPACKED bytes."""
    allowed = f"the {MAX_UNPACKED >> 30} GB that are allowed"
    return FileError(
        f"{called(path)} unpacks to {size / 2**30:,.1f} GB, more than {allowed}",
        remedy="Save it uncompressed with numpy.savez, which needs no memory",
    )


def text_array(values: Sequence[str]) -> Array:
    """Text as an array of `str`."""
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result
