"""Goal seek: cells reach the values that stand beside them, by changing other cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sgdsheet.errors import ProblemError, SettingError
from sgdsheet.live.run.live_book import LiveBook, Options, Reply
from sgdsheet.live.run.trainable import Trainable
from sgdsheet.problem.definition import (
    SPREADSHEET,
    Problem,
    find_problem,
    refuse_protected,
    targets_in,
)
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.train.goals import Goal, goals_of, missed
from sgdsheet.train.session import Session

_SECONDS = 20.0
"""How long a person waits for it, at most."""

_LISTED = 3


def seek_goal(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Solve what is selected, or what the sheet names, and write the cells that may change.

    The option `areas` takes the place of the selection: a range of two columns, calculated cells and the values that
    they are to reach, and then the cells that may change. Raises SgdSheetError before anything is written.
    """
    book.refuse_while_training("goal seek")
    workbook = book.read_tracked()
    problem = _problem(workbook, sheet, _areas(book, sheet or workbook.active, options))
    refuse_protected(workbook, problem)
    trainable = Trainable(workbook, problem, Settings(time_limit=_SECONDS))
    model = trainable.proven()
    session = Session(model, trainable.settings)
    session.run()
    goals = goals_of(model)
    book.manual_run = None
    book.write("goal-seek", trainable, dict(trainable.present_numbers()))
    text = _in_words(goals)
    book.status.loss = session.loss
    book.host.status(text)
    values = [goal.found for goal in goals if math.isfinite(goal.found)]
    return {"message": text, "values": values, "loss": session.loss}


def _areas(book: LiveBook, sheet: str | None, options: Options) -> tuple[Range, ...]:
    given = options.get("areas")
    if given is None:
        return book.host.selection()
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise SettingError("the option areas has to be a list of ranges", remedy="Write them like Sheet1!B2:C9")
    return tuple(parse_range(text, sheet or "") for text in given)


def _problem(workbook: Workbook, sheet: str | None, areas: Sequence[Range]) -> Problem:
    """What is selected, if that is several areas; else what the sheet names."""
    if len(areas) == 1:
        areas = _apart(workbook, areas[0])
    if len(areas) > 1:
        sought = [area for area in areas if _looks_sought(workbook, area)] or list(areas[:1])
        params = ",".join(str(area) for area in areas if area not in sought)
        targets = [(str(item.cell), item.value) for item in targets_in(workbook, sought)]
        return find_problem(workbook, params=params, targets=targets, advice=SPREADSHEET)
    home = sheet or workbook.active
    named = any(item.name.casefold() == "sgd_targets" for item in workbook.names)
    if not named:
        raise ProblemError(
            "nothing says which cells are to reach which values",
            cell=areas[0] if areas else None,
            remedy="Select a calculated cell and the wanted value to its right, then, with Ctrl held, the cells that"
            " may change",
        )
    return find_problem(workbook, home, advice=SPREADSHEET)


def _apart(workbook: Workbook, area: Range) -> list[Range]:
    """The areas that were selected side by side, which a program tells as one.

    Two columns, one calculated and one of wanted values, and to their left or right the cells that may change. Where it
    does not look so, the area as it is.
    """
    formulas = workbook.sheets[area.sheet].formulas
    calculated = {column for row, column in area.positions() if (row, column) in formulas}
    if area.width < 3 or len(calculated) != 1 or area.right in calculated:
        return [area]
    (first,) = calculated
    beside = [area._replace(right=first - 1), area._replace(left=first + 2)]
    return [area._replace(left=first, right=first + 1), *(each for each in beside if each.left <= each.right)]


def _looks_sought(workbook: Workbook, area: Range) -> bool:
    """Whether an area is two columns, the first of which is calculated: a program may tell what is selected in an order
    of its own."""
    formulas = workbook.sheets[area.sheet].formulas
    return area.width == 2 and any((row, area.left) in formulas for row in range(area.top, area.bottom + 1))


def _in_words(goals: Sequence[Goal]) -> str:
    lacking = missed(goals)
    if lacking:
        return f"not reached: {lacking}"
    cells = ", ".join(f"{goal.cell} is {goal.wanted:.10g}" for goal in goals[:_LISTED])
    return cells + (", …" if len(goals) > _LISTED else "")
