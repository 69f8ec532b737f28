"""The command candidates: what looks like a model in a workbook where nobody has named one. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.compiler.candidates.ranking import Candidate
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def candidates(book: LiveBook, sheet: str | None, _options: Options) -> Reply:
    """Models that can be trained, the best first, of one sheet or (without a sheet) of all.

    Where there are none, `missing` are those that could be once their loss is written.
    """
    from sgdsheet.analysis.trial import suggestions

    book.refuse_while_training("looking for a model")
    found = suggestions(book.host.read(), sheet)
    return {
        "candidates": [_as_data(item) for item in found.offered],
        "missing": [_as_data(item.candidate) for item in found.missing],
    }


def _as_data(item: Candidate) -> dict[str, Any]:
    from sgdsheet.problem.solver_names import Direction

    return {
        "sheet": item.loss.sheet,
        "loss": str(item.loss),
        "params": [str(area) for area in item.parameters],
        "data": [str(area) for area in item.data],
        "label": item.label,
        "formula": item.formula,
        "maximize": item.direction is Direction.MAXIMISE,
        "cells": item.cells,
    }


COMMAND = Command("candidates", candidates)
