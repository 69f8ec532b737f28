"""Puts the add-in where Excel loads it, and takes it away without a trace."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.addin.places import Places
from sgdsheet.addin.sources import source
from sgdsheet.atomic import write_atomically
from sgdsheet.errors import FileError, HostError

_PROPERTY = re.compile(r'^property interpreter : "(.*)"$', re.MULTILINE)
_UNSAFE = re.compile(r'["%\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class Status:
    """What is installed. `current`: the add-in is the one that this sgdsheet would build."""

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


def install(places: Places, addin: bytes, interpreter: str) -> list[str]:
    """Write the files; returns a line for each thing done. Raises FileError or HostError, then nothing new is there."""
    text = _interpreter_text(places, interpreter)
    if not places.excel.is_dir():
        raise HostError("Excel has never been started here", remedy="Install and start Excel once, then try again")
    made: list[Path] = []
    done: list[str] = []
    try:
        for path, data in zip(places.files, (addin, text), strict=True):
            existed = path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
            if not existed:
                made.append(path)
            done.append(f"{'Replaced' if existed else 'Wrote'} {path}")
    except OSError as error:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise _refused(path, error) from None
    return done


def uninstall(places: Places) -> list[str]:
    """Remove the files, and the folder that is ours alone."""
    done = []
    for path in places.files:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _refused(path, error) from None
        done.append(f"Removed {path}")
    if places.interpreter.parent.name == "sgdsheet":
        with suppress(OSError):  # not there, or somebody keeps something in it
            places.interpreter.parent.rmdir()
    return done


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
