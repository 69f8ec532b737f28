"""Installs the extension with the office's own tool, unopkg, and removes it again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgdsheet.errors import FileError, HostError, one_line
from sgdsheet.extension.configuration import IDENTIFIER
from sgdsheet.extension.functions import CalcFunction
from sgdsheet.extension.office.settings import CannotStart, Settings, read_settings, settings_file, write_settings
from sgdsheet.extension.package import FILE_NAME, write
from sgdsheet.hosts.libreoffice.office import soffice

_NOISE = re.compile(r"^Exception occurred: |\[context=\"\w*\"\] |caught unexpected [\w.]+: | at \./\S+:\d+$")
"""What unopkg says about itself, around what went wrong."""

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
    _write(sys.executable, sorted({*known_profiles(), _key(profile)}))
    return status(office, profile)


def uninstall(office: str | None = None, profile: str | None = None) -> bool:
    """Remove the extension, and the settings if no other profile needs them. False if this profile did not have it."""
    unopkg = find_unopkg(office)
    there = _version(unopkg, profile) is not None
    if there:
        _run(unopkg, ["remove", IDENTIFIER], profile)
    known = known_profiles()
    if there or _key(profile) in known:
        others = [other for other in known if other != _key(profile) and _needs_settings(unopkg, other)]
        _write(str(_written().get("python", sys.executable)), others)
    return there


def status(office: str | None = None, profile: str | None = None) -> Status:
    """What is installed where."""
    unopkg = find_unopkg(office)
    try:
        python = read_settings().python
    except CannotStart as error:
        python = str(error)
    return Status(unopkg, _version(unopkg, profile), settings_file(), python)


def known_profiles() -> list[str]:
    """Those that the settings name. Settings of an earlier sgdsheet name none: they were made for the usual one."""
    named = _written().get("profiles", [""]) if settings_file().exists() else []
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _written() -> dict[str, Any]:
    """The settings as they are, unchecked: a Python that is gone does not matter here."""
    try:
        found = json.loads(settings_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(profile: str | None) -> str:
    return str(Path(profile).resolve()) if profile else ""


def _needs_settings(unopkg: Path, profile: str) -> bool:
    """Whether a profile has the extension. One that cannot be asked, since its office is running, may well have it."""
    try:
        return _version(unopkg, profile or None) is not None
    except HostError:
        return True


def _write(python: str, profiles: Sequence[str]) -> None:
    """The settings for these profiles; for none, there are none."""
    path = settings_file()
    try:
        if profiles:
            write_settings(Settings(python, tuple(profiles)))
            return
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise FileError(f"{path} cannot be changed: {error.strerror}") from None


def _version(unopkg: Path, profile: str | None) -> str | None:
    """The installed extension's version, from unopkg's list."""
    if profile and not Path(profile).is_dir():  # unopkg would make one
        return None
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
    lines = [one_line(line).removeprefix("ERROR: ") for line in output.splitlines()]
    said = [line for line in lines if line and line != "unopkg failed."]
    cause = _NOISE.sub("", said[-1]).rstrip(".") if said else "it said nothing"
    if "could not be created" in cause or "denied" in cause:
        remedy = (
            "Your own user must be able to write into LibreOffice's profile. See to that, or name another: --profile"
        )
    else:
        remedy = "Close LibreOffice and try again"
    return HostError(f"unopkg failed: {cause}", remedy=remedy)
