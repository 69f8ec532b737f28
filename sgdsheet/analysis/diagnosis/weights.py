"""Which column of the sheet a weight multiplies, read off the formulas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.functions.registry import Multiplies, declared
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Unary, walk
from sgdsheet.sheet.workbook import Workbook

_HEADER_ROWS = 3


class Feature(NamedTuple):
    """The cells that a weight multiplies, and what stands above them."""

    area: Range
    header: str

    def __str__(self) -> str:
        return f"“{self.header}” ({self.area})" if self.header else str(self.area)


def features(model: SheetModel) -> dict[Cell, Feature]:
    """The features of the weights that multiply cells of the sheet. For models with few parameters."""
    found: dict[Cell, Feature] = {}
    for block in model.plan.blocks:
        for weight, area in _pairs(model, block):
            if weight not in found:
                found[weight] = Feature(area, header(model.workbook, area))
    return found


def header(workbook: Workbook, area: Range) -> str:
    """The text above a column, or left of a row; empty if there is none near."""
    values = workbook.sheets[area.sheet].values
    for distance in range(1, _HEADER_ROWS + 1):
        upright = area.height >= area.width
        place = (area.top - distance, area.left) if upright else (area.top, area.left - distance)
        text = values.get(place)
        if isinstance(text, str) and text.strip():
            return " ".join(text.split())
    return ""


def largest_number(workbook: Workbook, area: Range) -> float | None:
    """The largest size of a number in these cells, as far as they are known."""
    values = workbook.sheets[area.sheet].values
    found = (values.get((cell.row, cell.column)) for cell in area.cells())
    return max((abs(value) for value in found if type(value) is float), default=None)


def is_zero(workbook: Workbook, area: Range) -> bool:
    """Whether each of the cells is known to be 0 or blank."""
    sheet = workbook.sheets[area.sheet]
    places = [(cell.row, cell.column) for cell in area.cells()]
    return all(not sheet.values.get(place, place in sheet.formulas) for place in places)


def _pairs(model: SheetModel, block: Block) -> Iterator[tuple[Cell, Range]]:
    """Each weight of a block with the cells that it multiplies over all copies of the formula."""
    for part in walk(block.tree):
        if isinstance(part, Binary) and part.operator == "*":
            yield from _product_pairs(model, block, part.left, part.right)
        if not isinstance(part, Call) or len(part.arguments) != 2 or (found := declared(part)) is None:
            continue
        if found.multiplies is Multiplies.MATRICES:
            left, right = (_bare(item) for item in part.arguments)
            if isinstance(left, Area) and isinstance(right, Area):
                yield from _matrix_pairs(model, block, left, right)
        elif found.multiplies is Multiplies.ELEMENTS:
            yield from _product_pairs(model, block, *part.arguments)


def _product_pairs(model: SheetModel, block: Block, left: Node, right: Node) -> Iterator[tuple[Cell, Range]]:
    """Products element by element; a single weight may also multiply an expression such as `A8^2`."""
    for one, other in ((_bare(left), right), (_bare(right), left)):
        if not isinstance(one, Area) or not _is_weight(model, block, one):
            continue
        cells = _size(one)
        for area in walk(other):
            if not isinstance(area, Area) or not _is_data(model, block, area):
                continue
            if cells in (_size(area), (1, 1)):
                yield from _aligned(block, one, area)
                break


def _aligned(block: Block, weights: Area, data: Area) -> Iterator[tuple[Cell, Range]]:
    down = bool(weights.top.down or weights.left.down)
    across = bool(weights.top.across or weights.left.across)
    height, width = _size(weights)
    for i in range(block.rows if down else 1):
        for j in range(block.columns if across else 1):
            last = (i if down else block.rows - 1, j if across else block.columns - 1)
            for row in range(height):
                for column in range(width):
                    weight = Cell(weights.sheet, weights.top.at(i, j) + row, weights.left.at(i, j) + column)
                    yield weight, _strip(data, (i, j), last, row, column)


def _strip(data: Area, first: tuple[int, int], last: tuple[int, int], row: int, column: int) -> Range:
    """One element of a window, from the first to the last copy of the formula."""
    top, left = data.top.at(*first) + row, data.left.at(*first) + column
    bottom, right = data.top.at(*last) + row, data.left.at(*last) + column
    return Range(data.sheet, min(top, bottom), min(left, right), max(top, bottom), max(left, right))


def _matrix_pairs(model: SheetModel, block: Block, left: Area, right: Area) -> Iterator[tuple[Cell, Range]]:
    """The weights of a matrix product with what they multiply.

    In X·W the row of a weight is the column of X that it multiplies; in W·X its column is the row of X.
    """
    if _is_weight(model, block, right) and _is_data(model, block, left):
        height, width = _size(right)
        rows = (left.top.at(0, 0), left.bottom.at(block.rows - 1, block.columns - 1))
        for row in range(height):
            feature = left.left.at(0, 0) + row
            for column in range(width):
                weight = Cell(right.sheet, right.top.at(0, 0) + row, right.left.at(0, 0) + column)
                yield weight, Range(left.sheet, rows[0], feature, rows[1], feature)
    elif _is_weight(model, block, left) and _is_data(model, block, right):
        height, width = _size(left)
        columns = (right.left.at(0, 0), right.right.at(block.rows - 1, block.columns - 1))
        for column in range(width):
            feature = right.top.at(0, 0) + column
            for row in range(height):
                weight = Cell(left.sheet, left.top.at(0, 0) + row, left.left.at(0, 0) + column)
                yield weight, Range(right.sheet, feature, columns[0], feature, columns[1])


def _bare(node: Node) -> Node:
    """The expression without a sign in front."""
    return _bare(node.operand) if isinstance(node, Unary) and node.operator in "+-@" else node


def _size(area: Area) -> tuple[int, int]:
    return area.bottom.base - area.top.base + 1, area.right.base - area.left.base + 1


def _whole(block: Block, area: Area) -> Range:
    last = (block.rows - 1, block.columns - 1)
    first = area.top.at(0, 0), area.left.at(0, 0)
    return Range(area.sheet, *first, area.bottom.at(*last), area.right.at(*last))


def _is_weight(model: SheetModel, block: Block, area: Area) -> bool:
    return any(known.contains(_whole(block, area)) for known in model.problem.parameters)


def _is_data(model: SheetModel, block: Block, area: Area) -> bool:
    """Whether the cells are given: neither parameters nor calculated from them."""
    whole = _whole(block, area)
    if any(known.intersection(whole) for known in model.problem.parameters):
        return False
    return not any(other.range.intersection(whole) for other in model.plan.live)
