"""The conditional formats of an OpenDocument file, as LibreOffice writes them beside the standard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from sgdsheet.errors import FormulaError
from sgdsheet.hosts.ods.ods_styles import colour
from sgdsheet.hosts.ods.open_formula import areas_in_excel, formula_in_excel
from sgdsheet.hosts.xlsx.xml import Node
from sgdsheet.sheet.appearance import CellStyle, Mark, Rule
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import Position

_SIGNS = {
    ">=": "greaterThanOrEqual",
    "<=": "lessThanOrEqual",
    "!=": "notEqual",
    "<>": "notEqual",
    ">": "greaterThan",
    "<": "lessThan",
    "=": "equal",
}
_CALL = re.compile(r"(?:is-true-formula|formula-is|[a-z][a-z-]*(?:\(\))?(?:-[a-z-]+)?)")
_TEXTS = {
    "contains-text": "containsText",
    "not-contains-text": "notContainsText",
    "begins-with": "beginsWith",
    "ends-with": "endsWith",
}
_OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "duplicate": ("duplicateValues", {}),
    "unique": ("uniqueValues", {}),
    "is-error": ("containsErrors", {}),
    "is-no-error": ("notContainsErrors", {}),
    "above-average": ("aboveAverage", {}),
    "below-average": ("aboveAverage", {"aboveAverage": "0"}),
    "above-equal-average": ("aboveAverage", {"equalAverage": "1"}),
    "below-equal-average": ("aboveAverage", {"aboveAverage": "0", "equalAverage": "1"}),
}
_RANKS = {
    "top-elements": {},
    "bottom-elements": {"bottom": "1"},
    "top-percent": {"percent": "1"},
    "bottom-percent": {"percent": "1", "bottom": "1"},
}
_MARKS = {
    "minimum": "min",
    "maximum": "max",
    "auto-minimum": "autoMin",
    "auto-maximum": "autoMax",
    "number": "num",
    "percent": "percent",
    "percentile": "percentile",
    "formula": "formula",
}
_DATES = {
    "today": "INT({0})=TODAY()",
    "yesterday": "INT({0})=TODAY()-1",
    "tomorrow": "INT({0})=TODAY()+1",
    "last-7-days": "AND(TODAY()-INT({0})<=6,INT({0})<=TODAY())",
    "this-week": "AND(TODAY()-INT({0})<=WEEKDAY(TODAY())-1,INT({0})-TODAY()<=7-WEEKDAY(TODAY()))",
    "last-week": "AND(TODAY()-INT({0})>=WEEKDAY(TODAY()),TODAY()-INT({0})<WEEKDAY(TODAY())+7)",
    "next-week": "AND(INT({0})-TODAY()>7-WEEKDAY(TODAY()),INT({0})-TODAY()<15-WEEKDAY(TODAY()))",
    "this-month": "AND(MONTH({0})=MONTH(TODAY()),YEAR({0})=YEAR(TODAY()))",
    "last-month": "AND(MONTH({0})=MONTH(EDATE(TODAY(),-1)),YEAR({0})=YEAR(EDATE(TODAY(),-1)))",
    "next-month": "AND(MONTH({0})=MONTH(EDATE(TODAY(),1)),YEAR({0})=YEAR(EDATE(TODAY(),1)))",
    "this-year": "YEAR({0})=YEAR(TODAY())",
    "last-year": "YEAR({0})=YEAR(TODAY())-1",
    "next-year": "YEAR({0})=YEAR(TODAY())+1",
}
"""What a date is to be, as a formula about a cell."""

Difference = Callable[[str], CellStyle]


def read_rules(formats: Node, sheet: str, difference: Difference, first: int = 1) -> Iterator[Rule]:
    """The rules of an element `conditional-formats`, from a priority on. What cannot be understood is passed over."""
    priority = first
    for group in formats.all("conditional-format"):
        areas = areas_of(group.attributes.get("target-range-address", ""), sheet)
        for node in group.children if areas else ():
            rule = _rule(node, areas, priority, sheet, difference)
            if rule is not None:
                yield rule
                priority += 1


def condition_rule(
    text: str, areas: tuple[Range, ...], priority: int, style: CellStyle, home: Position | None
) -> Rule | None:
    """The rule of a condition such as `>=[.C2]`, `between(1,2)` or `formula-is(…)`; None for one of another kind.

    The first of several conditions that hold decides about the whole style, so that the others are not looked at.
    """
    text = text.removeprefix("of:").strip()
    if text.startswith("cell-content()"):
        text = text.removeprefix("cell-content()").strip()
    for sign, operator in _SIGNS.items():
        if text.startswith(sign):
            return Rule("cellIs", priority, areas, style, True, operator, (_excel(text[len(sign) :]),), home=home)
    name, bracket, rest = text.partition("(")
    if name == "cell-content-is-between" or name == "cell-content-is-not-between":
        name = name.removeprefix("cell-content-is-")
    inside = rest[:-1] if bracket and rest.endswith(")") else ""
    if name in ("formula-is", "is-true-formula"):
        return Rule("expression", priority, areas, style, True, formulas=(_excel(inside),), home=home)
    if name in ("between", "not-between"):
        sides = tuple(_excel(part) for part in _split(inside))
        operator = "between" if name == "between" else "notBetween"
        return Rule("cellIs", priority, areas, style, True, operator, sides, home=home) if len(sides) == 2 else None
    if name in _TEXTS:
        quoted = inside.strip()
        if not (len(quoted) >= 2 and quoted[0] == quoted[-1] == '"'):
            return None
        attributes = {"text": quoted[1:-1].replace('""', '"')}
        return Rule(_TEXTS[name], priority, areas, style, True, attributes=attributes, home=home)
    if name in _RANKS:
        return Rule(
            "top10", priority, areas, style, True, attributes={"rank": inside.strip(), **_RANKS[name]}, home=home
        )
    if name in _OTHERS:
        kind, attributes = _OTHERS[name]
        return Rule(kind, priority, areas, style, True, attributes=attributes, home=home)
    return None


def areas_of(text: str, sheet: str) -> tuple[Range, ...]:
    """The areas of a list such as `Sheet1.A1:Sheet1.B2 Sheet1.D1`."""
    found = []
    for part in re.findall(r"(?:'(?:[^']|'')*'|[^\s'])+", text):
        try:
            found.append(parse_range(areas_in_excel(part), sheet)._replace(sheet=sheet))
        except FormulaError:
            return ()
    return tuple(found)


def _rule(node: Node, areas: tuple[Range, ...], priority: int, sheet: str, difference: Difference) -> Rule | None:
    given = node.attributes
    if node.tag == "condition":
        base = areas_of(given.get("base-cell-address", ""), sheet)
        home = (base[0].top, base[0].left) if base else None
        style = difference(given.get("apply-style-name", ""))
        return condition_rule(given.get("value", ""), areas, priority, style, home)
    if node.tag == "date-is" and (formula := _DATES.get(given.get("date", ""))) is not None:
        first = Range(sheet, min(area.top for area in areas), min(area.left for area in areas), 1, 1)
        cell = Range(sheet, first.top, first.left, first.top, first.left).a1
        text = f"AND(ISNUMBER({cell}),{formula.format(cell)})"
        return Rule("expression", priority, areas, difference(given.get("style", "")), True, formulas=(text,))
    if node.tag == "color-scale":
        entries = node.all("color-scale-entry")
        colours = tuple(colour(item.attributes.get("color")) or "#000000" for item in entries)
        return Rule("colorScale", priority, areas, marks=tuple(map(_mark, entries)), colours=colours)
    if node.tag == "data-bar":
        return Rule(
            "dataBar",
            priority,
            areas,
            marks=tuple(_mark(item) for tag in ("formatting-entry", "data-bar-entry") for item in node.all(tag)),
            colours=(colour(given.get("positive-color")) or "#0000ff",),
            attributes=_bar(given),
        )
    if node.tag == "icon-set":
        show = {"showValue": "0"} if given.get("show-value") == "false" else {}
        attributes = {"iconSet": given.get("icon-set-type", ""), **show}
        return Rule(
            "iconSet", priority, areas, marks=tuple(map(_mark, node.all("formatting-entry"))), attributes=attributes
        )
    return None


def _bar(given: Mapping[str, str]) -> dict[str, str]:
    negative = colour(given.get("negative-color"))
    show = {"showValue": "0"} if given.get("show-value") == "false" else {}
    return {**show, **({"negative": negative} if negative else {})}


def _mark(node: Node) -> Mark:
    kind = _MARKS.get(node.attributes.get("type", ""), "num")
    text = node.attributes.get("value", "")
    return Mark(kind, _excel(text) if kind == "formula" else text)


def _excel(text: str) -> str:
    return formula_in_excel(f"of:={text.strip()}")


def _split(text: str) -> list[str]:
    """Two operands, apart at the comma that is in no brackets and no quotation marks."""
    depth, quoted, parts, start = 0, False, [], 0
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "([{":
            depth += 1
        elif not quoted and letter in ")]}":
            depth -= 1
        elif letter == "," and not quoted and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
