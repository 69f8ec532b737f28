"""Training a workbook that is open in this process: the commands, and a person who edits it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.hosts.file import load
from sgdsheet.hosts.web import web_host
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.run.report_sheets import GRADIENTS, LOG
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value
from tests.live_books import BEST, LOSS, PARAMETERS, PATIENCE, SHEET, START, X, Y, most, taken, until
from tests.test_recalculator import agrees_with_a_fresh_calculation

pytestmark = pytest.mark.usefixtures("state")


class Page:
    """A page in the browser, as far as training is concerned."""

    def __init__(self, path: Path) -> None:
        self.book = OpenBook.open(path)
        self.messages: list[str] = []
        self.trainer = Trainer(lambda _, book, where: web_host.connect(book, where))
        self.book.undo_command = lambda: self.done("undo") and None
        self.book.subscribe(lambda event: self.messages.append(event.text) if event.kind == "message" else None)

    def ask(self, command: str, **options: Any) -> dict[str, Any]:
        request = {"command": command, "host": "web", "book": self.book.key, "sheet": SHEET, "options": options}
        return self.trainer.handle({**request, "wait": PATIENCE})

    def done(self, command: str, **options: Any) -> dict[str, Any]:
        reply = self.ask(command, **options)
        assert reply["ok"], reply
        return reply

    def until_step(self, number: int) -> None:
        until(lambda: self.ask("status")["step"] >= number)

    def values(self, *cells: Cell) -> tuple[Value | None, ...]:
        return tuple(map(self.book.value_of, cells))

    @property
    def line(self) -> tuple[Value | None, ...]:
        return self.values(*PARAMETERS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The straight line of `live_books` as a file."""
    target = tmp_path / "line.xlsx"
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet(SHEET)
        book.add_worksheet("Other")
        sheet.write_row("A1", ["x", "y"])
        sheet.write_column("E1", START)
        for row, (x, y) in enumerate(zip(X, Y, strict=True), 2):
            sheet.write_row(row - 1, 0, [x, y])
            sheet.write_formula(row - 1, 2, f"=$E$1*A{row}+$E$2")
            sheet.write_formula(row - 1, 3, f"=(C{row}-B{row})^2")
        sheet.write_formula("E4", "=AVERAGE(D2:D6)")
        sheet.write_column("G1", ["optimizer", "learning rate", "steps"])
        sheet.write_column("H1", ["sgd", 0.05, 1_000_000])
        book.define_name(f"{SHEET}!sgd_loss", f"={SHEET}!$E$4")
        book.define_name(f"{SHEET}!sgd_params", f"={SHEET}!$E$1:$E$2")
        book.define_name(f"{SHEET}!sgd_settings", f"={SHEET}!$G$1:$H$3")
    return target


@pytest.fixture
def page(path: Path) -> Iterator[Page]:
    page = Page(path)
    yield page
    page.trainer.close()
    page.book.close()


def test_steps_and_undo(page: Page) -> None:
    page.done("step")
    assert page.line == pytest.approx((1.552, 0.627))
    page.book.edit([(Cell(SHEET, 8, 1), "a note")])
    page.done("step")
    second = page.line
    page.book.undo()
    assert page.line == pytest.approx((1.552, 0.627))
    page.book.undo()
    assert page.values(Cell(SHEET, 8, 1)) == (None,)
    page.book.undo()
    assert page.line == START
    assert not page.book.can_undo
    for _ in range(3):
        page.book.redo()
    assert page.line == second
    assert page.values(Cell(SHEET, 8, 1)) == ("a note",)
    agrees_with_a_fresh_calculation(page.book)


def test_the_undo_button_of_the_panel_is_the_same_undo(page: Page) -> None:
    page.done("step")
    page.done("undo")
    assert page.line == START
    assert not page.book.can_undo
    assert page.book.can_redo


def test_training_to_the_end_is_one_change(page: Page) -> None:
    page.book.edit([(Cell(SHEET, 3, 8), "500")])
    page.done("train")
    until(lambda: page.ask("status")["state"] == "idle")
    assert page.line == pytest.approx(BEST, abs=1e-6)
    assert page.values(LOSS)[0] == pytest.approx(page.ask("status")["loss"], abs=1e-12)
    agrees_with_a_fresh_calculation(page.book)
    page.book.undo()
    assert page.line == START
    assert not page.messages


def test_a_run_that_has_paused_is_one_change(page: Page) -> None:
    page.book.edit([(Cell(SHEET, 8, 1), "a note")])
    page.done("train", steps_per_second=50)
    page.until_step(2)
    page.done("pause", on=True)
    paused = page.line
    page.done("train")
    until(lambda: page.line != paused)
    page.done("stop")
    page.done("step")
    page.book.undo()
    page.book.undo()
    assert page.line == START
    page.book.undo()
    assert page.values(Cell(SHEET, 8, 1)) == (None,)
    assert not page.book.can_undo


def test_a_person_edits_data_and_types_while_it_trains(page: Page) -> None:
    page.done("train")
    page.until_step(50)
    page.book.edit([(Cell(SHEET, row, 2), str(3 * x + 5)) for row, x in enumerate(X, 2)])
    page.book.edit([(Cell(SHEET, 10, 1), "=e1*100")])
    until(lambda: isinstance(page.line[0], float) and abs(page.line[0] - 3.0) < 1e-3)
    page.done("stop")
    assert page.line == pytest.approx((3.0, 5.0), abs=1e-2)
    assert page.values(Cell(SHEET, 10, 1)) == (pytest.approx(page.line[0] * 100),)  # type: ignore[operator]
    agrees_with_a_fresh_calculation(page.book)


def test_reading_is_quick_while_it_trains(page: Page) -> None:
    page.done("train")
    page.until_step(50)
    area = Range(SHEET, 1, 1, 60, 20)
    seconds = sorted(taken(lambda: page.book.values_in(area)) for _ in range(200))
    page.done("stop")
    assert seconds[100] <= most(0.02, 0.5)


def test_a_loss_is_set_by_pointing(page: Page) -> None:
    page.book.selected = (Range("Other", 1, 1, 2, 1),)
    page.book.edit([(Cell("Other", 1, 1), "1"), (Cell("Other", 2, 1), "2"), (Cell("Other", 3, 1), "=SUMSQ(A1:A2)")])
    request = {"host": "web", "book": page.book.key, "sheet": "Other", "options": {}, "wait": PATIENCE}
    assert page.trainer.handle({**request, "command": "set-params"})["ok"]
    page.book.selected = (Range("Other", 3, 1, 3, 1),)
    assert page.trainer.handle({**request, "command": "set-loss"})["ok"]
    reply = page.trainer.handle({**request, "command": "step"})
    assert reply["ok"], reply
    loss = page.book.value_of(Cell("Other", 3, 1))
    assert isinstance(loss, float)
    assert loss < 5


def test_sheets_of_commands(page: Page, tmp_path: Path) -> None:
    page.done("gradients")
    page.book.edit([(Cell(SHEET, 3, 8), "20")])
    page.done("log")
    page.done("train")
    until(lambda: page.ask("status")["state"] == "idle")
    assert {GRADIENTS, LOG} <= page.book.workbook.sheets.keys()
    page.book.save(tmp_path / "saved.xlsx")
    saved = load(tmp_path / "saved.xlsx")
    assert {GRADIENTS, LOG} <= saved.sheets.keys()
    assert saved.sheets[SHEET].values[1, 5] == page.line[0]
    assert saved.sheets[SHEET].values[4, 5] == page.values(LOSS)[0]
