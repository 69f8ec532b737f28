"""Workbooks in formats that only an office reads (.xls, .xlsb), as the bytes of an .xlsx.

LibreOffice works on a copy in a folder of its own, with a profile of its own: no lock file stands beside the person's
workbook, no macro runs, and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from sgdsheet.errors import FileError, HostError
from sgdsheet.hosts.libreoffice.office_process import kill_group, start_office
from sgdsheet.hosts.libreoffice.programs import soffice

PATIENCE = 180.0
"""Seconds that a conversion may take."""
SAVE_AS = "Save it as .xlsx (Excel Workbook) and use that file"

_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableMacrosExecution" oor:op="fuse">
<value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse">
<value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableActiveContent" oor:op="fuse">
<value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse">
<value>2</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>1</value></prop></item>
</oor:items>
"""
"""No macros, links are never updated, and saved values stay as they are."""


_FILTERS = {".xls": "MS Excel 97", ".xlsb": "Calc MS Excel 2007 Binary"}
"""How LibreOffice reads each: without being told, it takes a damaged file for text."""


def converted(name: str, data: bytes, ending: str) -> bytes:
    """The workbook as an .xlsx. Raises FileError if no LibreOffice is there, or if it cannot read the file."""
    try:
        program = soffice()
    except HostError:
        raise FileError(
            f"“{name}” can be read only where LibreOffice is installed", remedy=f"Install it. Or: {SAVE_AS}"
        ) from None
    with tempfile.TemporaryDirectory(prefix="sgdsheet-book-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        source, target, profile = place / f"book{ending}", place / "xlsx" / "book.xlsx", place / "profile"
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(_SETTINGS, encoding="utf-8")
        source.write_bytes(data)
        _convert(program, name, source, target.parent, profile)
        if not target.is_file():
            raise FileError(f"LibreOffice cannot read “{name}”", remedy=SAVE_AS)
        return target.read_bytes()


def _convert(program: Path, name: str, source: Path, folder: Path, profile: Path) -> None:
    process = start_office(
        program,
        *("--headless", "--nofirststartwizard", f"-env:UserInstallation={profile.as_uri()}"),
        *(f"--infilter={_FILTERS[source.suffix]}", "--convert-to", "xlsx:Calc MS Excel 2007 XML"),
        *("--outdir", str(folder), str(source)),
    )
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        raise FileError(f"LibreOffice took more than {PATIENCE:g} seconds with “{name}”", remedy=SAVE_AS) from None
    finally:
        kill_group(process)
