"""Functions of our own that only work in the open spreadsheet: they are about the workbook, not part of its model.

The add-ins calculate them (see `sgdsheet.apps.udf.calls`). In a file their cells keep the saved values, and between
parameters and loss they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.compiler.functions.registry import (
    Argument,
    ArgumentKind,
    Context,
    Derivative,
    Takes,
    own_function,
)
from sgdsheet.compiler.ir.values import Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Node

_LOSS = Argument("loss", "The cell that is to become small.", ArgumentKind.REFERENCE)
_PARAMS = Argument("params", "The cells that may change.", ArgumentKind.REFERENCE)


def _declare(name: str, help_text: str, described: Sequence[Argument], why: str, *, gives_value: bool = False) -> None:
    def refuse(context: Context, *arguments: Node) -> Value:
        raise FormulaError(
            f"calls {name}, {why}, so it has no place between parameters and loss",
            remedy="Leave it out of the way to the loss; elsewhere its cells keep their values",
        )

    refuse.__doc__ = help_text
    options = {"takes": Takes.FORMULAS, "derivative": Derivative.NONE, "gives_value": gives_value}
    own_function(name, described, examples={}, **options)(refuse)


_declare(
    "SGD_GRAD",
    "The exact gradient: how fast the loss grows with each of the parameters.",
    [_LOSS, _PARAMS],
    "which is a gradient itself",
)
_declare(
    "SGD_STEP",
    "The parameters after one step of gradient descent; the cells themselves stay as they are.",
    [
        _PARAMS,
        _LOSS,
        Argument(
            "lr", "The learning rate: how far to go along the gradient; 0.01 if left out.", ArgumentKind.SCALAR, True
        ),
    ],
    "which takes a gradient itself",
)
_declare(
    "SGD_PREDICT",
    "What the model of another workbook predicts for these inputs.",
    [
        Argument(
            "file", "The full path of an .xlsx workbook with the names sgd_input and sgd_output.", ArgumentKind.SCALAR
        ),
        Argument("inputs", "One row per prediction, or a range like the model's own input cells."),
    ],
    "which runs the model of another workbook",
)
_declare("SGD_VERSION", "The version of sgdsheet.", [], "which gives a text", gives_value=True)
