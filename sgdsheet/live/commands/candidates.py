"""The command candidates: what looks like a model in a workbook where nobody has named one. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def candidates(book: LiveBook, sheet: str | None, _options: Options) -> Reply:
    """Models that can be trained, the best first, of one sheet or (without a sheet) of all."""
    from sgdsheet.analysis.trial import suggestions
    from sgdsheet.problem.solver_names import Direction

    book.refuse_while_training("looking for a model")
    found = suggestions(book.host.read(), sheet)
    return {
        "candidates": [
            {
                "sheet": item.loss.sheet,
                "loss": str(item.loss),
                "params": [str(area) for area in item.parameters],
                "data": [str(area) for area in item.data],
                "label": item.label,
                "formula": item.formula,
                "maximize": item.direction is Direction.MAXIMISE,
                "cells": item.cells,
            }
            for item in found.offered
        ]
    }


COMMAND = Command("candidates", candidates)
