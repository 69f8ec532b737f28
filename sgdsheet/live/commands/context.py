"""What a command finds when it is carried out: the workbook, what is known of it, and where to tell about it."""

from __future__ import annotations

from typing import Any, Protocol

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.ipc.status import Board
from sgdsheet.live.run.live_run import LiveRun
from sgdsheet.live.run.prepared import Prepared
from sgdsheet.live.run.stepper import Stepper
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value

Options = dict[str, Any]
Reply = dict[str, Any]


class Desk(Protocol):
    """One open workbook, in its own thread."""

    board: Board
    stepper: Stepper | None

    @property
    def host(self) -> LiveHost:
        """The workbook; connects to it if that has not been done."""
        ...

    @property
    def run(self) -> LiveRun | None:
        """The run that is going on, or is paused."""
        ...

    def prepare(self, sheet: str | None, options: Options) -> Prepared:
        """Read the workbook and find the model of a sheet; compiled models are used again."""
        ...

    def write(self, label: str, prepared: Prepared, values: dict[Cell, Value]) -> None:
        """Write to cells as one level of undo. Raises SgdSheetError before anything is changed."""
        ...

    def refuse_while_training(self, what: str) -> None:
        """Raise TrainingError if a run is going on."""
        ...
