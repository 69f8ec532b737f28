"""The command loss-slice: the loss over one parameter, with its tangent, or over two. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sgdsheet.errors import ProblemError, TrainingError
from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.compiler.model import SheetModel
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_SLICE, _SURFACE = 81, 31
"""Values of each parameter that are tried."""

_LONG = 5.0
"""Seconds to wait for a training step to end."""


def loss_slice(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """The loss around the present values of the one or two parameters that the option `cells` names."""
    reference = str(options.get("cells", ""))
    rest = {key: value for key, value in options.items() if key != "cells"}
    if book.run is not None:
        run = book.run.run
        found = run.between_steps(lambda: _losses(run.model(), reference), _LONG)
        if found is None:
            raise TrainingError("the training does not pause for a picture", remedy="Stop the training first")
        return found
    return _losses(book.read_trainable(sheet, rest).proven(), reference)


def _losses(model: SheetModel, reference: str) -> dict[str, Any]:
    from sgdsheet.analysis import loss_surface
    from sgdsheet.train.session import threads

    cells = loss_surface.chosen_cells(model, reference or None)
    if not cells:
        raise ProblemError("no parameter is chosen", remedy="Choose one or two parameter cells")
    with threads(1):
        present = model.parameter_cells()
        here = [present[cell] for cell in cells]
        reach = [loss_surface.reach(model, cell, value) for cell, value in zip(cells, here, strict=True)]
        spans = [(value - far, value + far) for value, far in zip(here, reach, strict=True)]
        if len(cells) == 1:
            one = loss_surface.loss_slice(model, cells[0], spans[0], _SLICE)
            return {
                "cells": [str(cells[0])],
                "titles": [one.axis.title],
                "x": one.axis.values,
                "loss": one.losses,
                "at": [one.at, one.loss],
                "gradient": one.gradient,
            }
        two = loss_surface.loss_surface(model, cells, spans, _SURFACE)
    return {
        "cells": [str(cell) for cell in cells],
        "titles": [two.x.title, two.y.title],
        "x": two.x.values,
        "y": two.y.values,
        "loss": two.losses,
        "at": here,
    }


COMMAND = Command("loss-slice", loss_slice)
