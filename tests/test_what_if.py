"""What-if data tables: their saved values stay, that is said, and nothing trains through them."""

from __future__ import annotations

from pathlib import Path

import pytest

import sgdsheet
from sgdsheet.errors import FileError, UnsupportedFunction
from sgdsheet.hosts.file import load
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.xlsx.what_if import table_formulas
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, Range
from tests.cli_books import run
from tests.errors import refusal
from tests.xlsx_parts import book_file, sheet

RATES = (0.03, 0.04, 0.05)


def table_book(folder: Path, *, saved: bool = True) -> Path:
    """1000 in B3 after ten years at the rate in B1, and by a data table in D5:D7 at those in C5:C7; F1 is their sum."""

    def cell(place: str, formula: str, number: float) -> str:
        return f'<c r="{place}">{formula}{f"<v>{number}</v>" if saved or not formula else ""}</c>'

    results = [1000 * (1 + rate) ** 10 for rate in RATES]
    table = '<f t="dataTable" ref="D5:D7" dt2D="0" dtr="0" r1="B1"/>'
    rows = {
        1: cell("B1", "", 0.05) + cell("F1", "<f>SUM(D5:D7)</f>", sum(results)),
        3: cell("B3", "", 1000),
        4: cell("B4", "<f>B3*(1+B1)^10</f>", results[2]) + cell("D4", "<f>B4</f>", results[2]),
        5: cell("C5", "", RATES[0]) + cell("D5", table, results[0]),
        6: cell("C6", "", RATES[1]) + (cell("D6", "", results[1]) if saved else ""),
        7: cell("C7", "", RATES[2]) + (cell("D7", "", results[2]) if saved else ""),
    }
    return book_file(folder, sheet("".join(f'<row r="{row}">{cells}</row>' for row, cells in rows.items())))


@pytest.mark.parametrize(
    ("attributes", "first", "last"),
    [
        ({"r1": "B1"}, "D$4,$B$1,$C5", "E$4,$B$1,$C6"),
        ({"r1": "B1", "dtr": "1"}, "$C5,$B$1,D$4", "$C6,$B$1,E$4"),
        ({"r1": "B1", "r2": "B2", "dt2D": "1", "dtr": "1"}, "$C$4,$B$1,D$4,$B$2,$C5", "$C$4,$B$1,E$4,$B$2,$C6"),
        ({"r1": "B1", "del1": "1"}, "D$4,#REF!,$C5", "E$4,#REF!,$C6"),
    ],
    ids=["one column", "one row", "two inputs", "a deleted input"],
)
def test_what_each_cell_depends_on(attributes: dict[str, str], first: str, last: str) -> None:
    found = table_formulas(Range("S", 5, 4, 6, 5), attributes)
    assert formula_text(found[5, 4], 5, 4) == f"MULTIPLE.OPERATIONS({first})"
    assert formula_text(found[6, 5], 6, 5) == f"MULTIPLE.OPERATIONS({last})"


def test_tables_that_name_more_cells_than_there_can_be_are_refused(tmp_path: Path) -> None:
    tables = (
        f'<row r="{row}"><c r="A{row}"><f t="dataTable" ref="A1:ZZ700" r1="A1"/></c></row>' for row in range(1, 3)
    )
    with refusal(FileError, cause="more than 500,000 cells"):
        load(book_file(tmp_path, sheet("".join(tables))))


def test_saved_values_stay_and_that_is_said(tmp_path: Path) -> None:
    path = table_book(tmp_path)
    found = run("check", path, "--all", "--json").json
    assert [(item["range"], item["function"]) for item in found["frozen"]] == [("'S1'!D5:D7", "MULTIPLE.OPERATIONS")]
    assert (found["supported"], found["mismatches"], found["unsupported"]) == (3, [], [])


def test_without_saved_values_nothing_is_taken_for_zero(tmp_path: Path) -> None:
    found = run("check", table_book(tmp_path, saved=False), "--all", "--json").json
    assert (found["supported"], [item["range"] for item in found["unsupported"]]) == (2, ["'S1'!D5:D7"])


def test_nothing_trains_through_a_table(tmp_path: Path) -> None:
    with refusal(UnsupportedFunction, cell="'S1'!D5", cause="what-if data table"):
        sgdsheet.compile(load(table_book(tmp_path)), loss="F1", params="B3")


def test_values_that_training_outdates_are_not_kept(tmp_path: Path) -> None:
    path = table_book(tmp_path)
    done = run("train", path, "--value-of", "B4=2000", "--params", "B3", "--in-place", "--json").json
    assert done["not_recalculated"] == ["'S1'!D5:D7", "'S1'!F1"]
    written = load(path).sheets["S1"]
    assert written.values[4, 4] == pytest.approx(2000)
    assert not written.values.keys() & {(5, 4), (6, 4), (7, 4), (1, 6)}
    assert written.formulas.keys() == load(table_book(tmp_path)).sheets["S1"].formulas.keys()


def test_a_cell_of_a_table_is_not_typed_over(tmp_path: Path) -> None:
    book = OpenBook.from_bytes("book.xlsx", table_book(tmp_path).read_bytes())
    for row in (5, 7):
        with refusal(FileError, cell=f"'S1'!D{row}", cause="what-if data table"):
            book.edit([(Cell("S1", row, 4), "3")])
    book.edit([(Cell("S1", 3, 2), "500")])
    assert book.value_of(Cell("S1", 4, 4)) == pytest.approx(500 * 1.05**10)
    assert book.uncalculated.keys() == {Cell("S1", 1, 6), *(Cell("S1", row, 4) for row in (5, 6, 7))}
    book.close()
