"""The spreadsheet programs in which a workbook can be open, by name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from sgdsheet.errors import HostError, quoted
from sgdsheet.hosts.base import LiveHost
from sgdsheet.sheet.workbook import Workbook

_FOLDER = Path(__file__).parent

LIVE_HOSTS = {
    path.stem.removesuffix("_host"): ".".join((__package__, *path.relative_to(_FOLDER).with_suffix("").parts))
    for path in sorted(_FOLDER.rglob("*_host.py"))
}
"""Programs and their modules, found by name (`NAME_host.py`): each has `connect` and `open_books`, and is imported
when it is needed."""


def connect(host: str, book: str, where: str = "") -> LiveHost:
    """Connect to a workbook that is open in a program. Raises HostError."""
    found: LiveHost = _module(host).connect(book, where)
    return found


def open_books(host: str, where: str = "") -> list[str]:
    """The keys of the workbooks that are open in a program; none if the program does not run."""
    found: list[str] = _module(host).open_books(where)
    return found


def read_open_book(host: str, book: object) -> Workbook:
    """Read a workbook that is open in a program, given as the object by which a library of that program knows it."""
    found: Workbook = _module(host).host_of(book).read()
    return found


def show_state(host: str, book: str, where: str, state: str) -> bool:
    """Tell a program's own buttons what the trainer does with a workbook; False if the program is busy."""
    if host != "excel":
        return True
    told: bool = importlib.import_module("sgdsheet.hosts.excel.ribbon_state").show_state(book, where, state)
    return told


def leave() -> None:
    """Close what programs have opened because this process asked them to, and has not closed when a host was."""
    for name in LIVE_HOSTS.values():
        close = getattr(sys.modules.get(name), "leave", None)
        if close is not None:
            close()


def _module(host: str) -> Any:
    if host not in LIVE_HOSTS:
        raise HostError(f"{quoted(host)} is not a spreadsheet program", remedy=f"Known are {', '.join(LIVE_HOSTS)}")
    try:
        return importlib.import_module(LIVE_HOSTS[host])
    except ImportError as error:
        raise HostError(
            f"{host} cannot be reached: {error.name or error} is not installed",
            remedy=f'Run: pip install "sgdsheet[{host}]"',
        ) from None
