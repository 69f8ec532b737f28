"""The course of numbers as one line of bars."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from sgdsheet.train.logbook import wants_log_axis

_BARS, _PLAIN = "▁▂▃▄▅▆▇█", "_.:-=+*#"
_GAP = {_BARS: "×", _PLAIN: "x"}
WIDTH = 50


def bars(values: Sequence[float], low: float, high: float) -> str:
    """One bar per value, between `low` and `high`; what is above is cut off, and so is what is not a number.

    Plain letters stand for the bars where the terminal does not know them.
    """
    shapes = _shapes()
    scale = (len(shapes) - 1) / (high - low or 1.0)
    heights = [min(high, max(low, value)) if math.isfinite(value) else high for value in values]
    return "".join(shapes[round((height - low) * scale)] for height in heights)


def sparkline(losses: Sequence[float]) -> str:
    """The course of losses; by factors where that shows them better. Empty if there is no course.

    Of many, each bar stands for the mean of several; a gap for what was not a number.
    """
    known = [loss for loss in losses if math.isfinite(loss)]
    if len(losses) < 3 or not known or min(known) == max(known):
        return ""
    log = wants_log_axis(known)
    groups = _groups(losses)
    heights = [math.log(height) if log and height is not None else height for height in groups]
    there = [height for height in heights if height is not None]
    low, high = min(there), max(there)
    gap = _GAP[_shapes()]
    line = "".join(bars([height], low, high) if height is not None else gap for height in heights)
    return f"{line}  (logarithmic)" if log else line


def _groups(losses: Sequence[float]) -> list[float | None]:
    """Neighbours together, as many groups as fit into the line: their mean, None where nothing is a number."""
    count = min(WIDTH, len(losses))
    found: list[float | None] = []
    for place in range(count):
        part = losses[place * len(losses) // count : (place + 1) * len(losses) // count]
        known = [loss for loss in part if math.isfinite(loss)]
        found.append(math.fsum(known) / len(known) if known else None)
    return found


def _shapes() -> str:
    try:
        _BARS.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return _PLAIN
    return _BARS
