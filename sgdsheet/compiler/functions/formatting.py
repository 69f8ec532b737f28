"""The function TEXT: a number as a text in a number format.

Formats that ask for something else than digits, literals, dates and times (fractions, conditions, other calendars, the
names of months in another language) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sgdsheet.compiler.functions.plain import Cell, plain
from sgdsheet.compiler.functions.text import as_text
from sgdsheet.sheet.number_format import COLOURS, Token, dated, in_digits, refused, sections_of
from sgdsheet.sheet.workbook import ExcelError


@plain(
    "TEXT",
    examples={
        'TEXT(1234.567,"$#,##0.00")': "$1,234.57",
        'TEXT(0.285,"0.0%")': "28.5%",
        'TEXT(DATE(2012,3,14),"MM/DD/YY")': "03/14/12",
        'TEXT(12200000,"0.00E+00")': "1.22E+07",
        'TEXT(1234,"0000000")': "0001234",
        'TEXT(0.5625,"h:mm AM/PM")': "1:30 PM",
        'TEXT(-5,"0;(0)")': "(5)",
    },
)
def text(item: Cell, code: str) -> str | ExcelError:
    """A number as a text in a number format."""
    if isinstance(item, (bool, ExcelError)):
        return item if isinstance(item, ExcelError) else as_text(item)
    sections = sections_of(code)
    if len(sections) > 4 or re.search(r"\[[^hmsHMS]", COLOURS.sub("", code)):
        raise refused(code)
    if isinstance(item, str):
        last = sections[-1] if len(sections) == 4 or any(token.kind == "text" for token in sections[-1]) else []
        shown = [token for token in last if token.kind in ("text", "literal")] if len(sections) < 4 else last
        return "".join(item if token.kind == "text" else token.text for token in shown) if shown else item
    return _formatted(item or 0.0, sections, code)


def _formatted(number: float, sections: Sequence[list[Token]], code: str) -> str | ExcelError:
    if code.strip().casefold() == "general":
        return as_text(number)
    if not code:
        return "-" if number < 0 else ""
    numeric = sections[:3]
    section = numeric[0]
    if len(numeric) > 1 and number < 0:
        section = numeric[1]
        number = -number
    elif len(numeric) > 2 and number == 0:
        section = numeric[2]
    kinds = {token.kind for token in section}
    if "other" in kinds or ("text" in kinds and len(kinds) > 1):
        raise refused(code)
    if kinds == {"text"}:
        return as_text(number)
    if kinds & {"date", "elapsed", "clock"}:
        if kinds & {"digit", "percent", "exponent", "point"}:
            raise refused(code)
        return dated(number, section, code)
    if any(token.text == "/" for token in section) and "digit" in kinds:
        raise refused(code)
    return in_digits(number, section, code)
