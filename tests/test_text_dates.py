"""Dates and times in texts: those that mean the same everywhere are numbers to arithmetic, others are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import HOME, book, lowered


def value(formula: str) -> object:
    return evaluate(lowered(book({"A1": "2011-08-22", "Z1": f"={formula}"}), [], "Z1")).values[Cell(HOME, 1, 26)]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ('"2011-08-22"+0', 40777),
        ("A1+1", 40778),
        ("SUM(A1)", 0),  # a text in a cell
        ('SUM("2011-08-22")', 40777),
        ('"2011/8/22"*1', 40777),
        ('"22-Aug-2011"+0', 40777),
        ('"22-Aug-11"+0', 40777),
        ('"2011-08-22 18:00"+0', 40777.75),
        ('"6:00 PM"*24', 18),
        ('"0:00"+0', 0),
        ('"1900-02-29"+0', 60),
        ('"2011-02-29"+0', ExcelError.VALUE),
        ('YEAR("2011-08-22")', 2011),
        ('YEAR("7/5/1800")', ExcelError.VALUE),  # before 1900, whichever is the month
        ('EOMONTH("2020-01-31",1)', 43890),
        ('NETWORKDAYS("2012-10-01","2013-03-01")', 110),
        ('VALUE("16:48:00")', 0.7),
        ('IF("2011-08-22"="2011-8-22",1,2)', 2),  # texts are compared as texts
        ('ISNUMBER("2011-08-22")', False),
    ],
)
def test_what_means_the_same_everywhere(formula: str, expected: object) -> None:
    found = value(formula)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("text", ["8/22/2011", "1/2/2024", "22.8.2011", "Jan 5", "25:00", "1 1/2", "12-1"])
def test_what_depends_on_the_country_is_refused(text: str) -> None:
    with refusal(FormulaError, cell=f"{HOME}!Z1", cause="may be a date"):
        value(f'"{text}"+0')


def test_a_workbook_that_counts_from_1904() -> None:
    made = replace(book({"Z1": '="2011-08-22"+0'}), date1904=True)
    with refusal(FormulaError, cell=f"{HOME}!Z1", cause="may be a date"):
        lowered(made, [], "Z1")
