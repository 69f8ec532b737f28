"""Which array expressions are 0 wherever the whole columns that they read are blank."""

from __future__ import annotations

from collections.abc import Callable

from sgdsheet.references import MAX_COLUMN, MAX_ROW
from sgdsheet.syntax import Affine, Area, Binary, Boolean, Node, Number, Text, Unary, walk

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


def vanishes(node: Node) -> bool:
    """Whether what it gives for blank cells of its whole columns, all of which are whole, adds nothing to a sum."""
    return all(is_whole(part) for part in walk(node) if isinstance(part, Area)) and _is_zero(node)


def _is_zero(node: Node) -> bool:
    match node:
        case Area():
            return True
        case Unary(operator="-" | "+"):
            return _is_zero(node.operand)
        case Binary(operator="*"):
            return (_is_zero(node.left) and _is_sound(node.right)) or (_is_zero(node.right) and _is_sound(node.left))
        case Binary(operator="+" | "-"):
            return _is_zero(node.left) and _is_zero(node.right)
        case Binary(left=Area(), right=Number(number), operator=sign) if sign in _COMPARED:
            return not _COMPARED[sign](number)
        case Binary(left=Area(), right=Text(text), operator="="):
            return text != ""
        case Binary(left=Area(), right=Boolean(flag), operator="="):
            return flag
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
