"""Several calls of the office as if they were one: nobody comes between them. Part of the agent.

Each call from outside holds the office's lock for itself, so between two of them a person, or another program, may
change a cell. While the office's main thread waits for a callback it keeps that lock, and lets in only the calls that
the callback makes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import unohelper  # type: ignore[import-not-found]
from com.sun.star.awt import XCallback  # type: ignore[import-not-found]

T = TypeVar("T")

_PATIENCE = 30.0  # seconds to wait for the main thread, which may be in the middle of something long
_LOOK = 0.25  # seconds after which we look whether the office still lives


class _MainThreadCall(unohelper.Base, XCallback):  # type: ignore[misc]
    """Work that waits for the office's main thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._lock, self._taken = threading.Lock(), False
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def take(self) -> bool:
        """Whether the caller is the first who asks: only then it is to do the work."""
        with self._lock:
            taken, self._taken = self._taken, True
            return not taken

    def notify(self, _data: Any) -> None:
        """The main thread is there, and waits until this returns."""
        if self.take():
            try:
                self.result = self._work()
            except Exception as error:  # it belongs to whoever waits, not to the office
                self.error = error
            finally:
                self.done.set()


def undisturbed(context: Any, work: Callable[[], T]) -> T:
    """Do some work with a document while nothing else happens in the office. Raises what the work raises.

    If the office's main thread does not come to it in time, it is done all the same, without that promise.
    """
    call = _MainThreadCall(work)
    context.ServiceManager.createInstanceWithContext("com.sun.star.awt.AsyncCallback", context).addCallback(call, None)
    for _ in range(round(_PATIENCE / _LOOK)):
        if call.done.wait(_LOOK):
            break
        context.ServiceManager  # noqa: B018  raises an error if the office is gone
    else:
        if call.take():
            return work()
        call.done.wait()
    if call.error is not None:
        raise call.error
    result: T = call.result
    return result
