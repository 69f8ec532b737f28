"""The Excel host over the xlwings engine for LibreOffice, as a program of the contract in `host_contract.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.hosts.excel import ExcelHost, connect
from sgdsheet.hosts.libreoffice.office_process import Office
from sgdsheet.sheet.references import Range
from tests.xlwings_com import Scales
from tests.xlwings_libreoffice import HarnessEngine, register, unregister


@dataclass
class ExcelBook:
    """A book that is open in LibreOffice and reached as if that were Excel."""

    host: ExcelHost
    engine: HarnessEngine

    def select(self, areas: Sequence[Range]) -> None:
        self.engine.office.ask("select", book=self.host.key, areas=[list(area) for area in areas])

    def shut(self) -> None:
        self.engine.office.ask("close", book=self.host.key)

    def rename(self, sheet: str, name: str) -> None:
        self.engine.office.ask("rename", book=self.host.key, sheet=sheet, name=name)

    def heat(self, sheet: str) -> list[str]:
        """What was asked for last: LibreOffice cannot colour by a call."""
        return [Scales.made[-1][0].replace("$", "").rpartition("!")[2]]

    def status_bar(self) -> str:
        return str(self.engine.state["status_bar"] or "")

    def chart_rows(self, sheet: str) -> tuple[int, int]:
        areas = self.engine.office.ask("chart_areas", book=self.host.key, name=sheet)
        assert len({(area[0], area[2]) for area in areas}) == 1, areas
        return areas[0][0], areas[0][2]


class ExcelOverLibreOffice:
    """The program: an office of its own, which xlwings takes for Excel while it runs."""

    def __init__(self) -> None:
        self.office = Office()
        self.engine = register(self.office.pipe)

    def open(self, path: Path) -> ExcelBook:
        key = self.office.open(path)
        return ExcelBook(connect(key, str(self.engine.pid)), self.engine)

    def stop(self) -> None:
        unregister(self.engine)
        self.office.stop()
