"""What cells look like as text, by their number formats."""

from __future__ import annotations

import random

import pytest

from sgdsheet.sheet import displayed_text
from sgdsheet.sheet.displayed_text import Displayed, displayed, general, is_date
from sgdsheet.sheet.workbook import ExcelError, Value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (0.1 + 0.2, "0.3"),
        (0.1234567890123, "0.123456789"),
        (-1234.56789012, "-1234.56789"),
        (12345678901.0, "12345678901"),
        (123456789012.0, "1.23457E+11"),
        (99999999999.9, "1E+11"),
        (0.0001234567, "0.000123457"),
        (0.00001, "0.00001"),
        (-0.000000001, "-0.000000001"),
        (0.0000000001, "1E-10"),
        (1.2345678e-5, "1.23457E-05"),
        (1e100, "1E+100"),
    ],
)
def test_general_has_eleven_characters(number: float, text: str) -> None:
    assert general(number) == text


@pytest.mark.parametrize(
    ("value", "code", "text", "colour"),
    [
        (1234.5, "#,##0.00", "1,234.50", None),
        (2.5, "0", "3", None),
        (1.005, "0.00", "1.01", None),  # as its 15 digits say
        (-0.001, "0.00", "-0.00", None),
        (0.285, "0.0%", "28.5%", None),
        (-5.0, "0;[Red](0)", "(5)", "#ff0000"),
        (5.0, "[Color 5]0", "5", "#0000ff"),
        (0.0, '0;-0;"zero"', "zero", None),
        (0.0, ";;;", "", None),
        (0.5, "# ?/?", " 1/2", None),
        (1.25, "# ??/??", "1  1/4 ", None),
        (3.0, "# ?/?", "3    ", None),
        (0.3333, "?/8", "3/8", None),
        ("hi", '@" there"', "hi there", None),
        ("hi", '0;0;0;"<"@">"', "<hi>", None),
        ("hi", "0.00", "hi", None),
        (45000.5, "yyyy-mm-dd hh:mm", "2023-03-15 12:00", None),
        (0.123456, "[h]:mm:ss.00", "2:57:46.60", None),
        (0.75, "h:mm AM/PM", "6:00 PM", None),
        (44197.0, "[$-409]d-mmm-yy;@", "1-Jan-21", None),
        (-1.0, "yyyy", "########", None),
        (9.0, "[$€-407] #,##0.00", "€ 9.00", None),
        (5.0, 'General" kg"', "5 kg", None),
        (150.0, '[>=100]"big" 0;[<0]"minus" 0;0', "big 150", None),
        (-3.0, '[>=100]"big" 0;[<0]"minus" 0;0', "minus 3", None),
        (12.0, '[>=100]"big" 0;[<0]"minus" 0;0', "12", None),
        (-12.0, '_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)', " (12.00)", None),
        (1234567.0, '#,##0,"K"', "1,235K", None),
        (12.3, "##0.0E+0", "12.3E+0", None),
        (12345.6, "##0.0E+0", "12.3E+3", None),
        (999_960.0, "##0.0E+0", "1.0E+6", None),
        (0.00123, "##0.0E+0", "1.2E-3", None),
        (True, "0", "TRUE", None),
        (1.0, "0", "1", None),
        (ExcelError.NA, "0", "#N/A", None),
    ],
)
def test_number_formats(value: Value, code: str, text: str, colour: str | None) -> None:
    assert displayed(value, code) == Displayed(text, colour)


def test_days_count_from_1904_where_the_workbook_says_so() -> None:
    assert displayed(0.0, "yyyy-mm-dd", date1904=True).text == "1904-01-01"


@pytest.mark.parametrize(("code", "date"), [("General", False), ("0.00", False), ("d/m/yy", True), ("[h]:mm", True)])
def test_formats_of_dates_are_known(code: str, date: bool) -> None:
    assert is_date(code) is date


@pytest.mark.parametrize(
    "code", ["", ";", "[", "]", '"', "\\", "*", "_", "[$]", "0/0", "?/0", "/", "0.0.0", "E+0", "@@"]
)
@pytest.mark.parametrize("value", [1.5, -2.0, 0.0, "text"])
def test_every_format_shows_something(value: Value, code: str) -> None:
    assert isinstance(displayed(value, code).text, str)


PLAIN = ["0", "0.00", "#,##0", "#,##0.000", "0%", "0.0%", "#,##0.0%", "0.000000"]
WORDS = ['"yes";"no"', '[>=0.1]"+";[<=-0.1]"-";""', '"a"', '[Red]"up";[Blue]"down";"-"', "0.0;\\-;"]


def test_what_is_fast_shows_what_all_digits_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain digits, and sections of nothing but words, have a way of their own."""
    chance = random.Random(5)
    numbers = [chance.choice((1, -1)) * 10 ** chance.uniform(-9, 12) for _ in range(400)]
    numbers += [*(round(number, 2) for number in numbers), *(n / 2000 for n in range(-30, 30))]
    numbers += [0.0, -0.0, 1e300, 999.995]
    cases = [(number, code) for number in numbers for code in PLAIN + WORDS]
    fast = [displayed(*case) for case in cases]
    displayed.cache_clear()
    monkeypatch.setattr(displayed_text, "_plain", lambda code: None)
    monkeypatch.setattr(displayed_text, "_fixed_words", lambda code: None)
    slow = [displayed(*case) for case in cases]
    displayed.cache_clear()
    assert [(case, one) for case, one, two in zip(cases, fast, slow, strict=True) if one != two] == []
