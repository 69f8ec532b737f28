"""What a defined name points to: cells, whatever way they are written."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.errors import FormulaError, ProblemError
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range, parse_range, rectangles, split_areas
from sgdsheet.sheet.workbook import Workbook

_MOST_AREAS = 32
_DEEPEST_NAME = 20
_MOST_PARAMETERS = 10_000_000


def name_text(workbook: Workbook, sheet: str, name: str) -> str | None:
    """The text of a name of this sheet, or of a name of the workbook that points to this sheet."""
    found = workbook.defined_name(name, sheet)
    if found is None:
        return None
    if found.sheet is None and not found.text.startswith("#"):
        try:
            if parse_range(split_areas(found.text)[0], sheet).sheet != sheet:
                return None
        except (FormulaError, IndexError):
            pass
    return found.text


def areas_of(workbook: Workbook, text: str, sheet: str, what: str) -> tuple[Range, ...]:
    """The ranges that a reference text means; table columns and other names are looked up too."""
    if "#REF!" in text.upper():
        raise ProblemError(
            f"{what} points to cells that were deleted ({text})", remedy="Point it to existing cells again"
        )
    areas = []
    for part in split_areas(text):
        area = area_of(workbook, part, sheet, what)
        found = workbook.sheet(area.sheet)
        if found is None:
            raise ProblemError(
                f"{what} points to a sheet that is not there ({part})",
                remedy=f"Mend it; the sheets are {', '.join(workbook.sheets)}",
            )
        if area.bottom == MAX_ROW:  # a whole column
            area = area._replace(bottom=max(found.extent[0], area.top))
        if area.right == MAX_COLUMN:
            area = area._replace(right=max(found.extent[1], area.left))
        areas.append(area._replace(sheet=found.name))
    if not areas:
        raise ProblemError(f"{what} is empty", remedy="Point it to cells")
    return tuple(areas)


def area_of(workbook: Workbook, part: str, sheet: str, what: str, depth: int = 0) -> Range:
    try:
        return parse_range(part, sheet)
    except FormulaError:
        named = workbook.defined_name(part.rpartition("!")[2], sheet)
        table, _, column = part.rstrip("]").partition("[")
        found = workbook.table(table)
        if named is not None and depth < _DEEPEST_NAME:
            return area_of(workbook, named.text, sheet, what, depth + 1)
        if found is not None:
            body = found.body
            if not column:
                return body
            folded = [name.casefold() for name in found.columns]
            if column.casefold() in folded:
                left = body.left + folded.index(column.casefold())
                return body._replace(left=left, right=left)
        raise ProblemError(
            f"{what} is not a range of cells ({part})", remedy="Write it like B2, B2:C9 or Sheet1!B2:C9"
        ) from None


def single_cell(workbook: Workbook, text: str, sheet: str, what: str) -> Cell:
    areas = areas_of(workbook, text, sheet, what)
    if len(areas) != 1 or areas[0].size != 1:
        raise ProblemError(f"{what} must be one cell, not {text}", remedy="Point it to a single cell")
    return areas[0].first


def tidy_areas(areas: Sequence[Range]) -> tuple[Range, ...]:
    """Areas without overlap, and not very many: overlapping or numerous ones are put together anew."""
    count = sum(area.size for area in areas)
    if count > _MOST_PARAMETERS:
        raise ProblemError(
            f"the parameters are {count:,} cells, more than can be trained",
            cell=areas[0],
            remedy="Point them to the cells that are filled",
        )
    overlap = any(one.intersection(two) for index, one in enumerate(areas) for two in areas[:index])
    if not overlap and len(areas) <= _MOST_AREAS:
        return tuple(areas)
    tidy = []
    for sheet in dict.fromkeys(area.sheet for area in areas):
        cells = {(cell.row, cell.column) for area in areas if area.sheet == sheet for cell in area.cells()}
        for top, left, rows, columns in rectangles(cells):
            tidy.append(Range(sheet, top, left, top + rows - 1, left + columns - 1))
    return tuple(tidy)
