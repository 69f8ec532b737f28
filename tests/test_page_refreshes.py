"""What a training costs the page: a refresh looks at what has changed only, and shows what a first look would show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsheet.apps.web import sheet_view
from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.sheet_view import SheetView
from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.base import ArrayHost
from sgdsheet.hosts.web.calculation import Calculation
from sgdsheet.hosts.web.cell_store import CellStore
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.web.web_host import WebHost
from sgdsheet.live.run.change_detector import ChangeDetector
from sgdsheet.live.run.parameter_cells import ParameterCells
from sgdsheet.live.run.trainable import Trainable, find_trainable
from sgdsheet.sheet.held_numbers import held_numbers
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Value

BOOKS = Path(__file__).parent.parent / "workbooks"


class Opened:
    """A workbook in the browser whose parameters are written as a run writes them."""

    def __init__(self, name: str, sheet: str) -> None:
        path = BOOKS / f"{name}.xlsx"
        self.book, self.sheet = OpenBook.from_bytes(path.name, path.read_bytes()), sheet
        self.host = WebHost(self.book)
        self.trainable: Trainable = find_trainable(self.host.read(), sheet, {})
        self.areas = self.trainable.problem.parameters
        self.cells = ParameterCells(self.trainable)
        self.host.quiet(True)
        self.random = np.random.default_rng(0)

    def refresh(self) -> None:
        """Write parameters a little away from those that stand there."""
        steps = self.random.normal(size=len(self.cells.cells)) * 0.01
        assert not self.cells.write(self.host, self.cells.numbers + steps)

    def view(self, *, follows: bool) -> SheetView:
        book, look = self.book, self.book.appearance()
        formulas = RuleFormulas(lambda asked: book.loose_values(self.sheet, asked), lambda: book.version)
        return SheetView(
            look,
            lambda: look.sheet(self.sheet),
            self.sheet,
            False,
            book.values_in,
            book.number_formats,
            formulas,
            book if follows else None,
            book.values_at_once if follows else None,
        )


@pytest.fixture(params=[("titanic", "nnet"), ("mnist_cnn", "cnn")], ids=["titanic", "mnist_cnn"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    found = Opened(*request.param)
    yield found
    found.book.close()


def test_what_is_followed_is_what_a_first_look_shows(opened: Opened) -> None:
    """After each of many changes, of training and of a person, in areas that scroll."""
    dice = random.Random(1)
    view = opened.view(follows=True)
    where = [Range(opened.sheet, 1, 1, 60, 60), Range(opened.sheet, 30, 4, 90, 50)]
    typed = ["3", "-2.5", "text", "", "12%", "2024-01-31", "=1/0", "=A1&B1", "0", "TRUE"]
    area = where[0]
    for turn in range(30):
        if dice.random() < 0.5:
            opened.refresh()
        else:
            at = Cell(opened.sheet, dice.randrange(1, 70), dice.randrange(1, 60))
            with suppress(SgdSheetError):  # a merged cell
                opened.book.edit([(at, dice.choice(typed))])
            opened.cells = ParameterCells(find_trainable(opened.host.read(), opened.sheet, {}))
        if dice.random() < 0.1:
            area = dice.choice(where)
        if dice.random() < 0.8:
            assert view.entries(area, opened.book.uncalculated_in) == opened.view(follows=False).entries(
                area, opened.book.uncalculated_in
            ), turn


def test_a_refresh_writes_arrays(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second refresh on, no parameter is handled cell by cell."""
    opened.refresh()
    opened.refresh()
    assert isinstance(opened.host, ArrayHost)
    for owner, name in ((OpenBook, "write"), (Calculation, "write"), (CellStore, "set"), (CellStore, "settle")):
        monkeypatch.setattr(owner, name, None)
    settled: list[int] = []
    settle = CellStore._settle
    monkeypatch.setattr(CellStore, "_settle", lambda store: settled.append(1) or settle(store))
    for _ in range(5):
        assert opened.cells.look(opened.host, [])[0]
        opened.refresh()
    assert not settled
    values = [opened.book.value_of(cell) for cell in opened.cells.cells]
    assert values == opened.cells.numbers.tolist()


def test_a_refresh_makes_texts_of_changed_numbers_only(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    view, area = opened.view(follows=True), Range(opened.sheet, 1, 1, 60, 90)
    opened.refresh()
    opened.refresh()
    before = view.entries(area, opened.book.uncalculated_in)
    made: list[Any] = []
    entry = SheetView._plain_entry
    monkeypatch.setattr(SheetView, "_plain_entry", lambda self, at, value: made.append(at) or entry(self, at, value))
    rules: list[Any] = []
    monkeypatch.setattr(sheet_view.ConditionalFormats, "look", _counted(rules, sheet_view.ConditionalFormats.look))
    opened.refresh()
    after = view.entries(area, opened.book.uncalculated_in)
    changed = [at for at in after if after[at] != before.get(at)]
    assert changed
    assert 0 < len(made) < 0.35 * len(after), (len(made), len(after))
    look = opened.book.appearance()
    styles = [look.styles[after[at][2]].number_format for at in made]
    assert ";;;" not in styles  # pictures of pixels have no texts
    made.clear()
    view.entries(area, opened.book.uncalculated_in)
    assert not made
    assert len(rules[-1]) == 0


def _counted(seen: list[Any], look: Any) -> Any:
    def counted(*given: Any) -> Any:
        found = look(*given)
        seen.append(found)
        return found

    return counted


@pytest.mark.parametrize("typed", ["text", "", "7.25", "TRUE", "=1+1"])
def test_what_a_person_types_is_told_by_the_next_write(typed: str, opened: Opened) -> None:
    opened.refresh()
    opened.refresh()
    cell = opened.cells.cells[3]
    opened.book.edit([(cell, typed)])
    assert not opened.cells.look(opened.host, [])[0]
    if typed.startswith("="):
        return
    written = opened.cells.numbers.copy()
    assert opened.cells.write(opened.host, written + 0.5)  # a person was there
    expected: dict[str, Value | None] = {"": None, "7.25": 7.25, "TRUE": True, "text": "text"}
    assert opened.book.value_of(cell) == expected[typed]
    others = [at for at in opened.cells.cells if at != cell]
    assert [opened.book.value_of(at) for at in others] == [
        number for at, number in zip(opened.cells.cells, (written + 0.5).tolist(), strict=True) if at != cell
    ]


def test_arrays_are_written_as_cells_are(opened: Opened) -> None:
    """The same numbers, cell by cell into another book: all cells are the same, and so is what is saved."""
    other = Opened(opened.book.name.removesuffix(".xlsx"), opened.sheet)
    for turn in range(4):
        numbers = opened.cells.numbers + opened.random.normal(size=len(opened.cells.cells)) * 0.01
        held = opened.host.exchange_numbers(opened.areas, numbers)
        pairs = dict(zip(opened.cells.cells, numbers.tolist(), strict=True))
        found = other.host.exchange(pairs)
        assert [held.value(place) for place in range(len(pairs))] == [found.get(cell) for cell in pairs], turn
        if turn == 2:
            for each in (opened, other):
                each.book.edit([(each.cells.cells[1], "4")])
    one, two = opened.book.snapshot(), other.book.snapshot()
    for name, sheet in one.sheets.items():
        assert sheet.values == two.sheets[name].values
    assert opened.book.data() == other.book.data()
    opened.host.quiet(False)
    opened.book.undo()  # what was typed
    assert opened.book.value_of(opened.cells.cells[1]) != 4.0
    other.book.close()


def test_held_numbers() -> None:
    held = held_numbers([1.5, None, "a", True, ExcelError.NA, 0.0])
    assert [held.value(place) for place in range(6)] == [1.5, None, "a", True, ExcelError.NA, 0.0]
    known = np.array([1.5 * (1 + 1e-12), 0.0, 0.0, 1.0, 0.0, 1e-3])
    assert held.agree(known, 1e-6).tolist() == [True, True, False, False, False, False]
    assert not held_numbers([1e308]).agree(np.array([np.inf]), 1e-6).any()


def test_nothing_is_read_for_changes_while_nobody_types(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host knows of each edit. Data are read once, if at all, and again after an edit, which is noticed."""
    seconds = [0.0]
    detector = ChangeDetector(opened.trainable, lambda: seconds[0])
    read: list[Any] = []
    for name in ("read_values", "read_formulas"):
        monkeypatch.setattr(WebHost, name, _noted(read, getattr(WebHost, name)))

    def looks() -> list[bool]:
        found = []
        for _ in range(400):
            seconds[0] += 10.0
            opened.refresh()
            found.append(detector.changed(opened.host))
        return found

    assert not any(looks())
    assert not read
    opened.host.read()  # what the model was compiled from is not the last reading any more
    detector = ChangeDetector(opened.trainable, lambda: seconds[0])
    assert not any(looks())
    assert read
    read.clear()
    assert not any(looks())
    assert not read
    area = next(part.area for part in detector._parts if not part.formulas)
    cell = next(cell for cell in area.cells() if cell not in detector._skipped)
    held = opened.book.value_of(cell)
    opened.book.edit([(cell, "0.125" if held != 0.125 else "0.25")])
    assert sum(looks()) == 1


def _noted(seen: list[Any], method: Any) -> Any:
    def noted(host: WebHost, areas: Any) -> Any:
        seen.append(areas)
        return method(host, areas)

    return noted
