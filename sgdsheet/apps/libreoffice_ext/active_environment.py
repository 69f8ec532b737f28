"""LibreOffice started in a terminal where sgdsheet's environment is active, as a person does who has just installed.

On Linux a distribution's LibreOffice takes the first `python3` in PATH for the home of its own Python, does not find
`uno` there, and crashes as soon as it opens a spreadsheet. A line in the environment's folder of packages shows the
way; it is without effect in every other program. Other environments are not ours to change: of these we say so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from sgdsheet.hosts.libreoffice.programs import bundled_python, office_environment, office_python

FILE_NAME = "sgdsheet-libreoffice.pth"

_ASK = "import json, os, sys, uno; print(json.dumps([*sys.version_info[:2], os.path.dirname(uno.__file__)]))"


def lead_to_uno(program: Path, environment: Path) -> bool:
    """Write the line, for LibreOffice's version of Python. False if it cannot be written; True also if not needed."""
    if _has_own_python(program):
        return True
    asked = _ask_office(program)
    if asked is None:
        return False
    version, modules = asked
    if not _is_virtual(environment):  # of another one LibreOffice would take the library, too: see `terminal_leads`
        return True
    place = _place(environment, version)
    line = f"import sys; {str(program.parent)!r} in sys.path and sys.path.append({modules!r})\n"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(line, encoding="utf-8")
    except OSError:
        return False
    return True


def terminal_leads(program: Path) -> bool:
    """Whether LibreOffice may be started in this terminal: the Python that comes first in PATH does not mislead it."""
    first = shutil.which("python3")
    if _has_own_python(program) or first is None:
        return True
    asked = _ask_office(program)
    if asked is None:
        return False
    folder = Path(first).parent.parent
    return not _misleads(folder, asked[0]) or _place(folder, asked[0]).is_file()


def forget(environment: Path) -> None:
    """Remove what `lead_to_uno` wrote, with the folders that it made for it."""
    for place in _written(environment):
        with suppress(OSError):  # a folder that has more in it stays
            place.unlink()
            place.parent.rmdir()
            place.parent.parent.rmdir()


def _has_own_python(program: Path) -> bool:
    """Whether LibreOffice brings a Python with it, which no other one can mislead."""
    return sys.platform in ("win32", "darwin") or bundled_python(program) is not None


@cache
def _ask_office(program: Path) -> tuple[str, str] | None:
    """The version of LibreOffice's Python, as `3.11`, and the folder of its `uno`; None if it does not tell."""
    command = [str(office_python(program)), "-E", "-c", _ASK]
    asked = subprocess.run(command, capture_output=True, env=office_environment())
    if asked.returncode != 0:
        return None
    major, minor, modules = json.loads(asked.stdout)
    return f"{major}.{minor}", str(modules)


def _misleads(folder: Path, version: str) -> bool:
    """Whether LibreOffice takes a Python's folder for its own: a virtual one, or another Python of its version.

    Those of conda are whole Pythons.
    """
    if folder == Path(os.sep, "usr"):
        return False
    return _is_virtual(folder) or (folder / "lib" / f"python{version}" / "os.py").is_file()


def _is_virtual(folder: Path) -> bool:
    """Whether a Python's folder is an environment that shares the library of another Python."""
    return (folder / "pyvenv.cfg").is_file()


def _place(folder: Path, version: str) -> Path:
    return folder / "lib" / f"python{version}" / "site-packages" / FILE_NAME


def _written(environment: Path) -> Iterator[Path]:
    yield from environment.glob(f"lib/python*/site-packages/{FILE_NAME}")
