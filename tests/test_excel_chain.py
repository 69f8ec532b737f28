"""Clicks on the add-in's buttons, from VBA to the cells: a process for the click, the trainer's process, xlwings.

Excel is LibreOffice here, see `excel_chain.py`; that real Excel behaves alike, only the checklist in addin/ can show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

import sgdsheet
from sgdsheet.apps.excel_addin.ribbon import TOLD
from sgdsheet.live.ipc import client
from sgdsheet.live.run.report_sheets import GRADIENTS, LOG
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.system import state_folder
from tests import office
from tests.excel_chain import Chain, Click
from tests.live_books import most, taken, until
from tests.xlwings_program import ExcelBook

pytestmark = pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")

SHEET, FRESH = "Model", "Fresh"
PARAMETERS = parse_range("E1:E2", SHEET)
LOSS = Cell(SHEET, 4, 5)
RATE = Cell(SHEET, 2, 8)
POINTS = [(0.0, 1.1), (1.0, 2.9), (2.0, 5.2), (3.0, 6.8), (4.0, 9.1)]
SPEED = 1e-6  # slow enough to train for long
QUICK = 0.3
SLOW = 5.0  # on a machine that has much else to do


def write(path: Path) -> Path:
    """A line through points, twice: once with a model, once without."""
    with xlsxwriter.Workbook(str(path)) as book:
        for name in (SHEET, FRESH):
            sheet = book.add_worksheet(name)
            sheet.write_column("E1", [0.5, 0.25])
            sheet.write_formula("E4", "=AVERAGE(D2:D6)")
            for row, (x, y) in enumerate(POINTS, 2):
                sheet.write_row(f"A{row}", [x, y])
                sheet.write_formula(f"C{row}", f"=$E$1*A{row}+$E$2")
                sheet.write_formula(f"D{row}", f"=(C{row}-B{row})^2")
            sheet.write_column("G1", ["optimizer", "learning rate", "steps"])
            sheet.write_column("H1", ["sgd", SPEED, 10_000_000])
        # Names of the workbook: those of a sheet are beyond LibreOffice's VBA.
        for name, area in (("loss", "$E$4"), ("params", "$E$1:$E$2"), ("settings", "$G$1:$H$3")):
            book.define_name(f"sgd_{name}", f"={SHEET}!{area}")
    return path


class Desk:
    """A person at an open workbook."""

    def __init__(self, chain: Chain, path: Path) -> None:
        self.chain = chain
        self.book: ExcelBook = chain.open(path)
        self.path = path
        self.commands = chain.commands(path)

    def press(self, action: str) -> Click:
        click = self.chain.click(self.commands[action])
        assert (click.status, click.told) == (0, "")
        return click

    def press_for(self, action: str, effect: Callable[[], Any]) -> Click:
        """Press a button, and wait for what it does."""
        assert not effect()
        click = self.press(action)
        until(effect)
        return click

    def refusal(self, action: str) -> str:
        """Press a button that cannot do its work; what the person is shown, at once or when the click is long over."""
        boxes = len(self.chain.boxes())
        click = self.chain.click(self.commands[action])
        until(lambda: bool(click.told) or len(self.chain.boxes()) > boxes)
        assert click.status == (TOLD if click.told else 0)
        return click.told or self.chain.boxes()[-1]

    def status(self) -> dict[str, Any]:
        return client.call({"command": "status", "host": "excel", "book": str(self.path)}, start=False)

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.status()["message"]

    def state(self, wanted: str) -> Callable[[], bool]:
        return lambda: bool(self.status()["state"] == wanted)

    def parameters(self) -> list[Any]:
        return list(self.book.host.read_values([PARAMETERS]).values())

    def value(self, cell: Cell) -> Any:
        return self.book.host.read_values([Range.of_cell(cell)])[cell]

    def differ(self) -> Callable[[], bool]:
        before = self.parameters()
        return lambda: self.parameters() != before

    def has(self, sheet: str) -> Callable[[], bool]:
        return lambda: sheet in self.chain.sheets(self.book)

    def chart_rows(self) -> int:
        """How far the chart of the log goes."""
        charts = self.chain.engine.office.ask("charts", book=self.book.host.key, sheet=LOG)
        return self.book.chart_rows(LOG)[1] if charts else 0

    def boxes(self, text: str) -> Callable[[], bool]:
        return lambda: any(text in box for box in self.chain.boxes())

    def select(self, area: str) -> None:
        self.book.select([parse_range(area, FRESH)])


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state_folder.VARIABLE, str(tmp_path_factory.mktemp("state")))
        folder = tmp_path_factory.mktemp("chain")
        (folder / "bin").mkdir()
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        found = Chain(folder)
        try:
            found.start_service()
            yield found
        finally:
            found.stop()


@pytest.fixture
def desk(chain: Chain, tmp_path: Path) -> Iterator[Desk]:
    path = write(tmp_path / "my & book.xlsx")
    host = sgdsheet.FileHost(path)  # Excel calculates a new workbook at once, this harness's office does not
    host.write(sgdsheet.compile(host.read(), SHEET).dependent_cells(everything=True).values)
    host.save()
    found = Desk(chain, path)
    yield found
    client.call({"command": "stop", "host": "excel", "book": str(found.path), "wait": 10}, start=False)
    found.book.host.close()
    found.book.shut()


def test_step_and_back(desk: Desk) -> None:
    start = desk.parameters()
    desk.press_for("step", desk.differ())
    first = desk.parameters()
    model = sgdsheet.compile(desk.book.host.read(), SHEET)
    assert desk.value(LOSS) == pytest.approx(model().item(), rel=1e-9)
    model = sgdsheet.compile(desk.book.host.read(), SHEET)
    desk.press_for("step", desk.differ())
    slopes = model.gradients()
    moved = [value - SPEED * slopes[cell] for cell, value in zip(PARAMETERS.cells(), first, strict=True)]
    assert desk.parameters() == pytest.approx(moved, rel=1e-12)
    desk.press_for("undo", lambda: desk.parameters() == first)
    desk.press_for("randomize", desk.differ())
    desk.press_for("reset", lambda: desk.parameters() == start)


def test_train_and_stop_are_quick_and_the_sheet_moves(desk: Desk) -> None:
    desk.press_for("step", desk.differ())
    waits, stops = [], []
    while len(stops) < 6 and not (stops and min(waits) <= QUICK and min(stops) <= QUICK):
        waits.append(desk.press_for("train", desk.differ()).seconds)
        assert desk.status()["state"] == "training"
        for _ in range(3):
            until(desk.differ())
        stops.append(taken(lambda: desk.press_for("stop", desk.state("idle"))))
        assert desk.value(LOSS) == pytest.approx(desk.status()["loss"], rel=1e-9)
    limit = most(QUICK, SLOW)
    assert min(waits) <= limit, waits
    assert min(stops) <= limit, stops
    assert desk.status()["step"] > 50
    request = {"command": "status", "host": "excel", "book": str(desk.path)}
    assert min(taken(lambda: client.call(request, start=False)) for _ in range(5)) <= limit
    assert client.call(request, start=False)["ok"]


def test_buttons_follow_the_training(desk: Desk) -> None:
    def can(action: str) -> bool:
        return desk.chain.enabled(desk.path, action)

    desk.press_for("train", desk.differ())
    until(lambda: not can("train"))
    assert can("stop")
    assert "is being trained already" in desk.refusal("train")
    desk.press_for("stop", desk.state("idle"))
    until(lambda: can("train") and not can("stop"))


def test_looking_at_the_model(desk: Desk) -> None:
    before = desk.parameters()
    desk.press_for("gradients", desk.has(GRADIENTS))
    until(desk.says("the gradients are on the sheet"))
    workbook = desk.book.host.read()
    shown = workbook.sheets[GRADIENTS].values
    slopes = sgdsheet.compile(workbook, SHEET).gradients()
    assert [shown[5, 2], shown[6, 2]] == pytest.approx([slopes[cell] for cell in PARAMETERS.cells()], rel=1e-12)
    desk.press_for("check", desk.boxes("2 gradients agree with central differences"))
    rate = desk.value(RATE)
    desk.press_for("find_lr", lambda: desk.value(RATE) != rate)
    until(desk.boxes(f"written to {SHEET}!H2"))
    assert desk.parameters() == before


def test_goal_seek(desk: Desk) -> None:
    """What is selected: a loss of 3 by other parameters; Undo brings the old ones back."""
    before, wanted = desk.parameters(), Cell(SHEET, 4, 6)
    desk.book.host.write({wanted: 3.0})
    desk.book.select([parse_range("E4:F4", SHEET), PARAMETERS])
    desk.press_for("goal_seek", desk.says(f"{LOSS} is 3"))
    assert desk.value(LOSS) == pytest.approx(3, rel=1e-9)
    assert desk.parameters() != before
    desk.press_for("undo", lambda: desk.parameters() == before)


def test_log_on_and_off(desk: Desk) -> None:
    desk.press_for("log", desk.says("is written while training"))
    desk.press_for("train", desk.has(LOG))
    until(lambda: desk.chart_rows() >= 5)
    desk.press_for("stop", desk.state("idle"))
    values = desk.book.host.read().sheets[LOG].values
    last = max(row for row, _ in values)
    assert desk.chart_rows() == last
    assert values[last, 2] == pytest.approx(desk.value(LOSS), rel=1e-9)
    desk.press_for("log", desk.says("is written no more"))


def test_a_model_is_made_by_selecting_cells(desk: Desk) -> None:
    def named() -> dict[str, str]:
        names = desk.book.host.read().names
        return {item.name: item.text.replace("$", "") for item in names if item.sheet == FRESH}

    for action, area in (("set_loss", "E4"), ("set_params", "E1:E2"), ("set_data", "A2:D6")):
        desk.select(area)
        name = action.replace("set_", "sgd_")
        desk.press_for(action, lambda name=name: name in named())  # type: ignore[misc]
        assert named()[name] == f"{FRESH}!{area}"
    fresh = PARAMETERS._replace(sheet=FRESH)
    before, others = desk.book.host.read_values([fresh]), desk.parameters()
    desk.press_for("step", lambda: desk.book.host.read_values([fresh]) != before)
    assert desk.parameters() == others
    desk.select("E4")  # a formula
    assert f"{FRESH}!E4: a parameter cell holds a formula" in desk.refusal("set_params")


def test_a_workbook_has_no_say_in_which_python_runs(chain: Chain, tmp_path: Path) -> None:
    """Sheets and files of the names and the keys that xlwings looks for, and modules that lie beside the workbook."""
    path = tmp_path / "evil.xlsx"
    keys = ("INTERPRETER", "INTERPRETER_WIN", "INTERPRETER_MAC", "PYTHONPATH", "UDF_MODULES")
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("a.py")
        for name in ("evil.conf", "sgdsheet.conf", "xlwings.conf", "_xlwings.conf"):
            sheet = book.add_worksheet(name)
            for row, key in enumerate(keys):
                sheet.write_row(row, 0, [key, "C:\\evil.exe"])
            (tmp_path / name).write_text("".join(f'"{key}","C:\\evil.exe"\n' for key in keys))
    for name in ("sgdsheet", "torch", "xlwings"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the module beside the workbook')")
    opened = chain.open(path)
    try:
        command = chain.commands(path, ["step"])["step"]
        assert command[0] == sys.executable
        assert "evil.exe" not in " ".join(command)
        book_digits = str(path).encode("utf-16-be").hex().upper()
        assert command[1:3] + command[4:5] == ["-B", "-c", f"--book={book_digits}"]
        done = subprocess.run(command, env=chain.environment, cwd=tmp_path, capture_output=True, check=False)
        assert b"beside the workbook" not in done.stdout + done.stderr
    finally:
        opened.host.close()
        opened.shut()


def test_export(desk: Desk) -> None:
    folder = desk.path.parent
    mine = folder / "my_book_Model.py"
    mine.write_text("print('a person made this')\n")
    ours = folder / "my_book_Model_2.py"
    desk.press_for("export", ours.exists)
    until(desk.boxes(str(ours)))
    desk.press_for("step", desk.differ())
    desk.press_for("export", lambda: repr(desk.parameters()[0]) in ours.read_text())  # again into our own file
    assert mine.read_text() == "print('a person made this')\n"
    assert sorted(path.name for path in folder.glob("*.py")) == [mine.name, ours.name]
    done = subprocess.run([sys.executable, ours], capture_output=True, text=True, check=True)
    assert float(done.stdout.split(",")[0].split()[1]) == pytest.approx(desk.value(LOSS), rel=1e-9)


def test_an_error_is_shown_by_excel(chain: Chain, tmp_path: Path) -> None:
    """The trainer answers at once: the process of the click ends with 1, and VBA reads why from the file it named."""
    commands = chain.commands(chain.addin, ["step"])
    absent = str(tmp_path / "näht – 数.xlsx")
    command = [f"--book={absent.encode('utf-16-be').hex()}" if "--book" in item else item for item in commands["step"]]
    client.call({"command": "step", "host": "excel", "book": absent, "wait": 30}, start=False)
    clicks: list[Click] = []

    def told() -> bool:
        """A click does not wait for a trainer that a busy machine lets answer late."""
        clicks.append(chain.click(command))
        return clicks[-1].status == TOLD

    until(told)
    assert clicks[-1].told.startswith(f"“{absent}” is not open in Excel. Open it")


def test_an_error_of_the_first_click_is_not_lost(chain: Chain, tmp_path: Path) -> None:
    """The trainer needs seconds to load, so the click has returned; there is no workbook to show the reason in."""
    seen = tmp_path / "seen"
    stub = chain.folder / "bin" / "notify-send"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{seen}.new'; mv '{seen}.new' '{seen}'\n")
    stub.chmod(0o755)
    command = chain.commands(chain.addin, ["step"])["step"]
    absent = f"--book={str(tmp_path / 'gone.xlsx').encode('utf-16-be').hex()}"
    chain.stop_service()
    chain.start_service()
    try:
        click = chain.click([absent if "--book" in item else item for item in command])
        assert click.status == 0
        assert click.seconds <= most(SLOW, 5 * SLOW)
        until(seen.exists)
    finally:
        stub.unlink()
    assert "is not open in Excel. Open it" in seen.read_text(encoding="utf-8")
