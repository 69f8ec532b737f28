"""What one thread tells others about a workbook. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdsheet.train.logbook import Record
    from sgdsheet.train.thinning import ThinnedStream

IDLE, STARTING, TRAINING, PAUSED = "idle", "starting", "training", "paused"


@dataclass(slots=True)
class Status:
    """What a workbook's thread is doing. Only that thread writes here, but for `undo_comes`; any thread may read a
    field at any time.
    """

    state: str = IDLE
    step: int = 0
    loss: float | None = None
    steps_per_second: float | None = None
    can_undo: bool = False
    steps: int | None = None
    """How many steps the run will take, if nothing stops it."""
    message: str = ""
    failed: str = ""
    """The class name of the error that ended the last run, if one did."""
    stopped: str = ""
    """How the last run ended, in a word; see `Session.stopped`."""
    sheet: str = ""
    """The sheet of the run that goes on, or went on last."""
    records: ThinnedStream[Record] | None = None
    """Some of the steps of that run, evenly spread; see `kept` there for who may read them."""
    halt: Callable[[], None] | None = None
    """Makes a run end after its present step, from any thread."""

    undo_comes: bool = False
    """Whether a run that goes on is to be undone: then its best parameters are not shown any more."""

    def as_reply(self) -> dict[str, Any]:
        """The reply to the command `status`."""
        return {
            "ok": True,
            "state": self.state,
            "step": self.step,
            "loss": self.loss,
            "steps_per_second": self.steps_per_second,
            "can_undo": self.can_undo,
            "message": self.message,
            "steps": self.steps,
            "failed": self.failed or None,
            "stopped": self.stopped or None,
        }
