"""Finding blocks: cells with the same formula in relative form, and merging blocks that differ by a step."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.resolve import Resolver
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.formula import parse, relative_key
from sgdsheet.sheet.references import Range, rectangles
from sgdsheet.sheet.syntax import (
    Affine,
    Area,
    ArrayConstant,
    Axis,
    Binary,
    Call,
    Chain,
    Element,
    Node,
    Reference,
    Shared,
    Unary,
    children,
    transform,
)
from sgdsheet.sheet.workbook import Position, Sheet
from sgdsheet.system.long_work import checkpoint


class _Form(NamedTuple):
    """What cells of one block have in common."""

    key: str
    height: int
    width: int
    array: bool


def _forms(sheet: Sheet) -> dict[_Form, list[Position]]:
    """The sheet's formula cells by their form; an array formula counts once, at its first cell."""
    sharing: dict[int, list[Position]] = defaultdict(list)  # cells that share a formula share its object
    for position, formula in sheet.formulas.items():
        sharing[id(formula)].append(position)
    found: dict[_Form, list[Position]] = {}
    for positions in sharing.values():
        formula = sheet.formulas[positions[0]]
        key, array = relative_key(formula.text, formula.row, formula.column), formula.array
        if array is None:
            form = _Form(key, 1, 1, False)
        else:
            top, left, bottom, right = array
            form = _Form(key, bottom - top + 1, right - left + 1, True)
            positions = [position for position in positions if position == (top, left)]
        known = found.get(form)
        if known is None and positions:
            found[form] = positions
        elif known is not None:
            known += positions
    return found


def instantiate(node: Node, row: int, column: int, height: int, width: int) -> Node:
    """Turn the references of a form into the areas that a block starting at `row`, `column` reads."""

    def change(part: Node) -> Node | None:
        if not isinstance(part, Reference):
            return None
        assert part.sheet is not None
        return Area.between(part.sheet, down(part.top), across(part.left), down(part.bottom), across(part.right))

    def down(axis: Axis) -> Affine:
        return Affine(axis.value + row, down=height) if axis.relative else Affine(axis.value)

    def across(axis: Axis) -> Affine:
        return Affine(axis.value + column, across=width) if axis.relative else Affine(axis.value)

    return transform(node, change)


def blocks_of(sheet: Sheet, resolver: Resolver) -> list[Block]:
    """All blocks of a sheet, in reading order."""
    return merge_siblings(_copies(sheet, resolver))


def _copies(sheet: Sheet, resolver: Resolver) -> Iterator[Block]:
    """The rectangles of cells that have the same formula in relative form."""
    waiting = deque(_forms(sheet).items())
    while waiting:
        checkpoint()
        form, positions = waiting.popleft()
        formula = sheet.formulas[positions[0]]
        error: FormulaError | None = None
        try:
            parsed = parse(formula.text, formula.row, formula.column)
            tree = resolver.resolve(parsed, sheet.name, *positions[0])
        except FormulaError as caught:
            tree, error = Node(), caught
        inside = positions
        if resolver.bodies:
            inside = [place for place in positions if _beside(place, positions[0], resolver.bodies)]
        if len(inside) < len(positions):
            kept = set(inside)
            waiting.append((form, [place for place in positions if place not in kept]))
        for place in rectangles(inside, form.height, form.width):
            yield _block(sheet, form, tree, error, place)


def _beside(place: Position, other: Position, bodies: Sequence[tuple[int, int]]) -> bool:
    """Whether two cells stand beside the rows of the same tables."""
    return all((first <= place[0] <= last) == (first <= other[0] <= last) for first, last in bodies)


def _block(
    sheet: Sheet, form: _Form, tree: Node, error: FormulaError | None, place: tuple[int, int, int, int]
) -> Block:
    top, left, rows, columns = place
    bottom, right = top + rows * form.height - 1, left + columns * form.width - 1
    area = Range(sheet.name, top, left, bottom, right)
    located = instantiate(tree, top, left, form.height, form.width)
    if error is not None:
        error = type(error)(error.cause, cell=area.first, remedy=error.remedy)
    return Block(
        area, rows, columns, form.height, form.width, located, form.array, sheet.formulas[top, left], (), error
    )


# --- siblings ---


def merge_siblings(blocks: Iterable[Block]) -> list[Block]:
    """Join blocks side by side (or stacked) whose absolute references move on by the same distance each.

    Two units of a network, `SUMPRODUCT(x, $R$4:$AA$4)` and `SUMPRODUCT(x, $R$5:$AA$5)`, become one block with
    one matrix product. A merged block remembers its `parts`, in case it has to be taken apart.
    """
    return _merge(_merge(blocks, across=True), across=False)


def _merge(blocks: Iterable[Block], *, across: bool) -> list[Block]:
    """One pass over blocks that are one copy wide (or high), in reading order."""
    lines: dict[tuple[str, int, int], list[Block]] = defaultdict(list)
    kept = []
    for block in blocks:
        single = block.columns == 1 if across else block.rows == 1
        if single and not block.array and block.error is None:
            own = block.range
            line = (own.sheet, own.top, own.bottom) if across else (own.sheet, own.left, own.right)
            lines[line].append(block)
        else:
            kept.append(block)
    for members in lines.values():
        members.sort(key=lambda block: (block.range.left, block.range.top))
        while members:
            run = _longest_run(members, across=across)
            kept.append(run[0] if len(run) == 1 else _joined(run, across=across))
            del members[: len(run)]
    return sorted(kept, key=lambda block: (block.range.sheet, block.range.top, block.range.left))


def _longest_run(line: list[Block], *, across: bool) -> list[Block]:
    run: list[Block] = [line[0]]
    moves = None
    for block in line[1:]:
        last = run[-1].range
        beside = block.range.left == last.right + 1 if across else block.range.top == last.bottom + 1
        found = _moves(run[-1], block, across=across) if beside else None
        if found is None or (moves is not None and found != moves):
            break
        moves = found
        run.append(block)
    if len(run) > 1:
        area = run[0].range.bounding_box(run[-1].range)
        if any(area.intersection(read) for read in _joined(run, across=across).reads()):
            return run[:1]
    return run


_Moves = list[tuple[int, int]]
"""How many rows and columns each reference of a tree moves from one sibling to the next."""


def _moves(first: Block, second: Block, *, across: bool) -> _Moves | None:
    """How the references move between two siblings; None if the formulas differ in anything else."""
    slides = first.rows > 1 if across else first.columns > 1
    return _tree_moves(first.tree, second.tree, across=across, slides=slides)


def _tree_moves(first: Node, second: Node, *, across: bool, slides: bool) -> _Moves | None:
    if isinstance(first, Area):
        return _area_moves(first, second, across=across, slides=slides) if isinstance(second, Area) else None
    if isinstance(first, (Shared, Chain, Element)):
        return None
    parts, others = children(first), children(second)
    if type(first) is not type(second) or len(parts) != len(others):
        return None
    if first != second if not parts else _label(first) != _label(second):
        return None
    found: _Moves = []
    for part, other in zip(parts, others, strict=True):
        moves = _tree_moves(part, other, across=across, slides=slides)
        if moves is None:
            return None
        found += moves
    return found


def _area_moves(first: Area, second: Area, *, across: bool, slides: bool) -> _Moves | None:
    """A reference must move as a whole, along one axis, and on which it does not slide the other way."""
    pairs = list(zip(_axes(first), _axes(second), strict=True))
    other_way = [(one.down, two.down) if across else (one.across, two.across) for one, two in pairs]
    if first.sheet != second.sheet or any(one != two for one, two in other_way):
        return None
    rows, columns, *rest = [two.base - one.base for one, two in pairs]
    if rest != [rows, columns] or rows < 0 or columns < 0 or (rows and columns):
        return None
    if slides and ((rows and other_way[0][0]) or (columns and other_way[1][0])):
        return None
    return [(rows, columns)]


def _label(node: Node) -> object:
    """What a node is apart from its parts."""
    match node:
        case Call():
            return node.name
        case Unary() | Binary():
            return node.operator
        case ArrayConstant():
            return len(node.rows)
        case _:
            return None


def _axes(area: Area) -> tuple[Affine, Affine, Affine, Affine]:
    return area.top, area.left, area.bottom, area.right


def _joined(run: Sequence[Block], *, across: bool) -> Block:
    moves = iter(_moves(run[0], run[1], across=across) or [])

    def extend(node: Node) -> Node | None:
        if not isinstance(node, Area):
            return None
        rows, columns = next(moves)
        step = "across" if across else "down"
        moved = [
            axis._replace(**{step: distance})
            for axis, distance in zip(_axes(node), (rows, columns, rows, columns), strict=True)
        ]
        return Area(node.sheet, *moved)

    first = run[0]
    return replace(
        first,
        range=first.range.bounding_box(run[-1].range),
        rows=first.rows if across else len(run),
        columns=len(run) if across else first.columns,
        tree=transform(first.tree, extend),
        parts=tuple(run),
    )
