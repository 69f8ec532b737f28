"""What a page can ask of its workbook: one function per request, which may wait, and returns what the reply has in it.

All raise SgdSheetError for what cannot be done, ValueError for a request that is malformed.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from sgdsheet.apps.web import cell_details
from sgdsheet.apps.web.book_saving import save_book
from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.apps.web.sheet_view import area_of, kind_of
from sgdsheet.errors import FormulaError, HostError, SettingError, quoted
from sgdsheet.problem.definition import settings_areas
from sgdsheet.problem.optimizers import normalised
from sgdsheet.problem.settings import DECLARATIONS
from sgdsheet.sheet.displayed_text import GENERAL, displayed
from sgdsheet.sheet.formula import formula_text, moved
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range
from sgdsheet.sheet.workbook import Formula, Position

Message = dict[str, Any]
Request = Callable[[ServedBook, Message], Message]

MOST_EDITED = 1_000_000
"""Cells that one request may change or copy."""


# --- cells ------------------------------------------------------------------------------------------------


def edit(served: ServedBook, message: Message) -> Message:
    """Take what was typed or pasted: rows of texts; None leaves a cell as it is."""
    sheet, top, left = sheet_of(served, message), _whole(message, "top"), _whole(message, "left")
    rows = message.get("texts")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ValueError("texts are rows of texts")
    entries = []
    for row, texts in enumerate(rows, top):
        for column, text in enumerate(texts, left):
            if text is None:
                continue
            if not isinstance(text, str):
                raise ValueError("texts are rows of texts")
            entries.append((Cell(sheet, row, column), text))
    if len(entries) > MOST_EDITED:
        raise HostError(f"{len(entries):,} cells are too many at once", remedy="Paste them in parts")
    beyond = next((cell for cell, _ in entries if cell.row > MAX_ROW or cell.column > MAX_COLUMN), None)
    if beyond is not None:
        raise HostError("what is pasted does not fit on the sheet", cell=Cell(sheet, top, left))
    if entries:
        served.book.edit(entries, str(message.get("label") or "typing"))
    return {"cells": len(entries)}


def fill(served: ServedBook, message: Message) -> Message:
    """Copy an area to another one, again and again until that is full; formulas move with it."""
    sheet = sheet_of(served, message)
    source, target = area_of(sheet, message.get("from")), area_of(sheet, message.get("to"))
    if max(source.size, target.size) > MOST_EDITED:
        raise HostError(f"{max(source.size, target.size):,} cells are too many at once", cell=target)
    held = {place: served.book.content(Cell(sheet, *place)) for place in source.positions()}
    changes = {}
    for row, column in target.positions():
        place = (source.top + (row - target.top) % source.height, source.left + (column - target.left) % source.width)
        if place == (row, column):
            continue
        content = held[place]
        cell = Cell(sheet, row, column)
        if isinstance(content, Formula):
            if content.array is not None:
                raise HostError(
                    "it is part of an array formula, which cannot be copied alone", cell=Cell(sheet, *place)
                )
            try:
                text = moved(formula_text(content, *place), *place, row, column)
            except FormulaError as error:
                raise FormulaError(error.cause, cell=cell, remedy=error.remedy) from None
            content = Formula(text, row, column)
        changes[cell] = content
    if changes:
        served.book.change(changes, "fill")
    return {"cells": len(changes)}


def widths(served: ServedBook, message: Message) -> Message:
    """Give columns, as runs of their numbers, a width in pixels."""
    sheet, runs, width = sheet_of(served, message), message.get("columns"), _whole(message, "width")
    if not isinstance(runs, list):
        raise ValueError("columns are runs of numbers")
    columns: set[int] = set()
    for run in runs:
        if not isinstance(run, list) or len(run) != 2 or not all(type(place) is int for place in run):
            raise ValueError("a run is the first and the last column")
        if not 1 <= run[0] <= run[1] <= MAX_COLUMN:
            raise ValueError("a column lies outside the grid")
        columns.update(range(run[0], run[1] + 1))
    served.book.set_widths(sheet, columns, width)
    return {"columns": len(columns)}


def copy(served: ServedBook, message: Message) -> Message:
    """The texts of an area for the clipboard, as they are shown: lines with tabs, and a table."""
    sheet = sheet_of(served, message)
    area = area_of(sheet, message.get("area"))
    if area.size > MOST_EDITED:
        rows, columns = served.book.workbook.sheets[sheet].extent
        area = area._replace(
            bottom=min(area.bottom, max(area.top, rows)), right=min(area.right, max(area.left, columns))
        )
    if area.size > MOST_EDITED:
        raise HostError(f"{area.size:,} cells are too many at once", cell=area)
    shown = served.view(sheet).entries(area, lambda _: {})
    columns_of = range(area.left, area.right + 1)
    table = [
        [str(shown.get((row, column), ("",))[0]) for column in columns_of] for row in range(area.top, area.bottom + 1)
    ]
    lines = "\n".join("\t".join(map(_field, row)) for row in table)
    cells = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in table)
    return {"tsv": lines, "html": f"<table>{cells}</table>"}


def cell(served: ServedBook, message: Message) -> Message:
    """All about one cell."""
    sheet = sheet_of(served, message)
    place = Cell(sheet, _whole(message, "row"), _whole(message, "column"))
    workbook, look = served.book.workbook, served.look(sheet)
    formula = workbook.sheets[sheet].formulas.get(place[1:]) or _spilling(served, place)
    value = served.book.value_of(place)
    style = look.styles_in(Range.of_cell(place)).get(place[1:], 0)
    code = served.appearance.styles[style].number_format if style < len(served.appearance.styles) else GENERAL
    code = served.book.number_formats.get(place, code) if code == GENERAL else code
    text = f"={formula_text(formula, *_home(formula, place))}" if formula is not None else None
    gradient = next((item[2] for item in served.gradients.get(sheet, ()) if (item[0], item[1]) == place[1:]), None)
    shown = displayed(value, code, workbook.date1904).text if value is not None else ""
    return {
        "formula": text,
        "array": formula is not None and formula.array is not None,
        "input": text if text is not None else cell_details.input_text(value, code, date1904=workbook.date1904),
        "value": shown,
        "exact": value if isinstance(value, bool | float) else str(value) if value is not None else None,
        "kind": kind_of(value) if value is not None else "",
        "refers": cell_details.references(workbook, formula, place) if formula is not None else [],
        "role": cell_details.role(served.problem(sheet), place),
        "gradient": gradient,
        "uncalculated": served.book.uncalculated_in(Range.of_cell(place)).get(place[1:]),
    }


def _spilling(served: ServedBook, place: Cell) -> Formula | None:
    """The array formula that fills a cell from elsewhere."""
    for formula in set(served.book.workbook.sheets[place.sheet].formulas.values()):
        if formula.array is not None and Range(place.sheet, *formula.array).contains(Range.of_cell(place)):
            return formula
    return None


def _home(formula: Formula, place: Cell) -> Position:
    """The cell that an array formula stands in; for others, the cell itself."""
    return (formula.row, formula.column) if formula.array is not None else place[1:]


def _field(text: str) -> str:
    """A text between tabs: in quotes where it has a tab, a line break or a quotation mark in it."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in '\t\n\r"') else text


# --- the workbook -----------------------------------------------------------------------------------------


def select(served: ServedBook, message: Message) -> Message:
    """Take note of what is selected."""
    sheet, areas = sheet_of(served, message), message.get("areas")
    if not isinstance(areas, list):
        raise ValueError("areas are a list")
    served.book.selected = tuple(area_of(sheet, item) for item in areas)
    return {}


def undo(served: ServedBook, message: Message) -> Message:
    """Take back the newest change."""
    return {"message": f"undone: {served.book.undo()}"}


def redo(served: ServedBook, message: Message) -> Message:
    """Make the change again that was taken back last."""
    return {"message": f"made again: {served.book.redo()}"}


def save(served: ServedBook, message: Message) -> Message:
    """Save a copy beside the file, or in place if that is asked for."""
    name, in_place = message.get("as"), message.get("in_place", False)
    if not (name is None or isinstance(name, str)) or not isinstance(in_place, bool):
        raise ValueError("“as” is a file's name, “in_place” true or false")
    path = save_book(served.book, name, in_place=in_place, training=served.training)
    return {"path": str(path), "name": path.name}


# --- training ---------------------------------------------------------------------------------------------


def command(served: ServedBook, message: Message) -> Message:
    """Have the trainer do a command."""
    name, options = message.get("name"), message.get("options") or {}
    if not isinstance(name, str) or not isinstance(options, dict):
        raise ValueError("a command has a name and options")
    if name == "quit":
        raise SettingError("“quit” is not for a page", remedy="Press Ctrl-C in the terminal")
    return served.ask(name, sheet_of(served, message), options)


def settings(served: ServedBook, message: Message) -> Message:
    """Write settings where the sheet has a place for them; else keep them for this session."""
    sheet, values = sheet_of(served, message), message.get("values")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ValueError("values are settings by their names")
    known = {normalised(item.label): item for item in DECLARATIONS}
    entries: list[tuple[Cell, str]] = []
    session = dict(served.options.get(sheet, {}))
    areas = settings_areas(served.book.workbook, sheet)
    rows = [
        (area.sheet, row, area.left) for area in areas if area.width == 2 for row in range(area.top, area.bottom + 1)
    ]
    names = {row: served.book.value_of(Cell(*row)) for row in rows}
    for name, value in values.items():
        declaration = known.get(normalised(name))
        if declaration is None:
            raise SettingError(
                f"{quoted(name)} is not a setting",
                remedy=f"Settings are {', '.join(item.label for item in DECLARATIONS)}",
            )
        text = "" if value is None else str(value)
        if text:
            _check_setting(declaration.read, declaration.allowed, name, text)
        place = next(
            (row for row, own in names.items() if isinstance(own, str) and normalised(own) == normalised(name)), None
        )
        if place is None and text:
            free = (row for row, own in names.items() if own is None)
            place = next((row for row in free if served.book.content(Cell(row[0], row[1], row[2] + 1)) is None), None)
            if place is not None:
                names[place] = declaration.label
                entries.append((Cell(*place), declaration.label))
        if place is not None:
            entries.append((Cell(place[0], place[1], place[2] + 1), text))
            session.pop(declaration.key, None)
        elif text:
            session[declaration.key] = text
        else:
            session.pop(declaration.key, None)
    if entries:
        served.book.edit(entries, "settings")
    served.options[sheet] = session
    return {"session": session, "written": len(entries)}


def _check_setting(read: Callable[[Any], Any], allowed: str, name: str, text: str) -> None:
    try:
        read(text)
    except (ValueError, OverflowError):
        raise SettingError(f"{quoted(text)} cannot be the setting “{name}”", remedy=f"Allowed are {allowed}") from None


def slice_(served: ServedBook, message: Message) -> Message:
    """The loss over one or two parameters, and the way that they have gone."""
    cells = _places(served, message)
    reply = served.ask("loss-slice", cells[0].sheet, {"cells": ",".join(Range.of_cell(item).a1 for item in cells)})
    if reply.get("ok") and served.traced == tuple(cells):
        reply["path"] = list(served.path)
    return reply


def trace(served: ServedBook, message: Message) -> Message:
    """Keep note of where two parameters go, or stop that."""
    if not message.get("cells"):
        served.trace(None)
        return {}
    cells = _places(served, message)
    if len(cells) != 2:
        raise ValueError("the path is that of two cells")
    served.trace((cells[0], cells[1]))
    return {"path": list(served.path)}


def candidates(served: ServedBook, message: Message) -> Message:
    """What looks like a model, on one sheet or on all."""
    return served.ask("candidates", sheet_of(served, message) if message.get("sheet") is not None else None)


def _places(served: ServedBook, message: Message) -> list[Cell]:
    sheet, cells = sheet_of(served, message), message.get("cells")
    if not isinstance(cells, list) or not 1 <= len(cells) <= 2:
        raise ValueError("cells are one or two")
    found = []
    for item in cells:
        if not isinstance(item, list) or len(item) != 2 or not all(type(number) is int for number in item):
            raise ValueError("a cell is a row and a column")
        found.append(Cell(sheet, *item))
    return found


def sheet_of(served: ServedBook, message: Message) -> str:
    """The sheet that a request is about. Raises SettingError if there is none of that name."""
    name = message.get("sheet")
    if not isinstance(name, str) or name not in served.book.workbook.sheets:
        raise SettingError(f"the workbook has no sheet {quoted(str(name))}", remedy="Choose one of its tabs")
    return name


def _whole(message: Message, key: str) -> int:
    number = message.get(key)
    if type(number) is not int or number < 1:
        raise ValueError(f"{key} is a whole number from 1")
    return number


REQUESTS: dict[str, Request] = {
    "edit": edit,
    "fill": fill,
    "widths": widths,
    "copy": copy,
    "cell": cell,
    "select": select,
    "undo": undo,
    "redo": redo,
    "save": save,
    "command": command,
    "settings": settings,
    "slice": slice_,
    "trace": trace,
    "candidates": candidates,
}
"""What a page can ask, by the type of the message."""
