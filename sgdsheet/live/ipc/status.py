"""What one thread tells others about a workbook: its state, and the answers to commands."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sgdsheet.errors import SgdSheetError, TrainingError

IDLE, STARTING, TRAINING, PAUSED = "idle", "starting", "training", "paused"


@dataclass(slots=True)
class Board:
    """Read by any thread; written by the one that the workbook belongs to. Each field stands for itself."""

    state: str = IDLE
    step: int = 0
    loss: float | None = None
    steps_per_second: float | None = None
    can_undo: bool = False
    steps: int | None = None
    """How many the run will take, if nothing stops it."""
    message: str = ""
    failed: str = ""
    """The kind of the error that ended the last run, if one did."""
    stopped: str = ""
    """How the last run ended, in a word; see `Session.stopped`."""
    halt: Callable[[], None] | None = None
    """Makes a run end after its present step, from any thread."""

    def status(self) -> dict[str, Any]:
        """The reply to `status`."""
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


def refusal(error: SgdSheetError) -> dict[str, Any]:
    """The reply for an error."""
    return {"ok": False, "error": str(error), "kind": type(error).__name__}


def bug(error: Exception) -> SgdSheetError:
    """What is not a person's fault is still one line for the person; the log has the rest."""
    return TrainingError(
        f"sgdsheet failed: {type(error).__name__} ({error})", remedy="This is a bug of sgdsheet's: please report it"
    )


def finite(value: Any) -> Any:
    """A reply without numbers that JSON does not have, such as the loss of a step that went too far: null instead."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True)
class Job:
    """A command on its way to the workbook's thread, and its reply on the way back."""

    command: str
    sheet: str | None
    options: dict[str, Any]
    _reply: dict[str, Any] | None = None
    _left: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, reply: dict[str, Any]) -> bool:
        """Reply; False if the asker has left and somebody else has to be told."""
        with self._lock:
            self._reply = reply
            self._done.set()
            return not self._left

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """The reply; None if it does not come in time, and then the asker has left."""
        self._done.wait(seconds)
        with self._lock:
            self._left = self._reply is None
            return self._reply
