"""Environments as `source .venv/bin/activate` makes them active, and LibreOffice's tool for whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sgdsheet

NOBODY = 65534
USER = NOBODY if os.getuid() == 0 else os.getuid()
"""For whom LibreOffice installs extensions: not for root."""

_SCRIPT = "#!{python}\nimport sys\nfrom sgdsheet.apps.cli import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def active(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Environment variables, changed as the script `activate` does."""
        kept = {name: value for name, value in inherited.items() if name != "PYTHONHOME"}
        path = os.pathsep.join([str(self.folder / "bin"), inherited["PATH"]])
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.folder), "VIRTUAL_ENV_PROMPT": "(.venv) "}


def environment_with_sgdsheet(folder: Path) -> Environment:
    """One that shares what is installed for the tests: nothing is fetched."""
    made = empty_environment(folder, sys.executable)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = [*site.getsitepackages(), str(Path(sgdsheet.__file__).parent.parent)]
    (packages / "shared.pth").write_text("".join(f"import site; site.addsitedir({place!r})\n" for place in shared))
    script = folder / "bin" / "sgdsheet"
    script.write_text(_SCRIPT.format(python=made.python))
    script.chmod(0o755)
    return made


def empty_environment(folder: Path, python: str | Path) -> Environment:
    """One of any Python."""
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    return Environment(folder)


def own(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != user:
            os.chown(path, user, user, follow_symlinks=False)


def tool_folder(folder: Path) -> Path:
    """A program folder whose unopkg is LibreOffice's; root becomes nobody for it, whom LibreOffice serves."""
    folder.mkdir()
    tool = folder / "unopkg"
    change = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups " if os.getuid() == 0 else ""
    home, real = folder.parent / "profile", shutil.which("unopkg")
    tool.write_text(f'#!/bin/sh\ncd "{folder}"\nexport HOME="{home}"\nexec {change}{real} "$@"\n')
    tool.chmod(0o755)
    return folder
