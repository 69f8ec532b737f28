"""What one thread tells others about a workbook. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdsheet.system.long_work import LongWork
    from sgdsheet.train.logbook import Record
    from sgdsheet.train.thinning import ThinnedStream

IDLE, STARTING, TRAINING, PAUSED = "idle", "starting", "training", "paused"
WORKING = "working"
"""The state that a reply has while something else than training takes long, so that Stop can end it."""


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

    work: LongWork | None = None
    """The command that is being done, or else the run that goes on."""
    asked: list[LongWork] = field(default_factory=list)
    """The commands that a person has given and that are not done yet: any thread may add one."""

    undo_comes: bool = False
    """Whether a run that goes on is to be undone: then its best parameters are not shown any more."""

    @property
    def doing(self) -> str:
        """What is being done, if it takes longer than a second: “compiling 120,000 formulas …” and the like."""
        work = self.work
        return work.text if work is not None else ""

    @property
    def state_now(self) -> str:
        """The state, or that something else than training takes long for which a person waits."""
        return WORKING if self.state == IDLE and self.asked and self.doing else self.state

    def as_reply(self) -> dict[str, Any]:
        """The reply to the command `status`."""
        return {
            "ok": True,
            "state": self.state_now,
            "step": self.step,
            "loss": self.loss,
            "steps_per_second": self.steps_per_second,
            "can_undo": self.can_undo,
            "message": self.doing or self.message,
            "steps": self.steps,
            "failed": self.failed or None,
            "stopped": self.stopped or None,
        }

    def as_pending_reply(self) -> dict[str, Any]:
        """The reply to a command that is not done yet: what an earlier one came to is left out."""
        reply = self.as_reply()
        if self.state not in (TRAINING, PAUSED):
            reply |= dict.fromkeys(("step", "loss", "steps_per_second", "failed", "stopped"))
            reply["message"] = self.doing
        return reply
