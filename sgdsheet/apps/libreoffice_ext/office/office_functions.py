"""Calc's new functions: their arguments go to the trainer's process as they are, and its result comes back."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from sgdsheet.apps.libreoffice_ext.office.cellerrors import cell_error
from sgdsheet.apps.libreoffice_ext.office.chosen_python import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Matrix = tuple[tuple[Any, ...], ...]
    Ask = Callable[[dict[str, Any]], dict[str, Any]]


class Evaluator:
    """Evaluates functions through `ask`, and remembers why some of them were errors."""

    def __init__(self, ask: Ask, key_of: Callable[[Any], str]) -> None:
        self._ask, self._key_of = ask, key_of
        self.reasons: deque[str] = deque(maxlen=10)
        """The last errors, the newest first."""

    def call(self, name: str, arguments: Sequence[Any]) -> Matrix:
        """The result as rows. An error becomes an error value; its reason goes to `reasons`."""
        given = list(arguments)
        book = self._key_of(given.pop(0)) if given and hasattr(given[0], "Sheets") else ""
        while given and given[-1] is None:  # left out
            given.pop()
        try:
            reply = self._ask({"call": name, "book": book, "arguments": [_plain(argument) for argument in given]})
        except CannotStart as error:
            reply = {"ok": False, "error": str(error), "value": "#N/A"}
        if not reply.get("ok"):
            self._remember(str(reply.get("error")))
            return ((cell_error(reply.get("value", "#VALUE!")),),)
        value = reply["value"]
        rows = value if isinstance(value, list) else [[value]]
        return tuple(tuple(_cell(item) for item in row) for row in rows)

    def _remember(self, reason: str) -> None:
        if reason in self.reasons:
            self.reasons.remove(reason)
        self.reasons.appendleft(reason)


def _plain(argument: Any) -> Any:
    """Numbers, texts and rows stay as they are, but for what is not finite. A reference becomes its address."""
    if isinstance(argument, tuple):
        return [[_plain(item) for item in row] for row in argument]
    if isinstance(argument, float) and not math.isfinite(argument):
        return {"error": "#NUM!"}
    if argument is None or isinstance(argument, (bool, float, int, str)):
        return argument
    area = argument.getRangeAddress()
    sheet = argument.getSpreadsheet().getName()
    return {"sheet": sheet, "area": [area.StartRow + 1, area.StartColumn + 1, area.EndRow + 1, area.EndColumn + 1]}


def _cell(item: Any) -> Any:
    if isinstance(item, dict):
        return cell_error(item["error"])
    if isinstance(item, bool) or not isinstance(item, int):
        return "" if item is None else item
    return float(item)
