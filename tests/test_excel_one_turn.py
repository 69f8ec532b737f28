"""Reading and writing in one turn: the add-in's own procedure, run by LibreOffice's VBA, under the Excel host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.errors import HostError
from sgdsheet.hosts.libreoffice.calc_reader import values
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value
from tests import office
from tests.errors import refusal
from tests.excel_chain import Chain
from tests.xlwings_program import ExcelBook

pytestmark = pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")

SHEET = "It's a 数 & sheet"
A1, B1, A2, B2, D4 = (Cell(SHEET, row, column) for row, column in ((1, 1), (1, 2), (2, 1), (2, 2), (4, 4)))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    made = Chain(tmp_path_factory.mktemp("turn"))
    yield made
    made.stop()


@pytest.fixture
def book(chain: Chain, tmp_path: Path) -> ExcelBook:
    path = tmp_path / f"näht {tmp_path.name}.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        sheet = made.add_worksheet(SHEET)
        sheet.write_row("A1", [0.1, "text"])
        sheet.write_row("A2", [-3, 1e-300])
        sheet.write_formula("C1", "=1/0")
        sheet.write_number("D4", 4)
    opened = chain.open(path)
    chain.engine.macros.clear()
    return opened


def entry(book: ExcelBook, cell: Cell, text: str) -> dict[str, Any]:
    """What a person enters in a cell, as a request to the office."""
    area = [cell.row, cell.column, cell.row, cell.column]
    if not text.startswith("="):
        place = {"book": book.host.key, "sheet": SHEET, "top": cell.row, "left": cell.column}
        return {"do": "put", **place, "rows": [[float(text) if text else ""]]}
    return {"do": "formula", "book": book.host.key, "sheet": SHEET, "area": area, "text": text, "array": False}


def put(book: ExcelBook, cell: Cell, text: str) -> None:
    book.engine.office.ask(**entry(book, cell, text))


def now(book: ExcelBook) -> dict[Cell, Value]:
    return book.host.read_values([Range(SHEET, 1, 1, 2, 2)])


def test_one_call_writes_and_tells_what_stood_there(book: ExcelBook) -> None:
    before = now(book)
    new: dict[Cell, Value] = {A1: 1 / 3, B1: -2.5e-17, A2: 7.0, B2: 123456789.123456789}
    assert book.host.exchange(new) == before == {A1: 0.1, B1: "text", A2: -3.0, B2: 1e-300}
    assert book.engine.macros == ["SgdExchange"]  # and nothing else that could write
    assert now(book) == new
    assert book.host.exchange({A1: 2.0, D4: 3.0}) == {A1: 1 / 3, D4: 4.0}  # two areas, of one cell each
    assert book.engine.macros == ["SgdExchange"] * 3
    put(book, A1, "")
    assert book.host.exchange({A1: 5.0, B1: 6.0}) == {B1: new[B1]}  # an empty cell


def test_nothing_comes_between_the_reading_and_the_writing(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person pastes in the last moment before the call is told; no other call reads or writes the cells."""
    ask = book.engine.office.ask
    asked: list[str] = []

    def paste(do: str, **request: object) -> object:
        asked.append(do)
        if do == "macro":
            ask(**entry(book, A1, "7"))
        return ask(do, **request)

    monkeypatch.setattr(book.engine.office, "ask", paste)
    assert book.host.exchange({A1: 5.0, B1: 6.0}) == {A1: 7.0, B1: "text"}
    last = len(asked) - 1 - asked[::-1].index("macro")
    assert not {"write", "block"} & set(asked[last + 1 :])


def test_a_formula_that_comes_in_the_last_moment_is_not_lost(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = book.engine.office.ask

    def enter(do: str, **request: object) -> object:
        if do == "macro":
            ask(**entry(book, B2, "=1+1"))
        return ask(do, **request)

    monkeypatch.setattr(book.engine.office, "ask", enter)
    with refusal(HostError, cell=f"'{SHEET.replace(chr(39), chr(39) * 2)}'!B2", cause="formula"):
        book.host.exchange({A1: 5.0, B1: 6.0, A2: 5.0, B2: 6.0})
    monkeypatch.undo()
    assert now(book) == {A1: 0.1, B1: "text", A2: -3.0, B2: 2.0}


def test_a_formula_gets_nothing_and_writes_nothing(chain: Chain) -> None:
    """LibreOffice lets a formula write cells, so that the guard shows; it does not tell who calls, so a cell does."""
    place = {"book": str(chain.addin), "sheet": "sgdsheet"}
    ask = chain.engine.office.ask
    text = '=SGDEXCHANGE("sgdsheet.xlam";"sgdsheet";"D9";99)'
    found = []
    for caller in ("Range", "Error"):
        ask("put", **place, top=7, left=26, rows=[[caller]])
        ask("formula", **place, area=[2, 8, 2, 8], text=text, array=False)
        found.append(values(ask("block", **place, area=[9, 4, 9, 4], formulas=False)).get((9, 4)))
    ask("put", **place, top=7, left=26, rows=[[""]])
    assert found == [None, 99.0]


def test_without_the_add_in_it_takes_two_calls(book: ExcelBook, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = book.engine.office.ask
    tried = []

    def refuse(do: str, **request: object) -> object:
        if do == "macro":
            tried.append(request["name"])
            return ask("macro", file="none.xlam", name="X.Y", arguments=[])
        return ask(do, **request)

    monkeypatch.setattr(book.engine.office, "ask", refuse)
    assert book.host.exchange({A1: 5.0, B1: 6.0}) == {A1: 0.1, B1: "text"}
    assert book.host.exchange({A1: 7.0, B1: 8.0}) == {A1: 5.0, B1: 6.0}
    assert tried == ["SgdCells.SgdExchange"]  # asked once


def test_an_excel_that_is_busy_is_asked_again(book: ExcelBook) -> None:
    for rejected in range(1, 12):
        book.engine.office.busy = rejected
        assert book.host.exchange({A1: float(rejected), B1: 6.0})
        assert book.host.exchange({A1: 5.0, B1: 6.0}) == {A1: float(rejected), B1: 6.0}
    assert book.engine.macros == ["SgdExchange"] * 22
