"""Where Excel looks for add-ins and scripts, on Windows and on a Mac: the one table of paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.errors import HostError

ADDIN = "sgdsheet.xlam"
SCRIPT = "sgdsheet.applescript"
CONFIG = "sgdsheet.conf"
LEDGER = "folders.json"

_MAC_STARTUP = "Library/Group Containers/UBF8T346G9.Office/User Content.localized/Startup.localized/Excel"
_MAC_SCRIPTS = "Library/Application Scripts/com.microsoft.Excel"
_MAC_EXCEL = "Library/Containers/com.microsoft.Excel"
_MAC_OURS = "Library/Application Support/sgdsheet"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of an installed add-in, and a folder that is there once Excel has been started.

    `interpreter` is the file that says which Python to run: on Windows a text of its own, on a Mac the AppleScript.
    `ledger` lists the folders that were made for the files, to be removed with them.
    """

    addin: Path
    interpreter: Path
    excel: Path
    ledger: Path

    @property
    def files(self) -> tuple[Path, Path]:
        return self.addin, self.interpreter


def places(platform: str, home: Path, environment: Mapping[str, str]) -> Places:
    """The paths for this platform (`sys.platform`). HostError where there is no Excel for the desktop."""
    if platform == "win32":
        data = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
        excel = data / "Microsoft" / "Excel"
        return Places(excel / "XLSTART" / ADDIN, data / "sgdsheet" / CONFIG, excel, data / "sgdsheet" / LEDGER)
    if platform == "darwin":
        ledger = home / _MAC_OURS / LEDGER
        return Places(home / _MAC_STARTUP / ADDIN, home / _MAC_SCRIPTS / SCRIPT, home / _MAC_EXCEL, ledger)
    raise HostError(
        "there is no Excel for this system",
        remedy="Use LibreOffice: sgdsheet libreoffice install. To build the add-in only: sgdsheet addin build",
    )
