"""Where the data of a model lie: the name of a dataset, or a file beside the workbook.

A workbook may come from a stranger, and must not choose files on anybody's disk: what it names has to lie in its own
folder or below, unless a person says the path or allows the folder in a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from sgdsheet.data.datasets import DATASETS, cached
from sgdsheet.errors import FileError, quoted

_ELSEWHERE = re.compile(r"[\\/]{2}|[\\/]\?|[a-z][a-z0-9+.-]+:", re.I)
"""A network share or an address: a workbook must not make anybody's machine connect to a place that it names."""
_SEVERAL = re.compile(r"-ubyte|\.parquet$", re.I)
"""Words in the names of files of which a source may have several: MNIST's, and Parquet's."""


def locate(origin: str, folder: Path | None, *, chosen: bool = False) -> Path:
    """The path that a source's name means; relative ones start at `folder`, the workbook's.

    FileError if it is a dataset that is not there yet, or a place on a network, or if it lies outside of that folder
    and is not `chosen` by a person.
    """
    name = origin.strip()
    known = DATASETS.get(name.casefold())
    if known is not None:
        found = cached(known)
        if found is None:
            raise FileError(
                f"the dataset {quoted(name)} is not on this machine yet",
                remedy=f"Get it with `sgdsheet data {known.name}`, or name a file with --source",
            )
        return found
    if _ELSEWHERE.match(name):
        raise FileError(f"{quoted(name)} is not a file on this machine", remedy="Name a file beside the workbook")
    path = Path(name.replace("\0", " ")).expanduser()
    path = path if path.is_absolute() or folder is None else folder / path
    if not chosen:
        _refuse_outside(path, name, folder)
    return path


def list_of_allowed() -> Path:
    """The file in which a person lists folders, one a line, whose data any workbook may name."""
    return platformdirs.user_config_path("sgdsheet", appauthor=False) / "sources.txt"


def _refuse_outside(path: Path, name: str, folder: Path | None) -> None:
    """FileError for what is not in one of the folders that a workbook may read, wherever links lead."""
    folders = [item.resolve() for item in ([folder] if folder is not None else []) + _allowed()]
    try:
        inside = all(_is_in(item.resolve(), folders) for item in [path, *_linked(path)])
    except (OSError, RuntimeError):  # links that lead to each other
        inside = False
    if inside:
        return
    where = "is not in the workbook's folder" if folder is not None else "has no folder: the workbook is not saved"
    raise FileError(
        f"the source {quoted(name)} {where}, and a workbook may not choose files elsewhere",
        remedy="Put it beside the workbook, say it yourself with --source, or write its folder into"
        f" “{list_of_allowed()}”",
    )


def _is_in(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _linked(path: Path) -> list[Path]:
    """The files and folders, among those that belong together, that are links."""
    if path.is_dir():
        inside = [item for item in path.rglob("*") if item.is_symlink()]
        return [item for item in inside if _SEVERAL.search(item.name) or item.is_dir()]
    if not path.parent.is_dir():
        return []
    return [item for item in path.parent.iterdir() if _SEVERAL.search(item.name) and item.is_symlink()]


def _allowed() -> list[Path]:
    try:
        lines = list_of_allowed().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    paths = (Path(line.strip()).expanduser() for line in lines if line.strip() and not line.startswith("#"))
    return [path for path in paths if path.is_absolute()]
