"""Excel's refusals: wait while a person edits a cell, tell a closed workbook from a request that cannot be met.

xlwings repeats some rejected calls for ever and without a pause, and lets others pass or return None; so its own
repeating is turned off where it exists, and every call to Excel goes through `Patience`.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, ParamSpec, TypeVar

from sgdsheet.errors import HostBusyError, HostError, SgdSheetError, one_line
from sgdsheet.hosts.refusals import book_closed, program_gone, refused

PATIENCE = 3.0
"""Seconds that a call waits for Excel by default."""
_FIRST, _LONGEST = 0.02, 0.25
"""Seconds between two tries: the first pause, which doubles, and the longest."""

_BUSY = frozenset(
    (
        0x800AC472,  # a cell is being edited
        0x80010001,  # call rejected: a dialog is open
        0x8001010A,  # call rejected: retry later
        0x8001010D,  # Excel is answering an input-synchronous call
        -1712,  # macOS: the Apple event timed out
    )
)
_FORBIDDEN = frozenset((-1743,))  # macOS: the person has not allowed this program to control Excel
_GONE = frozenset(
    (
        0x800706BA,  # the server is unavailable
        0x800706BE,  # the call failed: the process ended
        0x80010007,  # the server died
        0x80010012,  # the server died before it could answer
        0x80010108,  # the object disconnected from its clients
        0x800401FD,  # the object is not connected to the server
        0x800A01A8,  # object required: it was closed or deleted
        -600,  # macOS: the application is not running
        -609,  # macOS: the connection is invalid
    )
)
_NOT_AN_ANSWER = ("can not be set", "'NoneType' object")
"""What pywin32 and xlwings make of a rejected call in places: an AttributeError with one of these texts."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Trouble(Enum):
    """Why a call failed."""

    BUSY = auto()
    GONE = auto()
    FORBIDDEN = auto()
    REFUSED = auto()


class Patience:
    """Calls Excel, again if it is busy, for some time; turns its errors into ours.

    `alive` is asked after an error that may mean anything: it tells whether the workbook of this name is still there.
    """

    def __init__(
        self, alive: Callable[[], Trouble | None] | None = None, book: str = "", seconds: float = PATIENCE
    ) -> None:
        self.seconds = seconds
        self._book = book
        self._alive = alive or (lambda: None)

    def __call__(
        self, operation: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """The operation's result. It may run several times, so it must do no harm when repeated."""
        deadline = time.monotonic() + self.seconds
        pause = _FIRST
        while True:
            try:
                return operation(*args, **kwargs)
            except SgdSheetError:
                raise
            except Exception as error:
                trouble = self._trouble(error)
                if trouble is None:
                    raise  # a mistake of ours
                if trouble is Trouble.GONE:
                    raise (book_closed(self._book) if self._book else program_gone("Excel")) from error
                if trouble is Trouble.FORBIDDEN:
                    raise HostError(
                        "macOS does not let Python control Excel",
                        remedy="Allow it in System Settings, Privacy & Security, Automation, then try again",
                    ) from error
                if trouble is Trouble.REFUSED:
                    raise refused("Excel", explanation(error)) from error
                if time.monotonic() + pause > deadline:
                    raise HostBusyError(
                        "Excel is busy: a cell is being edited or a dialog is open",
                        remedy="Press Enter or Esc in Excel, or close its dialog",
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Wait less for what is not worth waiting for."""
        before, self.seconds = self.seconds, min(self.seconds, seconds)
        try:
            yield
        finally:
            self.seconds = before

    def _trouble(self, error: Exception) -> Trouble | None:
        found = trouble_of(error)
        return self._alive() or found if found is Trouble.REFUSED else found


def trouble_of(error: BaseException) -> Trouble | None:
    """Why a call to Excel failed; None for an error that does not come from Excel."""
    codes = set(_codes(error))
    if codes & _GONE:
        return Trouble.GONE
    if codes & _FORBIDDEN:
        return Trouble.FORBIDDEN
    if codes & _BUSY or type(error).__name__ == "ExcelBusyError":
        return Trouble.BUSY
    if isinstance(error, AttributeError) and any(text in str(error) for text in _NOT_AN_ANSWER):
        return Trouble.BUSY
    return Trouble.REFUSED if codes or type(error).__module__.partition(".")[0] == "xlwings" else None


def _codes(error: BaseException) -> Iterator[int]:
    """Codes of a COM error (its own, and the one of the exception inside Excel) or of an Apple event."""
    number = getattr(error, "errornumber", None)  # appscript
    if isinstance(number, int):
        yield number
    result = getattr(error, "hresult", None)  # pywin32
    if isinstance(result, int):
        yield result & 0xFFFFFFFF
        inner = getattr(error, "excepinfo", None)
        if isinstance(inner, tuple) and inner and isinstance(inner[-1], int):
            yield inner[-1] & 0xFFFFFFFF


def explanation(error: BaseException) -> str:
    """What Excel says about an error, on one line."""
    inner: Any = getattr(error, "excepinfo", None)
    text = inner[2] if isinstance(inner, tuple) and len(inner) > 2 and inner[2] else str(error)
    return one_line(str(text)).rstrip(".") or type(error).__name__


def restrain_xlwings() -> None:
    """Keep xlwings on Windows from repeating rejected calls for ever, and from ending programs when we end.

    It would end every Excel that has no workbook open, also one that a person has just started.
    """
    module = sys.modules.get("xlwings._xlwindows")
    if hasattr(module, "N_COM_ATTEMPTS"):
        vars(module)["N_COM_ATTEMPTS"] = 1  # 0 stands for ever
    if hasattr(module, "cleanup"):
        atexit.unregister(vars(module)["cleanup"])
