"""What `sgdsheet addin verify` tries by itself. Each returns what was seen, and raises Different if that is wrong."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sgdsheet import __version__
from sgdsheet.apps.excel_addin.addin_install import Status
from sgdsheet.apps.excel_addin.excel_desk import (
    LOSS,
    PARAMETERS,
    POINTS,
    RATE,
    SHEET,
    START,
    Desk,
    Different,
    write_model,
)
from sgdsheet.apps.excel_addin.ribbon import TOLD
from sgdsheet.apps.excel_addin.texts import DOCUMENTS, MODULES
from sgdsheet.apps.excel_addin.xlwings_bridge import installed_bridge
from sgdsheet.errors import SgdSheetError
from sgdsheet.live.run.report_sheets import GRADIENTS, LOG
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError

_QUICK = 1.0  # seconds until a click gives Excel back
_TO_STOP = 5.0  # seconds until it is seen that nothing moves for one
_LONG = 60.0  # seconds for the first click of a day, which loads torch
_MARK = 3  # xlDecimalSeparator of Application.International


class Here:
    """What can be tried without Excel: how the add-in is built, and how it is installed if it can be."""

    def __init__(self, build: Callable[[], bytes], status: Status | None) -> None:
        self.build, self.status = build, status

    @property
    def python(self) -> str:
        """The Python that a click starts; this one where nothing can be installed."""
        return self.status.interpreter if self.status is not None else sys.executable


# --- before Excel -----------------------------------------------------------------------------------------


def built(here: Here) -> str:
    first, second = here.build(), here.build()
    if first != second:
        raise Different("two builds are different")
    return f"{len(first)} bytes, {len(MODULES) + len(DOCUMENTS) + 2} modules, xlwings {installed_bridge().version}"


def installed(here: Here) -> str:
    if here.status is None:
        raise SgdSheetError("there is no Excel for this system")
    if here.status.advice:
        raise Different(f"not up to date, or without its Python. {here.status.advice}")
    return f"up to date; {here.status.interpreter}"


def answers(here: Here) -> str:
    """A click that names no button: it gets as far as our own code, and says so in the file that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        reply, trap = Path(folder) / "sgdsheet-verify.txt", Path(folder) / "trap.txt"
        (Path(folder) / "sgdsheet.py").write_text(f"open({str(trap)!r}, 'w').close()\n", encoding="utf-8")
        code = "import sys; sys.path = [p for p in sys.path if p]; "
        code += "from sgdsheet.apps.excel_addin.ribbon import dispatch; dispatch('no_button')"
        digits = str(reply).encode("utf-16-be").hex().upper()
        command = [here.python, "-B", "-c", code, "--book=0041", f"--reply={digits}"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_LONG, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Different(f"{here.python} does not answer: {type(error).__name__}") from None
        if trap.exists():
            raise Different("the module sgdsheet.py of the current folder was run")
        text = reply.read_text(encoding="utf-16") if reply.exists() else ""
        if done.returncode != TOLD or "no_button" not in text:
            raise Different(f"it ended with {done.returncode}: {text or done.stderr[-300:].decode(errors='replace')}")
    return text


def library(here: Here) -> str:
    version, bits = installed_bridge().version, 64 if sys.maxsize > 2**32 else 32
    name = f"xlwings{bits}-{version}.dll"
    folder = Path(here.python).parent
    found = [place / name for place in (folder, folder.parent) if (place / name).is_file()]
    if not found:
        raise Different(f"{name} is neither in {folder} nor in the folder above")
    if sys.platform == "win32":
        if not hasattr(ctypes.WinDLL(str(found[0])), "XLPyDLLActivateAuto"):
            raise Different(f"{found[0]} has another procedure")
    return str(found[0])


# --- in Excel ---------------------------------------------------------------------------------------------


def loaded(desk: Desk) -> str:
    desk.procedure("SgdState", "", "no workbook")
    desk.procedure("SgdEndMessage")
    return f"Excel {desk.app.version}"


def step(desk: Desk) -> str:
    before, loss = desk.parameters(), desk.value(LOSS)
    desk.press("step")
    seconds = desk.until(lambda: desk.parameters() != before, "the parameters change", _LONG)
    now = desk.value(LOSS)
    if not (isinstance(loss, float) and isinstance(now, float) and now < loss):
        raise Different(f"the loss was {loss} and is {now}")
    return f"the loss fell from {loss:.6g} to {now:.6g}; {seconds:.1f} s after the click"


def quick(desk: Desk) -> str:
    seconds = desk.press("step")
    if seconds > _QUICK:
        raise Different(f"Excel was back after {seconds:.2f} s")
    return f"back after {seconds:.2f} s"


def train(desk: Desk) -> str:
    seen, bars = {desk.parameters()}, {desk.status_bar()}
    note = Cell(SHEET, 20, 10)
    desk.press("train")
    desk.until(lambda: desk.parameters() not in seen, "the parameters move", _LONG)
    desk.host.write({note: "typed meanwhile"})
    start = time.monotonic()
    while time.monotonic() < start + 5:
        seen.add(desk.parameters())
        bars.add(desk.status_bar())
        time.sleep(0.1)
    if len(seen) < 4:
        raise Different(f"in five seconds the parameters moved {len(seen) - 1} times")
    if not any("loss" in bar for bar in bars):
        raise Different(f"the status bar showed {sorted(bars)}")
    if desk.value(note) != "typed meanwhile":
        raise Different(f"the cell holds {desk.value(note)!r}")
    return f"{(len(seen) - 1) / 5:.1f} changes a second; {max(bars, key=len)}"


def stop(desk: Desk) -> str:
    def still() -> bool:
        before = desk.parameters()
        time.sleep(1)
        return desk.parameters() == before

    desk.press("stop")
    seconds = desk.until(still, "the parameters stand still", _TO_STOP)
    desk.until(lambda: "step" not in desk.status_bar(), "the status bar is Excel's again")
    return f"the parameters stand still; that was certain {seconds:.1f} s after the click"


def undo(desk: Desk) -> str:
    before = desk.parameters()
    desk.press("undo")
    desk.until(lambda: desk.parameters() != before, "Undo brings other parameters back")
    desk.press("reset")
    desk.until(lambda: desk.parameters() == START, "Reset brings those of the file back")
    return f"back at {START}"


def sheets(desk: Desk) -> str:
    desk.press("gradients")
    desk.until(lambda: GRADIENTS in desk.sheets(), f"the sheet {GRADIENTS}")
    desk.press("log")
    desk.press("train")
    desk.until(lambda: LOG in desk.sheets(), f"the sheet {LOG}")
    desk.press("stop")
    desk.press("log")
    desk.book.sheets[SHEET].activate()
    return f"{GRADIENTS}, {LOG}"


def one_turn(desk: Desk) -> str:
    place = (str(desk.book.name), SHEET)
    found = desk.procedure("SgdExchange", *place, "E1:E2", ((1.5,), (2.5,)))
    if desk.parameters() != (1.5, 2.5) or isinstance(found, str):
        raise Different(f"it returned {found!r}, and the cells hold {desk.parameters()}")
    desk.host.write(dict(zip(PARAMETERS, START, strict=True)))
    loss = desk.value(LOSS)
    refused = desk.procedure("SgdExchange", *place, "E4:E4", 7.0)
    if refused != "formula" or desk.value(LOSS) != loss:
        raise Different(f"for a formula it returned {refused!r}; the cell holds {desk.value(LOSS)}")
    return f"it returned {found!r}"


def hostile_name(desk: Desk) -> str:
    desk.open(write_model(desk.folder / "a & b^'%PATH%.xlsx"))
    return step(desk)


def decimal_mark(desk: Desk) -> str:
    mark = str(desk.app.api.International(_MARK)) if sys.platform == "win32" else "."
    desk.book.activate()
    desk.procedure("SgdWriteSetting", "learning_rate", f"0{mark}05")
    if desk.value(RATE) != 0.05:
        raise Different(f"the cell holds {desk.value(RATE)!r}")
    return f"0{mark}05"


def version(desk: Desk) -> str:
    found = desk.formula("K1", "=SGD_VERSION()")
    if found != __version__:
        raise Different(f"{found!r} instead of {__version__!r}")
    return str(found)


def softmax(desk: Desk) -> str:
    desk.formula("K3", "=SGD_SOFTMAX(A2:B6)")
    rows = desk.host.read_values([parse_range("K3:L7", SHEET)])
    numbers = {cell: value for cell, value in rows.items() if isinstance(value, float)}
    sums = [sum(value for cell, value in numbers.items() if cell.row == row) for row in range(3, 8)]
    if len(numbers) != 10 or any(abs(total - 1) > 1e-9 for total in sums):
        raise Different(f"{list(rows.values())}")
    return "five rows, each adds up to 1"


def relu(desk: Desk) -> str:
    found = desk.formula("K2", '=SGD_RELU("a")')
    if found is not ExcelError.VALUE:
        raise Different(f"{found!r}")
    return "#VALUE!"


def grad(desk: Desk) -> str:
    desk.formula("N1", "=SUM(SGD_GRAD(E4,E1:E2))")
    found = desk.value(Cell(SHEET, 1, 14))
    slope, start = (value if isinstance(value, float) else 0.0 for value in desk.parameters())
    expected = sum(2 * (slope * x + start - y) * (x + 1) for x, y in POINTS) / len(POINTS)
    if not isinstance(found, float) or abs(found - expected) > 1e-9 * abs(expected):
        raise Different(f"{found!r} instead of {expected}")
    return f"{found:.6g}"


def closed(desk: Desk) -> str:
    before, seen = desk.parameters(), []
    for name in ('RunPython("train")', "FindInterpreter()", "Server()"):
        found = desk.formula("K1", f"={name}")
        seen.append(str(found.value if isinstance(found, ExcelError) else found))
        if not isinstance(found, ExcelError):
            raise Different(f"={name} gives {found!r}")
    desk.host.replace_formulas({Cell(SHEET, 1, 11): ""})
    if desk.parameters() != before:
        raise Different("the parameters have changed")
    return ", ".join(seen)


def stranger(desk: Desk) -> str:
    folder = desk.folder / "stranger"
    folder.mkdir(exist_ok=True)
    trap = folder / "trap.txt"
    for name in ("sgdsheet", "torch", "xlwings"):
        (folder / f"{name}.py").write_text(f"open({str(trap)!r}, 'w').close()\n", encoding="utf-8")
    evil = [("INTERPRETER_WIN", str(folder / "nothing.exe")), ("INTERPRETER_MAC", str(folder / "nothing"))]
    (folder / "sgdsheet.conf").write_text("\n".join(f'"{key}","{value}"' for key, value in evil), encoding="utf-8")
    desk.open(write_model(folder / "stranger.xlsx"))
    for name in ("sgdsheet.conf", "a.py"):
        sheet = desk.book.sheets.add(name, after=desk.book.sheets[-1])
        sheet.range("A1").raw_value = evil[0][0]
        sheet.range("B1").raw_value = evil[0][1]
    desk.book.sheets[SHEET].activate()
    seen = step(desk)
    if trap.exists():
        raise Different("a module beside the workbook was run")
    return seen


HERE: dict[str, Callable[[Here], str]] = {probe.__name__: probe for probe in (built, installed, answers, library)}
"""The probes that need no Excel, by their names in the checklist."""

IN_EXCEL: dict[str, Callable[[Desk], str]] = {
    probe.__name__: probe
    for probe in (
        *(loaded, step, quick, train, stop, undo, sheets, one_turn, hostile_name, decimal_mark),
        *(version, softmax, relu, grad, closed, stranger),
    )
}
"""The probes that work in Excel: `stop` needs a `train` before it, and `undo` both."""
