"""Puts the add-in where Excel loads it, and takes it away without a trace."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.apps.excel_addin.excel_folders import Places
from sgdsheet.apps.excel_addin.texts import source
from sgdsheet.errors import FileError, HostError
from sgdsheet.system.atomic import write_atomically

_PROPERTY = re.compile(r'^property interpreter : "(.*)"$', re.MULTILINE)
_STORE = re.compile(r"[\\/](WindowsApps|PythonSoftwareFoundation\.[^\\/]*)[\\/]", re.IGNORECASE)
_PRIVATE = re.compile(r"[\\/]Packages[\\/][^\\/]+[\\/]LocalCache[\\/]", re.IGNORECASE)
"""Where Windows keeps what a program of the Microsoft Store writes below AppData."""
_OTHER_PYTHON = "Install Python from python.org, and sgdsheet with it"
_UNSAFE = re.compile(r'["%\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class Status:
    """The add-in as it is installed. `current` says whether it is the one that this sgdsheet would build."""

    installed: bool
    current: bool
    addin: str
    interpreter: str
    interpreter_exists: bool

    @property
    def advice(self) -> str:
        if self.installed and self.current and self.interpreter_exists:
            return ""
        return "Run: sgdsheet addin install"


def install(places: Places, addin: bytes, interpreter: str, base: str = "") -> list[str]:
    """Write the files; returns a line for each thing done. Raises FileError or HostError; then all is as before.

    `base` is the Python that the `interpreter` of a virtual environment was made from.
    """
    if any(_STORE.search(path) for path in (interpreter, base)):
        raise HostError(
            "this Python is from the Microsoft Store: Windows hides from Excel what it writes", remedy=_OTHER_PYTHON
        )
    text = _interpreter_text(places, interpreter)
    if not places.excel.is_dir():
        raise HostError("Excel has never been started here", remedy="Install and start Excel once, then try again")
    made = _missing_folders(places)
    ledger = json.dumps([str(folder) for folder in {*_noted_folders(places), *made}], indent=1).encode()
    before: dict[Path, bytes | None] = {}
    try:
        for path, data in ((places.ledger, ledger), (places.addin, addin), (places.interpreter, text)):
            old = path.read_bytes() if path.exists() else None
            path.parent.mkdir(parents=True, exist_ok=True)
            before[path] = old
            write_atomically(path, data)
    except OSError as error:
        _restore(before)
        _remove_folders([*made, places.ledger.parent])
        raise _refused(path, error) from None
    if any(_PRIVATE.search(os.path.realpath(path)) for path in places.files):
        _restore(before)
        _remove_folders([*made, places.ledger.parent])
        raise HostError("Windows keeps the files of this Python where Excel does not look", remedy=_OTHER_PYTHON)
    return [f"{'Wrote' if before[path] is None else 'Replaced'} {path}" for path in places.files]


def uninstall(places: Places) -> list[str]:
    """Remove the files, and the folders that were made for them if nobody keeps anything in them."""
    made = _noted_folders(places)
    done = []
    for path in (*places.files, places.ledger):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _refused(path, error) from None
        done.append(f"Removed {path}")
    return done + [f"Removed {folder}" for folder in _remove_folders([*made, places.ledger.parent])]


def status(places: Places, build: Callable[[], bytes]) -> Status:
    """What is installed, and whether it is what this sgdsheet would install."""
    installed = places.addin.is_file()
    interpreter = read_interpreter(places)
    return Status(
        installed,
        installed and places.addin.read_bytes() == build(),
        str(places.addin),
        interpreter,
        bool(interpreter) and Path(interpreter).is_file(),
    )


def read_interpreter(places: Places) -> str:
    """The Python that a click runs, or nothing."""
    path = places.interpreter
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    if path.suffix != ".applescript":
        return data.decode("utf-16", errors="replace").strip()
    found = _PROPERTY.search(data.decode("utf-8", errors="replace"))
    return found[1].replace('\\"', '"').replace("\\\\", "\\") if found else ""


def _folders(places: Places) -> set[Path]:
    """All folders that the files lie in."""
    return {folder for path in (*places.files, places.ledger) for folder in path.parents}


def _missing_folders(places: Places) -> list[Path]:
    return [folder for folder in _folders(places) if not folder.exists()]


def _noted_folders(places: Places) -> list[Path]:
    """The folders that earlier installations made. Whatever the ledger says, no other folder is touched."""
    try:
        noted = json.loads(places.ledger.read_bytes())
    except (OSError, ValueError):
        return []
    return [folder for folder in _folders(places) if isinstance(noted, list) and str(folder) in noted]


def _remove_folders(folders: Iterable[Path]) -> list[Path]:
    """Remove those that are empty, the innermost first; returns what was removed."""
    removed = []
    for folder in sorted(set(folders), key=lambda each: len(each.parts), reverse=True):
        with suppress(OSError):  # not there, or somebody keeps something in it
            folder.rmdir()
            removed.append(folder)
    return removed


def _restore(before: Mapping[Path, bytes | None]) -> None:
    """Undo what was written: old bytes come back, new files go."""
    for path, old in before.items():
        with suppress(OSError):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, old)


def _interpreter_text(places: Places, interpreter: str) -> bytes:
    """What says which Python to run: in UTF-16 for VBA, which knows no other way to any alphabet; or the script."""
    if not interpreter or _UNSAFE.search(interpreter):
        raise HostError(
            f"Excel cannot start the Python “{interpreter}”",
            remedy='Use one whose path has no " and no %',
        )
    if places.interpreter.suffix != ".applescript":
        return (interpreter + "\r\n").encode("utf-16-le").join((b"\xff\xfe", b""))
    return source(places.interpreter.name).replace("{interpreter}", interpreter.replace("\\", "\\\\")).encode("utf-8")


def _refused(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be changed: {error.strerror}", remedy="Quit Excel, then try again")
