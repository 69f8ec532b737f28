"""Example workbooks that were edited in this process, calculated by LibreOffice: the same values."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sgdsheet.hosts.file import load
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.references import Cell
from tests import office
from tests.office import LibreOffice
from tests.test_lessons import WORKBOOKS, without_values

pytestmark = [
    pytest.mark.usefixtures("state"),
    pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed"),
]

FORMULAS = ("=SUM(A1:F20)", "=AVERAGE(B2:C30)/3", '=COUNTIF(A1:F20,">1")', '=IF(E6>0,"up","down")&"!"')


@pytest.mark.parametrize("name", ["linear_regression", "neuron_zoo", "dead_relu", "cross_entropy"])
def test_libreoffice_has_the_same_values(name: str, converter: LibreOffice, tmp_path: Path) -> None:
    chance = random.Random(name)
    book = OpenBook.from_bytes(f"{name}.xlsx", (WORKBOOKS / f"{name}.xlsx").read_bytes())
    typed = [
        (Cell(sheet.name, *place), value)
        for sheet in book.workbook.sheets.values()
        for place, value in sheet.values.items()
        if type(value) is float and place not in sheet.formulas and not sheet.protected
    ]
    for cell, value in chance.sample(typed, 8):
        book.edit([(cell, repr(round(value * 1.25 + 0.125, 6)))])
    home = typed[-1][0].sheet
    rows, _ = book.workbook.sheets[home].extent
    book.edit([(Cell(home, rows + 2 + number, 30), text) for number, text in enumerate(FORMULAS)])
    (tmp_path / "edited.xlsx").write_bytes(book.data())
    without_values(tmp_path / "edited.xlsx", tmp_path / "bare.xlsx")
    theirs = load(converter.convert(tmp_path / "bare.xlsx", tmp_path / "out" / "edited.xlsx"))
    compared = 0
    for sheet in book.workbook.sheets.values():
        for place in sheet.formulas:
            ours, other = book.value_of(Cell(sheet.name, *place)), theirs.sheets[sheet.name].values.get(place)
            if ours == "" and other is None:
                continue
            assert ours is not None, (sheet.name, place)
            assert other is not None, (sheet.name, place)
            close = pytest.approx(other, rel=1e-9, abs=1e-12) if type(other) is float else other
            assert ours == close, (sheet.name, place)
            compared += 1
    assert compared > 100
    book.close()
