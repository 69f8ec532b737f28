"""The styles of a package: number formats, fonts, fills, borders, and the colours of its theme."""

from __future__ import annotations

import colorsys
import re
from dataclasses import replace
from typing import TypeVar

from sgdsheet.hosts.xlsx.xml import Node, truth
from sgdsheet.sheet.appearance import CellStyle
from sgdsheet.sheet.displayed_text import GENERAL

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    5: '"$"#,##0_);("$"#,##0)',
    6: '"$"#,##0_);[Red]("$"#,##0)',
    7: '"$"#,##0.00_);("$"#,##0.00)',
    8: '"$"#,##0.00_);[Red]("$"#,##0.00)',
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "m/d/yyyy",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "m/d/yyyy h:mm",
    37: "#,##0_);(#,##0)",
    38: "#,##0_);[Red](#,##0)",
    39: "#,##0.00_);(#,##0.00)",
    40: "#,##0.00_);[Red](#,##0.00)",
    41: '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)',
    42: '_("$"* #,##0_);_("$"* (#,##0);_("$"* "-"_);_(@_)',
    43: '_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)',
    44: '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)',
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
}
"""The number formats that files name by a number only (ECMA-376, 18.8.30), as in the United States."""

_INDEXED = (
    "000000 ffffff ff0000 00ff00 0000ff ffff00 ff00ff 00ffff 000000 ffffff ff0000 00ff00 0000ff ffff00 ff00ff 00ffff"
    " 800000 008000 000080 808000 800080 008080 c0c0c0 808080 9999ff 993366 ffffcc ccffff 660066 ff8080 0066cc ccccff"
    " 000080 ff00ff ffff00 00ffff 800080 800000 008080 0000ff 00ccff ccffff ccffcc ffff99 99ccff ff99cc cc99ff ffcc99"
    " 3366ff 33cccc 99cc00 ffcc00 ff9900 ff6600 666699 969696 003366 339966 003300 333300 993300 993366 333399 333333"
)
"""The palette that colours are named from by a number (ECMA-376, 18.8.27)."""

_THEME = "ffffff 000000 eeece1 1f497d 4f81bd c0504d 9bbb59 8064a2 4bacc6 f79646 0000ff 800080"
_THEME_ORDER = "lt1 dk1 lt2 dk2 accent1 accent2 accent3 accent4 accent5 accent6 hlink folHlink"
_PATTERNS = {"solid": 1.0, "darkGray": 0.75, "mediumGray": 0.5, "lightGray": 0.25, "gray125": 0.125, "gray0625": 0.0625}
_WIDTHS = {"medium": 2, "mediumDashed": 2, "mediumDashDot": 2, "mediumDashDotDot": 2, "thick": 3, "double": 3}
_SIDES = ("top", "right", "bottom", "left")
_RGB = re.compile(r"(?:[0-9A-Fa-f]{2})?([0-9A-Fa-f]{6})")
T = TypeVar("T")
_EMPTY = Node("", {})


class Palette:
    """The colours of a workbook: of its theme, and those that it names by numbers."""

    def __init__(self, theme: Node | None, styles: Node) -> None:
        self._theme, order = _THEME.split(), _THEME_ORDER.split()
        for scheme in theme.all("themeElements", "clrScheme") if theme is not None else ():
            for node in scheme.children:
                colour = next((found for child in node.children if (found := _theme_colour(child))), None)
                if node.tag in order and colour is not None:
                    self._theme[order.index(node.tag)] = colour
        own = [node.attributes.get("rgb", "")[-6:] for node in styles.all("colors", "indexedColors", "rgbColor")]
        self._indexed = [*own, *_INDEXED.split()[len(own) :]]

    def colour(self, node: Node | None) -> str | None:
        """The colour that an element names; None for the one that programs choose."""
        if node is None:
            return None
        attributes = node.attributes
        if (match := _RGB.fullmatch(attributes.get("rgb", ""))) is not None:
            found = match[1]
        elif (number := _number(attributes.get("theme"))) is not None and number < len(self._theme):
            if number == 1 and "tint" not in attributes:
                return None  # the colour of writing
            found = self._theme[number]
        elif (number := _number(attributes.get("indexed"))) is not None and number < len(self._indexed):
            found = self._indexed[number]
        else:
            return None
        return _tinted(found.lower(), _decimal(attributes.get("tint"), 0.0))


def read_styles(styles: Node, palette: Palette) -> tuple[CellStyle, ...]:
    """The styles that cells name by their numbers."""
    codes = {**BUILT_IN, **_own_codes(styles)}
    fonts = [_font(node, palette) for group in styles.all("fonts") for node in group.children]
    fills = [_fill(node, palette) for group in styles.all("fills") for node in group.children]
    borders = [_border(node, palette) for group in styles.all("borders") for node in group.children]
    found = []
    for node in styles.all("cellXfs", "xf"):
        style = _entry(fonts, node.attributes.get("fontId"), CellStyle())
        alignment = next(iter(node.all("alignment")), _EMPTY).attributes
        found.append(
            replace(
                style,
                number_format=codes.get(_number(node.attributes.get("numFmtId")) or 0, GENERAL),
                fill=_entry(fills, node.attributes.get("fillId"), None),
                border=_entry(borders, node.attributes.get("borderId"), ()),
                align=alignment.get("horizontal", "").replace("general", ""),
                valign=alignment.get("vertical", ""),
                wrap=truth(alignment.get("wrapText")),
                indent=_number(alignment.get("indent")) or 0,
                rotation=_number(alignment.get("textRotation")) or 0,
            )
        )
    return tuple(found) or (CellStyle(),)


def read_differences(styles: Node, palette: Palette) -> tuple[CellStyle, ...]:
    """The styles that conditional formats name by their numbers: what they change is not as usual in them."""
    return tuple(read_difference(node, palette) for node in styles.all("dxfs", "dxf"))


def read_difference(node: Node, palette: Palette) -> CellStyle:
    """What an element `dxf` changes."""
    font = _font(next(iter(node.all("font")), _EMPTY), palette)
    fill = next(iter(node.all("fill", "patternFill")), _EMPTY)
    # in these, and only in these, a solid filling has its colour as the background
    colour = palette.colour(_child(fill, "bgColor")) or palette.colour(_child(fill, "fgColor"))
    borders = [_border(border, palette) for border in node.all("border")]
    code = next((item.attributes.get("formatCode", GENERAL) for item in node.all("numFmt")), GENERAL)
    return replace(font, fill=colour, border=borders[0] if borders else (), number_format=code)


def _font(node: Node, palette: Palette) -> CellStyle:
    def on(tag: str) -> bool:
        return any(child.attributes.get("val", "1") not in ("0", "false", "none") for child in node.all(tag))

    return CellStyle(
        bold=on("b"),
        italic=on("i"),
        underline=on("u"),
        strike=on("strike"),
        size=_decimal(next((child.attributes.get("val") for child in node.all("sz")), None), 11.0),
        font=next((child.attributes.get("val", "") for child in node.all("name")), ""),
        colour=palette.colour(_child(node, "color")),
    )


def _fill(node: Node, palette: Palette) -> str | None:
    for pattern in node.all("patternFill"):
        kind = pattern.attributes.get("patternType", "none")
        front, back = palette.colour(_child(pattern, "fgColor")), palette.colour(_child(pattern, "bgColor"))
        if kind == "none":
            return None
        share = _PATTERNS.get(kind, 0.5)
        return (front or "#000000") if share == 1.0 else _mixed(front or "#000000", back or "#ffffff", share)
    stops = node.all("gradientFill", "stop", "color")
    return palette.colour(stops[0]) if stops else None


def _border(node: Node, palette: Palette) -> tuple[tuple[str, int, str], ...]:
    found = []
    for side in _SIDES:
        for line in node.all(side):
            style = line.attributes.get("style", "none")
            if style != "none":
                found.append((side, _WIDTHS.get(style, 1), palette.colour(_child(line, "color")) or "#000000"))
    return tuple(found)


def _own_codes(styles: Node) -> dict[int, str]:
    found = {}
    for node in styles.all("numFmts", "numFmt"):
        if (number := _number(node.attributes.get("numFmtId"))) is not None:
            found[number] = node.attributes.get("formatCode", GENERAL)
    return found


def _child(node: Node, tag: str) -> Node | None:
    return next((child for child in node.children if child.tag == tag), None)


def _entry(items: list[T], text: str | None, default: T) -> T:
    number = _number(text)
    return items[number] if number is not None and number < len(items) else default


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else None


def _decimal(text: str | None, default: float) -> float:
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default


def _theme_colour(node: Node) -> str | None:
    text = node.attributes.get("lastClr") or node.attributes.get("val", "")
    match = _RGB.fullmatch(text)
    return match[1].lower() if match else None


def _tinted(colour: str, tint: float) -> str:
    """A colour that is made lighter (up to 1, white) or darker (down to -1, black) (ECMA-376, 18.8.19)."""
    if not tint:
        return f"#{colour}"
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    light = light * (1 + tint) if tint < 0 else light * (1 - tint) + tint
    parts = colorsys.hls_to_rgb(hue, min(1.0, max(0.0, light)), full)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)


def _mixed(front: str, back: str, share: float) -> str:
    pairs = ((int(front[at : at + 2], 16), int(back[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)
