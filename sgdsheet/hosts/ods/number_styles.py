"""The number formats of an OpenDocument file as Excel writes them (OpenDocument 1.3, part 3, 16.29)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sgdsheet.hosts.xlsx.xml import Node
from sgdsheet.sheet.displayed_text import GENERAL

TAGS = frozenset(f"{kind}-style" for kind in ("number", "percentage", "currency", "date", "time", "boolean", "text"))
"""Elements that are number formats."""

_COLOURS = {
    "#000000": "[Black]",
    "#0000ff": "[Blue]",
    "#00ffff": "[Cyan]",
    "#00ff00": "[Green]",
    "#ff00ff": "[Magenta]",
    "#ff0000": "[Red]",
    "#ffffff": "[White]",
    "#ffff00": "[Yellow]",
}
_CONDITION = re.compile(r"value\(\)\s*(<=|>=|!=|<|>|=)\s*(-?[\d.]+(?:[eE][-+]?\d+)?)")
_SIGNS = [(">", 0.0), ("<", 0.0), ("=", 0.0)]
"""What the sections of a format stand for where they do not say so: positive, negative and zero."""

_DATES = {
    "year": ("yy", "yyyy"),
    "month": ("m", "mm"),
    "day": ("d", "dd"),
    "day-of-week": ("ddd", "dddd"),
    "hours": ("h", "hh"),
    "minutes": ("m", "mm"),
    "seconds": ("s", "ss"),
    "am-pm": ("AM/PM", "AM/PM"),
}
_PLAIN = frozenset(" -/:,.()+")
_BOOLEAN = '"TRUE";"TRUE";"FALSE"'
_MOST_DIGITS = 30


def format_codes(styles: Iterable[Node]) -> dict[str, str]:
    """The formats by their names. A part that Excel has nothing for is left out."""
    known = {node.attributes.get("name", ""): node for node in styles}
    return {name: _code(node, known) for name, node in known.items()}


def _code(node: Node, known: dict[str, Node]) -> str:
    """A format with all its sections."""
    own = _section(node)
    cases: list[tuple[tuple[str, float], str]] = []
    for item in node.all("map"):
        match = _CONDITION.fullmatch(item.attributes.get("condition", "").strip())
        target = known.get(item.attributes.get("apply-style-name", ""))
        if match is None or target is None:
            return own
        sign = match[1].replace("!=", "<>")
        cases.append(((sign, float(match[2])), _section(target)))
    if not cases:
        return own
    conditions, sections = [case[0] for case in cases], [case[1] for case in cases]
    if conditions == [(">=", 0.0)] or conditions == _SIGNS[:2] or (conditions == _SIGNS and node.tag == "text-style"):
        return ";".join((*sections, own))
    marked = [f"[{sign}{limit:g}]{section}" for (sign, limit), section in cases]
    return ";".join((*marked[:2], own))


def _section(node: Node) -> str:
    """A format without its conditions."""
    pieces = []
    elapsed = node.tag == "time-style" and node.attributes.get("truncate-on-overflow") == "false"
    for item in node.children:
        given = item.attributes
        long = given.get("style") == "long"
        if item.tag == "text-properties":
            pieces.append(_COLOURS.get(given.get("color", "").lower(), ""))
        elif item.tag == "number":
            pieces.append(_number(item))
        elif item.tag == "scientific-number":
            exponent = "0" * _digits(given.get("min-exponent-digits"), 1)
            pieces.append(
                f"{_plain_number(item)}E{'+' if given.get('forced-exponent-sign') != 'false' else '-'}{exponent}"
            )
        elif item.tag == "fraction":
            pieces.append(_fraction(item))
        elif item.tag == "month" and given.get("textual") == "true":
            pieces.append("mmmm" if long else "mmm")
        elif item.tag in _DATES:
            piece = _DATES[item.tag][long]
            if elapsed and item.tag in ("hours", "minutes", "seconds"):
                piece, elapsed = f"[{piece}]", False
            pieces.append(piece + ("." + "0" * places if (places := _digits(given.get("decimal-places"), 0)) else ""))
        elif item.tag == "currency-symbol":
            pieces.append(_quoted(item.text or "$"))
        elif item.tag == "text-content":
            pieces.append("@")
        elif item.tag == "boolean":
            pieces.append(_BOOLEAN)
        elif item.tag == "text":
            pieces.append(item.text if node.tag == "percentage-style" and item.text == "%" else _quoted(item.text))
    return "".join(pieces) or GENERAL


def _number(node: Node) -> str:
    """A number's digits; without a number of decimals it is General."""
    if "decimal-places" not in node.attributes and "grouping" not in node.attributes:
        least = _digits(node.attributes.get("min-integer-digits"), 1)
        return GENERAL if least <= 1 else "0" * least
    code = _plain_number(node)
    for item in node.all("embedded-text"):
        position = _digits(item.attributes.get("position"), 0)
        whole, point, decimals = code.partition(".")
        digits = [at for at, letter in enumerate(whole) if letter in "0#"]
        at = digits[-position] if 0 < position <= len(digits) else len(whole)
        code = whole[:at] + _quoted(item.text) + whole[at:] + point + decimals
    factor = node.attributes.get("display-factor", "1")
    thousands = {"1000": 1, "1000000": 2, "1000000000": 3}.get(factor.removesuffix(".0"), 0)
    return code + "," * thousands


def _plain_number(node: Node) -> str:
    given = node.attributes
    least = _digits(given.get("min-integer-digits"), 0)
    decimals = _digits(given.get("decimal-places"), 0)
    fixed = min(decimals, _digits(given.get("min-decimal-places"), decimals))
    if given.get("decimal-replacement") is not None and "min-decimal-places" not in given:
        fixed = 0
    if given.get("grouping") == "true":
        digits = "0" * least
        whole = digits.rjust(max(4, least), "#")
        whole = re.sub(r"(?<=.)(?=(?:.{3})+$)", ",", whole)
    else:
        whole = "0" * least or "#"
    places = "0" * fixed + "#" * (decimals - fixed)
    return f"{whole}.{places}" if places else whole


def _fraction(node: Node) -> str:
    given = node.attributes
    whole = "# " if "min-integer-digits" in given else ""
    if whole and _digits(given.get("min-integer-digits"), 0):
        whole = "0 "
    top = max(_digits(given.get("max-numerator-digits"), 1), _digits(given.get("min-numerator-digits"), 1))
    fixed = given.get("denominator-value", "")
    most = given.get("max-denominator-value", "")
    below = len(most) if most.isdecimal() else _digits(given.get("min-denominator-digits"), 1)
    return f"{whole}{'?' * max(1, top)}/{fixed if fixed.isdecimal() else '?' * max(1, min(below, 9))}"


def _quoted(text: str) -> str:
    if all(letter in _PLAIN for letter in text):
        return "".join(letter if letter in " -/:()+" else f"\\{letter}" for letter in text)
    return '"' + text.replace('"', '"\\""') + '"'


def _digits(text: str | None, default: int) -> int:
    return min(int(text), _MOST_DIGITS) if text is not None and text.isdecimal() else default
