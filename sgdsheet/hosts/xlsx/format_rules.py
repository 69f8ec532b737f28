"""The rules of a sheet's conditional formats, with those that Excel 2010 and later keep in an extension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sgdsheet.errors import FormulaError
from sgdsheet.hosts.xlsx.cell_styles import Palette, read_difference
from sgdsheet.hosts.xlsx.xml import Node, truth
from sgdsheet.sheet.appearance import CellStyle, Mark, Rule
from sgdsheet.sheet.references import Range, parse_range

_SCALES = ("colorScale", "dataBar", "iconSet")
_LAST = 1_000_000
"""The priority of a rule that has none."""


def read_rules(root: Node, sheet: str, palette: Palette, differences: tuple[CellStyle, ...]) -> Iterator[Rule]:
    """The conditional formats of a sheet. One whose cells cannot be understood is passed over.

    Data bars are told in full by the extension, which says what Excel shows: where they end, and what negative
    numbers look like.
    """
    extended = {
        rule.attributes["id"]: (rule, group)
        for group in root.all("extLst", "ext", "conditionalFormattings", "conditionalFormatting")
        for rule in group.all("cfRule")
        if rule.attributes.get("id")
    }
    used: set[str] = set()
    for group in root.all("conditionalFormatting"):
        areas = _areas(group.attributes.get("sqref", ""), sheet)
        for node in group.all("cfRule") if areas else ():
            rule = _rule(node, areas, palette, differences)
            more = next((item.text.strip() for item in node.all("extLst", "ext", "id")), "")
            if more in extended:
                used.add(more)
                rule = _with_extension(rule, extended[more][0], palette)
            yield rule
    for id, (node, group) in extended.items():
        areas = _areas(" ".join(item.text for item in group.all("sqref")), sheet)
        if id not in used and areas:
            yield _rule(node, areas, palette, differences)


def _areas(text: str, sheet: str) -> tuple[Range, ...]:
    try:
        return tuple(parse_range(part, sheet) for part in text.split())
    except FormulaError:
        return ()


def _rule(node: Node, areas: tuple[Range, ...], palette: Palette, differences: tuple[CellStyle, ...]) -> Rule:
    attributes = node.attributes
    number = attributes.get("dxfId", "")
    style = differences[int(number)] if number.isdecimal() and int(number) < len(differences) else None
    for own in node.all("dxf"):
        style = read_difference(own, palette)
    scales = [scale for kind in _SCALES for scale in node.all(kind)]
    more = {name: value for scale in scales for name, value in scale.attributes.items()}
    priority = attributes.get("priority", "")
    return Rule(
        kind=attributes.get("type", ""),
        priority=int(priority) if priority.isdecimal() else _LAST,
        areas=areas,
        style=style,
        stop=truth(attributes.get("stopIfTrue")),
        operator=attributes.get("operator", ""),
        formulas=tuple(child.text for tag in ("formula", "f") for child in node.all(tag)),
        marks=tuple(_mark(mark) for scale in scales for mark in scale.all("cfvo")),
        colours=_colours(scales, palette),
        attributes={**attributes, **more},
    )


def _mark(node: Node) -> Mark:
    text = next((child.text for child in node.all("f")), node.attributes.get("val", ""))
    return Mark(node.attributes.get("type", ""), text, above=node.attributes.get("gte", "1") in ("0", "false"))


def _colours(scales: list[Node], palette: Palette) -> tuple[str, ...]:
    tags = ("color", "fillColor")
    return tuple(palette.colour(item) or "#000000" for scale in scales for tag in tags for item in scale.all(tag))


def _with_extension(rule: Rule, node: Node, palette: Palette) -> Rule:
    """A data bar as the extension tells it."""
    for bar in node.all("dataBar"):
        attributes = {**rule.attributes, **bar.attributes}
        if not truth(bar.attributes.get("negativeBarColorSameAsPositive")):
            for item in bar.all("negativeFillColor"):
                attributes["negative"] = palette.colour(item) or ""
        elif rule.colours:
            attributes["negative"] = rule.colours[0]
        marks = tuple(_mark(mark) for mark in bar.all("cfvo"))
        return replace(rule, marks=marks or rule.marks, attributes={**attributes, "type": rule.kind})
    return rule
