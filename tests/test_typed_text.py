"""What is typed into a cell of a page, read as Excel reads it."""

from __future__ import annotations

import pytest

from sgdsheet.apps.web.cell_details import input_text
from sgdsheet.errors import FormulaError
from sgdsheet.hosts.web.typed_text import number_format, typed
from sgdsheet.sheet.workbook import ExcelError, Formula, Value
from tests.errors import ANYWHERE, refusal

VALUES: dict[str, Value | None] = {
    "": None,
    " ": " ",
    "5": 5.0,
    " -3.25 ": -3.25,
    "+7": 7.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1E-2": 0.01,
    "12%": 0.12,
    "-1.5 %": -0.015,
    "1,234": 1234.0,
    "1,234,567.5": 1234567.5,
    "1,23": "1,23",
    "$1,000.50": 1000.5,
    "€5": 5.0,
    "(2)": -2.0,
    "(-2)": "(-2)",
    "1e999": "1e999",
    "1 1/2": 1.5,
    "0 3/4": 0.75,
    "-0": 0.0,
    "TRUE": True,
    "false": False,
    "#N/A": ExcelError.NA,
    "#div/0!": ExcelError.DIV0,
    "2026-11-29": 46355.0,
    "11/29/2026": 46355.0,
    "29-Nov-2026": 46355.0,
    "Nov 29, 2026": 46355.0,
    "2026-02-30": "2026-02-30",
    "13/29/2026": "13/29/2026",
    "12:00": 0.5,
    "6:00 PM": 0.75,
    "2026-11-29 12:00": 46355.5,
    "'5": "5",
    "'=A1": "=A1",
    "'": None,
    "=": "=",
    "-": "-",
    "- see below": "- see below",
    "+ plus": "+ plus",
    "12 monkeys": "12 monkeys",
    "a=b": "a=b",
    "１２": "１２",
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text: str) -> None:
    found = typed(text, 1, 1)
    assert type(found) is type(VALUES[text])
    assert found == (pytest.approx(VALUES[text], rel=1e-15) if type(found) is float else VALUES[text])


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("=A1+1", "A1+1"),
        ("= sum( a1:b2 )", "SUM( A1:B2 )"),
        ("=if(true,\"true a1\",'my a1'!b2)", "IF(TRUE,\"true a1\",'my a1'!B2)"),
        ("=sum(a:a)+$b$3", "SUM(A:A)+$B$3"),
        ("+A1*2", "+A1*2"),
        ("-b1", "-B1"),
        ("@SUM(A1:A2)", "SUM(A1:A2)"),
        ("=my_name+table1[col a1]", "my_name+table1[col a1]"),
    ],
)
def test_formulas(text: str, formula: str) -> None:
    assert typed(text, 9, 9) == Formula(formula, 9, 9)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("=SUM(A1:A3", r"missing “\)”"),
        ("={1,2", "missing “}”"),
        ('="abc', "quotation mark"),
        ("=A1+", "Check"),
        ("=)", "Check"),
    ],
)
def test_what_is_no_formula(text: str, remedy: str) -> None:
    with refusal(FormulaError, cell=ANYWHERE, remedy=remedy):
        typed(text, 1, 1)


def test_days_are_counted_from_1904_where_the_workbook_does() -> None:
    assert typed("2026-11-29", 1, 1, date1904=True) == 46355.0 - 1462
    assert typed("12:00", 1, 1, date1904=True) == 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", None),
        ("12%", "0%"),
        ("1.5%", "0.00%"),
        ("$5", "$#,##0"),
        ("1,234.5", "#,##0.00"),
        ("1e3", "0.00E+00"),
        ("1 1/2", "# ?/?"),
        ("2026-11-29", "yyyy-mm-dd"),
        ("11/29/2026", "mm-dd-yy"),
        ("29-Nov-2026", "d-mmm-yy"),
        ("12:30", "h:mm"),
        ("6:00:05 PM", "h:mm:ss AM/PM"),
        ("2026-11-29 12:00", "yyyy-mm-dd h:mm"),
        ("11/29/2026 12:00", "m/d/yy h:mm"),
    ],
)
def test_formats(text: str, expected: str | None) -> None:
    assert number_format(text) == expected


@pytest.mark.parametrize("date1904", [False, True])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        *((text, "General") for text in ("007", "=x", "=(", "TRUE", "'a", " 5", "#N/A", "12%", "2024-01-01", "plain")),
        *((number, "yyyy-mm-dd hh:mm") for number in (0.5, 1.5, 44000.0, 45292.26388888889, 45292.123456789, -3.0)),
        *((number, "0%") for number in (0.07, 1 / 3, 0.1234567890123456, 1e-9)),
        *((number, "General") for number in (1 / 3, 1e300, -5e-324, 123456789012345678.0)),
    ],
)
def test_what_the_field_of_a_cell_shows_is_read_as_what_the_cell_holds(value: Value, code: str, date1904: bool) -> None:
    assert typed(input_text(value, code, date1904=date1904), 1, 1, date1904=date1904) == value


def test_the_field_of_a_cell_shows_what_a_person_would_type() -> None:
    shown = [input_text(44000.0, "d-mmm-yy"), input_text(44000.0, "d-mmm-yy", date1904=True), input_text(0.07, "0%")]
    assert shown == ["2020-06-18", "2024-06-19", "7%"]
    assert [input_text(text, "General") for text in ("007", "a", "")] == ["'007", "a", ""]
