"""A request that one thread makes and the workbook's thread answers, and what replies look like."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from sgdsheet.errors import SgdSheetError
from sgdsheet.system.long_work import LongWork


def refusal(error: SgdSheetError) -> dict[str, Any]:
    """The reply that tells of an error: its text, and its class as `kind`."""
    return {"ok": False, "error": str(error), "kind": type(error).__name__}


def finite(value: Any) -> Any:
    """The reply with None for every number that JSON does not have, such as the loss of a run that diverged."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True)
class PendingRequest:
    """A command that one thread asks for, and waits for, while another does it."""

    command: str
    sheet: str | None
    options: dict[str, Any]
    work: LongWork = field(default_factory=LongWork)
    _reply: dict[str, Any] | None = None
    _abandoned: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, reply: dict[str, Any]) -> bool:
        """Give the reply; False if nobody waits for it any more."""
        with self._lock:
            self._reply = reply
            self._done.set()
            return not self._abandoned

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """The reply; None if it does not come in so many seconds, and then nobody waits for it any more."""
        self._done.wait(seconds)
        with self._lock:
            self._abandoned = self._reply is None
            return self._reply
