"""Where the data of a model lie: the name of a dataset, or a file beside the workbook."""

from __future__ import annotations

import re
from pathlib import Path

from sgdsheet.datasets import DATASETS, cached
from sgdsheet.errors import FileError, quoted

_ELSEWHERE = re.compile(r"[\\/]{2}|[\\/]\?|[a-z][a-z0-9+.-]+:", re.I)
"""A network share or an address: a workbook must not make anybody's machine connect to a place that it names."""


def locate(origin: str, folder: Path | None) -> Path:
    """The path that a source's name means; relative ones start at `folder`, the workbook's.

    FileError if it is a dataset that is not there yet, or a place on a network.
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
    path = Path(name).expanduser()
    return path if path.is_absolute() or folder is None else folder / path
