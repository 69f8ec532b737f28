"""NumPy's .npz: the fields are its arrays.

`train_x`, `x_train`, `valid_x`, `test_x` and so on are the field `x` of that part; without such names all
belongs to `train`. Arrays from `numpy.savez` are mapped into memory, not read; those from `savez_compressed`
are unpacked. Python objects in a file are refused: reading them would run code.
"""

from __future__ import annotations

import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from sgdsheet.data.formats.source import (
    PARTS,
    Array,
    Source,
    called,
    check_unpacked,
    dataset_format,
    text_array,
    unreadable,
)
from sgdsheet.errors import DataError, FileError, quoted

_PART = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}
_NAMED = re.compile(
    rf"(?:(?P<before>{'|'.join(_PART)})_(?P<rest>.+)|(?P<field>.+)_(?P<behind>{'|'.join(_PART)}))", re.I
)
_AGAIN = "Save it again with numpy.savez"
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What zipfile and NumPy raise for damaged files."""


class _Member(NamedTuple):
    info: zipfile.ZipInfo
    name: str
    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[np.generic]
    header: int
    """Bytes of the array's header, before its data."""

    @property
    def size(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@dataset_format("NumPy", endings=(".npz",))
def read(path: Path, part: str) -> Source:
    """The arrays of one part. Single numbers among them are left out: they are no samples."""
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError(f"{called(path)} is empty", remedy=_AGAIN)
    try:
        with zipfile.ZipFile(path) as package:
            return _source(path, part, package)
    except _DAMAGED as error:
        raise unreadable(path, f"it is no intact .npz file ({quoted(str(error))})", _AGAIN) from None


def _source(path: Path, part: str, package: zipfile.ZipFile) -> Source:
    members = [_member(path, package, info) for info in package.infolist() if info.filename.endswith(".npy")]
    members = [member for member in members if member.shape]
    named = [(member, *_split(member.name)) for member in members]
    existing = {found for _, found, _ in named if found}
    if not existing:
        chosen = [(member, name) for member, _, name in named]
        existing = {"train"}
    else:
        chosen = [(member, name) for member, found, name in named if found == part]
    parts = tuple(known for known in PARTS if known in existing)
    if part not in parts:
        chosen = []
    unpacked = [member for member, _ in chosen if member.info.compress_type != zipfile.ZIP_STORED]
    check_unpacked(path, sum(item.size for item in unpacked), sum(item.info.compress_size for item in unpacked))
    fields = {name: _array(path, package, member) for member, name in chosen}
    if len(fields) < len(chosen):
        raise DataError(f"{called(path)} has two arrays for one field of “{part}”", remedy="Rename one of them")
    return Source(path.name, part, fields, existing=parts)


def _split(name: str) -> tuple[str, str]:
    """Part and field of an array's name; no part if it names none."""
    if not (match := _NAMED.fullmatch(name)):
        return "", name
    return _PART[(match["before"] or match["behind"]).lower()], match["rest"] or match["field"]


def _member(path: Path, package: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    name = info.filename.removesuffix(".npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileError(f"{called(path)} is packed in a way that is not supported", remedy=_AGAIN)
    with package.open(info) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old headers
        shape, columns_first, dtype = _header(file)
        header = file.tell()
    if dtype.hasobject:
        cause = f"the array {quoted(name)} in {called(path)} holds Python objects, which could run code"
        raise DataError(cause, remedy="Save it as numbers, such as array.astype(float)")
    if dtype.kind not in "biufU" or dtype.itemsize == 0:
        cause = f"the array {quoted(name)} in {called(path)} has the type {dtype}"
        raise DataError(
            f"{cause}, which is neither number nor text",
            remedy="Save it as numbers, such as array.astype(float)",
        )
    member = _Member(info, name, shape, columns_first, dtype, header)
    if min(shape, default=0) < 0 or header + member.size != info.file_size:
        raise unreadable(path, f"the array {quoted(name)} is damaged", _AGAIN)
    return member


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the array format")


def _array(path: Path, package: zipfile.ZipFile, member: _Member) -> Array:
    if not member.size:
        values: Array = np.zeros(member.shape, member.dtype)
    elif member.info.compress_type == zipfile.ZIP_STORED:
        start = _start(path, member.info) + member.header
        # Changes stay in memory: a read-only array cannot become a tensor.
        values = np.memmap(path, member.dtype, "c", start, member.shape, "F" if member.columns_first else "C")
    else:
        with package.open(member.info) as file:
            file.read(member.header)
            content = bytearray(file.read(member.size))
            file.read(1)  # the checksum is compared at the end
        values = np.frombuffer(content, member.dtype).reshape(member.shape, order="F" if member.columns_first else "C")
    if member.dtype.kind == "U":
        return _text(path, member, values)
    return _common(values)


def _common(values: Array) -> Array:
    """The array in this machine's byte order, and in no longer type than float64: torch knows no other."""
    dtype = values.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return values if values.dtype == dtype else values.astype(dtype)


def _text(path: Path, member: _Member, values: Array) -> Array:
    if values.ndim != 1:
        cause = f"the array {quoted(member.name)} in {called(path)} holds text in {values.ndim} dimensions"
        raise DataError(cause, remedy="Save each column of text as an array of its own")
    return text_array([str(value) for value in values])


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """The place, in bytes, at which the content of an uncompressed member begins in the file."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
        name_length, extra_length = struct.unpack_from("<HH", local, 26)
        start: int = info.header_offset + 30 + name_length + extra_length
        if local[:4] != b"PK\3\4" or start + info.file_size > path.stat().st_size or info.flag_bits & 1:
            raise zipfile.BadZipFile("a header is damaged")
    return start
