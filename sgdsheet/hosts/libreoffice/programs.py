"""LibreOffice's programs: where they are, and in which environment they are started.

Run on Linux; the places on Windows and macOS are those of LibreOffice's documentation and were never tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sgdsheet.errors import HostError

_INSTALL = "Install LibreOffice Calc (on Debian and Ubuntu: apt-get install libreoffice-calc python3-uno)"

_ACTIVE = ("PYTHON", "__PYVENV", "VIRTUAL_ENV", "_OLD_VIRTUAL_", "CONDA_", "_CONDA_", "_CE_", "UV_", "PIPX_", "PIPENV_",
           "POETRY_", "PYENV_")  # fmt: skip
"""The beginnings of environment variables that are about a Python environment."""

_WINDOWS = "SAL_USE_VCLPLUGIN"
"""The environment variable that says how LibreOffice shows windows."""

_FLATPAK = "org.libreoffice.LibreOffice"
"""LibreOffice's name among Flatpaks."""

_MARKS = ("pyvenv.cfg", "conda-meta")
"""Files by which the folder of a Python environment is known."""


def soffice() -> Path:
    """LibreOffice's program. The environment variable SGDSHEET_SOFFICE says so where it is in an unusual place."""
    places: list[str | Path | None] = [os.environ.get("SGDSHEET_SOFFICE"), shutil.which("soffice")]
    if sys.platform == "darwin":
        places.append(Path(os.sep, "Applications", "LibreOffice.app", "Contents", "MacOS", "soffice"))
    if sys.platform == "win32":
        roots = [os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)")]
        places += [Path(root, "LibreOffice", "program", "soffice.exe") for root in roots if root]
    places.append(shutil.which("libreoffice"))
    for place in places:
        if place is not None and Path(place).is_file() and not _is_snap(place):
            return Path(place).resolve()
    if (kind := confined()) is not None:
        raise HostError(
            f"LibreOffice is here as a {kind} only, which can neither start sgdsheet's Python nor be reached by it",
            remedy="Install LibreOffice from your distribution or from libreoffice.org, or use sgdsheet open BOOK",
        )
    raise HostError("LibreOffice was not found", remedy=_INSTALL)


def confined() -> str | None:
    """`Flatpak` or `Snap` if there is a LibreOffice of that kind, which is shut off from other programs; else None."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    flatpaks = [
        Path(os.environ.get("FLATPAK_USER_DIR") or home / "flatpak"),
        Path(os.environ.get("FLATPAK_SYSTEM_DIR") or Path(os.sep, "var", "lib", "flatpak")),
    ]
    if any((folder / "app" / _FLATPAK).is_dir() for folder in flatpaks):
        return "Flatpak"
    found = [shutil.which(name) for name in ("libreoffice", "soffice", "libreoffice.calc")]
    return "Snap" if any(place is not None and _is_snap(place) for place in found) else None


def _is_snap(place: str | Path) -> bool:
    """Whether a command is one of a Snap: a link to the program `snap`."""
    return Path(place).resolve().name == "snap"


@cache
def office_python(program: Path | None = None) -> Path:
    """A Python that has the `uno` of a LibreOffice, by default the usual one: the bundled, else the system's."""
    bundled = bundled_python(program or soffice())
    if bundled is not None:
        return bundled
    environment = office_environment()
    usual = shutil.which("python3", path=environment["PATH"])
    for place in (Path(os.sep, "usr", "bin", "python3"), *map(Path, filter(None, [usual]))):
        if place.is_file() and _has_uno(place, environment):
            return place
    raise HostError("no Python with LibreOffice's “uno” was found", remedy=_INSTALL)


def bundled_python(program: Path) -> Path | None:
    """The Python that a LibreOffice brings with it; None where it uses the system's."""
    folder = program.parent
    places = (folder / "python.exe", folder / "python", folder.parent / "Resources" / "python")
    return next((place for place in places if place.is_file()), None)


def office_environment(inherited: Mapping[str, str] = os.environ, *, visible: bool = False) -> dict[str, str]:
    """What LibreOffice's programs inherit: our own environment variables, without any Python environment.

    Unless it is to be `visible`, LibreOffice is not told how to show windows: where there is no screen, it would end.

    LibreOffice's Python is the system's on Linux, and takes the first `python3` in PATH for its home. In an active
    environment it does not find `uno` then, and LibreOffice ends with “bad_alloc” and an empty registry.
    """
    folders = [folder for folder in inherited.get("PATH", os.defpath).split(os.pathsep) if not _of_environment(folder)]
    left_out = _ACTIVE if visible else (*_ACTIVE, _WINDOWS)
    kept = {name: value for name, value in inherited.items() if not name.upper().startswith(left_out)}
    system = [] if sys.platform == "win32" else [os.path.join(os.sep, "usr", "bin")]
    return {**kept, "PATH": os.pathsep.join([*system, *folders])}


def usual_profile() -> Path:
    """The folder of the profile that LibreOffice uses if nobody says otherwise; it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "LibreOffice"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support" / "LibreOffice"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "libreoffice"
    return base / "4"


def _of_environment(folder: str) -> bool:
    """Whether a folder of PATH belongs to a Python environment, or to what stands for the Pythons of several."""
    place = Path(folder)
    return any((place.parent / mark).exists() for mark in _MARKS) or (place.name == "shims" and "pyenv" in folder)


def _has_uno(python: Path, environment: Mapping[str, str]) -> bool:
    command = [str(python), "-E", "-c", "import uno"]
    return subprocess.run(command, capture_output=True, env=dict(environment)).returncode == 0
