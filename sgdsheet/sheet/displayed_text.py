"""What a cell looks like: its value as text, and the colour that its number format may ask for.

Everything has a text here: where `number_format` is not sure what Excel shows, the nearest thing is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import FROM_1904
from sgdsheet.sheet.number_format import Token, dated, in_digits, sections_of, with_fraction
from sgdsheet.sheet.workbook import ExcelError, Value

GENERAL = "General"

_WIDTH = 11
"""Characters of a number without a format, at most."""

_COLOURS = {
    "black": "#000000",
    "blue": "#0000ff",
    "cyan": "#00ffff",
    "green": "#008000",
    "magenta": "#ff00ff",
    "red": "#ff0000",
    "white": "#ffffff",
    "yellow": "#ffff00",
}
_NUMBERED = ("black", "white", "red", "green", "blue", "yellow", "magenta", "cyan")
"""The colours `[Color 1]` to `[Color 8]`; of the others, none is shown."""

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)")
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<>": lambda a, b: a != b,
}
QUOTED = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_PLAIN = re.compile(r"(?P<commas>#,##)?0(?P<decimals>\.0{1,9})?(?P<percent>%)?")
GENERAL_WORD = re.compile(r"general|standard", re.IGNORECASE)
FRACTION = re.compile(r"(?P<whole>[#0?]+\s+)?(?P<top>[#0?]+)\s*/\s*(?P<bottom>[#0?]+|\d+)")


class Displayed(NamedTuple):
    """A text, and its colour if the number format has one."""

    text: str
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a number format between semicolons."""

    code: str
    colour: str | None
    condition: tuple[str, float] | None


@dataclass(frozen=True, slots=True)
class Format:
    """A number format: its sections, those of them for numbers, and whether any of these has a condition."""

    sections: tuple[Section, ...]
    numeric: tuple[Section, ...]
    conditional: bool


@lru_cache(maxsize=50_000, typed=True)  # TRUE is not 1 here
def displayed(value: Value, code: str = GENERAL, date1904: bool = False) -> Displayed:
    """A value as its cell shows it in a number format."""
    if isinstance(value, bool):
        return Displayed("TRUE" if value else "FALSE")
    if isinstance(value, ExcelError):
        return Displayed(str(value))
    known = format_of(code)
    if isinstance(value, str):
        return _text(value, known.sections)
    section, number = chosen(value, known)
    if section is None:
        return Displayed("#" * 8)  # no condition holds
    return Displayed(_shown(number, section.code, date1904), section.colour)


def general(number: float) -> str:
    """A number without a format, in at most eleven characters beside its sign."""
    if number == 0 or not math.isfinite(number):
        return "0" if number == 0 else str(number)
    exact = Decimal(f"{number:.15g}")
    size = exact.adjusted()
    if -5 < size < _WIDTH:
        decimals = max(0, _WIDTH - 2 - max(size, 0))
        rounded = _rounded(exact, decimals)
        if rounded.adjusted() < _WIDTH:
            text = f"{rounded:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
    if -10 < size <= -5:
        text = f"{_rounded(exact, _WIDTH + 1):f}".rstrip("0")
        if len(text.removeprefix("-")) <= _WIDTH:
            return text
    mantissa, _, power = f"{_rounded(exact, 5 - size):E}".partition("E")
    head = f"{Decimal(mantissa):.5f}".rstrip("0").rstrip(".")
    return f"{head}E{'-' if int(power) < 0 else '+'}{abs(int(power)):02d}"


def hides_numbers(code: str) -> bool:
    """Whether a number format shows nothing of any number, as `;;;` does."""
    known = format_of(code)
    bare = all(not part.code and part.colour is None for part in known.numeric)
    return bare and not known.conditional and len(known.numeric) > 1


def is_date(code: str) -> bool:
    """Whether a number format shows numbers as dates or times."""
    found = format_of(code).sections[0].code
    if GENERAL_WORD.search(found):
        return False
    return any(token.kind in ("date", "elapsed", "clock") for token in sections_of(found)[0])


def _rounded(number: Decimal, decimals: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


@cache
def format_of(code: str) -> Format:
    """A format, without the colours, conditions, countries and fillings in its sections."""
    masked = QUOTED.sub(lambda match: match[0].replace(";", "\0"), code or GENERAL)
    sections = tuple(_section(part.replace("\0", ";")) for part in masked.split(";"))
    numeric = sections[:3] if len(sections) > 3 or not _is_text(sections[-1]) else sections[:-1] or sections
    return Format(sections, numeric, any(part.condition is not None for part in numeric))


def _section(text: str) -> Section:
    colour: str | None = None
    condition: tuple[str, float] | None = None

    def bracket(match: re.Match[str]) -> str:
        nonlocal colour, condition
        inner = match[1].strip()
        if _ELAPSED.fullmatch(inner):
            return match[0]
        if found := _CONDITION.fullmatch(inner):
            condition = found[1], float(found[2])
        elif inner.startswith("$"):
            symbol = inner[1:].partition("-")[0]
            return f'"{symbol}"' if symbol else ""
        elif inner.casefold() in _COLOURS:
            colour = _COLOURS[inner.casefold()]
        elif (number := inner.casefold().removeprefix("color").strip()).isdecimal() and 1 <= int(number) <= 8:
            colour = _COLOURS[_NUMBERED[int(number) - 1]]
        return ""

    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        if match[0].startswith("*"):
            return ""
        quoted.append(match[0])
        return f"\x01{len(quoted) - 1}\x02"

    bare = _BRACKETS.sub(bracket, QUOTED.sub(keep, text))
    return Section(re.sub(r"\x01(\d+)\x02", lambda match: quoted[int(match[1])], bare), colour, condition)


def _text(value: str, sections: tuple[Section, ...]) -> Displayed:
    """A text: the fourth section is for texts, or the last one if it has a place for them."""
    last = sections[-1]
    if len(sections) < 4 and not any(token.kind == "text" for token in sections_of(last.code)[0]):
        return Displayed(value)
    pieces = [value if token.kind == "text" else token.text for token in sections_of(last.code)[0]]
    return Displayed("".join(pieces), last.colour)


def chosen(number: float, known: Format) -> tuple[Section | None, float]:
    """The section for a number, and the number as it is shown there: without a sign where the section stands for it."""
    parts = known.numeric
    if not known.conditional:
        if len(parts) > 1 and number < 0:
            return parts[1], -number
        return (parts[2] if len(parts) > 2 and number == 0 else parts[0]), number
    for place, part in enumerate(parts):
        if part.condition is None:
            default = place == 1 and len(parts) > 2  # the second of three stands for negative numbers
            if not default or number < 0:
                return part, -number if default else number
        elif _COMPARISONS[part.condition[0]](number, part.condition[1]):
            only_negative = part.condition[0] in ("<", "<=") and part.condition[1] <= 0 > number
            return part, -number if only_negative else number
    return None, number


def _is_text(section: Section) -> bool:
    return any(token.kind == "text" for token in sections_of(section.code)[0])


def _shown(number: float, code: str, date1904: bool) -> str:
    if not code:
        return "-" if number < 0 else ""
    if (words := _fixed_words(code)) is not None:
        return "-" + words if number < 0 else words
    if plain := _plain(code):
        return _plain_digits(number, *plain, code)
    bare = QUOTED.sub("", code)
    if GENERAL_WORD.search(bare):
        return _with_general(number, code)
    tokens = sections_of(code)[0]
    kinds = {token.kind for token in tokens}
    if kinds == {"text"}:
        return general(number)
    try:
        if kinds & {"date", "elapsed", "clock"}:
            return _moment(number, tokens, code, date1904)
        if FRACTION.search(bare):
            return fraction(number, code)
        return _digits(number, tokens, code)
    except (FormulaError, ArithmeticError, LookupError):
        return general(number)


def _with_general(number: float, code: str) -> str:
    """A section with `General` in it, such as `General" kg"`."""
    head, tail = GENERAL_WORD.split(code, maxsplit=1)
    before, behind = ("".join(token.text for token in sections_of(part)[0]) if part else "" for part in (head, tail))
    return before + general(number) + behind


@cache
def _fixed_words(code: str) -> str | None:
    """What a section shows of each number, where that is nothing but words; None for all other sections."""
    if GENERAL_WORD.search(QUOTED.sub("", code)):
        return None
    tokens = sections_of(code)[0]
    fixed = all(token.kind in ("literal", "other") for token in tokens)
    return "".join(token.text for token in tokens) if fixed else None


@cache
def _plain(code: str) -> tuple[int, str, bool] | None:
    """Decimals, the sign between thousands, and whether it is percent, of a section of plain digits; else None."""
    found = _PLAIN.fullmatch(code)
    if found is None:
        return None
    return len(found["decimals"] or ".") - 1, "," if found["commas"] else "", found["percent"] is not None


def _plain_digits(number: float, decimals: int, comma: str, percent: bool, code: str) -> str:
    """A number with so many decimals, fast unless it lies where halves are rounded."""
    shown = number * 100 if percent else number
    scaled = abs(shown) * 10**decimals
    if scaled < 1e9 and abs(scaled - math.floor(scaled) - 0.5) > 1e-4:
        text = f"{shown or 0.0:{comma}.{decimals}f}"
        return text + "%" if percent else text
    return _digits(number, sections_of(code)[0], code)


def _digits(number: float, tokens: list[Token], code: str) -> str:
    """Digits, with the sign before all else, also where rounding leaves nothing but zeros."""
    kept = [token if token.kind != "other" else Token("literal", token.text) for token in tokens]
    return ("-" if number < 0 else "") + in_digits(abs(number), kept, code)


def _moment(number: float, tokens: list[Token], code: str, date1904: bool) -> str:
    """A date or a time, rounded to what is shown of its seconds."""
    ticks, kept = with_fraction(number, tokens)
    kept = [Token("literal", token.text) if token.kind in ("other", "digit", "percent") else token for token in kept]
    found = dated(ticks / 86_400, kept, code, FROM_1904 if date1904 else 0.0)
    return found if isinstance(found, str) else "#" * 8  # as Excel shows what is no date


def fraction(number: float, code: str) -> str:
    """A number as a fraction: the nearest one with so many digits below, or with the number that stands there."""
    found = FRACTION.search(code)
    if found is None:
        raise FormulaError("has a fraction with texts in it")
    exact = Fraction(f"{abs(number):.15g}")
    below = found["bottom"]
    if below.strip("0?#"):
        denominator = int(below)
        top = math.floor(exact * denominator + Fraction(1, 2))
    else:
        nearest = exact.limit_denominator(10 ** len(below) - 1)
        top, denominator = nearest.numerator, nearest.denominator
    whole = ""
    if found["whole"] is not None:
        units, top = divmod(top, denominator)
        wanted = "0" in found["whole"] or units or not top
        whole = f"{units} " if wanted else " " * (found["whole"].count("?") + 1)
    width = len(found["top"]) if "?" in found["top"] else 0
    room = len(below) if "?" in below else 0
    if found["whole"] is not None and not top:
        text = whole + " " * (width + 1 + room if width else 0)
    else:
        text = f"{whole}{top:>{width}}/{denominator:<{room}}"
    literals = [
        "".join(token.text for token in sections_of(part)[0]) if part else ""
        for part in (code[: found.start()], code[found.end() :])
    ]
    return ("-" if number < 0 else "") + literals[0] + text + literals[1]
