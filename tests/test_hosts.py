"""The contract of live hosts, for each of them. A new host adds its program to PROGRAMS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.hosts.live_hosts import LIVE_HOSTS
from sgdsheet.sheet.references import Cell
from tests import office
from tests.host_contract import LiveHostContract, MemoryProgram, OpenBook, Program, build, one
from tests.web_program import WebProgram
from tests.xlwings_program import ExcelOverLibreOffice

PROGRAMS: dict[str, tuple[Callable[[], Program], Callable[[], bool]]] = {
    "memory": (MemoryProgram, lambda: True),
    "web": (WebProgram, lambda: True),
    "libreoffice": (office.LibreOffice, office.available),
    "excel": (ExcelOverLibreOffice, office.available),  # through an xlwings engine of the tests
}
"""How each program is started, and whether it is installed."""


def test_every_host_is_tried() -> None:
    assert {*LIVE_HOSTS, "memory"} == {*PROGRAMS}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    start, installed = PROGRAMS[request.param]
    if not installed():
        pytest.skip(f"{request.param} is not installed")
    running = start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("contract") / "template.xlsx")


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(copyfile(template, tmp_path / "my model.xlsx"))


@pytest.fixture
def book(program: Program, path: Path) -> Iterator[OpenBook]:
    opened = program.open(path)
    yield opened
    opened.host.close()


class TestLiveHost(LiveHostContract):
    """Every test of the contract with every program."""


def test_what_a_file_had_saved_is_calculated_anew(program: Program, tmp_path: Path) -> None:
    path, cell = tmp_path / "stale.xlsx", Cell("Sheet1", 1, 1)
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Sheet1").write_formula("A1", "=2+3", None, 7)
    opened = program.open(path)
    opened.host.recalculate()
    assert one(opened.host, cell) == 5.0
    opened.host.close()
