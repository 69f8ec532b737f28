"""The styles of an OpenDocument file: of cells, with what they inherit, of columns, rows and sheets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sgdsheet.hosts.ods.number_styles import TAGS, format_codes
from sgdsheet.hosts.xlsx.xml import Node
from sgdsheet.sheet.appearance import CellStyle
from sgdsheet.sheet.displayed_text import GENERAL

_LENGTH = re.compile(r"(-?[\d.]+)(in|cm|mm|pt|pc|px)")
_PIXELS = {"in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0, "px": 1.0}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SIDES = ("top", "right", "bottom", "left")
_ALIGNED = {"start": "left", "end": "right", "center": "center", "justify": "justify", "left": "left", "right": "right"}
_STANDING = {"top": "top", "middle": "center", "bottom": "bottom"}
_PER_INDENT = 9.0
"""Pixels of an indent, as Excel counts them."""
_DEEPEST = 20
"""Styles that one may inherit from."""

DEFAULT = "Default"


class Styles:
    """The styles of a document by family and name. Those that cells use have numbers; 0 is that of the default."""

    def __init__(self, trees: Iterable[Node]) -> None:
        nodes = [node for tree in trees for node in tree.children]
        self._nodes = {
            (node.attributes.get("family", ""), node.attributes[key]): node
            for key in ("display-name", "name")  # conditional formats have the name that a person sees
            for node in nodes
            if node.tag == "style" and key in node.attributes
        }
        self._fonts = {
            node.attributes.get("name", ""): node.attributes.get("font-family", "").strip("'\"")
            for node in nodes
            if node.tag == "font-face"
        }
        defaults = [node for node in nodes if node.tag == "default-style"]
        self._defaults = {node.attributes.get("family", ""): node for node in defaults}
        self._codes = format_codes(node for node in nodes if node.tag in TAGS)
        self._numbers: dict[str, int] = {}
        self.list: list[CellStyle] = []
        self.number(DEFAULT)

    def number(self, name: str) -> int:
        """The number of a cell style; one that is not there is the default."""
        if name not in self._numbers:
            style = self.cell_style(name)
            known = self.list.index(style) if style in self.list else len(self.list)
            if known == len(self.list):
                self.list.append(style)
            self._numbers[name] = known
        return self._numbers[name]

    def cell_style(self, name: str) -> CellStyle:
        """A cell style with all that it inherits."""
        found = CellStyle(size=10.0)
        for node in self._chain("table-cell", name):
            found = self._changed(found, node)
        return found

    def difference(self, name: str) -> CellStyle:
        """What a style that a conditional format applies changes: what is as by default is as usual in it."""
        style, plain = self.cell_style(name), self.cell_style(DEFAULT)
        return replace(
            CellStyle(),
            bold=style.bold and not plain.bold,
            italic=style.italic and not plain.italic,
            underline=style.underline and not plain.underline,
            strike=style.strike and not plain.strike,
            colour=style.colour if style.colour != plain.colour else None,
            fill=style.fill if style.fill != plain.fill else None,
            border=style.border if style.border != plain.border else (),
            number_format=style.number_format if style.number_format != plain.number_format else GENERAL,
        )

    def maps(self, name: str) -> list[Mapping[str, str]]:
        """The conditions of a cell style, as older programs write conditional formats."""
        return [item.attributes for node in self._chain("table-cell", name) for item in node.all("map")]

    def width(self, name: str) -> int | None:
        """The width of a column style in pixels."""
        return self._size("table-column", name, "column-width")

    def height(self, name: str) -> int | None:
        """The height of a row style in pixels; None where the text decides it."""
        return self._size("table-row", name, "row-height")

    def table(self, name: str) -> Mapping[str, str]:
        """The properties of a sheet."""
        found: dict[str, str] = {}
        for node in self._chain("table", name):
            for item in node.all("table-properties"):
                found |= item.attributes
        return found

    def _size(self, family: str, name: str, attribute: str) -> int | None:
        for node in reversed(self._chain(family, name)):
            for item in node.all(f"{family}-properties"):
                if (found := length(item.attributes.get(attribute))) is not None:
                    return round(found)
        return None

    def _chain(self, family: str, name: str) -> list[Node]:
        """A style behind those that it inherits from."""
        found: list[Node] = []
        while (node := self._nodes.get((family, name))) is not None and len(found) < _DEEPEST:
            found.append(node)
            name = node.attributes.get("parent-style-name", "")
        if family in self._defaults:
            found.append(self._defaults[family])
        return found[::-1]

    def _changed(self, style: CellStyle, node: Node) -> CellStyle:
        """A style with what an element says of it."""
        changes: dict[str, Any] = {}
        if (code := self._codes.get(node.attributes.get("data-style-name", ""))) is not None:
            changes["number_format"] = code
        for item in node.all("table-cell-properties"):
            changes |= _box(item.attributes, style)
        for item in node.all("paragraph-properties"):
            changes |= _paragraph(item.attributes)
        for item in node.all("text-properties"):
            changes |= self._text(item.attributes)
        for item in node.all("table-cell-properties"):
            if item.attributes.get("text-align-source") == "value-type":
                changes["align"] = ""
        return replace(style, **changes)

    def _text(self, given: Mapping[str, str]) -> dict[str, Any]:
        read: dict[str, tuple[str, Callable[[str], Any]]] = {
            "font-weight": ("bold", lambda text: text == "bold" or (text.isdecimal() and int(text) >= 600)),
            "font-style": ("italic", lambda text: text in ("italic", "oblique")),
            "text-underline-style": ("underline", lambda text: text != "none"),
            "text-line-through-style": ("strike", lambda text: text != "none"),
            "color": ("colour", _written),
            "font-name": ("font", lambda text: self._fonts.get(text, text)),
        }
        found = {name: parse(given[key]) for key, (name, parse) in read.items() if key in given}
        if given.get("use-window-font-color") == "true":
            found["colour"] = None
        if (size := length(given.get("font-size"))) is not None:
            found["size"] = round(size / _PIXELS["pt"], 2)
        return found


def length(text: str | None) -> float | None:
    """A length such as `0.5in` in pixels."""
    match = _LENGTH.fullmatch(text or "")
    try:
        return float(match[1]) * _PIXELS[match[2]] if match is not None else None
    except ValueError:
        return None


def colour(text: str | None) -> str | None:
    """A colour as `#rrggbb`; None for one that is transparent."""
    return text.lower() if text is not None and _COLOUR.fullmatch(text) else None


def _written(text: str) -> str | None:
    """The colour of a text; black is the colour of writing."""
    found = colour(text)
    return None if found == "#000000" else found


def _paragraph(given: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (align := _ALIGNED.get(given.get("text-align", ""))) is not None:
        found["align"] = align
    if (margin := length(given.get("margin-left"))) is not None:
        found["indent"] = round(margin / _PER_INDENT)
    return found


def _box(given: Mapping[str, str], style: CellStyle) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "background-color" in given:
        found["fill"] = colour(given["background-color"])
    if (standing := _STANDING.get(given.get("vertical-align", ""))) is not None:
        found["valign"] = standing
    if "wrap-option" in given:
        found["wrap"] = given["wrap-option"] == "wrap"
    if (angle := given.get("rotation-angle", "")).removesuffix("deg").isdecimal():
        found["rotation"] = _rotation(int(angle.removesuffix("deg")))
    lines = {side: (width, ink) for side, width, ink in style.border}
    for key, sides in (("border", _SIDES), *((f"border-{side}", (side,)) for side in _SIDES)):
        if key in given:
            line = _line(given[key])
            lines = {side: item for side, item in lines.items() if side not in sides}
            lines |= dict.fromkeys(sides, line) if line is not None else {}
    found["border"] = tuple((side, *lines[side]) for side in _SIDES if side in lines)
    return found


def _rotation(degrees: int) -> int:
    """A rotation as Excel writes it: up to 90 upwards, from 91 to 180 downwards."""
    degrees %= 360
    if degrees <= 90:
        return degrees
    return 90 + 360 - degrees if degrees >= 270 else 0


def _line(text: str) -> tuple[int, str] | None:
    """A line's width and colour from `0.74pt solid #ff0000`; None for none."""
    parts = text.split()
    width = next((size for part in parts if (size := length(part)) is not None), None)
    if width is None or "none" in parts or "hidden" in parts or not width:
        return None
    ink = next((found for part in parts if (found := colour(part))), "#000000")
    return (1 if width < 1.7 else 2 if width < 2.8 else 3), ink
