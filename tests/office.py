"""LibreOffice for tests: an office with its own profile and pipe, which is stopped for sure."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sgdsheet.errors import HostError
from sgdsheet.hosts.libreoffice import LibreOfficeHost
from sgdsheet.hosts.libreoffice.office_process import AgentProcess, Office
from sgdsheet.hosts.libreoffice.programs import office_python
from sgdsheet.sheet.references import Range
from tests.live_books import PATIENCE


def available() -> bool:
    """Whether LibreOffice and a Python that reaches it are installed."""
    try:
        office_python()
    except HostError:
        return False
    return True


_CONNECT = """
import sys, uno
local = uno.getComponentContext()
resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
office = resolver.resolve(f"uno:pipe,name={sys.argv[1]};urp;StarOffice.ComponentContext")
desktop = office.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", office)
document = next((item for item in desktop.Components if item.URL == sys.argv[2]), None)
"""


_PICTURE = """
import json
bar = document.CurrentController.Frame.LayoutManager.getElement("private:resource/statusbar/statusbar")
window = bar.getRealInterface()
width, height = window.PosSize.Width, window.PosSize.Height
canvas = window.Toolkit.createScreenCompatibleDevice(width, height)
window.setGraphics(canvas.createGraphics())
window.draw(0, 0)
print(json.dumps(canvas.createBitmap(0, 0, width, height).DIB.value.hex()))
"""
_HEAT = """
import json
formats = document.Sheets.getByName("{}").ConditionalFormats.ConditionalFormats
print(json.dumps([item.Range.RangeAddressesAsString for item in formats]))
"""


_CONVERT = """
from com.sun.star.beans import PropertyValue
def given(**values):
    return tuple(PropertyValue(name, 0, value, 0) for name, value in values.items())
document = desktop.loadComponentFromURL(sys.argv[2], "_blank", 0, given(Hidden=True))
document.storeToURL({target!r}, given(FilterName={filter!r}))
document.close(True)
"""
_FILTERS = {
    ".ods": "calc8",
    ".fods": "OpenDocument Spreadsheet Flat XML",
    ".xls": "MS Excel 97",
    ".xlsx": "Calc MS Excel 2007 XML",
    ".pdf": "calc_pdf_Export",
}


class Listening(Protocol):
    """An office that listens on a pipe."""

    pipe: str


def look(office: Listening, path: Path, script: str) -> Any:
    """Run a script under LibreOffice's Python, past our own agent; what it prints, as JSON.

    The script has `desktop` and, for the file at `path`, `document`.
    """
    ending = "\nimport os; sys.stdout.flush(); os._exit(0)"  # UNO may crash at Python's own end
    command = [office_python(), "-c", _CONNECT + script + ending, office.pipe, path.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return json.loads(done.stdout) if done.stdout else None


@dataclass
class OfficeBook:
    """A book that is open in LibreOffice."""

    host: LibreOfficeHost
    office: Office

    def select(self, areas: Sequence[Range]) -> None:
        self.ask("select", areas=areas)

    def shut(self) -> None:
        self.ask("close")

    def rename(self, sheet: str, name: str) -> None:
        self.look(f"document.Sheets.getByName({sheet!r}).Name = {name!r}")

    def status_bar(self) -> bytes:
        """A picture: neither the status bar nor its accessible texts tell what a progress indicator shows."""
        return bytes.fromhex(str(self.look(_PICTURE)))

    def heat(self, sheet: str) -> list[str]:
        found = self.look(_HEAT.format(sheet))
        return [str(area).rpartition(".")[2] for area in found]

    def look(self, script: str) -> Any:
        """See `look`."""
        return look(self.office, Path(self.host.key), script)

    def chart_rows(self, sheet: str) -> tuple[int, int]:
        areas = self.ask("chart_areas", name=sheet)
        assert len({(area[0], area[2]) for area in areas}) == 1, areas
        return areas[0][0], areas[0][2]

    def ask(self, do: str, **arguments: object) -> list[list[int]]:
        """Ask the office's own agent, not the host's."""
        reply = self.office.agent.ask({"do": do, "book": self.host.key, **arguments})
        assert reply["ok"], reply
        return list(reply["result"] or ())


class LibreOffice:
    """The program, running without windows."""

    def __init__(self) -> None:
        self.office = Office()

    def open(self, path: Path) -> OfficeBook:
        key = self.office.open(path)
        return OfficeBook(LibreOfficeHost(AgentProcess(self.office.pipe), key), self.office)

    def convert(self, source: Path, target: Path) -> Path:
        """The workbook as LibreOffice writes it into another file, of the kind that its name says.

        What has no value is calculated. An office of its own for each file would cost more than all else.
        """
        target.parent.mkdir(exist_ok=True)
        look(self.office, source, _CONVERT.format(target=target.as_uri(), filter=_FILTERS[target.suffix]))
        return target

    def stop(self) -> None:
        self.office.stop()
        assert self.office.process.poll() is not None
        assert not self.office.profile.exists()
