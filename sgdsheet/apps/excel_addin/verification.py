"""Goes through the checklist of the add-in and says what came of each line: the work of `sgdsheet addin verify`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sgdsheet import __version__
from sgdsheet.apps.excel_addin.checklist import Line, numbered
from sgdsheet.apps.excel_addin.excel_desk import Desk, Different
from sgdsheet.apps.excel_addin.probes import HERE, IN_EXCEL, Here
from sgdsheet.errors import SgdSheetError, one_line

TITLE = "# What `sgdsheet addin verify` saw"
"""The first line of a report."""


class Came(Enum):
    """What came of a line."""

    GOOD = "good"
    DIFFERENT = "different"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a line, and what was seen, or why it was left out."""

    number: int
    line: Line
    came: Came
    seen: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says about a line; `good` is None where they leave it out."""

    good: bool | None
    seen: str = ""


Ask = Callable[[int, Line], Answer]
"""Asks a person about a line."""


class Walk:
    """The lines that are for this system, one after the other.

    `open_excel` gives an Excel or raises SgdSheetError; it is asked once, when the first line needs it. Without `ask`,
    what only a person can see is left out. `tell` hears each outcome at once.
    """

    def __init__(
        self, here: Here, open_excel: Callable[[], Desk], ask: Ask | None, tell: Callable[[Outcome], None],
        system: str = sys.platform,
    ) -> None:  # fmt: skip
        self._here, self._open_excel, self._ask, self._tell, self._system = here, open_excel, ask, tell, system
        self._desk: Desk | None = None
        self.missing = ""
        """Why there is no Excel to work in; empty if there is one, or if none was needed."""

    def go(self, wanted: Iterable[int] = ()) -> list[Outcome]:
        """Try the lines of these numbers, all if there are none."""
        only = set(wanted)
        outcomes = []
        try:
            for number, _, line in numbered():
                if not only or number in only:
                    came, seen = self._try(number, line)
                    outcomes.append(Outcome(number, line, came, one_line(seen)))
                    self._tell(outcomes[-1])
        finally:
            if self._desk is not None:
                self._desk.close()
        return outcomes

    def excel(self) -> str:
        """Which Excel it was."""
        return (
            f"Excel {self._desk.app.version}" if self._desk is not None else f"no Excel: {self.missing or 'not needed'}"
        )

    def _try(self, number: int, line: Line) -> tuple[Came, str]:
        if line.systems and self._system not in line.systems:
            return Came.LEFT_OUT, "for another system"
        try:
            if line.probe in HERE:
                return Came.GOOD, HERE[line.probe](self._here)
            if (line.probe or self._ask) and not self._has_excel():
                return Came.LEFT_OUT, "needs Excel"
            if line.probe:
                assert self._desk is not None
                return Came.GOOD, IN_EXCEL[line.probe](self._desk)
        except Different as error:
            return Came.DIFFERENT, str(error)
        except SgdSheetError as error:
            return (Came.LEFT_OUT if line.probe in HERE else Came.DIFFERENT), str(error)
        except Exception as error:  # one line must not end the others
            return Came.DIFFERENT, f"{type(error).__name__}: {error}"
        if self._ask is None:
            return Came.LEFT_OUT, "needs a person"
        answer = self._ask(number, line)
        if answer.good is None:
            return Came.LEFT_OUT, answer.seen or "left out"
        return (Came.GOOD if answer.good else Came.DIFFERENT), answer.seen

    def _has_excel(self) -> bool:
        if self._desk is None and not self.missing:
            try:
                self._desk = self._open_excel()
            except SgdSheetError as error:
                self.missing = str(error)
        return self._desk is not None


def summary(outcomes: Iterable[Outcome]) -> str:
    """How many lines came out how, in one line."""
    came = [outcome.came for outcome in outcomes]
    return ", ".join(f"{came.count(kind)} {kind.value}" for kind in Came)


def report(outcomes: Iterable[Outcome], excel: str) -> str:
    """The page to send. The person's home folder is written as ~."""
    found = list(outcomes)
    lines = [
        TITLE,
        "",
        f"* sgdsheet {__version__}, xlwings {_version('xlwings')}, Python {platform.python_version()}, {excel}",
        f"* {platform.platform()}, {platform.machine()}",
        f"* {summary(found)}",
        "",
        "| # | came out | do | expect | seen |",
        "|---|---|---|---|---|",
    ]
    for outcome in found:
        cells = (outcome.line.do, outcome.line.expect, outcome.seen)
        texts = " | ".join(one_line(text).replace("|", "\\|") for text in cells)
        lines.append(f"| {outcome.number} | {outcome.came.value} | {texts} |")
    return ("\n".join(lines) + "\n").replace(str(Path.home()), "~")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
