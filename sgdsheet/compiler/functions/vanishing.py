"""Which array expressions are 0 wherever the whole columns that they read are blank."""

from __future__ import annotations

from collections.abc import Callable

from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW
from sgdsheet.sheet.syntax import Affine, Area, Binary, Boolean, Node, Number, Text, Unary, walk

_COMPARED: dict[str, Callable[[float], bool]] = {
    "=": lambda number: number == 0,
    "<>": lambda number: number != 0,
    "<": lambda number: number > 0,
    "<=": lambda number: number >= 0,
    ">": lambda number: number < 0,
    ">=": lambda number: number <= 0,
}
"""Whether a blank cell compares like this with a number to its right."""


def is_whole(area: Area) -> bool:
    """Whether it reaches to the last row or column of the sheet, wherever the formula stands."""
    return area.bottom == Affine(MAX_ROW) or area.right == Affine(MAX_COLUMN)


def is_single(area: Area) -> bool:
    """Whether each copy of the formula reads one cell."""
    return area.top == area.bottom and area.left == area.right


def vanishes(node: Node, holds_something: Callable[[Area], bool]) -> bool:
    """Whether what it gives for blank cells of its whole columns adds nothing to a sum.

    Its other references must be single cells; `holds_something` tells whether one surely holds a text or a number
    other than 0.
    """
    areas = [part for part in walk(node) if isinstance(part, Area)]
    if not all(is_whole(area) or is_single(area) for area in areas):
        return False
    return not any(map(is_whole, areas)) or _is_zero(node, holds_something)


def _is_zero(node: Node, holds_something: Callable[[Area], bool]) -> bool:
    def zero(part: Node) -> bool:
        return _is_zero(part, holds_something)

    match node:
        case Area():
            return is_whole(node)
        case Unary(operator="-" | "+"):
            return zero(node.operand)
        case Binary(operator="*"):
            return (zero(node.left) and _is_sound(node.right)) or (zero(node.right) and _is_sound(node.left))
        case Binary(operator="+" | "-"):
            return zero(node.left) and zero(node.right)
        case Binary(left=Area() as area) if not is_whole(area):
            return False
        case Binary(left=Area(), right=Number(number), operator=sign) if sign in _COMPARED:
            return not _COMPARED[sign](number)
        case Binary(left=Area(), right=Text(text), operator="="):
            return text != ""
        case Binary(left=Area(), right=Boolean(flag), operator="="):
            return flag
        case Binary(left=Area(), right=Area() as other, operator="="):
            return is_single(other) and holds_something(other)
        case _:
            return False


def _is_sound(node: Node) -> bool:
    """Whether it is a number and no error for blank cells."""
    match node:
        case Area() | Number() | Boolean():
            return True
        case Unary(operator="-" | "+"):
            return _is_sound(node.operand)
        case Binary(operator="*" | "+" | "-"):
            return _is_sound(node.left) and _is_sound(node.right)
        case Binary(operator=sign) if sign in _COMPARED:
            return all(isinstance(side, (Area, Number, Text, Boolean)) for side in (node.left, node.right))
        case _:
            return False
