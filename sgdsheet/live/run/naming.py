"""Gives the names sgd_loss, sgd_params and sgd_data to the cells that a person has selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsheet.errors import ProblemError, SettingError
from sgdsheet.live.run.live_book import LiveBook, Options, Reply
from sgdsheet.live.run.trainable import find_trainable
from sgdsheet.live.undo.tracking import PARAMETERS, model_areas
from sgdsheet.problem.definition import check_loss, check_parameters
from sgdsheet.sheet.defined_names import name_text
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import DefinedName, Workbook

_WHAT = {"sgd_loss": "the loss cell", "sgd_params": "the parameters", "sgd_data": "the sample rows"}


def set_name(book: LiveBook, name: str, sheet: str | None, options: Options) -> Reply:
    """Give a name to the selection, or to the option `areas`, if the sheet can be trained with it."""
    book.refuse_while_training("changing the model")
    workbook = book.read_tracked()
    areas = _clipped(workbook, _areas(book, sheet or workbook.active, options))
    home = areas[0].sheet
    candidate = _with_name(workbook, name, areas)
    if name == "sgd_loss" and (len(areas) > 1 or areas[0].size > 1):
        raise ProblemError("the loss is one cell", cell=areas[0], remedy="Select only the cell that calculates it")
    if name_text(candidate, home, "sgd_loss") and name_text(candidate, home, "sgd_params"):
        find_trainable(candidate, home, {}).model()
    elif name == "sgd_loss":
        check_loss(workbook, areas[0].first)
    elif name == "sgd_params":
        check_parameters(workbook, areas)
    book.host.define_name(name, areas)
    known = book.history.areas.get(home, {})
    if name == "sgd_params" and known.get(PARAMETERS) != model_areas(candidate, home).get(PARAMETERS):
        book.history.let_go(home, PARAMETERS)
    book.manual_run = None
    text = f"{_WHAT[name]}: {', '.join(str(area) for area in areas)}{_missing(candidate, home)}"
    book.host.status(text)
    return {"message": text}


def _areas(book: LiveBook, sheet: str | None, options: Options) -> tuple[Range, ...]:
    given = options.get("areas")
    if given is None:
        return book.host.selection()
    if not isinstance(given, list) or not given or not all(isinstance(text, str) for text in given):
        raise SettingError("the option areas has to be a list of ranges", remedy="Write them like Sheet1!B2:C9")
    return tuple(parse_range(text, sheet or "") for text in given)


def _clipped(workbook: Workbook, areas: Sequence[Range]) -> tuple[Range, ...]:
    """Whole columns end where the sheet does."""
    if not areas:
        raise ProblemError("no cells are selected", remedy="Select cells of the sheet first")
    found = []
    for area in areas:
        home = workbook.sheet(area.sheet)
        if home is None:
            raise ProblemError(f"the workbook has no sheet {area.sheet}", remedy="Select cells of one of its sheets")
        rows, columns = home.extent
        bottom, right = min(area.bottom, max(rows, area.top)), min(area.right, max(columns, area.left))
        whole = area.height > 100_000 or area.width > 10_000
        found.append(area._replace(sheet=home.name, **({"bottom": bottom, "right": right} if whole else {})))
    if len({area.sheet for area in found}) > 1:
        raise ProblemError("the cells lie on several sheets", cell=found[0], remedy="Select cells of one sheet")
    return tuple(found)


def _with_name(workbook: Workbook, name: str, areas: Sequence[Range]) -> Workbook:
    """The workbook as it would be with the name."""
    home, text = areas[0].sheet, ",".join(str(area) for area in areas)
    others = [item for item in workbook.names if not (item.name.casefold() == name and item.sheet == home)]
    return replace(workbook, names=[*others, DefinedName(name, text, home)])


def _missing(workbook: Workbook, sheet: str) -> str:
    """What has still to be named before the sheet can be trained."""
    missing = [name for name in ("sgd_loss", "sgd_params") if not name_text(workbook, sheet, name)]
    return f". Now name {_WHAT[missing[0]]}" if missing else ""
