"""LibreOffice started in a terminal where sgdsheet's environment is active, as a person does who has just installed.

On Linux a distribution's LibreOffice takes the first `python3` in PATH for the home of its own Python, does not find
`uno` there, and crashes as soon as it opens a spreadsheet. A line in the environment's folder of packages shows the
way; it is without effect in every other program. Other environments are not ours to change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sgdsheet.hosts.libreoffice.programs import bundled_python, office_environment, office_python

FILE_NAME = "sgdsheet-libreoffice.pth"

_ASK = "import json, os, sys, uno; print(json.dumps([*sys.version_info[:2], os.path.dirname(uno.__file__)]))"


def lead_to_uno(program: Path, environment: Path) -> bool:
    """Write the line, for LibreOffice's version of Python. False if it cannot be written; True also if not needed."""
    if sys.platform in ("win32", "darwin") or bundled_python(program) or not is_environment(environment):
        return True
    command = [str(office_python(program)), "-E", "-c", _ASK]
    asked = subprocess.run(command, capture_output=True, env=office_environment())
    if asked.returncode != 0:
        return False
    major, minor, modules = json.loads(asked.stdout)
    place = environment / "lib" / f"python{major}.{minor}" / "site-packages" / FILE_NAME
    line = f"import sys; {str(program.parent)!r} in sys.path and sys.path.append({str(modules)!r})\n"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(line, encoding="utf-8")
    except OSError:
        return False
    return True


def forget(environment: Path) -> None:
    """Remove what `lead_to_uno` wrote, with the folders that it made for it."""
    for place in _written(environment):
        with suppress(OSError):  # a folder that has more in it stays
            place.unlink()
            place.parent.rmdir()
            place.parent.parent.rmdir()


def is_environment(folder: Path) -> bool:
    """Whether a Python's folder is an environment, made by venv or conda."""
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()


def _written(environment: Path) -> Iterator[Path]:
    yield from environment.glob(f"lib/python*/site-packages/{FILE_NAME}")
