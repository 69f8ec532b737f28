"""The syntax tree of a formula.

A tree is *relative*: it holds a reference as the distance from the cell that has the formula (or as an
absolute position where the formula says `$`), so all cells of a fill-down share one tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sgdsheet.sheet.workbook import ExcelError


class Axis(NamedTuple):
    """A row or column: a distance from the formula's own cell, or a position."""

    value: int
    relative: bool


@dataclass(frozen=True, slots=True)
class Node:
    """Part of a formula."""


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    value: bool


@dataclass(frozen=True, slots=True)
class ErrorConstant(Node):
    value: ExcelError


@dataclass(frozen=True, slots=True)
class Omitted(Node):
    """An argument left out, as the second one of `IF(A1,,3)`."""


@dataclass(frozen=True, slots=True)
class ArrayConstant(Node):
    """`{1,2;3,4}`, row by row; of formulas where a LAMBDA was written out."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """A rectangle of cells; `sheet` is None for the formula's own sheet."""

    sheet: str | None
    top: Axis
    left: Axis
    bottom: Axis
    right: Axis


class Affine(NamedTuple):
    """A row or column for copy (i, j) of a block: `base + down * i + across * j`."""

    base: int
    down: int = 0
    across: int = 0

    def at(self, i: int, j: int) -> int:
        return self.base + self.down * i + self.across * j


@dataclass(frozen=True, slots=True)
class Area(Node):
    """What a `Reference` has become in a block: the cells that each copy of the formula reads."""

    sheet: str
    top: Affine
    left: Affine
    bottom: Affine
    right: Affine

    def first_cell(self) -> Area:
        """The cell at the top left."""
        return Area(self.sheet, self.top, self.left, self.top, self.left)

    @staticmethod
    def between(sheet: str, top: Affine, left: Affine, bottom: Affine, right: Affine) -> Area:
        """The cells between two corners, in whichever order they are written: A5:A$2 is A2:A5.

        The order is that of the first copy; ends that move apart may cross in a later one.
        """
        top, bottom = sorted((top, bottom), key=lambda end: end.base)
        left, right = sorted((left, right), key=lambda end: end.base)
        return Area(sheet, top, left, bottom, right)


@dataclass(frozen=True, slots=True)
class PartialArea(Area):
    """An area of which some cells do not count: all those of some rows, and single ones."""

    rows: frozenset[int] = frozenset()
    cells: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class SheetSpan(Node):
    """A reference to several sheets, from one to another: `Jan:Dec!B2`."""

    first: str
    last: str
    cells: Node


@dataclass(frozen=True, slots=True)
class Picked(Node):
    """One cell for each copy of a formula, in no regular order: what a calculated reference has become.

    `places` are the row and column of each copy's cell, by the copy's row and column in its block.
    """

    sheet: str
    places: tuple[tuple[tuple[int, int], ...], ...]
    area: Area = field(init=False, compare=False)
    """The cells around all of them."""

    def __post_init__(self) -> None:
        rows = [row for line in self.places for row, _ in line]
        columns = [column for line in self.places for _, column in line]
        corners = (Affine(min(rows)), Affine(min(columns)), Affine(max(rows)), Affine(max(columns)))
        object.__setattr__(self, "area", Area(self.sheet, *corners))


@dataclass(frozen=True, slots=True)
class Union(Node):
    """Several ranges as one list of cells: `(A1:A3,C1:C3)`, or a range of several sheets."""

    areas: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A defined name or, without brackets, a table."""

    name: str
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class TableReference(Node):
    """A structured reference: `items` such as `#This Row`, and the first and last column or None for all."""

    table: str | None
    items: tuple[str, ...]
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call; `name` is in capitals and without `_xlfn.` and similar prefixes.

    `of_batch` says that it sums up the samples of a batch: what it reads of constants will be that of other batches.
    """

    name: str
    arguments: tuple[Node, ...]
    of_batch: bool = False


@dataclass(frozen=True, slots=True)
class Applied(Node):
    """The call of what a part of the formula gives: `LAMBDA(x,x+1)(A1)`."""

    function: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-`, `+`, `%` (written behind), `@` (implicit intersection) or `#` (the spill of a cell)."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between two operands; also `:`, `,` and space between references."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Shared(Node):
    """A part that stands at several places of one formula and is calculated once, as the variable of a LET.

    It is the same object at all these places, so that a recursion written out does not double at each of its steps.
    Another object is another part: comparing what they mean would take the time that sharing saves.
    """

    meaning: Node

    __eq__ = object.__eq__  # that of Node takes any two for equal
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Element(Node):
    """One cell, counted from 1, of a calculated array that has to have `height` x `width` cells."""

    array: Node
    height: int
    width: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Parts that are calculated one after the other, as the steps of a recursion; the last one is the value."""

    steps: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class StepVariable(Node):
    """What stands for another value at each step of a `Fold`; every fold has its own two numbers."""

    number: int


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """SCAN (`every` step's value) or REDUCE (the last one's): `step` for each cell of an array of `height` x `width`.

    In `step`, `total` is what the step before gave, at first `start`, and `item` is the cell.
    """

    start: Node
    array: Node
    step: Node
    total: StepVariable
    item: StepVariable
    height: int
    width: int
    every: bool


@dataclass(frozen=True, slots=True)
class NotSupported(Node):
    """Something that parses and that sgdsheet cannot compile; `cause` says what and `remedy` what to do.

    `unseen` tells that it reads cells of this workbook, and nobody can see which.
    """

    text: str
    cause: str
    remedy: str
    unseen: bool = False


_PLAIN = (Number, Text, Boolean, ErrorConstant)


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node."""
    match node:
        case Call():
            return node.arguments
        case Applied():
            return (node.function, *node.arguments)
        case Unary():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case ArrayConstant():
            return tuple(item for row in node.rows for item in row)
        case Union():
            return node.areas
        case Picked():
            return (node.area,)
        case Shared():
            return (node.meaning,)
        case Element():
            return (node.array,)
        case Chain():
            return node.steps
        case Fold():
            return (node.start, node.array, node.step)
        case _:
            return ()


def transform(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """A copy of the tree in which every node for which `change` returns something is replaced by that."""
    shared: dict[int, Node] = {}

    def copied(part: Node) -> Node:
        changed = change(part)
        if changed is not None:
            return changed
        match part:
            case Call():
                return Call(part.name, tuple(copied(item) for item in part.arguments), part.of_batch)
            case Applied():
                return Applied(copied(part.function), tuple(copied(item) for item in part.arguments))
            case Unary():
                return Unary(part.operator, copied(part.operand))
            case Binary():
                return Binary(part.operator, copied(part.left), copied(part.right))
            case ArrayConstant() if not all(isinstance(item, _PLAIN) for row in part.rows for item in row):
                return ArrayConstant(tuple(tuple(copied(item) for item in row) for row in part.rows))
            case Union():
                return Union(tuple(copied(item) for item in part.areas))
            case Element():
                return replace(part, array=copied(part.array))
            case Chain():
                return Chain(tuple(copied(item) for item in part.steps))
            case Fold():
                return replace(part, start=copied(part.start), array=copied(part.array), step=copied(part.step))
            case Shared():
                if id(part) not in shared:
                    shared[id(part)] = Shared(copied(part.meaning))
                return shared[id(part)]
            case _:
                return part

    return copied(node)


def walk(node: Node) -> Iterator[Node]:
    """The node and all its parts, outermost first; what is shared comes once."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Shared):
            if id(part) in seen:
                continue
            seen.add(id(part))
        yield part
        waiting += reversed(children(part))
