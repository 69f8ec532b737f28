"""Formulas between LibreOffice's way of writing and Excel's: `SUM($nnet.A1;2)` is `SUM(nnet!A1,2)`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from sgdsheet.sheet.references import Range, address, quote_sheet

_SHEET = r"\$?(?:'(?:[^']|'')*'|[^\W\d]\w*)\."
_CELL = r"\$?[A-Za-z]{1,3}\$?[0-9]+"
_GONE = r"(?:\$?[A-Za-z]{1,3}\$?\#REF!|\$?\#REF!\$?(?:[0-9]+|\#REF!))"  # its row, its column or both were deleted
_TOKENS = re.compile(
    rf"""
    (?P<text>"(?:[^"]|"")*")
    |(?P<gone>{_GONE}(?::(?:{_GONE}|{_CELL}))?|{_CELL}:{_GONE})
    |(?P<error>\#(?:N/A|DIV/0!|NULL!|VALUE!|REF!|NUM!|NAME\?))
    |(?P<file>'(?:[^']|'')*')\#(?P<file_sheet>{_SHEET})
    |(?P<first>{_SHEET})(?P<start>{_CELL}):(?P<last>{_SHEET})(?P<end>{_CELL})
    |(?P<sheet>{_SHEET})(?=[\w$\#])(?![\w.]*\()
    |(?P<truth>TRUE|FALSE)\(\)
    |(?P<function>[^\W\d][\w.]*)(?=\()
    |(?P<table>\[(?:[^\[\]]|\[[^\[\]]*\])*\])
    |(?P<array>\{{[^{{}}"]*(?:"(?:[^"]|"")*"[^{{}}"]*)*\}})
    |(?P<number>(?<![\w.$])[0-9]+(?:\.[0-9]*)?E[+-]?[0-9]+)
    |(?P<mark>[;~!])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARKS = {";": ",", "~": ",", "!": " "}  # separator, union, intersection
_ARRAY_MARKS = {";": ",", "|": ";"}
_ARRAY_TOKENS = re.compile(r'"(?:[^"]|"")*"|(TRUE|FALSE)\(\)|[;|]', re.IGNORECASE)

_FUNCTIONS = {
    "CEILING": "CEILING.MATH",
    "CEILING.XCL": "CEILING",
    "FLOOR": "FLOOR.MATH",
    "FLOOR.XCL": "FLOOR",
    "EFFECTIVE": "EFFECT",
    "ERRORTYPE": "ERROR.TYPE",
    "FORECAST.ETS.ADD": "FORECAST.ETS",
    "FORECAST.ETS.PI.ADD": "FORECAST.ETS.CONFINT",
    "FORECAST.ETS.STAT.ADD": "FORECAST.ETS.STAT",
    "FORMULA": "FORMULATEXT",
    "SKEWP": "SKEW.P",
    "ZGZ": "RRI",
}
_SUFFIX = re.compile(r"(?:_ADD|_EXCEL2003)$")


@lru_cache(maxsize=100_000)  # while a model is trained, the same formulas are read again and again
def to_excel(text: str) -> str:
    """A formula, or what a defined name stands for, as Excel writes it; without `=` in front.

    `{=…}` around an array formula goes, too.
    """
    if text.startswith("{="):
        text = text[1:-1]
    text = text[1:] if text.startswith("=") else text
    return _TOKENS.sub(_translated, text)


def _translated(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match.group()
    if kind == "sheet":
        return f"{quote_sheet(_sheet_name(text))}!"
    if kind == "gone":
        return "#REF!"
    if kind == "mark":
        return _MARKS[text]
    if kind == "function":
        plain = _SUFFIX.sub("", text)
        return _FUNCTIONS.get(plain, plain)
    if kind == "truth":
        return match["truth"].upper()
    if kind == "end":
        return _several_sheets(match)
    if kind == "table":
        return text.replace("];[", "],[")
    if kind == "array":
        return _ARRAY_TOKENS.sub(lambda found: found[1] or _ARRAY_MARKS.get(found[0], found[0]), text)
    if kind == "number":
        digits, _, exponent = text.upper().partition("E")
        return f"{digits}E{int(exponent):+d}"
    if kind == "file_sheet":
        name = re.split(r"[/\\]", match["file"].strip("'"))[-1]
        return f"'[{name}]{_sheet_name(match['file_sheet'])}'!"
    return text


def _sheet_name(text: str) -> str:
    """The name in `$'my sheet'.`"""
    name = text.lstrip("$")[:-1]
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def _several_sheets(match: re.Match[str]) -> str:
    first, last = _sheet_name(match["first"]), _sheet_name(match["last"])
    area = f"{match['start']}:{match['end']}"
    if first == last:
        return f"{quote_sheet(first)}!{area}"
    both = f"{first}:{last}"
    plain = quote_sheet(first) == first and quote_sheet(last) == last
    return f"{both}!{area}" if plain else "'" + both.replace("'", "''") + f"'!{area}"


def name_content(areas: Sequence[Range]) -> str:
    """What a defined name stands for, as LibreOffice wants it: `$'my sheet'.$A$1:$B$2;$nnet.$C$3`.

    Not with LibreOffice's operator `~` between areas: it writes that into Excel's files.
    """
    return ";".join(_absolute(area) for area in areas)


def _absolute(area: Range) -> str:
    corners = [(area.top, area.left), (area.bottom, area.right)]
    cells = [re.sub(r"([A-Z]+)([0-9]+)", r"$\1$\2", address(row, column)) for row, column in corners]
    sheet = "$'" + area.sheet.replace("'", "''") + "'"
    return f"{sheet}.{cells[0]}" if area.size == 1 else f"{sheet}.{cells[0]}:{cells[1]}"
