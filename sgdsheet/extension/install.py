"""Installs the extension with the office's own tool, unopkg, and removes it again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sgdsheet.errors import FileError, HostError, one_line
from sgdsheet.extension.configuration import IDENTIFIER
from sgdsheet.extension.functions import CalcFunction
from sgdsheet.extension.office.settings import CannotStart, Settings, read_settings, settings_file, write_settings
from sgdsheet.extension.package import FILE_NAME, write
from sgdsheet.hosts.libreoffice.office import soffice

_TIMEOUT = 120.0  # seconds; the first start of an office makes its profile


class Status(NamedTuple):
    """What is installed. `version` is None where the extension is not."""

    office: Path
    version: str | None
    settings: Path
    python: str
    """The Python that the office starts, or why there is none."""


def find_unopkg(office: str | None = None) -> Path:
    """The office's tool for extensions. `office` is LibreOffice's program folder, if it is somewhere special."""
    if office is None:
        folders = [soffice().parent]
    else:
        folders = [Path(office), Path(office) / "program", Path(office) / "Contents" / "MacOS"]
    names = ("unopkg.com", "unopkg.exe") if sys.platform == "win32" else ("unopkg",)
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise HostError(f"there is no unopkg in {folders[0]}", remedy="Say where LibreOffice's program folder is: --office")


def install(functions: Sequence[CalcFunction], office: str | None = None, profile: str | None = None) -> Status:
    """Build the extension, hand it to the office, and write down which Python has sgdsheet: this one."""
    unopkg = find_unopkg(office)
    with tempfile.TemporaryDirectory(prefix="sgdsheet-") as folder:
        Path(folder).chmod(0o755)
        package = Path(folder) / FILE_NAME
        write(package, functions)
        _run(unopkg, ["add", "--force", "--suppress-license", str(package)], profile)
    try:
        write_settings(Settings(sys.executable))
    except OSError as error:
        raise FileError(f"{settings_file()} cannot be written: {error.strerror}") from None
    return status(office, profile)


def uninstall(office: str | None = None, profile: str | None = None) -> bool:
    """Remove the extension and the settings. False if there was nothing to remove."""
    unopkg = find_unopkg(office)
    there = _version(unopkg, profile) is not None
    if there:
        _run(unopkg, ["remove", IDENTIFIER], profile)
    path = settings_file()
    there = there or path.exists()
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise FileError(f"{path} cannot be removed: {error.strerror}") from None
    return there


def status(office: str | None = None, profile: str | None = None) -> Status:
    """What is installed where."""
    unopkg = find_unopkg(office)
    try:
        python = read_settings().python
    except CannotStart as error:
        python = str(error)
    return Status(unopkg, _version(unopkg, profile), settings_file(), python)


def _version(unopkg: Path, profile: str | None) -> str | None:
    """The installed extension's version, from unopkg's list."""
    ours = False
    for line in _run(unopkg, ["list"], profile).splitlines():
        label, _, value = line.strip().partition(": ")
        if label == "Identifier":
            ours = value.strip() == IDENTIFIER
        elif ours and label == "Version":
            return value.strip()
    return None


def _run(unopkg: Path, arguments: Sequence[str], profile: str | None) -> str:
    """What unopkg printed. HostError with its last line if it failed."""
    where = _profile_option(profile) if profile else []
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}  # its output is read
    try:
        done = subprocess.run(
            [str(unopkg), *arguments, *where],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise HostError("unopkg does not end", remedy="Close LibreOffice and try again") from None
    except OSError as error:
        raise HostError(f"{unopkg} cannot be started: {error.strerror}") from None
    output = done.stdout.decode("utf-8", errors="replace")
    if done.returncode != 0:
        raise _refusal(output)
    return output


def _profile_option(profile: str) -> list[str]:
    """An office that runs with its usual profile does what unopkg wants. With another one, unopkg would miss it."""
    folder = Path(profile).absolute()
    if (folder / ".lock").exists():
        raise HostError(f"LibreOffice is running with the profile {folder}", remedy="Close it and try again")
    return [f"-env:UserInstallation={folder.as_uri()}"]


def _refusal(output: str) -> HostError:
    if "as root" in output:
        return HostError("LibreOffice installs no extensions for root", remedy="Run this as your own user")
    lines = [line for line in output.splitlines() if line.strip()]
    said = one_line(lines[-1]).removeprefix("ERROR: ") if lines else "it said nothing"
    return HostError(f"unopkg failed: {said}", remedy="Close LibreOffice and try again")
