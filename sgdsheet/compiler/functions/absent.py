"""Functions of Excel that are not calculated, and why.

Those that ask somebody outside of the workbook, or the clock, keep the values that were saved: nobody else knows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sgdsheet.sheet.syntax import Call, Node, walk


@dataclass(frozen=True, slots=True)
class Absent:
    """A function that is not calculated."""

    name: str
    reason: str
    """Why not, in a clause that begins with “it”."""
    frozen: bool = False
    """Whether a formula that calls it keeps its saved value, as a constant."""
    changes: bool = False
    """Whether it gives something else at every recalculation: a loss must not read it."""


ABSENT: dict[str, Absent] = {}


def _declare(names: str, reason: str, *, frozen: bool = False, changes: bool = False) -> None:
    for name in names.split():
        ABSENT[name] = Absent(name, reason, frozen, changes)


_declare("RAND RANDBETWEEN RANDARRAY", "it draws other numbers at every recalculation", frozen=True, changes=True)
_declare("NOW TODAY", "it reads the clock, so that it changes with the time", frozen=True, changes=True)
_declare(
    "CUBEKPIMEMBER CUBEMEMBER CUBEMEMBERPROPERTY CUBERANKEDMEMBER CUBESET CUBESETCOUNT CUBEVALUE",
    "it asks a database outside of the workbook",
    frozen=True,
)
_declare(
    "WEBSERVICE RTD STOCKHISTORY IMPORTTEXT IMPORTCSV TRANSLATE DETECTLANGUAGE COPILOT FIELDVALUE IMAGE PY",
    "it asks a service or a file outside of the workbook",
    frozen=True,
)
_declare("GETPIVOTDATA", "it reads a pivot table, which only the spreadsheet calculates", frozen=True)
_declare(
    "MULTIPLE.OPERATIONS",
    "it is a cell of a what-if data table ({=TABLE(…)} in Excel), which only the spreadsheet calculates",
    frozen=True,
)
_declare("TABLE", "it fills a what-if data table, which only the spreadsheet calculates", frozen=True, changes=True)
_declare("INFO", "it tells about the program that calculates", frozen=True)
_declare("CALL REGISTER.ID", "it calls a library of the machine")
_declare(
    "FORECAST.ETS FORECAST.ETS.CONFINT FORECAST.ETS.SEASONALITY FORECAST.ETS.STAT",
    "how Excel chooses the smoothing of its forecast is not published",
)
_declare("FILTERXML", "it searches in XML, which is no matter of cells")
_declare("PHONETIC", "it reads the pronunciation that a Japanese text was typed with")


def frozen_call(node: Node) -> Absent | None:
    """The first function in a formula that keeps its saved value."""
    return next((found for found in _called(node) if found.frozen), None)


def changing_call(node: Node) -> Absent | None:
    """The first function in a formula that gives something else at every recalculation."""
    return next((found for found in _called(node) if found.changes), None)


def _called(node: Node) -> Iterator[Absent]:
    """The functions among these that a formula calls."""
    calls = (part.name for part in walk(node) if isinstance(part, Call))
    return (ABSENT[name] for name in calls if name in ABSENT)
