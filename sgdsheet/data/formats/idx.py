"""MNIST's IDX files: four of them in a folder, plain or compressed with gzip.

    [prefix-]{train,valid,t10k,test}-{images-idx3,labels-idx1}-ubyte[.gz]

The fields are `image`, uint8 [N, rows, columns], and `label`, uint8 [N]. An uncompressed file is mapped into
memory, not read. Format: http://yann.lecun.com/exdb/mnist
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgdsheet.data.formats.source import (
    PARTS,
    Array,
    Source,
    called,
    check_unpacked,
    dataset_format,
    unreadable,
)
from sgdsheet.errors import FileError, in_full, quoted

_NAME = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|valid|t10k|test)-(?P<field>images|labels)[-.]idx(?P<axes>[13])-ubyte(\.gz)?",
    re.I,
)
_PART = {"train": "train", "valid": "valid", "t10k": "test", "test": "test"}
_AXES = {"image": 3, "label": 1}
_AT_ONCE = 1 << 20  # bytes: gzip unpacks as much as is asked for before it copies
_GZIP = b"\x1f\x8b"
_AGAIN = "Get the file again, it was cut off or damaged"


class _Header(NamedTuple):
    shape: tuple[int, ...]
    length: int


def _field(match: re.Match[str]) -> str:
    return match["field"].lower().removesuffix("s")


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """The IDX files of a folder: by prefix, then by part and field. A file is preferred to its .gz."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if (match := _NAME.fullmatch(path.name)) and path.is_file():
                files = found.setdefault(match["prefix"], {})
                files.setdefault((_PART[match["part"].lower()], _field(match)), path)
    return found


def _matching(path: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """The sets that a path means: those of a folder, or those with a file that begins like it."""
    if path.is_dir():
        return _sets(path)
    if match := _NAME.fullmatch(path.name):
        return {match["prefix"]: _sets(path.parent).get(match["prefix"], {})}
    found = _sets(path.parent)
    if path.exists() or not path.name:
        return {}
    return {
        prefix: files
        for prefix, files in found.items()
        if any(file.name.startswith(path.name) for file in files.values())
    }


def _recognises(path: Path) -> bool:
    return bool(_matching(path))


def _files(path: Path) -> list[Path]:
    """Every file of the sets that a path means, packed and unpacked ones alike."""
    prefixes, folder = set(_matching(path)), path if path.is_dir() else path.parent
    if not prefixes:
        return []
    named = ((_NAME.fullmatch(item.name), item) for item in folder.iterdir())
    return [item for match, item in named if match and match["prefix"] in prefixes]


@dataset_format("MNIST IDX", recognises=_recognises, files=_files)
def read(path: Path, part: str) -> Source:
    """Images and labels of one part."""
    if not path.is_dir() and _NAME.fullmatch(path.name) and not path.is_file():
        raise FileError(
            f"{called(path)} does not exist", remedy="Check its folder; `sgdsheet data mnist` gets the files"
        )
    sets = _matching(path)
    if len(sets) > 1:
        names = ", ".join(in_full(prefix.rstrip("-_.") or "train") for prefix in sets)
        raise FileError(f"{called(path)} holds several datasets", remedy=f"Name one of them: {names}")
    files = next(iter(sets.values()))
    parts = tuple(known for known in PARTS if any(found == known for found, _ in files))
    fields: dict[str, Array] = {}
    if part in parts:
        for field in _AXES:
            if (part, field) not in files:
                raise FileError(
                    f"{called(path)} has no {field}s of the part “{part}”",
                    remedy="Put the file into the same folder; `sgdsheet data mnist` gets all four",
                )
            fields[field] = _read(files[part, field], _AXES[field])
    return Source(path.name or str(path), part, fields, existing=parts)


def _read(path: Path, axes: int) -> Array:
    size = path.stat().st_size
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP
        plain.seek(0)
        if not packed:
            header = _header(path, plain.read(4 + 4 * axes), axes)
            _check_length(path, size - header.length, math.prod(header.shape))
            if not math.prod(header.shape):
                return np.zeros(header.shape, dtype=np.uint8)
            # Changes stay in memory: a read-only array cannot become a tensor.
            return np.memmap(path, np.uint8, mode="c", offset=header.length, shape=header.shape)
    try:
        with gzip.open(path) as unpacked:
            header = _header(path, unpacked.read(4 + 4 * axes), axes)
            expected = math.prod(header.shape)
            check_unpacked(path, expected, size)
            content = np.empty(expected, dtype=np.uint8)
            got = _fill(unpacked, content.data)
            _check_length(path, got + len(unpacked.read(1)), expected)
    except EOFError:
        raise unreadable(path, "its compression is damaged (it ends too early)", _AGAIN) from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise unreadable(path, f"its compression is damaged ({quoted(str(error))})", _AGAIN) from None
    return content.reshape(header.shape)


def _fill(file: gzip.GzipFile, buffer: memoryview) -> int:
    done = 0
    while done < len(buffer) and (step := file.readinto(buffer[done : done + _AT_ONCE])):
        done += step
    return done


def _header(path: Path, start: bytes, axes: int) -> _Header:
    magic = bytes((0, 0, 8, axes))
    if start[:4] != magic[: len(start)]:
        kind = "images" if axes == 3 else "labels"
        cause = f"{called(path)} begins with {start[:4].hex()}, not with {magic.hex()} as IDX {kind} do"
        raise FileError(cause, remedy="Use MNIST's original files; `sgdsheet data mnist` gets them")
    if not start:
        raise FileError(f"{called(path)} is empty", remedy=_AGAIN)
    if len(start) < 4 + 4 * axes:
        raise FileError(f"{called(path)} ends within its first {4 + 4 * axes} bytes", remedy=_AGAIN)
    sizes = np.frombuffer(start, ">u4", offset=4).tolist()
    return _Header(tuple(sizes), len(start))


def _check_length(path: Path, got: int, expected: int) -> None:
    if got != expected:
        more = f"{got:,} bytes of data" if got < expected else "more data"
        cause = f"{called(path)} announces {expected:,} bytes of data but has {more}"
        raise FileError(cause, remedy=_AGAIN)
