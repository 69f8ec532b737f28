"""Whether the extension answers: asked in a LibreOffice without windows, with a copy of the person's extensions."""

from __future__ import annotations

from pathlib import Path

import sgdsheet
from sgdsheet.apps.libreoffice_ext.actions import PROTOCOL_SCHEME
from sgdsheet.apps.libreoffice_ext.configuration import COMMANDS_SERVICE, FUNCTIONS_SERVICE
from sgdsheet.apps.libreoffice_ext.office.child import Child
from sgdsheet.apps.libreoffice_ext.office.chosen_python import CannotStart
from sgdsheet.apps.libreoffice_ext.office_registry import copier
from sgdsheet.errors import HostError, one_line
from sgdsheet.hosts.libreoffice.office_process import Office

_LONGEST = 120.0  # seconds: torch is imported from a slow disk
_REQUEST = {
    "do": "try_extension",
    "handler": COMMANDS_SERVICE,
    "address": f"{PROTOCOL_SCHEME}:step",
    "function": f"{FUNCTIONS_SERVICE}.sgdVersion",
}


def try_out(program: Path, profile: Path) -> None:
    """Ask for a button and calculate SGD_VERSION. Raises HostError with the reason if anything does not work.

    The office gets a copy of what is installed: neither the profile nor an office that runs with it is touched.
    """
    with Office(program=program, prepare=copier(profile)) as office:
        reply = office.agent.ask(_REQUEST, timeout=_LONGEST)
    if not reply["ok"]:
        said = str(reply.get("text", reply["reason"])).splitlines()[0]
        raise HostError(f"its buttons and functions do not answer in LibreOffice: {one_line(said)}")
    buttons, version = reply["result"]
    while isinstance(version, list) and version:
        version = version[0]
    if not buttons:
        raise HostError("its buttons do not answer in LibreOffice")
    if version != sgdsheet.__version__:
        raise HostError(f"its functions do not answer in LibreOffice: {_reason()}")


def _reason() -> str:
    """Why a function in a cell has no value: the process that calculates it says so itself."""
    try:
        Child(_refuse, _refuse).close()
    except CannotStart as error:
        return str(error).removesuffix(".")
    return "SGD_VERSION() has another value than the version of this sgdsheet"


def _refuse(_request: dict[str, object]) -> dict[str, object]:
    return {"ok": False, "reason": "not open"}
