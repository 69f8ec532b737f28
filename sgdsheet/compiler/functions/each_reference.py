"""Several references from one function: `SUMIF(INDIRECT({"Jan","Feb"}&"!A1:A9"),">0")` is a number for each of them.

A function that takes a range and gives one number is called once for each of the references. The array of these calls
takes its place in the formula; each of them has a reference of its own, like any that a formula calculates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sgdsheet.compiler.functions.places import REFERENCES, deciding
from sgdsheet.compiler.functions.registry import Context
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Area, ArrayConstant, Call, Element, Node, Shared, transform, walk

_RANGES: dict[str, Collection[int]] = {
    "SUBTOTAL": range(1, 255),
    "SUMIF": (0, 2),
    "COUNTIF": (0,),
    "AVERAGEIF": (0, 2),
    "SUMIFS": (0, *range(1, 255, 2)),
    "AVERAGEIFS": (0, *range(1, 255, 2)),
    "MAXIFS": (0, *range(1, 255, 2)),
    "MINIFS": (0, *range(1, 255, 2)),
    "COUNTIFS": range(0, 254, 2),
    "COUNTBLANK": (0,),
    "RANK": (1,),
    "N": (0,),
    "T": (0,),
}
"""Functions that Excel calls once for each of several references, and which of their arguments these may be."""

_MOST = 2_000
"""References from one function."""


def for_each_reference(
    tree: Node, parts: Collection[Node], context: Context, arrays: Collection[int] | None
) -> Node | None:
    """The formula with a call for each reference where a function gives several; None if none does.

    `parts` are the references that the formula calculates, `arrays` the ids of what stands where arrays are
    calculated, None for all. Raises FormulaError for too many references.
    """
    known = {id(part) for part in parts}
    changed: dict[int, Node] = {}
    for call in walk(tree):
        ranges = _RANGES.get(call.name) if isinstance(call, Call) else None
        if ranges is None or not isinstance(call, Call):
            continue
        several = [
            place
            for place, part in enumerate(call.arguments)
            if place in ranges and id(part) in known and isinstance(part, Call) and part.name in REFERENCES
        ]
        if several and (found := _calls(call, several, ranges, context, array=arrays is None or id(call) in arrays)):
            changed[id(call)] = found
    return transform(tree, lambda part: changed.get(id(part))) if changed else None


def _calls(
    call: Call, several: Sequence[int], ranges: Collection[int], context: Context, *, array: bool
) -> Node | None:
    """An array of calls, one for each reference."""
    arrays: dict[int, tuple[Node, int, int]] = {}
    deciders = [node for place in several for node in deciding(call.arguments[place])]
    others = [part for place, part in enumerate(call.arguments) if place not in ranges]
    known = [
        part for part in others if isinstance(part, Area) or not any(isinstance(item, Area) for item in walk(part))
    ]
    for node in (*deciders, *known):  # criteria that calculate with cells count as one value
        height, width = _size(node, context, array=array)
        if height * width > 1:
            arrays[id(node)] = Shared(node), height, width
    if not any(id(node) in arrays for node in deciders):
        return None
    height, width = (max(sizes) for sizes in zip(*((high, wide) for _, high, wide in arrays.values()), strict=True))
    if height * width > _MOST:
        raise FormulaError(f"refers to more than {_MOST:,} ranges at once", remedy="Refer to fewer")

    def at(row: int, column: int) -> Node:
        def cell(part: Node) -> Node | None:
            if id(part) not in arrays:
                return None
            shared, high, wide = arrays[id(part)]
            return Element(shared, high, wide, row if high > 1 else 1, column if wide > 1 else 1)

        return Call(call.name, tuple(transform(part, cell) for part in call.arguments))

    return ArrayConstant(
        tuple(tuple(at(row, column) for column in range(1, width + 1)) for row in range(1, height + 1))
    )


def _size(node: Node, context: Context, *, array: bool) -> tuple[int, int]:
    """Rows and columns of what a part of a formula gives."""
    if isinstance(node, Area):
        return (context.shape(node) or (1, 1)) if array else (1, 1)
    value = context.lower(node, array=array)
    return value.size("h"), value.size("w")
