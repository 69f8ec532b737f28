"""A workbook that is open in this process: what is typed into it, what follows from that, and what is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.errors import CircularReference, FormulaError, HostError
from sgdsheet.hosts.file import load
from sgdsheet.hosts.web.book_events import Event
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.errors import refusal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("S")
        sheet.write_column("A1", [1, 2, 3, 4])
        for row in range(1, 5):
            sheet.write_formula(f"B{row}", f"=A{row}*2", value=2 * row)
        sheet.write_formula("C1", "=SUM(B1:B4)", value=20)
        sheet.write_formula("C2", "=C1+1", value=21)
        sheet.write_formula("C3", "=FORECAST.ETS(9,A1:A4,B1:B4)+A4", value=7)
        sheet.write_formula("C4", "=C3+1", value=8)
    return target


@pytest.fixture
def book(path: Path) -> OpenBook:
    return OpenBook.from_bytes(path.name, path.read_bytes())


def cell(text: str) -> Cell:
    return Cell("S", int(text[1:]), ord(text[0]) - 64)


def shown(book: OpenBook, *texts: str) -> list[Value | None]:
    return [book.value_of(cell(text)) for text in texts]


def test_what_depends_on_a_number_follows(book: OpenBook) -> None:
    book.edit([(cell("A1"), "10")])
    assert shown(book, "A1", "B1", "C1", "C2") == [10.0, 20.0, 38.0, 39.0]
    book.edit([(cell("A1"), "abc")])
    assert shown(book, "B1", "C1") == [ExcelError.VALUE, ExcelError.VALUE]
    book.edit([(cell("A1"), "")])
    assert shown(book, "A1", "B1", "C1") == [None, 0.0, 18.0]


def test_formulas_are_taken(book: OpenBook) -> None:
    book.edit([(cell("D1"), "=C2*10"), (cell("A1"), "=A2+A3")])
    assert shown(book, "A1", "D1") == [5.0, 290.0]
    book.edit([(cell("D1"), "text")])
    assert shown(book, "D1") == ["text"]
    book.edit([(cell("B1"), "=1/0")])
    assert shown(book, "C2") == [ExcelError.DIV0]


def test_formulas_that_are_none_are_refused(book: OpenBook) -> None:
    with refusal(FormulaError, cell="S!D1", remedy=r"Add the missing “\)”"):
        book.edit([(cell("A1"), "7"), (cell("D1"), "=SUM(A1:A3")])
    with refusal(CircularReference, cell="S!A1"):
        book.edit([(cell("A1"), "=C2")])
    assert shown(book, "A1", "C1", "C2", "D1") == [1.0, 20.0, 21.0, None]
    assert not book.can_undo


def test_what_excel_calculates_as_an_array_is_refused(book: OpenBook) -> None:
    for text, remedy in (("=A1:A4*2", "one value"), ("=SUM(A1:A4*2)", "SUMPRODUCT"), ("=A1:A4", "one value")):
        with refusal(FormulaError, cell="S!E2", remedy=remedy):
            book.edit([(cell("E2"), text)])
        assert shown(book, "E2", "C1") == [None, 20.0]
    book.edit([(cell("E2"), "=SUMPRODUCT(A1:A4*2)"), (cell("E3"), "=SUM(A1:A4)*2"), (cell("E4"), "=INDEX(A1:A4,2)")])
    assert shown(book, "E2", "E3", "E4") == [20.0, 20.0, 2.0]


def test_what_cannot_be_calculated_keeps_its_value_and_is_marked(book: OpenBook) -> None:
    book.prepare().join()
    assert set(book.uncalculated) == {cell("C3")}
    assert "FORECAST.ETS" in book.uncalculated[cell("C3")]
    book.edit([(cell("A4"), "5")])
    assert shown(book, "B4", "C3", "C4") == [10.0, 7.0, 8.0]
    assert set(book.uncalculated) == {cell("C3"), cell("C4")}
    book.edit([(cell("D1"), "=C4+1")])  # from a value that is out of date nothing is calculated
    assert shown(book, "D1") == [None]
    assert cell("D1") in book.uncalculated
    book.edit([(cell("C3"), "=A4")])
    assert shown(book, "C3", "C4", "D1") == [5.0, 6.0, 7.0]
    assert not book.uncalculated


def test_undo_and_redo(book: OpenBook) -> None:
    book.edit([(cell("A1"), "10")])
    book.edit([(cell("B1"), "=A1*100")], "a formula")
    assert shown(book, "C1") == [1018.0]
    assert book.undo() == "a formula"
    assert shown(book, "B1", "C1") == [20.0, 38.0]
    book.undo()
    assert shown(book, "A1", "C1") == [1.0, 20.0]
    with pytest.raises(HostError):
        book.undo()
    book.redo()
    book.redo()
    assert shown(book, "A1", "C1") == [10.0, 1018.0]
    assert not book.can_redo


def test_events_and_versions(book: OpenBook) -> None:
    seen: list[Event] = []
    end = book.subscribe(seen.append)
    version = book.version
    book.edit([(cell("A1"), "10")])
    changed = book.changed_since(version)
    assert changed is not None
    assert {area for _, area in changed} >= {Range("S", 1, 1, 1, 1), Range("S", 1, 3, 1, 3)}
    assert {event.kind for event in seen} == {"cells", "history"}
    end()
    book.edit([(cell("A1"), "11")])
    assert len(seen) == 2
    assert book.changed_since(book.version) == set()


def test_saved_values_are_those_shown(book: OpenBook, tmp_path: Path) -> None:
    book.write({cell("A1"): 10.0, cell("A2"): 0.5})
    book.save(tmp_path / "saved.xlsx")
    saved = load(tmp_path / "saved.xlsx").sheets["S"].values
    assert [saved[cell(text)[1:]] for text in ("A1", "A2", "B2", "C1")] == [10.0, 0.5, 1.0, 35.0]


def test_numbers_written_again_and_again_are_recorded(book: OpenBook) -> None:
    for number in (5.0, 6.0, 7.0, -1.5):
        book.write({cell("A1"): number, cell("A2"): number + 1})
        assert shown(book, "B1", "C1", "C2") == [2 * number, 4 * number + 16, 4 * number + 17]
    book.edit([(cell("A3"), "30")])  # a constant of what was recorded
    book.write({cell("A1"): 1.0, cell("A2"): 2.0})
    assert shown(book, "C1") == [2 + 4 + 60 + 8]
    book.write({cell("A2"): 3.0})
    assert shown(book, "C1") == [2 + 6 + 60 + 8]
