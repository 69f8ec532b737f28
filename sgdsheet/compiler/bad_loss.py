"""Why a loss is not a number: the first cell that is not, and what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.operators import COMPARISONS
from sgdsheet.compiler.functions.registry import Takes
from sgdsheet.errors import DataError, quoted
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Call, ErrorConstant, Name, Node, Unary, children, walk
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook


def explain(workbook: Workbook, plan: Plan, loss: Cell, values: Mapping[Cell, Value]) -> DataError:
    """The error for a loss that is not a number. `values` are those of the plan's cells."""
    bad = {cell for cell, value in values.items() if isinstance(value, ExcelError)}
    # A constant with a saved error is blamed as what a formula reads; only then for itself.
    saved = workbook.sheets
    known = {cell for cell in bad if isinstance(saved[cell.sheet].values.get(cell[1:]), ExcelError)}
    bad -= known & {cell for block in plan.constant for cell in block.range.cells()}
    for block in plan.blocks:
        for cell in block.range.cells():
            if cell in bad:
                return _blame(workbook, block, cell, str(values[cell]))
    return DataError("the loss is not a number", cell=loss, remedy="Check the formulas it reads")


def _blame(workbook: Workbook, block: Block, cell: Cell, error: str) -> DataError:
    copy = block.trimmed(Range.of_cell(cell))
    if any(isinstance(part, ErrorConstant) and part.value is ExcelError.REF for part in walk(copy.tree)):
        return DataError(f"the formula ={copy.text} refers to cells that were deleted", cell=cell, remedy="Mend it")
    for name in _undefined_names(workbook, copy) if error == str(ExcelError.NAME) else ():
        return DataError(
            f"the formula ={copy.text} uses the name “{name}” that is not defined", cell=cell, remedy="Define it"
        )
    for source, value in _values_of(workbook, copy.reads()):
        if isinstance(value, ExcelError):
            return DataError(f"the cell holds the error {value}, and {cell} needs it", cell=source, remedy="Mend it")
    calculated = (bounding_range(area, copy.rows, copy.columns) for area in _calculated_areas(copy.tree))
    for source, value in _values_of(workbook, calculated):
        if isinstance(value, str) and error == str(ExcelError.VALUE):
            return DataError(
                f"the cell holds the text {quoted(value)}, and {cell} calculates with it",
                cell=source,
                remedy="Put a number there",
            )
    if error == str(ExcelError.VALUE) and not copy.array and any(_ranges(copy.tree, arrays=False)):
        return DataError(
            f"the formula ={copy.text} uses a whole range where one value fits",
            cell=cell,
            remedy="Refer to one cell, or enter it as an array formula",
        )
    shapes = {
        (area.bottom.base - area.top.base + 1, area.right.base - area.left.base + 1) for area in _ranges(copy.tree)
    }
    if error == str(ExcelError.NA) and len(shapes) > 1:
        sizes = " and ".join(f"{height}x{width}" for height, width in sorted(shapes, reverse=True))
        return DataError(
            f"the formula ={copy.text} combines arrays of different sizes ({sizes})",
            cell=cell,
            remedy="Make them the same size",
        )
    return DataError(
        f"the formula ={copy.text} does not give a finite number, but {error}",
        cell=cell,
        remedy="Check the values that it reads",
    )


def _values_of(workbook: Workbook, areas: Iterable[Range]) -> Iterator[tuple[Cell, Value | None]]:
    for area in areas:
        sheet = workbook.cells_of(area.sheet)
        values = {} if sheet is None else sheet.values
        if area.size <= len(values):
            places: Iterable[tuple[int, int]] = ((cell.row, cell.column) for cell in area.cells())
        else:  # as whole columns are
            inside = (place for place in values if area.contains(Range.of_cell(Cell(area.sheet, *place))))
            places = sorted(inside)
        for place in places:
            yield Cell(area.sheet, *place), values.get(place)


def _undefined_names(workbook: Workbook, copy: Block) -> Iterator[str]:
    """The names in a formula that nobody has defined, the variables of LET and LAMBDA apart."""
    tree = parse(copy.formula.text, copy.formula.row, copy.formula.column)
    variables = {
        item.name.casefold()
        for call in walk(tree)
        if isinstance(call, Call) and call.name in ("LET", "LAMBDA")
        for item in call.arguments
        if isinstance(item, Name)
    }
    for part in walk(tree):
        if isinstance(part, Name) and part.name.casefold() not in variables:
            known = workbook.defined_name(part.name, copy.range.sheet) or workbook.table(part.name)
            if known is None:
                yield part.name


def _ranges(node: Node, *, arrays: bool = True) -> Iterator[Area]:
    """The operands that are ranges; without `arrays`, but for those of functions that calculate with arrays."""
    for part in children(node):
        found = REGISTRY.get(part.name) if isinstance(part, Call) else None
        if isinstance(part, Area) and not isinstance(node, Call) and (part.top, part.left) != (part.bottom, part.right):
            yield part
        elif arrays or found is None or found.takes is not Takes.ARRAYS:
            yield from _ranges(part, arrays=arrays)


def _calculated_areas(node: Node, calculated: bool = True) -> Iterator[Area]:
    """The references in which text is an error: operands of `+` and arguments of EXP, not of SUM."""
    match node:
        case Area():
            if calculated:
                yield node
        case Binary():
            inside = node.operator != "&" and node.operator not in COMPARISONS
            yield from _calculated_areas(node.left, inside)
            yield from _calculated_areas(node.right, inside)
        case Unary():
            yield from _calculated_areas(node.operand, node.operator != "@" or calculated)
        case Call():
            found = REGISTRY.get(node.name)
            for position, argument in enumerate(node.arguments):
                skipped = found is None or found.skips_blanks or position in found.zero_arguments
                chosen = found is not None and found.takes is Takes.FORMULAS
                own = calculated if chosen else not skipped
                yield from _calculated_areas(argument, own and not (skipped and isinstance(argument, Area)))
        case _:
            return
