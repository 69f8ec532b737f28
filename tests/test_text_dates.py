"""Dates and times in texts: those that mean the same everywhere are numbers to arithmetic, others are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.displayed_text import displayed
from sgdsheet.sheet.references import Cell, parse_range
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
        ('"E8"+1', ExcelError.VALUE),
        ('SUMPRODUCT(--(".E1"="x"))', 0.0),
        ('"1E1"+1', 11.0),
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


@pytest.mark.parametrize(
    ("known", "formula", "expected"),
    [
        # one result tells the order for the whole workbook
        ({"B1": ('=DATEVALUE("8/22/2011")', 40777.0)}, '=DATEVALUE("1/2/2024")', 45293.0),
        ({"B1": ('=DATEVALUE("22/8/2011")', 40777.0)}, '=DATEVALUE("1/2/2024")', 45323.0),
        ({"B1": ('=VALUE("3/4/2024")', 45355.0)}, '="1/2/2024"+0', 45293.0),
        ({"A1": "3/4/2024", "B1": ("=MONTH(A1)", 4.0)}, '=TEXT("1/2/2024","yyyymmdd")', "20240201"),
        ({"A1:A2": ["x", "13/1/2024"], "B2": ("=--A2", 45304.0)}, '=YEAR("1/2/24")+MONTH("1/2/24")', 2026.0),
        ({"B1": ('=DATEVALUE("8/22/2011")', 40777.0)}, '=DATEVALUE("22/8/2011")', ExcelError.VALUE),
        ({"B1": ('=DATEVALUE("8/22/2011")', 40777.0)}, '=VALUE("8/22/2011 6:00 PM")', 40777.75),
        ({"B1": ('=DATEVALUE("8/22/2011")', 40777.0)}, '=NETWORKDAYS(45292,45300,"1/2/2024")', 6.0),
        ({}, '=DATEVALUE("3/3/2024")', 45354.0),
    ],
)
def test_the_order_of_day_and_month_that_a_workbook_shows(known: Any, formula: str, expected: object) -> None:
    cells = {key: value[0] if isinstance(value, tuple) else value for key, value in known.items()}
    workbook = book({**cells, "Z1": formula})
    for key, item in known.items():
        if isinstance(item, tuple):
            cell = parse_range(key, HOME).first
            workbook.sheets[HOME].values[cell.row, cell.column] = item[1]
    found = evaluate(lowered(workbook, [], "Z1")).values[Cell(HOME, 1, 26)]
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("saved", [40777.0, ExcelError.VALUE])
def test_results_that_show_no_order(saved: float | ExcelError) -> None:
    """They contradict each other, or are errors: a country may write dates in another way."""
    workbook = book({"A1": '=DATEVALUE("8/22/2011")', "A2": '=DATEVALUE("22/8/2011")', "Z1": '=DATEVALUE("1/2/2024")'})
    workbook.sheets[HOME].values |= {(1, 1): saved, (2, 1): saved}
    with refusal(FormulaError, cell=f"{HOME}!Z1", cause="order of day and month"):
        lowered(workbook, [], "Z1")


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [  # results that Excel saved
        ("123456789012", "General", "1.23457E+11"),
        ("-1.2345678912", "General", "-1.234567891"),
        ("0.000000001", "General", "0.000000001"),
        ("TRUE", ";;;-@", "-TRUE"),
        ("1234567", ",0", ",1234567"),
        ("1234567", "#,.#,", "1.2"),
        ("-1.1", "|??.??|", "-| 1.1 |"),
        ("3.14159", "[h]:m:s.000", "75:23:53.376"),
        ("3.14159", '"It was "[h]" [yes, "h"] hours and "mm:ss', "It was 75 [yes, 75] hours and 23:53"),
        ("3.14159", 's:m" @ hour "[hh]', "53:23 @ hour 75"),
        ("36191.1702084375", "hh:mm:ss a/p", "04:05:06 a"),
    ],
)
def test_numbers_in_formats(number: str, code: str, expected: str) -> None:
    written = code.replace('"', '""')
    assert value(f'TEXT({number},"{written}")') == expected


def test_elapsed_time_where_days_count_from_1904() -> None:
    cells = {"Z1": '=TEXT(3.14159,"[h]:m:s.000")', "Z2": '=TEXT(-3.14159,"[mm]:ss.0")', "Z3": '=TEXT(0.5,"yyyy [h]")'}
    made = replace(book(cells), date1904=True)
    found = evaluate(lowered(made, [], *cells)).values
    assert list(found.values()) == ["75:23:53.376", "-4523:53.4", "1904 12"]
    assert displayed(3.14159, "[h]:mm", date1904=True).text == "75:23"
