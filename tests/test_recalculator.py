"""After any edits, the values of an open workbook are those of the same workbook calculated afresh."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdsheet.compiler.passes import PASSES
from sgdsheet.compiler.recalculator import Recalculator
from sgdsheet.compiler.repeated_program import _HIDING, _WORTH_REWRITING, RepeatedProgram
from sgdsheet.errors import CircularReference
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.agreement import same_value
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook

ROWS, SHEETS = 6, ("S", "other sheet")

NUMBERS = ("0", "1", "2", "3", "-1.5", "800", "1e300", "12%", "2026-11-29")
TEXTS = (*NUMBERS, *NUMBERS, "", "", "abc", "'5", "TRUE", "#N/A", "x")
FORMULAS = (
    *("A{r}*2", "A{r}+B{r}", "SUM(A1:A6)", "SUM($A$1:A{r})", "AVERAGE(A1:C1)", "1/A{r}", "EXP(A{r})/EXP(A{r})"),
    *("IF(A{r}>1,B{r},TRUE)", 'IF(A{r}>1,"big",A{r})', "1/(1+EXP(-A{r}))", "MAX(A1:C6)", "A{r}&B{r}", "A{r}=B{r}"),
    *("VLOOKUP(2,A1:B6,2,FALSE)", "INDEX(A1:C6,{r},2)", "OFFSET(A1,$B$1,0)", 'INDIRECT("A"&B1)', "COUNT(A1:C6)"),
    *("'other sheet'!A{r}+1", "S!A{r}*S!B1", "SUM(everything)", "IFERROR(B{r},-1)", "ISBLANK(A{r})", "-A{r}", "B{r}"),
    *("FORECAST.ETS(9,A1:A4,B1:B4)", 'SUMIF(A1:A6,">1",B1:B6)', "ROWS(A1:A{r})", "SUMPRODUCT(A1:A6,B1:B6)"),
)


def build(path: Path, chance: random.Random) -> Path:
    """A workbook with numbers in A, and formulas filled down in D and E."""
    with xlsxwriter.Workbook(path) as book:
        for name in SHEETS:
            sheet = book.add_worksheet(name)
            for row in range(1, ROWS + 1):
                sheet.write_number(row - 1, 0, chance.randrange(5))
                sheet.write_number(row - 1, 1, chance.randrange(3))
            for column in (3, 4):
                text = chance.choice(FORMULAS)
                for row in range(1, ROWS + 1):
                    sheet.write_formula(row - 1, column, "=" + text.format(r=row))
        book.define_name("everything", "=S!$A$1:$B$6")
    return path


def without_values(workbook: Workbook) -> Workbook:
    """The workbook as a program leaves it that cannot calculate."""
    sheets = {
        name: replace(
            sheet, values={place: value for place, value in sheet.values.items() if place not in sheet.formulas}
        )
        for name, sheet in workbook.sheets.items()
    }
    return replace(workbook, sheets=sheets)


def afresh(workbook: Workbook) -> dict[Cell, Value]:
    """The values of all formulas that can be calculated."""
    results = Recalculator(without_values(workbook)).missing().results
    return {
        Cell(result.area.sheet, *place): value for result in results for place, value in result.values_in(result.area)
    }


def agrees_with_a_fresh_calculation(book: OpenBook) -> None:
    fresh, marked = afresh(book.snapshot()), book.uncalculated
    for name, sheet in book.workbook.sheets.items():
        for place in sheet.formulas:
            cell = Cell(name, *place)
            if cell in marked:
                assert cell not in fresh, (cell, marked[cell], fresh.get(cell))
            else:
                assert cell in fresh, cell
                shown = book.value_of(cell)
                assert type(shown) is type(fresh[cell]), (cell, shown, fresh[cell])
                assert shown is not None
                assert same_value(shown, fresh[cell]), (cell, shown, fresh[cell])


def random_edits(book: OpenBook, chance: random.Random, count: int) -> None:
    for _ in range(count):
        what = chance.random()
        if what < 0.15 and book.can_undo:
            book.undo()
        elif what < 0.2 and book.can_redo:
            book.redo()
        elif what < 0.4:
            name = chance.choice(SHEETS)
            places = [(row, 1) for row in range(1, ROWS + 1) if (row, 1) not in book.workbook.sheets[name].formulas]
            for _ in range(_WORTH_REWRITING + 4):
                book.write({Cell(name, *place): chance.choice((0.0, 1.0, 2.5, -800.0, 1e300)) for place in places})
        else:
            entries = []
            for _ in range(chance.choice((1, 1, 1, 3))):
                row, column = chance.randint(1, ROWS), chance.randint(1, 5)
                text = "=" + chance.choice(FORMULAS).format(r=row) if chance.random() < 0.4 else chance.choice(TEXTS)
                entries.append((Cell(chance.choice(SHEETS), row, column), text))
            try:
                book.edit(entries)
            except CircularReference:
                continue
        agrees_with_a_fresh_calculation(book)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_edits_end_where_a_fresh_calculation_does(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    path = build(tmp_path_factory.mktemp("edits") / "book.xlsx", chance)
    book = OpenBook.from_bytes(path.name, path.read_bytes())
    try:
        random_edits(book, chance, 8)
    finally:
        book.close()


def test_programs_that_were_recorded_know_errors_by_their_kind(tmp_path: Path) -> None:
    """A number beyond all bounds is an error, also where a recorded program comes back to a finite number."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as file:
        sheet = file.add_worksheet("S")
        sheet.write_number("A1", 1)
        sheet.write_formula("B1", "=1/(1+EXP(-A1))")
        sheet.write_formula("B2", "=IF(A1>3,TRUE,A1)")
        sheet.write_formula("B3", "=1/A1")
        sheet.write_formula("B4", "=LN(EXP(A1)+EXP(A1+1)+EXP(2*A1))")
        sheet.write_array_formula("B5", "{=LN(SUM(EXP(A1:A1*100)))}")
    book = OpenBook.from_bytes(path.name, path.read_bytes())
    few = [1.0, 2.0, 3.0, -800.0, 4.0, 0.0, 5.0]
    for number in (*few, *range(6, 6 + _WORTH_REWRITING), 900.0, *few, 1e200):
        book.write({Cell("S", 1, 1): float(number)})
        agrees_with_a_fresh_calculation(book)
    assert book.values_in(Range("S", 1, 2, 3, 2))[2, 2] is True


def test_programs_that_were_recorded_take_for_equal_what_excel_does(tmp_path: Path) -> None:
    """Numbers that differ in their last digits only are equal in comparisons; a last difference of them is 0."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as file:
        sheet = file.add_worksheet("S")
        sheet.write_column("A1", [1, 0.2])
        for row, formula in enumerate(("=IF(A1+A2=0.3,1,0)", "=A1-0.4-0.1", "=IF(B2=0,1,0)", "=IF(A1*3>A2+0.1,1,0)")):
            sheet.write_formula(row, 1, formula)
    book = OpenBook.from_bytes(path.name, path.read_bytes())
    for number in (2.0, 3.0, 4.0, 0.1, 0.5, 0.1, 5.0):
        book.write({Cell("S", 1, 1): number})
        agrees_with_a_fresh_calculation(book)
        if number in (0.1, 0.5):
            assert book.value_of(Cell("S", 1 if number == 0.1 else 3, 2)) == 1.0
    book.close()


def test_a_recorded_program_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The convolutions of a sheet are one operation each after some writes, and give what the formulas give."""
    assert {each.name for each in PASSES} >= _HIDING
    path = Path(__file__).parent.parent / "workbooks" / "mnist_cnn.xlsx"
    book = OpenBook.from_bytes(path.name, path.read_bytes())
    cells = list(Range("cnn", 8, 37, 12, 76).cells())
    chance = random.Random(0)
    sizes = []
    run = RepeatedProgram.run
    monkeypatch.setattr(
        RepeatedProgram, "run", lambda self, *given: (run(self, *given), sizes.append(len(self.module.graph.nodes)))[0]
    )
    for _ in range(_WORTH_REWRITING + 3):
        book.write({cell: chance.uniform(-1, 1) for cell in cells}, going_on=True)
    assert sizes[-1] < 0.5 * sizes[0], sizes
    agrees_with_a_fresh_calculation(book)
    book.close()
