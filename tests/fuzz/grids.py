"""Random sheets of data: numbers, blanks, texts, numeric texts, booleans, errors, each column of its own mixture."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sgdsheet.sheet.workbook import ExcelError, Sheet, Value

ROWS, COLUMNS = 12, 8
"""The data fill A1:H12; formulas stand from column T on, above row 9, so that whole columns and rows are data."""

TEXTS = ("a", "b", "B", "abc", "ab*", "x", "male", "female", "Female", "zebra", "ä", "<3", "", "a b", "TRUE", "#N/A")
NUMERIC_TEXTS = ("5", "-2.5", "1e3", "07", " 3 ", "0")
ERRORS = (ExcelError.NA, ExcelError.DIV0, ExcelError.VALUE, ExcelError.REF, ExcelError.NUM, ExcelError.NAME)


def number(random: Random) -> float:
    """Mostly small and round, so that ties, zeros and edges of domains happen."""
    kind = random.random()
    if kind < 0.45:
        return float(random.randint(-6, 9))
    if kind < 0.75:
        return random.randint(-40, 40) / 8
    if kind < 0.9:
        return round(random.gauss(0, 3), 3)
    return random.choice([0.0, 1.0, -1.0, 0.5, 100.0, 1e-3, 1e6, -0.25, 2.0])


def _integers(random: Random) -> list[Value | None]:
    return [float(random.randint(-3, 6)) for _ in range(ROWS)]


def _numbers(random: Random) -> list[Value | None]:
    return [number(random) for _ in range(ROWS)]


def _positive(random: Random) -> list[Value | None]:
    return [abs(number(random)) + 0.25 for _ in range(ROWS)]


def _ascending(random: Random) -> list[Value | None]:
    return sorted(number(random) for _ in range(ROWS))


def _descending(random: Random) -> list[Value | None]:
    return sorted((number(random) for _ in range(ROWS)), reverse=True)


def _with_blanks(random: Random) -> list[Value | None]:
    return [number(random) if random.random() < 0.65 else None for _ in range(ROWS)]


def _texts(random: Random) -> list[Value | None]:
    return [random.choice(TEXTS) for _ in range(ROWS)]


def _sorted_texts(random: Random) -> list[Value | None]:
    return sorted((random.choice(TEXTS[:10]) for _ in range(ROWS)), key=str.casefold)


def _booleans(random: Random) -> list[Value | None]:
    return [random.random() < 0.5 for _ in range(ROWS)]


def _mixed(random: Random) -> list[Value | None]:
    return [mixed(random) for _ in range(ROWS)]


def _wild(random: Random) -> list[Value | None]:
    return [random.choice(ERRORS) if random.random() < 0.25 else mixed(random) for _ in range(ROWS)]


def mixed(random: Random) -> Value | None:
    """Anything but an error."""
    kind = random.random()
    if kind < 0.45:
        return number(random)
    if kind < 0.6:
        return random.choice(TEXTS)
    if kind < 0.72:
        return random.choice(NUMERIC_TEXTS)
    return random.random() < 0.5 if kind < 0.86 else None


PROFILES: tuple[Callable[[Random], list[Value | None]], ...] = (
    *(_integers, _numbers, _numbers, _positive, _ascending, _descending, _with_blanks),
    *(_texts, _sorted_texts, _booleans, _mixed, _mixed, _wild),
)


def data(random: Random, name: str) -> Sheet:
    """A sheet with data and no formulas. Column A always holds numbers only."""
    sheet = Sheet(name)
    for column in range(1, COLUMNS + 1):
        profile = random.choice(PROFILES[:6] if column <= 2 else PROFILES)
        for row, value in enumerate(profile(random), 1):
            if value is not None:
                sheet.values[row, column] = value
    return sheet
