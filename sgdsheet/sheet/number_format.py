"""Numbers and dates as texts, by Excel's number formats: `1,234.50` for 1234.5 in `#,##0.00`.

What is here gives Excel's text or raises a FormulaError: other calendars and the names of months in another language
are refused. `displayed_text` shows numbers in them all the same, where a text is only looked at.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache
from typing import NamedTuple

from sgdsheet.errors import FormulaError, quoted
from sgdsheet.sheet.excel_calendar import date_parts, weekday_of
from sgdsheet.sheet.workbook import ExcelError

_FIXED = r"(\d)(?=(\d{3})+(?!\d))"
COLOURS = re.compile(r"\[(?:Black|Blue|Cyan|Green|Magenta|Red|White|Yellow|Color ?\d+)\]", re.IGNORECASE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_TOKENS = re.compile(
    r"""
    "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | _(?P<space>.)
    | (?P<clock>AM/PM|am/pm|A/P|a/p) | \[(?P<elapsed>h+|m+|s+)\] | (?P<date>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+)
    | (?P<exponent>[eE][+-]0+) | (?P<digit>[0#?]) | (?P<point>\.) | (?P<comma>,) | (?P<percent>%)
    | (?P<text>@) | (?P<literal>[-+$€£¥():!^&'~{}<>= /]) | (?P<other>.)
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of a number format."""

    kind: str
    text: str


@cache
def sections_of(code: str) -> list[list[Token]]:
    """The parts of a format between semicolons; quotation marks hide a semicolon."""
    found: list[list[Token]] = [[]]
    for match in _TOKENS.finditer(COLOURS.sub("", code).replace(";", "\0")):
        kind = match.lastgroup or ""
        text = match[kind]
        if kind == "other" and text == "\0":
            found.append([])
            continue
        if kind in ("quoted", "escaped", "literal", "space"):
            text = " " if kind == "space" else text.replace("\0", ";")
            kind = "literal"
        found[-1].append(Token(kind, text))
    return found


def refused(code: str) -> FormulaError:
    """The error for a format that is not supported."""
    return FormulaError(f"uses the number format {quoted(code)}, which is not supported", remedy="Use a plainer format")


# --- digits -----------------------------------------------------------------------------------------------


def in_digits(number: float, section: Sequence[Token], code: str) -> str:
    """A number in a section of digits, and of what stands between them. Raises FormulaError."""
    places = [at for at, token in enumerate(section) if token.kind == "digit"]
    if not places:
        sign = "-" if number < 0 else ""
        return sign + "".join(token.text for token in section)
    first, last = places[0], places[-1]
    points = [at for at, token in enumerate(section) if token.kind == "point"]
    exponents = [at for at, token in enumerate(section) if token.kind == "exponent"]
    if len(points) > 1 or len(exponents) > 1:
        raise refused(code)
    point = points[0] if points else (exponents[0] if exponents else last + 1)
    number *= math.pow(100, sum(token.kind == "percent" for token in section))
    units = max((at for at in places if at < point), default=None)
    thousands = 0 if units is None else _commas_behind(section, units)
    if units is None or last > units:
        thousands += _commas_behind(section, max(last, point - 1))
    number /= math.pow(1000, thousands)
    commas = units is not None and any(token.kind == "comma" for token in section[first:units])
    section = [Token("literal", ",") if token.kind == "comma" else token for token in section[:first]] + [
        *section[first:]
    ]
    whole = [token.text for token in section[:point] if token.kind == "digit"]
    decimals = [token.text for token in section[point:] if token.kind == "digit"]
    if exponents:
        return _scientific(number, section, whole, decimals, code)
    shown = rounded_text(number, len(decimals), False)
    negative = shown.startswith("-")
    digits, _, tail = shown.removeprefix("-").partition(".")
    head = _whole_digits(digits, section[:point], whole, commas)
    rest = _decimals(tail, decimals)
    after = "".join(
        rest[0].pop(0) if token.kind == "digit" and rest[0] else "" if token.kind in ("digit", "comma") else token.text
        for token in section[point:]
    )
    return ("-" if negative else "") + head + after


def _commas_behind(section: Sequence[Token], place: int) -> int:
    """How many commas follow a digit: each divides the number by a thousand."""
    rest = itertools.takewhile(lambda token: token.kind == "comma", section[place + 1 :])
    return sum(1 for _ in rest)


def _decimals(tail: str, places: Sequence[str]) -> tuple[list[str]]:
    """The digits behind the point: `#` shows no zeros at the end, `?` a space in their place."""
    found = list(tail.ljust(len(places), "0")[: len(places)])
    for at in range(len(places) - 1, -1, -1):
        if found[at] != "0" or places[at] == "0":
            break
        found[at] = "" if places[at] == "#" else " "
    return (found,)


def _whole_digits(digits: str, section: Sequence[Token], places: Sequence[str], commas: bool) -> str:
    """The digits before the point, with what stands between them; the first place takes all that are left."""
    shown = "" if digits == "0" else digits
    least = len(places) - next((at for at, place in enumerate(places) if place in "0?"), len(places))
    pad = [("0" if place == "0" else " ") for place in places]
    filled = list(shown)
    while len(filled) < least:
        filled.insert(0, pad[len(places) - len(filled) - 1])
    found: list[str] = []
    count, left = 0, len(places)
    for token in reversed(section):
        if token.kind == "comma":
            continue
        if token.kind != "digit":
            found.append(token.text)
            continue
        left -= 1
        for _ in range(len(filled) if left == 0 else min(1, len(filled))):
            if commas and count and count % 3 == 0:
                found.append("," if filled[-1] != " " else " ")
            found.append(filled.pop())
            count += 1
    return "".join(reversed(found))


def _scientific(
    number: float, section: Sequence[Token], whole: Sequence[str], decimals: Sequence[str], code: str
) -> str:
    if any(place != "0" for place in (*whole[-1:], *decimals)) or (len(whole) > 1 and set(whole[:-1]) != {"#"}):
        raise refused(code)
    exponent = next(token.text for token in section if token.kind == "exponent")
    exact = Decimal(f"{abs(number):.14e}") if number else Decimal(0)
    size, mantissa = _mantissa(exact, len(whole), len(decimals))
    sign = "-" if size < 0 else ("+" if exponent[1] == "+" else "")
    text_ = f"{mantissa}{exponent[0]}{sign}{abs(size):0{len(exponent) - 2}d}"
    before = "".join(token.text for token in section[: _place(section, "digit")] if token.kind == "literal")
    behind = "".join(token.text for token in section[_place(section, "exponent") + 1 :])
    return ("-" if number < 0 else "") + before + text_ + behind


def _mantissa(number: Decimal, step: int, decimals: int) -> tuple[int, str]:
    """The power of ten of a number, a multiple of `step`, and the number without it, in so many decimals."""
    size = number.adjusted() // step * step if number else 0
    while True:
        rounded = number.scaleb(-size).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        if rounded < Decimal(10) ** step:
            return size, f"{rounded:f}"
        size += step  # 999.96 is shown as 1.0E+3


def _place(section: Sequence[Token], kind: str) -> int:
    return next(at for at, token in enumerate(section) if token.kind == kind)


def rounded_text(number: float, digits: int, commas: bool) -> str:
    """A number in digits, halves rounded away from zero as Excel shows them."""
    from_shown = f"{abs(number):.15g}"
    whole = _half_up(from_shown, digits)
    head, point, tail = whole.partition(".")
    if commas:
        head = re.sub(_FIXED, r"\1,", head)
    if number < 0 and not whole.strip("0."):
        raise FormulaError("shows a negative number that is rounded to 0", remedy="Round it first")
    return ("-" if number < 0 else "") + head + point + tail


def _half_up(shown: str, digits: int) -> str:
    exact = Decimal(shown)
    if -digits > exact.adjusted() + 1:
        return "0"  # rounded to more places than the number has before its point
    room = Context(prec=max(exact.adjusted() + digits + 2, 1) + len(shown))
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, room)
    return f"{rounded:.{max(digits, 0)}f}"


# --- dates and times --------------------------------------------------------------------------------------


def dated(number: float, section: Sequence[Token], code: str, origin: float = 0.0) -> str | ExcelError:
    """A serial number in a section of dates and times, to the nearest second. Raises FormulaError.

    `origin` is the day from which it counts: elapsed time does not begin before it.
    """
    parts = date_parts(number + origin)
    if number < 0 or parts is None:
        return ExcelError.VALUE
    seconds = round((number - math.floor(number)) * 86_400)
    timed = any(
        token.kind == "elapsed" or (token.kind == "date" and (token.text[0] in "hHsS" or _is_minute(section, at)))
        for at, token in enumerate(section)
    )
    if timed and seconds == 86_400:
        raise FormulaError("shows a time that is rounded to the next day", remedy="Round it to whole seconds")
    twelve = any(token.kind == "clock" for token in section)
    day = number + origin
    return "".join(
        _elapsed(section, at, number, seconds) or _date_part(section, at, parts, day, seconds, twelve, code)
        for at in range(len(section))
    )


_SECONDS = {"h": 3600, "m": 60, "s": 1}


def _elapsed(section: Sequence[Token], at: int, number: float, seconds: int) -> str:
    """The whole hours, minutes or seconds of a serial number, as `[h]` asks for them, and `h` beside it, too."""
    token = section[at]
    if token.kind not in ("date", "elapsed"):
        return ""
    letter = token.text[0].lower()
    if not any(other.kind == "elapsed" and other.text[0].lower() == letter for other in section):
        return ""
    return f"{(math.floor(number) * 86_400 + seconds) // _SECONDS[letter]:0{len(token.text)}d}"


def with_fraction(number: float, section: Sequence[Token]) -> tuple[int, list[Token]]:
    """The whole seconds of a serial number, and the section with the fraction of a second as a literal.

    `ss.00` shows hundredths: the number is rounded to them; without such places, to seconds.
    """
    places = 0
    kept: list[Token] = []
    for token in section:
        last = kept[-1] if kept else None
        if token.kind == "digit" and token.text == "0" and last is not None and last.kind == "seconds":
            places += 1
        elif token.kind == "point" and last is not None and last.text[:1] in "sS" and last.kind in ("date", "elapsed"):
            kept.append(Token("seconds", "."))
        else:
            kept.append(token)
    ticks = round(number * 86_400 * 10**places)
    parts = f".{ticks % 10**places:0{places}d}" if places else "."
    return ticks // 10**places, [Token("literal", parts) if token.kind == "seconds" else token for token in kept]


def _date_part(
    section: Sequence[Token],
    at: int,
    parts: tuple[int, int, int],
    number: float,
    seconds: int,
    twelve: bool,
    code: str,
) -> str:
    token = section[at]
    if token.kind in ("literal", "comma", "point"):
        return token.text
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if token.kind == "clock":
        half = "PM" if hours >= 12 else "AM"
        if token.text.upper() != "A/P":
            return half
        return half[0] if token.text.isupper() else half[0].lower()
    letter, count = token.text[0].lower(), len(token.text)
    if letter == "y":
        return f"{parts[0] % 100:02d}" if count <= 2 else f"{parts[0]:04d}"
    if letter == "d":
        return _day(parts, number, count)
    if letter == "m" and not _is_minute(section, at):
        return _month(parts, count, code)
    value = {"m": minutes, "h": (hours % 12 or 12) if twelve else hours, "s": rest}[letter]
    return f"{value:02d}" if count >= 2 else str(value)


def _day(parts: tuple[int, int, int], number: float, count: int) -> str:
    if count <= 2:
        return f"{parts[2]:0{count}d}"
    name = _DAYS[weekday_of(number)]
    return name[:3] if count == 3 else name


def _month(parts: tuple[int, int, int], count: int, code: str) -> str:
    if count <= 2:
        return f"{parts[1]:0{count}d}"
    name = _MONTHS[parts[1] - 1]
    if count > 5:
        raise refused(code)
    return {3: name[:3], 4: name, 5: name[0]}[count]


def _is_minute(section: Sequence[Token], at: int) -> bool:
    """Whether an `m` stands behind hours or before seconds, or beside elapsed time."""
    others = [place for place, token in enumerate(section) if token.kind in ("date", "elapsed")]
    here = others.index(at)
    before = section[others[here - 1]].text[0].lower() if here else ""
    behind = section[others[here + 1]].text[0].lower() if here + 1 < len(others) else ""
    beside = any(token.kind == "elapsed" for token in section)
    return (beside or before == "h" or behind == "s") and len(section[at].text) <= 2


def finite_number(text: str) -> float | None:
    """The finite number that a text of a file or of a rule is; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
