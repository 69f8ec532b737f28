"""Installs the extension with the office's own tool, unopkg, sees whether it answers, and removes it again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sgdsheet.apps.libreoffice_ext.active_environment import forget, lead_to_uno, terminal_leads
from sgdsheet.apps.libreoffice_ext.answering import try_out
from sgdsheet.apps.libreoffice_ext.calc_functions import CalcFunction
from sgdsheet.apps.libreoffice_ext.configuration import IDENTIFIER
from sgdsheet.apps.libreoffice_ext.office.chosen_python import (
    CannotStart,
    Settings,
    read_settings,
    settings_file,
    write_settings,
)
from sgdsheet.apps.libreoffice_ext.office_registry import empty_registers
from sgdsheet.apps.libreoffice_ext.oxt import FILE_NAME, write
from sgdsheet.errors import FileError, HostError, one_line
from sgdsheet.hosts.libreoffice.programs import confined, office_environment, soffice, usual_profile

_NOISE = re.compile(r"^Exception occurred: |\[context=\"\w*\"\] |caught unexpected [\w.]+: | at \./\S+:\d+$")
"""What unopkg says about itself, around what went wrong."""

_AGAIN = "Close LibreOffice and try again"
_EMPTY = (
    "LibreOffice's register of extensions is empty, as it is when LibreOffice has crashed while it started. "
    "Close LibreOffice and run: sgdsheet libreoffice install"
)
_TIMEOUT = 120.0  # seconds; the first start of an office makes its profile


class Status(NamedTuple):
    """The extension as it is installed. `version` is None if it is not."""

    office: Path
    version: str | None
    settings: Path
    python: str
    """The Python that the office starts, or why there is none."""

    trouble: str | None = None
    """Why the extension does not answer in the office; None if it does, or is not there."""


class Installed(NamedTuple):
    """What `install` did, beside what is installed now."""

    status: Status
    repaired: bool
    """Whether LibreOffice's register of extensions was empty, and was made anew."""

    from_terminal: bool
    """Whether LibreOffice may be started from this terminal."""

    left_out: str | None = None
    """The kind of another LibreOffice on this machine that cannot have the extension; None if there is none."""


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


def install(functions: Sequence[CalcFunction], office: str | None = None, profile: str | None = None) -> Installed:
    """Build the extension, hand it to the office, and write down which Python has sgdsheet: this one.

    Raises HostError, with nothing of it left, where the extension then does not answer.
    """
    unopkg = find_unopkg(office)
    repaired = _repair(unopkg, profile)
    before = settings_file().read_bytes() if settings_file().is_file() else None
    try:
        with tempfile.TemporaryDirectory(prefix="sgdsheet-") as folder:
            Path(folder).chmod(0o755)
            package = Path(folder) / FILE_NAME
            write(package, functions)
            _run(unopkg, ["add", "--force", "--suppress-license", str(package)], profile)
        _write(sys.executable, sorted({*known_profiles(), _key(profile)}))
        found = status(office, profile)
        if found.version is None:
            raise HostError("unopkg took the extension, but does not list it", remedy=_AGAIN)
        if found.trouble is not None:
            raise HostError(f"the extension was installed, but {found.trouble}", remedy="It was removed again")
    except HostError:
        _undo(unopkg, profile, before)
        raise
    program = _program(unopkg)
    leads = lead_to_uno(program, _environment(sys.executable)) and terminal_leads(program)
    return Installed(found, repaired, leads, confined())


def uninstall(office: str | None = None, profile: str | None = None) -> bool:
    """Remove the extension, and the settings if no other profile needs them. False if this profile did not have it."""
    unopkg = find_unopkg(office)
    _repair(unopkg, profile)
    there = _version(unopkg, profile) is not None
    if there:
        _run(unopkg, ["remove", IDENTIFIER], profile)
    known = known_profiles()
    if there or _key(profile) in known:
        others = [other for other in known if other != _key(profile) and _needs_settings(unopkg, other)]
        python = str(_written().get("python", sys.executable))
        _write(python, others)
        if not others:
            forget(_environment(python))
    return there


def status(office: str | None = None, profile: str | None = None) -> Status:
    """What is installed where, and whether it answers: a LibreOffice without windows is started to see that."""
    unopkg = find_unopkg(office)
    try:
        python = read_settings().python
    except CannotStart as error:
        python = str(error)
    version = _version(unopkg, profile)
    trouble = None if version is None else _trouble(unopkg, profile)
    return Status(unopkg, version, settings_file(), python, trouble)


def _trouble(unopkg: Path, profile: str | None) -> str | None:
    folder = _folder(profile)
    if empty_registers(folder):
        return _EMPTY
    if not folder.is_dir():  # an office whose usual place we do not know
        return None
    try:
        try_out(_program(unopkg), folder)
    except HostError as error:
        return error.cause
    return None


def _repair(unopkg: Path, profile: str | None) -> bool:
    """Have LibreOffice write its register of extensions anew if a crash has left it empty."""
    empty = empty_registers(_folder(profile))
    for path in empty:
        path.unlink()
    if empty:
        _run(unopkg, ["reinstall"], profile)
    return bool(empty)


def _undo(unopkg: Path, profile: str | None, settings: bytes | None) -> None:
    """Leave neither half an extension nor settings for it."""
    with suppress(HostError):  # it may not even be there
        _run(unopkg, ["remove", IDENTIFIER], profile)
    with suppress(FileError):
        _write(sys.executable, [])
    if settings is not None:
        settings_file().parent.mkdir(parents=True, exist_ok=True)
        settings_file().write_bytes(settings)


def _environment(python: str) -> Path:
    """The folder of a Python's environment, if it is one."""
    return Path(python).parent.parent


def _program(unopkg: Path) -> Path:
    """LibreOffice's program beside its tool."""
    names = ("soffice.exe",) if sys.platform == "win32" else ("soffice",)
    return next((unopkg.with_name(name) for name in names if unopkg.with_name(name).is_file()), None) or soffice()


def _folder(profile: str | None) -> Path:
    return Path(profile).absolute() if profile else usual_profile()


def known_profiles() -> list[str]:
    """The profiles that the settings name.

    Settings of an earlier sgdsheet name none: they were made for the usual profile.
    """
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
    environment = {**office_environment(), "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}  # its output is read
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
        raise HostError("unopkg does not end", remedy=_AGAIN) from None
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
        remedy = _AGAIN
    return HostError(f"unopkg failed: {cause}", remedy=remedy)
