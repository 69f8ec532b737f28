"""What a command may write over: nothing that it reads, nothing that it writes twice, nothing that a person made.

A command names its inputs and outputs once and has them checked before any work; whatever writes a file looks again.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sgdsheet.errors import FileError, SettingError

_ENDS = 65_536
"""Bytes at both ends of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of file that is written: what it is, in words, how its name may end, and how one is known."""

    what: str
    endings: tuple[str, ...]
    recognises: Callable[[Path], bool]
    """Whether an existing file is of this kind, and may be replaced."""
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """A file that is read: what it is, in words. One that is `continued` may be replaced by that product."""

    what: str
    path: Path
    continued: Product | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A file, or a folder, that is written: the option that names it."""

    option: str
    path: Path
    product: Product


# --- the kinds of files ---------------------------------------------------------------------------------------


def _holding(pattern: bytes) -> Callable[[Path], bool]:
    """Whether a file has something near its beginning or its end."""
    wanted = re.compile(pattern, re.DOTALL)

    def recognises(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(_ENDS)
            file.seek(max(0, path.stat().st_size - _ENDS))
            return wanted.match(head) is not None or wanted.match(file.read()) is not None

    return recognises


def _package_with(part: str, text: bytes) -> Callable[[Path], bool]:
    """Whether a file is a zip archive in which a part has a text."""

    def recognises(path: Path) -> bool:
        with zipfile.ZipFile(path) as package:
            return text in package.read(part)

    return recognises


_PACKAGE = _holding(rb"PK\x03\x04")

WORKBOOK = Product("a workbook", (), _PACKAGE)  # any ending: it has to be that of the workbook that is trained
EXAMPLE = Product("a workbook", (".xlsx",), lambda path: True)  # any file: a person says whether it may be replaced
CHECKPOINT = Product("a checkpoint of sgdsheet", (), _holding(rb'\{"format": "sgdsheet checkpoint '))
LOG = Product(
    "a log of sgdsheet",
    (".csv", ".jsonl"),
    _holding(rb'step,epoch,loss,|\{"step": [^,]+, "epoch": [^,]+, "loss": '),
)
PICTURE = Product(
    "a picture drawn by sgdsheet",
    (".png", ".svg", ".pdf"),
    _holding(rb"(\x89PNG|<\?xml|%PDF).*sgdsheet|.*\(sgdsheet\).*%%EOF"),
)
ANIMATION = Product(
    "a moving picture drawn by sgdsheet", (".gif", ".mp4"), _holding(rb"(GIF8|....ftyp).*sgdsheet|.*sgdsheet")
)
EVENTS = Product("a folder", (), Path.is_dir, is_folder=True)
MODULE = Product("a model exported by sgdsheet", (".py",), _holding(rb".{0,4000}\nWritten by sgdsheet\."))
NUMBERS = Product("the numbers of an exported model", (".pt",), _holding(rb"PK.*Written by sgdsheet"))
TABLE = Product(
    "predictions of sgdsheet",
    (".csv", ".parquet"),
    _holding(rb'"?sample"?[,\r\n]|.*sgdsheet_predictions.*PAR1\Z'),
)
PAGE = Product(
    "a page written by sgdsheet", (".html", ".htm"), _holding(rb'(?i)<!doctype html>.{0,200}content="sgdsheet')
)
ADDIN = Product("an add-in built by sgdsheet", (".xlam",), _package_with("docProps/core.xml", b"<dc:creator>sgdsheet<"))
REPORT = Product("a report of sgdsheet", (".md",), _holding(rb"# What `sgdsheet addin verify` saw"))
EXTENSION = Product("an extension built by sgdsheet", (".oxt",), _package_with("description.xml", b"sgdsheet"))


# --- before any work --------------------------------------------------------------------------------------------


def check(inputs: Iterable[Input], outputs: Iterable[Output]) -> None:
    """Raise SettingError if an output is an input or another output, FileError if it cannot or must not be written."""
    inputs, outputs = list(inputs), list(outputs)
    for output in outputs:
        for item in inputs:
            if item.continued is not output.product and same(item.path, output.path):
                raise SettingError(
                    f"{output.option} would write over {item.what} “{item.path.name}”", remedy="Give it another name"
                )
    for one, other in combinations(outputs, 2):
        if same(one.path, other.path):
            raise SettingError(
                f"{one.option} and {other.option} are the same file “{other.path.name}”",
                remedy="Give them different names",
            )
    for output in outputs:
        ready(output.path, output.product)


def ready(path: Path, product: Product) -> Path:
    """The path to write to, links followed.

    Raises FileError if that cannot be written, or if something else would be lost.
    """
    try:
        target = path.resolve()
        if product.is_folder:
            _check_folder(path, target)
        else:
            _check_file(path, target, product)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself is a RuntimeError before Python 3.13
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"“{path}” cannot be written: {reason}", remedy="Write somewhere else") from None
    return target


def _check_file(path: Path, target: Path, product: Product) -> None:
    if product.endings and path.suffix.lower() not in product.endings and not target.is_dir():
        raise FileError(
            f"“{path}” is not the name of {product.what}", remedy=f"Let it end with {_either(product.endings)}"
        )
    if target.is_dir():
        raise FileError(f"“{path}” is a folder", remedy="Give a file name")
    if not target.parent.is_dir():
        folder = target.parent if path.is_symlink() else path.parent
        raise FileError(f"“{folder}” is not a folder", remedy="Create it, or write somewhere else")
    if target.exists() and not target.is_file():
        raise FileError(f"“{path}” is not an ordinary file", remedy="Give another name")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise FileError(f"“{path}” cannot be written: it is protected", remedy="Write somewhere else")
    if target.exists() and target.stat().st_size and not recognised(target, product):
        raise FileError(f"“{path}” exists and is not {product.what}", remedy="Give another name, or move it away")


def recognised(path: Path, product: Product) -> bool:
    """Whether an existing file is a product of that kind. Raises OSError."""
    with suppress(zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError):  # what a damaged package raises
        return product.recognises(path)
    return False


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _check_folder(path: Path, target: Path) -> None:
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    if not there.is_dir():
        raise FileError(f"“{there}” is not a folder", remedy="Write somewhere else")
    if not os.access(there, os.W_OK):
        raise FileError(f"“{path}” cannot be written: it is protected", remedy="Write somewhere else")


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder: by links of any kind, by spelling, or once both are written."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # at least one of them is not there
        pass
    try:
        if one.exists() != other.exists():
            return False
        one, other = one.resolve(), other.resolve()
        if one == other:
            return True
        # Two names that differ by their case only are one on some disks, and nobody can tell before they are there.
        return _folded(one.name) == _folded(other.name) and (
            one.parent == other.parent or (one.parent.exists() and one.parent.samefile(other.parent))
        )
    except (OSError, RuntimeError, ValueError):
        return False


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def documents() -> Path:
    """The folder in which a person keeps documents, for what has no place of its own."""
    folder = Path.home() / "Documents"
    return folder if folder.is_dir() else Path.home()
