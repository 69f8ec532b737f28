"""Which model of a workbook a command is about: the options that say so, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from sgdsheet.apps.cli.files import BOOK
from sgdsheet.problem.definition import Problem, find_problem
from sgdsheet.sheet.workbook import Workbook

Command = Callable[..., Any]

_ARGUMENTS = (
    click.argument("book", type=BOOK),
    click.option("--sheet", "-s", metavar="NAME", help="The sheet, if several have a model."),
    click.option("--loss", metavar="REF", help="The loss cell, if the sheet does not name one."),
    click.option("--params", metavar="REF", help="The parameter cells, such as B2:B9 or B2:B9,D4."),
    click.option("--maximize", "--maximise", "maximize", is_flag=True, help="Make the loss cell as large as possible."),
)
_TARGETS = (
    click.option(
        "--value", type=float, metavar="NUMBER", help="The value that the cell of --loss is to reach: goal seek."
    ),
    click.option(
        "--value-of",
        "value_of",
        multiple=True,
        metavar="REF=NUMBER",
        help="A cell and the value that it is to reach, in place of --loss; once for each cell.",
    ),
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What a person says of the model; what is None is found by the names on the sheet."""

    sheet: str | None
    loss: str | None
    params: str | None
    maximize: bool = False
    targets: Sequence[tuple[str, float]] = ()
    """References to cells, and the values that they are to reach."""

    @property
    def is_new(self) -> bool:
        """Whether the model is not that of the names: its loss, its parameters or its targets are said."""
        return bool(self.loss or self.params or self.targets)

    def problem(
        self, workbook: Workbook, *, overwrite_formulas: bool | None = None, only_read: bool = False
    ) -> Problem:
        """The model. Raises as `find_problem` does."""
        return find_problem(
            workbook,
            self.sheet,
            self.loss,
            self.params,
            maximize=self.maximize,
            targets=self.targets,
            overwrite_formulas=overwrite_formulas,
            only_read=only_read,
        )


def model_arguments(command: Command) -> Command:
    """The workbook, and the options that say which model of it: the command gets `book` and `choice`."""
    return _with_choice(command, _ARGUMENTS)


def model_and_target_arguments(command: Command) -> Command:
    """The workbook, which model of it, and which values cells are to reach: the command gets `book` and `choice`."""
    return _with_choice(command, _ARGUMENTS + _TARGETS)


def _with_choice(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    @wraps(command)
    def chosen(*, sheet: str | None, loss: str | None, params: str | None, maximize: bool, **others: Any) -> Any:
        value = others.pop("value", None)
        targets = _targets(loss, value, others.pop("value_of", ()))
        choice = ModelChoice(sheet, loss if value is None else None, params, maximize, targets)
        return command(choice=choice, **others)

    decorated: Command = chosen
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _targets(loss: str | None, value: float | None, value_of: Sequence[str]) -> list[tuple[str, float]]:
    """The cells that are to reach values, as references. With `value`, `loss` is the first, and no longer a loss."""
    if value is not None and loss is None:
        raise click.UsageError("--value needs --loss, the cell that is to reach it")
    found = [(loss, value)] if value is not None and loss is not None else []
    for text in value_of:
        cell, sign, number = text.rpartition("=")
        try:
            found.append((cell.strip(), float(number)))
        except ValueError:
            sign = ""
        if not sign or not cell.strip():
            raise click.UsageError(f"--value-of {text}: write a cell and a number, such as B7=100")
    return found
