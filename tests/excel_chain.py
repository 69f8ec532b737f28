"""The whole chain of the add-in: VBA, a process for the click, the background trainer, xlwings, a live spreadsheet.

All processes are real. LibreOffice stands for Excel twice: it runs the add-in's VBA, which builds the command line of
a click, and it is the spreadsheet behind the xlwings engine that the trainer's process finds in Excel's place.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdsheet.apps.excel_addin.project import Module, vba_project
from sgdsheet.apps.excel_addin.ribbon import ACTIONS
from sgdsheet.apps.excel_addin.xlam import xlam
from sgdsheet.hosts.excel import connect
from sgdsheet.hosts.libreoffice.office_process import Office
from sgdsheet.live.ipc import client
from sgdsheet.system import state_folder
from tests import office
from tests.addin_parts import modules
from tests.live_books import until
from tests.test_addin_office import PROBE, for_office
from tests.xlwings_libreoffice import ALERTS, PIPE, STATUS, register, unregister
from tests.xlwings_program import ExcelBook

ROOT = Path(__file__).parent.parent
BUTTONS = tuple(action for action, command in ACTIONS.items() if command)
ADDIN = "sgdsheet.xlam"

_SERVICE = "import tests.xlwings_libreoffice, sgdsheet.live.ipc.service; sgdsheet.live.ipc.service.main()"

_TOLD = """
Public Function ToldTo(ByVal ReplyFile As String) As String
    Dim Text As String
    ReadText ReplyFile, Text
    ToldTo = Text
End Function
"""

_OPEN = """
from com.sun.star.beans import PropertyValue

def option(name, value):
    found = PropertyValue()
    found.Name, found.Value = name, value
    return found

options = [("MacroExecutionMode", 4), ("FilterName", "Calc MS Excel 2007 VBA XML")]
desktop.loadComponentFromURL({url!r}, "_blank", 0, tuple(option(*item) for item in options))
print("null")
"""

_RUN = """
import json
addin = next(item for item in desktop.Components if item.URL == {url!r})
scripts = addin.getScriptProvider()

def call(name, *arguments):
    address = "vnd.sun.star.script:sgdsheet.Probe." + name + "?language=Basic&location=document"
    return scripts.getScript(address).invoke(arguments, (), ())[0]

def pressed(tag):
    call("Press", tag)
    return addin.Sheets.getByIndex(0).getCellRangeByName("Y1").String

print(json.dumps({what}))
"""


def for_chain(module: Module) -> Module:
    """As LibreOffice can run it; the command line of a click lands in the add-in's own sheet instead of in Windows."""
    source = module.source.replace("As IRibbonUI", "As Object")
    source = for_office(Module(module.name, source, module.document)).source
    for old, new in (
        ('ActiveSheet.Range("Z1").Value = CodeFor(Action)', "RunOnWindows Action, Problem"),
        ("        RunOnMac Action, Problem\n", ""),  # LibreOffice takes both branches of an #If
        ('    Set Shell = CreateObject("WScript.Shell")\n', ""),
        ('    CreateObject("Scripting.FileSystemObject").DeleteFile ReplyFile\n', ""),
        ("ExitCode = Shell.Run(Command, HIDDEN_WINDOW, True)", 'ThisWorkbook.Sheets(1).Range("Y1").Value = Command'),
        ('"\\sgdsheet-"', '"/sgdsheet-"'),
        ("Application.Hwnd", "1"),
        ("ActiveWorkbook.FullName", 'ActiveWorkbook.Path & "/" & ActiveWorkbook.Name'),  # there without the path
    ):
        assert module.name != "SgdBridge" or old in source, old
        source = source.replace(old, new)
    return Module(module.name, source, module.document)


@dataclass(frozen=True)
class Click:
    """What came of a click: how long the person waited, and what Excel showed if it went wrong."""

    status: int
    seconds: float
    told: str


class Chain:
    """An office with the add-in in it, and a background trainer that reaches it as if it were Excel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp = folder / "temp"
        config = folder / "appdata" / "sgdsheet" / "sgdsheet.conf"
        for place in (self.temp, config.parent):
            place.mkdir(parents=True)
        config.write_bytes(b"\xff\xfe" + f"{sys.executable}\r\n".encode("utf-16-le"))
        self.addin = folder / ADDIN
        parts = [for_chain(module) for module in modules().values()] + [Module("Probe", PROBE + _TOLD)]
        self.addin.write_bytes(xlam("<customUI/>", vba_project("sgdsheet", parts), ["sgdsheet"]))
        self.environment = {
            **os.environ, "APPDATA": str(folder / "appdata"), "TEMP": str(self.temp), "OMP_NUM_THREADS": "1",
            state_folder.VARIABLE: os.environ[state_folder.VARIABLE],
        }  # fmt: skip
        self.office = Office(environment=self.environment)
        self.engine = register(self.office.pipe)
        self.alerts = folder / "alerts"
        modules_in = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment |= {
            PIPE: self.office.pipe,
            ALERTS: str(self.alerts),
            STATUS: str(folder / "status"),
            "PYTHONPATH": modules_in,
        }
        office.look(self.office, self.addin, _OPEN.format(url=self.addin.as_uri()))
        self.service: subprocess.Popen[bytes] | None = None

    def start_service(self) -> None:
        """The trainer's process; it answers when this returns."""
        with state_folder.error_path().open("wb") as errors:
            self.service = subprocess.Popen(
                [sys.executable, "-c", _SERVICE], env=self.environment, cwd=state_folder.state_folder(),
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
        until(self._answers)

    def _answers(self) -> bool:
        assert self.service is not None
        assert self.service.poll() is None, state_folder.error_path().read_text(encoding="utf-8")
        return bool(client.call({"command": "status", "host": "excel", "book": "none"}, start=False)["ok"])

    def open(self, path: Path) -> ExcelBook:
        """Open a workbook and look at it: then it is the active one."""
        key = self.office.open(path)
        return ExcelBook(connect(key, str(self.engine.pid)), self.engine)

    def commands(self, book: Path, actions: Sequence[str] = BUTTONS) -> dict[str, list[str]]:
        """The command lines that the VBA of the buttons builds, as Windows would split them."""
        lines = self._vba(book, "[pressed(tag) for tag in " + json.dumps(list(actions)) + "]")
        return {action: shlex.split(line) for action, line in zip(actions, lines, strict=True)}

    def click(self, command: Sequence[str]) -> Click:
        """Start the process of a click and wait for it, as Excel does."""
        started = time.perf_counter()
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, check=False)
        seconds = time.perf_counter() - started
        assert (done.stdout, done.stderr) == (b"", b""), done.stderr
        reply = next(item for item in command if item.startswith("--reply="))
        path = Path(bytes.fromhex(reply.partition("=")[2]).decode("utf-16-be"))
        assert path.parent == self.temp
        told = str(self._vba(self.addin, f"call('ToldTo', {str(path)!r})")) if path.exists() else ""
        path.unlink(missing_ok=True)
        return Click(done.returncode, seconds, told)

    def run_pressed(self) -> Click:
        """Run the command line that the last button has built."""
        line = self._vba(self.addin, "addin.Sheets.getByIndex(0).getCellRangeByName('Y1').String")
        return self.click(shlex.split(line))

    def enabled(self, book: Path, action: str) -> bool:
        """Whether the VBA says that a button can be pressed."""
        return bool(self._vba(book, f"call('EnabledOf', {action!r})") == "True")

    def boxes(self) -> list[str]:
        """What message boxes in the spreadsheet have said."""
        lines = self.alerts.read_text(encoding="utf-8").splitlines() if self.alerts.exists() else []
        return [json.loads(line) for line in lines]

    def sheets(self, book: ExcelBook) -> list[str]:
        return list(self.engine.office.ask("sheets", book=book.host.key))

    def stop_service(self) -> None:
        """End the trainer's process."""
        if self.service is not None:
            client.call({"command": "quit"}, start=False)
            try:
                self.service.wait(20)
            finally:
                self.service.kill()

    def stop(self) -> None:
        """End all processes."""
        self.stop_service()
        unregister(self.engine)
        self.office.stop()

    def _vba(self, path: Path, what: str) -> Any:
        return office.look(self.office, path, _RUN.format(url=self.addin.as_uri(), what=what))
