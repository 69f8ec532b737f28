"""Data that a person chose for a model, in place of those that the workbook names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sgdsheet.problem.definition import Problem
from sgdsheet.problem.source_names import split_origin


def with_source(problem: Problem, source: str | Path) -> Problem:
    """The problem with data of a person's choice: a path from where the program runs, or a dataset's name.

    What a person says may lie anywhere; what a workbook names, only beside or below it (see `data.locate`).
    """
    name, selection = split_origin(str(source))
    path = Path(name).expanduser()
    place = str(path.absolute()) if path.exists() or path.suffix or len(path.parts) > 1 else name
    # Which samples the sheet wants is part of the model: it holds for data from elsewhere, too.
    selection = selection or split_origin(problem.origin or "")[1]
    return replace(problem, origin=place + selection, origin_cell=None, origin_chosen=True)
