"""References that a formula calculates: where the cells of OFFSET, INDIRECT or `A1:INDEX(…)` lie.

They are worked out before the program is put together, because they decide which cells it reads; see
`sgdsheet.compiler.calculated_references`. A function that gives a reference says so here:

    @gives_reference("INDEX", references=[0])
    def _index(placer: Placer, arguments: Sequence[Node]) -> Places: ...

The arguments in `references` are references as well. All the others decide where the cells are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from sgdsheet.compiler.functions.registry import declared
from sgdsheet.compiler.ir.values import Fault
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW
from sgdsheet.sheet.syntax import (
    Area,
    Binary,
    Call,
    ErrorConstant,
    Node,
    Omitted,
    Reference,
    Shared,
    Union,
    children,
    walk,
)

_Chosen = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Places:
    """The rectangle that a reference means, for each copy of a formula.

    All tensors are of integers [rows, columns] of copies. `sheet` counts `sheets` from 0; where `fault` is not 0 it is
    the `Fault` that stands there in place of a reference.
    """

    sheets: tuple[str, ...]
    sheet: Tensor
    top: Tensor
    left: Tensor
    bottom: Tensor
    right: Tensor
    fault: Tensor

    @property
    def height(self) -> Tensor:
        return self.bottom - self.top + 1

    @property
    def width(self) -> Tensor:
        return self.right - self.left + 1

    @staticmethod
    def errors(fault: Tensor) -> Places:
        """Nothing but errors."""
        zero = torch.zeros_like(fault)
        return Places(("",), zero, zero, zero, zero, zero, fault)

    def failing(self, fault: Tensor) -> Places:
        """The places, with errors where there is none yet and `fault` has one."""
        return replace(self, fault=torch.where(self.fault == 0, fault, self.fault))

    def inside(self) -> Places:
        """The places, with #REF! for those that leave the sheet."""
        outside = (self.top < 1) | (self.left < 1) | (self.bottom > MAX_ROW) | (self.right > MAX_COLUMN)
        return self.failing(outside * int(Fault.REF))

    def where(self, condition: Tensor, other: Places) -> Places:
        """The places of this reference where a condition holds, and those of another elsewhere."""
        sheets = tuple(dict.fromkeys((*self.sheets, *other.sheets)))

        def numbered(places: Places) -> Tensor:
            return torch.tensor([sheets.index(name) for name in places.sheets])[places.sheet]

        pairs = (
            (numbered(self), numbered(other)),
            *((getattr(self, name), getattr(other, name)) for name in ("top", "left", "bottom", "right", "fault")),
        )
        return Places(sheets, *(torch.where(condition, one, two) for one, two in pairs))

    def same_sheet(self, other: Places) -> Tensor:
        """Where both lie on one sheet."""
        names = tuple(dict.fromkeys((*self.sheets, *other.sheets)))
        one, two = (torch.tensor([names.index(name) for name in places.sheets]) for places in (self, other))
        return one[self.sheet] == two[other.sheet]


class Placer(Protocol):
    """What tells where references lie, for all copies of a formula at once."""

    def places(self, node: Node) -> Places:
        """Where a part of the formula lies. Raises FormulaError if it is no reference."""
        ...

    def numbers(self, node: Node) -> tuple[Tensor, Tensor]:
        """The numbers [rows, columns] of copies that a part comes to, and the faults of those that are errors."""
        ...

    def truths(self, node: Node) -> tuple[Tensor, Tensor]:
        """Whether a condition holds [rows, columns] of copies, and the faults of those that are errors."""
        ...

    def written(self, text: Node, in_a1: bool) -> Places:
        """Where the references lie that are written as texts, in A1 or in R1C1 notation."""
        ...


Find = Callable[[Placer, Sequence[Node]], Places]


@dataclass(frozen=True, slots=True)
class ReferenceFunction:
    """A function that gives a reference: how, and which arguments are references themselves.

    `always` says that its value cannot be calculated without knowing where its cells are.
    """

    find: Find
    references: Callable[[int, int], bool]
    always: bool


REFERENCES: dict[str, ReferenceFunction] = {}


def gives_reference(
    name: str, references: Collection[int] | Callable[[int, int], bool] = (), *, always: bool = False
) -> Callable[[Find], Find]:
    """Declare how a function gives a reference.

    `references` are the positions of arguments that are references themselves; where these depend on how many
    arguments there are, a function of the position and the number of arguments.
    """
    chosen = references if callable(references) else lambda position, _: position in references

    def declare(find: Find) -> Find:
        REFERENCES[name] = ReferenceFunction(find, chosen, always)
        return find

    return declare


def reference_function(node: Node) -> ReferenceFunction | None:
    """The declaration of a call that gives a reference; None for everything else."""
    return REFERENCES.get(node.name) if isinstance(node, Call) else None


def _references(call: Call, found: ReferenceFunction) -> Iterator[tuple[Node, bool]]:
    """The arguments of a call, each with whether it is a reference."""
    for position, argument in enumerate(call.arguments):
        yield argument, found.references(position, len(call.arguments))


def is_reference(node: Node) -> bool:
    """Whether a part of a formula is cells, fixed or calculated."""
    match node:
        case Area() | Reference():
            return True
        case Union():
            return all(map(is_reference, node.areas))
        case Binary(operator=":" | " "):
            return True
        case Call():
            found = REFERENCES.get(node.name)
            if found is None:
                return False
            return found.always or all(
                is_reference(argument) or isinstance(argument, ErrorConstant)
                for argument, refers in _references(node, found)
                if refers
            )
        case _:
            return False


def calculated(node: Node) -> Iterator[Node]:
    """The outermost parts of a formula that are references which have to be calculated."""
    return _calculated(node, set())


def _calculated(node: Node, seen: set[int]) -> Iterator[Node]:
    if isinstance(node, Shared):
        if id(node) in seen:
            return
        seen.add(id(node))
    if isinstance(node, Binary) and node.operator in (":", " "):
        yield node
        return
    found = reference_function(node)
    if found is not None and found.always:
        yield node
        return
    function = declared(node)
    for position, part in enumerate(children(node)):
        asks = function is not None and position in function.reference_arguments | function.range_arguments
        if asks and isinstance(part, Call) and is_reference(part):
            yield part
        else:
            yield from _calculated(part, seen)


def located(tree: Node) -> set[int]:
    """The ids of the parts of a formula that a function wants as a range, or asks where they are."""
    return {
        id(part)
        for call in walk(tree)
        if (function := declared(call)) is not None
        for position, part in enumerate(children(call))
        if position in function.reference_arguments | function.range_arguments
    }


def deciding(node: Node) -> Iterator[Node]:
    """The parts of a calculated reference that decide where its cells are."""
    if isinstance(node, Binary) and node.operator in (":", " "):
        yield from deciding(node.left)
        yield from deciding(node.right)
    elif isinstance(node, Call) and (found := REFERENCES.get(node.name)) is not None:
        for argument, refers in _references(node, found):
            if refers:
                yield from deciding(argument)
            else:
                yield argument


# --- operators --------------------------------------------------------------------------------------------


def hull(one: Places, two: Places) -> Places:
    """`A1:INDEX(…)`: all cells between two references, which must lie on one sheet."""
    return _cornered(one, two, torch.minimum, torch.maximum)


def common(one: Places, two: Places) -> Places:
    """`A1:C3 B2:D4`: the cells that two references have in common; #NULL! if there are none."""
    found = _cornered(one, two, torch.maximum, torch.minimum)
    return found.failing(((found.top > found.bottom) | (found.left > found.right)) * int(Fault.NULL))


def _cornered(one: Places, two: Places, first: _Chosen, last: _Chosen) -> Places:
    """The rectangles whose first and last rows and columns are chosen from those of two references on one sheet."""
    found = Places(
        one.sheets,
        one.sheet,
        *(first(one.top, two.top), first(one.left, two.left)),
        *(last(one.bottom, two.bottom), last(one.right, two.right)),
        one.fault,
    ).failing(two.fault)
    return found.failing(~one.same_sheet(two) * int(Fault.VALUE))


# --- positions --------------------------------------------------------------------------------------------


def whole_numbers(placer: Placer, node: Node | None, default: Tensor) -> tuple[Tensor, Tensor]:
    """An argument cut down to whole numbers, and its faults; `default` if it is left out."""
    if node is None or isinstance(node, Omitted):
        return default, torch.zeros_like(default)
    numbers, fault = placer.numbers(node)
    limit = float(10 * MAX_ROW)
    return numbers.nan_to_num(0.0).clamp(-limit, limit).trunc().long(), fault


def picked(area: Places, row: Tensor, column: Tensor) -> Places:
    """The cell of a range at a row and column from 1; 0 means all of them."""
    outside = (row > area.height) | (column > area.width)
    negative = (row < 0) | (column < 0)
    found = replace(
        area,
        top=torch.where(row > 0, area.top + row - 1, area.top),
        bottom=torch.where(row > 0, area.top + row - 1, area.bottom),
        left=torch.where(column > 0, area.left + column - 1, area.left),
        right=torch.where(column > 0, area.left + column - 1, area.right),
    )
    return found.failing(negative * int(Fault.VALUE)).failing(outside * int(Fault.REF))


def chosen(placer: Placer, number: tuple[Tensor, Tensor], choices: Sequence[Node]) -> Places:
    """The choice with a number from 1 to as many as there are; #VALUE! for every other number.

    A choice that no copy takes is not looked at.
    """
    index, fault = number
    found = Places.errors(torch.full_like(fault, int(Fault.VALUE)))
    for position, node in enumerate(choices, start=1):
        taken = (index == position) & (fault == 0)
        if bool(taken.any()):
            found = placer.places(node).where(taken, found)
    return Places.errors(fault).where(fault != 0, found)


def no_reference(node: Node) -> FormulaError:
    """The error for a part of a formula that is no reference where one is needed."""
    what = f"what {node.name} gives" if isinstance(node, Call) else "something"
    return FormulaError(f"uses {what} as a reference, which it is not", remedy="Write the range's corners")
