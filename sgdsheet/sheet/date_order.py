"""Whether a workbook's country writes the day before the month, as its own results tell.

A text such as "2/1/2024" is another day in another country, and no file says in which it was calculated. But where
`=DATEVALUE("8/22/2011")` was saved with a number, the month comes first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from sgdsheet.sheet.excel_calendar import FROM_1904, ORDERED_DATE, date_in_text, date_parts
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import column_number
from sgdsheet.sheet.workbook import Value, Workbook

_FORMULA = re.compile(
    r"(?P<function>DATEVALUE\(|VALUE\(|YEAR\(|MONTH\(|DAY\(|--)\s*"
    r"(?:\"(?P<text>[^\"]*)\"|\$?(?P<column>[A-Z]{1,3})\$?(?P<row>[0-9]{1,7}))\s*\)?",
    re.IGNORECASE,
)
"""A formula that is nothing but a date made of one text."""


def _part(place: int) -> Callable[[float], float]:
    def of(serial: float) -> float:
        parts = date_parts(serial)
        return math.nan if parts is None else float(parts[place])

    return of


_RESULTS: dict[str, Callable[[float], float]] = {
    "DATEVALUE(": float,
    "VALUE(": float,
    "--": float,
    "YEAR(": _part(0),
    "MONTH(": _part(1),
    "DAY(": _part(2),
}


def is_day_first(workbook: Workbook) -> bool | None:
    """Whether 2/1/2024 is 2 January; None if the workbook's saved results say nothing, or contradict each other."""
    found = {order for text, function, saved in _dates(workbook) if (order := _order(text, function, saved, workbook))}
    return None if len(found) != 1 else found == {"day"}


def _dates(workbook: Workbook) -> Iterator[tuple[str, str, Value]]:
    """Texts of dates, what is calculated from them, and the saved result."""
    likely: dict[int, bool] = {}
    for sheet in workbook.sheets.values():
        for (row, column), formula in sheet.formulas.items():
            saved = sheet.values.get((row, column))
            known = likely.get(id(formula))
            if known is None:
                known = likely[id(formula)] = _FORMULA.fullmatch(formula.text.strip()) is not None
            if not known or saved is None:
                continue
            match = _FORMULA.fullmatch(formula_text(formula, row, column).strip())
            if match is None:
                continue
            text: Value | None = match["text"]
            if text is None:
                text = sheet.values.get((int(match["row"]), column_number(match["column"].upper())))
            if isinstance(text, str) and ORDERED_DATE.fullmatch(text.strip()):
                yield text, match["function"].upper(), saved


def _order(text: str, function: str, saved: Value, workbook: Workbook) -> str:
    """Which order gives the saved result: “day”, “month”, or nothing if both do, or none.

    An error says nothing: some countries do not write dates with these marks at all.
    """
    fits = []
    for order in ("day", "month"):
        serial = date_in_text(text, order == "day")
        expected = math.nan if serial is None else _RESULTS[function](serial)
        if workbook.date1904 and _RESULTS[function] is float:
            expected -= FROM_1904
        if saved == expected:
            fits.append(order)
    return fits[0] if len(fits) == 1 else ""
