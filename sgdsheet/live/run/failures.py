"""Errors as a person is told of them: why the spreadsheet program refused, and errors that are bugs of ours."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, SgdSheetError, TrainingError

_TRIES, _PAUSE = 5, 0.2
"""Readings of a workbook, and seconds between them, until it is clear whether it was closed: while a program closes a
workbook, it neither has it nor says that it is gone."""


def bug(error: Exception) -> SgdSheetError:
    """An error of Python's that nobody expected, as one line for the person; the traceback is in the log."""
    return TrainingError(
        f"sgdsheet failed: {type(error).__name__} ({error})", remedy="This is a bug of sgdsheet's: please report it"
    )


def explained(error: SgdSheetError, read_model: Callable[[], object]) -> SgdSheetError:
    """The error to tell the person: what is wrong with the model now, if that is why the program refused something.

    `read_model` reads the workbook's model again, and raises what is wrong with it.
    """
    if not isinstance(error, HostError):
        return error
    for _ in range(_TRIES):
        try:
            read_model()
        except HostBusyError:
            return error
        except BookClosedError:
            return BookClosedError(
                "the workbook was closed: training has stopped",
                remedy="Open it and press Train to go on, or Undo to go back",
            )
        except HostError:
            sleep(_PAUSE)
        except SgdSheetError as better:
            return better
        else:
            return error
    return error
