"""The command reset: the parameters as they were before the first training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import HostError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply
    from sgdsheet.live.undo.snapshots import Contents
    from sgdsheet.sheet.workbook import Workbook


def reset(book: LiveBook, sheet: str | None, _options: Options) -> Reply:
    """Write back what the model's parameters were at first, as a level of undo. Ends a run first."""
    from sgdsheet.live.undo.tracking import refuse_lost

    book.finish()
    if not book.history.original:
        raise HostError("nothing was changed yet", remedy="Reset goes back to before the first training")
    workbook = book.read_noted()
    home = _model_sheet(workbook, sheet)
    wanted = _original_of(book, workbook, home) if home is not None else dict(book.history.original)
    refuse_lost(book.history, workbook, wanted, "reset")
    book.note("reset", workbook, home, wanted)
    book.restore(wanted)
    return book.tell_idle("the parameters are as they were before the first training")


def _model_sheet(workbook: Workbook, sheet: str | None) -> str | None:
    """The sheet whose model the request is about; None if that sheet has no model, or none can be chosen."""
    from sgdsheet.problem.definition import sheets_with_problem

    found = sheets_with_problem(workbook)
    if sheet is not None:
        named = workbook.sheet(sheet)
        return named.name if named is not None and named.name in found else None
    if workbook.active in found:
        return workbook.active
    return found[0] if len(found) == 1 else None


def _original_of(book: LiveBook, workbook: Workbook, home: str) -> Contents:
    """What the parameters of one sheet's model were at first. Raises HostError if nothing is known of that."""
    from sgdsheet.live.undo.tracking import PARAMETERS, model_areas, sheet_gone

    areas = model_areas(workbook, home).get(PARAMETERS, ())
    own = {cell for area in areas for cell in area.cells()}
    found = {cell: value for cell, value in book.history.original.items() if cell in own}
    if not found:
        for cell in book.history.original:
            if cell.sheet not in workbook.sheets:
                raise sheet_gone(cell.sheet, "reset")
        raise HostError(f"sheet {home} was not changed yet", remedy="Choose another sheet")
    return found


COMMAND = Command(
    "reset",
    reset,
    Button(
        group=Group.TRAIN,
        place=50,
        label="Reset",
        tip="puts the parameters back to what they were before the first training",
        title="Back to the start",
        help="Brings back the parameters from before the first training since the workbook was opened.",
        image="PictureResetAndSize",
        drawing=(
            '<path d="M5 5v14" stroke="#1e66b8" stroke-width="3"/>',
            '<path d="M20 5l-9 7 9 7z" fill="#1e66b8" stroke="#1e66b8"/>',
        ),
        key="R",
    ),
    writes=True,
)
