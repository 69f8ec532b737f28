"""Where the page writes a setting that somebody has chosen there."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from sgdsheet.apps.web.page_requests import settings
from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.hosts.live_hosts import connect
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.sheet.references import Cell


@pytest.mark.parametrize("written", ["learning rate", "Learning_Rate", "Learning-rate:"])
def test_a_setting_is_known_as_training_knows_it(written: str, tmp_path: Path, state: Path) -> None:
    """However it is spelled, the row that training reads is the one that is written, and no second one is added."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        sheet.write("A1", 3.0)
        sheet.write_formula("B1", "=(A1-1)^2", None, 4.0)
        sheet.write_row("D1", [written, 0.1])
        for name, area in (("loss", "$B$1"), ("params", "$A$1"), ("settings", "$D$1:$E$3")):
            book.define_name(f"S!sgd_{name}", f"=S!{area}")
    opened, trainer = OpenBook.open(path), Trainer(connect)
    try:
        reply = settings(ServedBook("book", opened, trainer), {"sheet": "S", "values": {"learning rate": "0.25"}})
        assert reply == {"session": {}, "written": 1}
        assert opened.value_of(Cell("S", 1, 5)) == 0.25
        assert opened.value_of(Cell("S", 2, 4)) is None
    finally:
        trainer.close()
        opened.close()


def test_no_number_makes_room_for_a_setting(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        sheet.write("A1", 3.0)
        sheet.write_formula("B1", "=(A1-1)^2", None, 4.0)
        sheet.write("E1", 4711.0)
        for name, area in (("loss", "$B$1"), ("params", "$A$1"), ("settings", "$D$1:$E$2")):
            book.define_name(f"S!sgd_{name}", f"=S!{area}")
    opened, trainer = OpenBook.open(path), Trainer(connect)
    try:
        settings(ServedBook("book", opened, trainer), {"sheet": "S", "values": {"learning rate": "0.25"}})
        assert [opened.value_of(Cell("S", row, 5)) for row in (1, 2)] == [4711.0, 0.25]
    finally:
        trainer.close()
        opened.close()
