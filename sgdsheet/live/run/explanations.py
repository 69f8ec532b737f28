"""Why something is not as it should be: a refusal of the spreadsheet program, or another loss than expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from time import sleep

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, SgdSheetError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.prepared import Prepared, changes
from sgdsheet.live.run.shown import is_written
from sgdsheet.sheet.agreement import LEAST, same_number, share_for
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value

_TRIES, _PAUSE = 5, 0.2
"""A workbook that is just being closed is neither open nor gone for a moment."""


def explained(error: SgdSheetError, look: Callable[[], object]) -> SgdSheetError:
    """The error to tell the person of. `look` reads the workbook's model again."""
    if not isinstance(error, HostError):
        return error
    for _ in range(_TRIES):
        try:
            look()
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


def loss_of(host: LiveHost, prepared: Prepared) -> Value | None:
    """What the loss cell shows."""
    cell = prepared.problem.loss
    return host.read_values([Range.of_cell(cell)]).get(cell)


def shows(host: LiveHost, prepared: Prepared, ours: float) -> bool:
    """Whether the loss cell shows what a run came to; an error there is as good as a loss that is no number."""
    office = loss_of(host, prepared)
    if not isinstance(office, float) or not math.isfinite(ours):
        return not isinstance(office, float) and not math.isfinite(ours)
    return same_number(office, ours, share_for(prepared.settings.precision), LEAST)


def edited_since(trained: Prepared, now: Prepared, left: Mapping[Cell, float]) -> list[Cell] | None:
    """Where the workbook is not what was trained and left there: None if it is, and no cells if only names differ."""
    values = now.start_values()
    found = [cell for cell, number in left.items() if not is_written(values.get(cell), number)]
    found += changes(trained, now)
    return found if found or not now.shares_model(trained) else None
