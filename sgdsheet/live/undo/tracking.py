"""Finds the cells again that commands have written to, after a person has inserted rows or renamed sheets.

The cells of a model (its parameters, each of its settings) are followed by the model's names: if a name now means areas
of the same shapes in the same order, what was noted of the old cells is noted of the new ones. Cells that still hold
what was written last have not moved, whatever the names say. Of all other cells nothing is known: perhaps another
workbook was opened. Nothing may be written to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from sgdsheet.errors import FormulaError, HostError, ProblemError, quoted
from sgdsheet.live.undo.snapshots import Areas, Contents, History, Level
from sgdsheet.problem.definition import settings_areas, settings_in
from sgdsheet.sheet.agreement import same_number
from sgdsheet.sheet.defined_names import areas_of, name_text, tidy_areas
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range, parse_range, rectangles, split_areas
from sgdsheet.sheet.workbook import Value, Workbook

PARAMETERS = "parameters"


def model_areas(workbook: Workbook, sheet: str) -> Areas:
    """The cells of a sheet's model that commands write to, by their role: `parameters`, and one for each setting.

    What the cells hold plays no part.
    """
    found: Areas = {}
    with suppress(ProblemError, FormulaError):
        text = name_text(workbook, sheet, "sgd_params") or name_text(workbook, sheet, "solver_adj")
        if text is not None:
            found[PARAMETERS] = tidy_areas(areas_of(workbook, text, sheet, PARAMETERS))
    with suppress(ProblemError, FormulaError):
        for row in settings_in(workbook, settings_areas(workbook, sheet)):
            found[f"setting {quoted(row.name)}"] = (Range.of_cell(row.cell),)
    return found


def noted_areas(history: History, outline: Workbook) -> list[Range] | None:
    """The cells that have to be read to find again what the history knows of; `outline` has all names and no cells.

    None where the names alone do not tell: a whole column ends where the cells do, a table's column is known by its
    heading.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    for contents in history.contents:
        for cell in contents:
            found.setdefault(cell.sheet, set()).add(cell[1:])
    for areas in history.areas.values():
        for cell in _cells(area for own in areas.values() for area in own):
            found.setdefault(cell.sheet, set()).add(cell[1:])
    for sheet in outline.sheets:
        for name in ("sgd_params", "solver_adj", "sgd_settings"):
            text = name_text(outline, sheet, name)
            named = _plain_areas(text, sheet) if text is not None else []
            if named is None:
                return None
            for area in named:
                home = outline.sheet(area.sheet)
                if home is not None:
                    found.setdefault(home.name, set()).update(area.positions())
    return [
        Range(sheet, top, left, top + height - 1, left + width - 1)
        for sheet, places in found.items()
        if sheet in outline.sheets
        for top, left, height, width in rectangles(places)
    ]


def _plain_areas(text: str, sheet: str) -> list[Range] | None:
    """The areas that a name stands for; None unless it lists cells and nothing else."""
    try:
        areas = [parse_range(part, sheet) for part in split_areas(text)]
    except FormulaError:
        return None if "#REF!" not in text.upper() else []
    return None if any(area.bottom == MAX_ROW or area.right == MAX_COLUMN for area in areas) else areas


def follow_sheets(history: History, workbook: Workbook, name_now: Callable[[str], str | None]) -> None:
    """Note the new names of renamed sheets.

    `name_now` gives the present name of a sheet that the program has shown us before; None if the program cannot tell.
    Then, if there is just one other sheet whose model has the same cells, it is that one.
    """
    names = {sheet: name_now(sheet) or _twin(history, workbook, sheet) for sheet in history.sheets}
    moved = {old: new for old, new in names.items() if new is not None and new != old}
    if moved:
        history.rename(moved)


def follow_cells(history: History, workbook: Workbook) -> None:
    """Note where the cells of all models are now. What cannot be found stays as it was noted."""
    moved: dict[Cell, Cell] = {}
    for sheet, areas in history.areas.items():
        now = model_areas(workbook, sheet)
        for what, old in areas.items():
            new = now.get(what, ())
            if new != old and _shapes(new) == _shapes(old) and not _all_ours(history, workbook, _cells(old)):
                moved.update(zip(_cells(old), _cells(new), strict=True))
                areas[what] = new
    if moved:
        history.move(moved)


def follow_edits(
    history: History, written: Mapping[Cell, float], workbook: Workbook, sheet: str, parameters: Iterable[Cell]
) -> None:
    """Note that a person has changed the model during a run, which goes on with these parameters.

    `written` is what the run wrote last. If the parameters are other cells than before, and the old ones cannot be
    found, Undo goes back to this moment only.
    """
    history.after.update(written)
    follow_cells(history, workbook)
    if forget_lost(history, workbook, sheet):
        history.levels.append(Level("train", {}))
    history.extend({cell: _value(workbook, cell) for cell in parameters}, sheet, model_areas(workbook, sheet))


def forget_lost(history: History, workbook: Workbook, sheet: str) -> bool:
    """Forget what was noted of cells that nobody can find again; whether there were any.

    To be called before a command writes to the model of a sheet.
    """
    now, lost = model_areas(workbook, sheet), False
    for what, old in history.areas.get(sheet, {}).items():
        new = now.get(what, ())
        if new != old and (not _all_ours(history, workbook, _cells(old)) or _doubled(history, workbook, old, new)):
            history.forget(_cells(old))
            lost = True
    return lost


def refuse_lost(history: History, workbook: Workbook, cells: Contents, then: str) -> None:
    """Raise HostError unless old values can be put into these cells again.

    Every cell has to be a model's, or hold what was written last: what a person has put elsewhere is not overwritten.
    `then` is the command to repeat when that is mended.
    """
    for sheet in {cell.sheet for cell in cells}:
        if sheet not in workbook.sheets:
            raise sheet_gone(sheet, then)
    found: set[Cell] = set()
    doubtful: set[Cell] = set()
    for sheet, areas in history.areas.items():
        now = model_areas(workbook, sheet)
        for what, old in areas.items():
            if now.get(what) == old:
                found.update(_cells(old))
            elif _doubled(history, workbook, old, now.get(what, ())):
                doubtful.update(_cells(old))
    for cell in cells:
        if cell not in found and (cell in doubtful or not _is_ours(history, workbook, cell)):
            raise _lost(history, workbook, cell, then)
        if _has_formula(workbook, cell):
            raise HostError("a formula stands there", cell=cell, remedy=f"Put a number there, then {then}")
    if history.fresh and not any(_may_be_ours(history, workbook, cell) for cell in cells):
        raise HostError(
            "sgdsheet knows none of the numbers that stand there: perhaps this is another workbook",
            cell=next(iter(cells)),
            remedy=f"Nothing was changed. The values from before are in {history.path}",
        )


def sheet_gone(sheet: str, then: str) -> HostError:
    """The error for a sheet that is gone, although old values belong to it; `then` is the command to repeat."""
    name = quoted(sheet)
    return HostError(f"the sheet {name} is gone", remedy=f"If it was renamed, rename it back to {name}, then {then}")


def _lost(history: History, workbook: Workbook, cell: Cell, then: str) -> HostError:
    cause = "the cell does not hold what sgdsheet wrote"
    for sheet, areas in history.areas.items():
        for what, old in areas.items():
            if any(area.contains(Range.of_cell(cell)) for area in old):
                now = model_areas(workbook, sheet).get(what)
                cause = f"sheet {sheet} has no {what} in {_listed(old)} any more"
                cause += f", but in {_listed(now)}" if now else ""
    remedy = f"Nothing was changed. Take that back, then {then}. The values from before are in {history.path}"
    return HostError(cause, cell=cell, remedy=remedy)


def _twin(history: History, workbook: Workbook, sheet: str) -> str | None:
    """The only sheet that a missing one can be now, judged by the cells of its model; None if there is no such."""
    areas = history.areas.get(sheet, {}).get(PARAMETERS)
    if areas is None or sheet in workbook.sheets:
        return None
    found = [
        name
        for name in workbook.sheets
        if name not in history.sheets
        and model_areas(workbook, name).get(PARAMETERS)
        == tuple(area._replace(sheet=name) if area.sheet == sheet else area for area in areas)
    ]
    return found[0] if len(found) == 1 else None


def _all_ours(history: History, workbook: Workbook, cells: Iterable[Cell]) -> bool:
    return all(_is_ours(history, workbook, cell) for cell in cells)


def _doubled(history: History, workbook: Workbook, old: Sequence[Range], new: Sequence[Range]) -> bool:
    """Whether the cells that bear the name now hold what was written to the old ones: they may be these.

    So it is where a person has copied a row and inserted the copy above: the old place holds the copy.
    """
    pairs = zip(_cells(old), _cells(new), strict=False)
    return _shapes(old) == _shapes(new) and all(
        _equal(_value(workbook, cell), history.after.get(was)) for was, cell in pairs
    )


def _is_ours(history: History, workbook: Workbook, cell: Cell) -> bool:
    """Whether a cell holds what was written last. Never for an empty cell: those that were inserted are empty."""
    value = _value(workbook, cell)
    return value not in (None, "") and _equal(value, history.after.get(cell))


def _may_be_ours(history: History, workbook: Workbook, cell: Cell) -> bool:
    """Whether a cell holds what it held at any time that is known of, or nothing is known of what was written last."""
    value = _value(workbook, cell) or 0.0
    known = [contents[cell] for contents in history.contents if cell in contents]
    return cell not in history.after or any(_equal(value, one or 0.0) for one in known)


def _equal(one: Value | None, two: Value | None) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return same_number(one, two)
    return one == two


def _value(workbook: Workbook, cell: Cell) -> Value | None:
    sheet = workbook.sheets.get(cell.sheet)
    return sheet.values.get((cell.row, cell.column)) if sheet is not None else None


def _has_formula(workbook: Workbook, cell: Cell) -> bool:
    return (cell.row, cell.column) in workbook.sheets[cell.sheet].formulas


def _cells(areas: Iterable[Range]) -> list[Cell]:
    return [cell for area in areas for cell in area.cells()]


def _shapes(areas: Iterable[Range]) -> list[tuple[int, int]]:
    return [(area.height, area.width) for area in areas]


def _listed(areas: Iterable[Range]) -> str:
    return ", ".join(str(area) for area in areas)
