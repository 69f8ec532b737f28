"""A command on its way to the workbook's thread, and its reply on the way back."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from sgdsheet.errors import SgdSheetError


def refusal(error: SgdSheetError) -> dict[str, Any]:
    """The reply for an error."""
    return {"ok": False, "error": str(error), "kind": type(error).__name__}


def finite(value: Any) -> Any:
    """A reply in which null stands for the numbers that JSON does not have, such as the loss of a run that diverged."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True)
class Job:
    """One command, asked for in one thread and done in another."""

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
