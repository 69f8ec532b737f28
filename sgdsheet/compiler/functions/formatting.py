"""The function TEXT: a number as a text in a number format.

Formats that ask for another calendar, or for the names of months in another language, are refused, and so is what fills
a cell's width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sgdsheet.compiler.functions.plain import Cell, plain
from sgdsheet.compiler.functions.text import as_text
from sgdsheet.compiler.ir.numerals import text_number
from sgdsheet.sheet.displayed_text import FRACTION, GENERAL_WORD, QUOTED, Format, chosen, format_of, fraction, general
from sgdsheet.sheet.excel_calendar import Calendar
from sgdsheet.sheet.number_format import Token, dated, in_digits, refused, sections_of, with_fraction
from sgdsheet.sheet.workbook import ExcelError

_LITERALS = frozenset("cfijklopqrtuvwxz|")
"""Letters and signs that mean nothing in a number format, and stand for themselves."""
_COUNTRY = re.compile(r"\[\$[^\]-]*-([^\]]*)\]")
_ENGLISH = re.compile(r"0*[0-9a-f]?[0-9a-f]?09|en(-[a-z]+)?", re.IGNORECASE)
"""Countries that speak English: in the numbers of Windows' languages the last two digits are the language."""


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
        'TEXT(4.34,"# ?/?")': "4 1/3",
        'TEXT(1234567898,"[<=9999999]###-####;(###) ###-####")': "(123) 456-7898",
        "TEXT(123456,\"##0° 00' 00''\")": "12° 34' 56''",
        'TEXT("20240229","0000-00-00")': "2024-02-29",
    },
)
def text(item: Cell, code: str, *, calendar: Calendar) -> str | ExcelError:
    """A number, or a text that is one, as a text in a number format."""
    if isinstance(item, ExcelError):
        return item
    sections = sections_of(code)
    if len(sections) > 4:
        raise refused(code)
    if isinstance(item, bool):
        return _in_text_section(as_text(item), sections)
    if isinstance(item, str):
        number = None if code.strip() == "@" else text_number(item, calendar=calendar)
        if number is None:
            return _in_text_section(item, sections)
        item = number
    return _formatted(item or 0.0, code, calendar.origin)


def _in_text_section(item: str, sections: Sequence[Sequence[Token]]) -> str:
    """A text that is no number: the fourth section is for it, or the last one that has a place for texts."""
    last = sections[-1] if len(sections) == 4 or any(token.kind == "text" for token in sections[-1]) else []
    shown = [token for token in last if token.kind in ("text", "literal")] if len(sections) < 4 else last
    return "".join(item if token.kind == "text" else token.text for token in shown) if shown else item


def _formatted(number: float, code: str, origin: float) -> str | ExcelError:
    if code.strip().casefold() == "general":
        return general(number)
    if not code:
        return "-" if number < 0 else ""
    if "*" in QUOTED.sub(lambda match: "*" if match[0].startswith("*") else "", code):
        raise refused(code)
    known = format_of(code)
    part, shown = chosen(number, known)
    if part is None or (known.conditional and number == shown < 0):
        raise refused(code)  # where the sign goes beside a condition is not documented
    if not part.code:
        return _without_section(number, known, code)
    bare = QUOTED.sub("", part.code)
    if "general" in bare.casefold():
        return _with_general(shown, part.code, code)
    section = _plain_letters(sections_of(part.code)[0], code)
    kinds = {token.kind for token in section}
    if "digit" in kinds and FRACTION.search(bare):
        return _fraction(shown, part.code, code)
    if "other" in kinds or ("text" in kinds and len(kinds) > 1):
        raise refused(code)
    if kinds == {"text"}:
        return as_text(shown)
    if kinds & {"date", "elapsed", "clock"}:
        if shown < 0 and not (origin and "elapsed" in kinds):
            return ExcelError.VALUE
        moment = _moment(abs(shown), section, code, origin)
        return f"-{moment}" if shown < 0 and isinstance(moment, str) else moment
    if any(token.text == "/" for token in section) and "digit" in kinds:
        raise refused(code)
    return in_digits(shown, section, code)


def _without_section(number: float, known: Format, code: str) -> str:
    """A number whose section is empty: nothing is shown, but of a negative number the sign."""
    if len(known.sections) == 1 or known.conditional:
        raise refused(code)
    return "-" if number < 0 and known.sections[0].code == "" else ""


def _plain_letters(section: Sequence[Token], code: str) -> list[Token]:
    """A section in which letters and signs that mean nothing are literals."""
    found = []
    for token in section:
        harmless = token.text.casefold() in _LITERALS or not token.text.isascii()
        found.append(Token("literal", token.text) if token.kind == "other" and harmless else token)
    named = any(token.kind == "date" and token.text[0] in "mMdD" and len(token.text) > 2 for token in section)
    countries = [match[1] for match in _COUNTRY.finditer(QUOTED.sub("", code))]
    if any(not _ENGLISH.fullmatch(country) if named else len(country) > 5 for country in countries):
        raise refused(code)
    return found


def _moment(number: float, section: Sequence[Token], code: str, origin: float) -> str | ExcelError:
    """A date or a time, to the nearest second or to what is shown of it."""
    seconds, kept = with_fraction(number, section)
    if {token.kind for token in kept} & {"digit", "percent", "exponent"}:
        raise refused(code)
    if list(kept) != list(section) and seconds // 86_400 == math.floor(number):
        number = seconds / 86_400
    return dated(number, kept, code, origin)


def _fraction(number: float, section: str, code: str) -> str:
    """A number as a fraction, where it does not matter how the nearest one is looked for."""
    rest = FRACTION.sub("", QUOTED.sub("", section), count=1)
    if FRACTION.search(section) is None or re.search(r"[^-+$ ():°]", rest):
        raise refused(code)
    return fraction(number, section)


def _with_general(number: float, section: str, code: str) -> str:
    """A section with `General` in it, such as `General" kg"`."""
    head, tail = GENERAL_WORD.split(section, maxsplit=1)
    pieces = [token for part in (head, tail) if part for token in sections_of(part)[0]]
    if any(token.kind != "literal" for token in pieces) or (number < 0 and head):
        raise refused(code)
    before, behind = ("".join(token.text for token in sections_of(part)[0]) if part else "" for part in (head, tail))
    return before + general(number) + behind
