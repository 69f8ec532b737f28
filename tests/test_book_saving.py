"""What is done to a workbook that is open in this process, in its file: saved, downloaded, kept for after a crash."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from shutil import copyfile

import openpyxl  # type: ignore[import-untyped]
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.errors import FileError, HostError
from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.hosts.web.autosave import Autosave, kept_of, recover
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.web.web_host import WebHost
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.sheet.formula import moved
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.system import recovery
from tests.errors import refusal
from tests.live_books import until

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("S")
        sheet.write_column("A1", [1, 2, 3])
        for row in range(1, 4):
            sheet.write_formula(f"B{row}", f"=A{row}*2", value=2 * row)
        sheet.write_formula("C1", "=SUM(B1:B3)", value=12)
    return target


def cell(text: str) -> Cell:
    return Cell("S", int(text[1:]), ord(text[0]) - 64)


def edited(path: Path) -> OpenBook:
    """A workbook with edits of all kinds that are not saved."""
    book = OpenBook.open(path)
    book.edit([(cell("A1"), "10"), (cell("A2"), ""), (cell("D1"), "=c1/2"), (cell("D2"), "text"), (cell("B3"), "7")])
    book.edit([(cell("D3"), "2026-11-29"), (cell("D4"), "TRUE")])
    book.define_name("sgd_params", [Range("S", 1, 1, 2, 1), Range("S", 3, 1, 3, 1)])
    return book


def as_edited(path: Path) -> None:
    """Whether a file holds what `edited` has done."""
    sheet = load(path).sheets["S"]
    assert sheet.values == {
        **{(1, 1): 10.0, (3, 1): 3.0, (1, 2): 20.0, (2, 2): 0.0, (3, 2): 7.0, (1, 3): 27.0},
        **{(1, 4): 13.5, (2, 4): "text", (3, 4): 46355.0, (4, 4): True},
    }
    texts = {place: moved(item.text, item.row, item.column, *place) for place, item in sheet.formulas.items()}
    assert texts == {
        **{(1, 2): "A1*2", (2, 2): "A2*2", (1, 3): "SUM(B1:B3)", (1, 4): "C1/2"},
    }
    names = {(name.name, name.sheet): name.text.replace("$", "") for name in load(path).names}
    assert names["sgd_params", "S"] == "S!A1:A2,S!A3"
    assert openpyxl.load_workbook(path)["S"]["D3"].is_date


def test_all_kinds_of_edits_are_saved(path: Path, tmp_path: Path) -> None:
    book = edited(path)
    assert book.dirty
    (tmp_path / "download.xlsx").write_bytes(book.data())
    as_edited(tmp_path / "download.xlsx")
    assert book.dirty
    book.save(tmp_path / "copy.xlsx")
    as_edited(tmp_path / "copy.xlsx")
    assert not book.dirty
    assert load(path).sheets["S"].values[1, 1] == 1.0
    book.save()
    as_edited(path)
    book.edit([(cell("A1"), "11")])
    book.save()
    assert load(path).sheets["S"].values[1, 3] == 29.0
    book.close()


def test_what_was_taken_back_is_not_saved(path: Path, tmp_path: Path) -> None:
    book = edited(path)
    book.data()
    book.undo()
    book.undo()
    book.save(tmp_path / "copy.xlsx")
    before, after = load(path).sheets["S"], load(tmp_path / "copy.xlsx").sheets["S"]
    assert after.values == before.values
    assert after.formulas == before.formulas
    book.write({cell("A1"): 5.0})
    book.write({cell("A1"): 1.0})
    assert OpenBook.from_bytes("book.xlsx", book.data()).workbook.sheets["S"].values == before.values
    book.close()


def test_a_file_that_others_have_changed(path: Path, tmp_path: Path) -> None:
    book = edited(path)
    assert not book.changed_on_disk()
    other = OpenBook.from_bytes("book.xlsx", path.read_bytes())
    other.edit([(cell("A3"), "99")])
    other.save(tmp_path / "other.xlsx")
    copyfile(tmp_path / "other.xlsx", path)
    assert book.changed_on_disk()
    with refusal(FileError, cause="changed by another program"):
        book.save()
    assert book.dirty
    book.save(tmp_path / "copy.xlsx")
    as_edited(tmp_path / "copy.xlsx")
    book.close()


def test_what_was_saved_in_place_is_the_state_from_then_on(path: Path) -> None:
    book = OpenBook.open(path)
    book.edit([(cell("A1"), "5")])
    book.save()
    book.undo()
    book.save()
    assert load(path).sheets["S"].values == {**load(path).sheets["S"].values, (1, 1): 1.0, (1, 3): 12.0}
    book.edit([(cell("A1"), "7")])
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(FileError):
        book.save()
    book.undo()
    assert OpenBook.from_bytes("book.xlsx", book.data()).value_of(cell("A1")) == 1.0
    book.close()


def test_what_cannot_be_saved_is_refused_when_it_is_typed(tmp_path: Path) -> None:
    target = tmp_path / "table.xlsx"
    with xlsxwriter.Workbook(target) as file:
        sheet = file.add_worksheet("S")
        sheet.add_table("A1:B3", {"columns": [{"header": "one"}, {"header": "two"}], "data": [[1, 2], [3, 4]]})
    book = OpenBook.open(target)
    with refusal(HostError, cell="S!A1", cause="Table1"):
        book.edit([(cell("A1"), "uno")])
    with refusal(HostError, cell="S!D1", cause="32,767"):
        book.edit([(cell("D1"), "x" * 40_000)])
    with refusal(FileError, cell="S!D1", cause="another workbook"):
        book.edit([(cell("D1"), "=[Book2.xlsx]Sheet1!A1")])
    with refusal(FileError, cell="S!D1", cause="another workbook"):
        book.edit([(cell("D1"), "=[1]Sheet1!A1")])
    book.edit([(cell("D1"), "=SUM(Table1[two])"), (cell("A2"), "5")])
    assert load(BytesIO(book.data())).sheets["S"].values[1, 4] == 6.0
    book.close()


def test_what_has_no_place_needs_one(path: Path) -> None:
    book = OpenBook.from_bytes("book.xlsx", path.read_bytes())
    assert not book.changed_on_disk()
    with refusal(FileError, cause="no place on disk"):
        book.save()
    book.close()


def test_sheets_of_ours_are_saved_and_made_anew_later(path: Path) -> None:
    book = OpenBook.open(path)
    book.put_sheet(ReportSheet("SGD gradients", [["a", "b"], [1.0, 2.0]], bold=(1,)))
    book.append("SGD gradients", 3, [[3.0, 4.0]])
    with refusal(HostError, cell="'SGD gradients'!A1", remedy="your own"):
        book.edit([(Cell("SGD gradients", 1, 1), "5")])
    book.save()
    book.close()
    again = OpenBook.open(path)
    assert again.workbook.sheets["SGD gradients"].values[3, 2] == 4.0
    again.put_sheet(ReportSheet("SGD gradients", [[5.0]]))
    again.save()
    assert load(path).sheets["SGD gradients"].values == {(1, 1): 5.0}
    again.close()


def test_after_a_crash_nothing_is_lost(path: Path, tmp_path: Path) -> None:
    book = edited(path)
    keeper = Autosave(book, pause=0.05)
    book.edit([(cell("E1"), "late")])
    until(lambda: recovery.find(book.key) is not None)
    book.edit([(cell("E1"), "")])
    keeper.close()
    book.close()  # the process ends here, and nobody has saved
    again = OpenBook.open(path)
    assert kept_of(again) is not None
    assert recover(again) == 7
    again.save(tmp_path / "copy.xlsx")
    as_edited(tmp_path / "copy.xlsx")
    again.undo()
    assert again.value_of(cell("C1")) == 12.0
    again.close()


def test_after_a_crash_the_sheets_of_ours_are_there_again(path: Path) -> None:
    """With their rows, bold types, number formats, colours and charts: also those of a sheet that the file has."""
    log = ReportSheet(
        "SGD log",
        [["step", "loss"], *([float(step), 1.0 / (step + 1)] for step in range(5))],
        bold=(1,),
        chart=LineChart("Loss", 0, (1,)),
        formats=(("0.000", (Range("SGD log", 2, 2, 6, 2),)),),
    )
    before = OpenBook.open(path)
    before.put_sheet(ReportSheet("SGD gradients", [["old"]]))
    before.save()
    before.close()
    book = OpenBook.open(path)
    keeper = Autosave(book, pause=0.05)
    heat = (Range("SGD gradients", 2, 1, 2, 2),)
    gradients = ReportSheet("SGD gradients", [["new", None], [1.0, -2.0]], bold=(1,), heat=heat)
    book.put_sheet(log)
    book.put_sheet(gradients)
    keeper.close()
    book.close()
    again = OpenBook.open(path)
    assert recover(again) == 12 + 3
    assert again.report_sheets == {"SGD log": log, "SGD gradients": gradients}
    assert again.value_of(Cell("SGD log", 6, 2)) == 0.2
    again.save()
    again.close()
    assert load(path).sheets["SGD log"].values[6, 1] == 4.0


def test_a_run_is_not_disturbed(path: Path) -> None:
    """Writing a large file takes seconds, in which training would crawl: it is kept when the run has ended."""
    book = OpenBook.open(path)
    keeper = Autosave(book, pause=0.05)
    host = WebHost(book)
    host.quiet(True)
    for number in range(10):
        host.write({cell("A1"): float(number)})
        time.sleep(0.05)
        assert book.is_trained
    assert recovery.find(book.key) is None
    host.quiet(False)
    until(lambda: recovery.find(book.key) is not None)
    keeper.close()
    book.close()


def test_what_is_saved_is_not_kept(path: Path) -> None:
    book = edited(path)
    keeper = Autosave(book, pause=0.05)
    book.edit([(cell("E1"), "1")])
    until(lambda: recovery.find(book.key) is not None)
    book.save()
    assert recovery.find(book.key) is None
    keeper.close()
    assert recovery.find(book.key) is None
    book.close()


def test_what_was_kept_of_another_state_of_the_file_is_not_taken(path: Path) -> None:
    book = edited(path)
    recovery.keep(book.key, "another", book.data())
    assert kept_of(book) is None
    assert recover(book) == 0
    book.close()


def test_what_was_kept_of_another_state_of_the_file_is_a_workbook_of_its_own(path: Path) -> None:
    book = edited(path)
    Autosave(book).close()
    book.close()  # the process ends here, and another program changes the file
    with xlsxwriter.Workbook(path) as other:
        other.add_worksheet("S").write("A1", 5)
    served = ServedBook("id", OpenBook.open(path), Trainer(lambda *_: WebHost(served.book)))
    said: list[str] = []
    served.book.subscribe(lambda event: said.append(event.text))
    assert served.take_up() == 0
    place = Path(said[-1].rpartition(" is in ")[2])
    as_edited(place)
    served.book.edit([(cell("A1"), "6")])
    served.close()
    served.trainer.close()
    as_edited(place)


def test_what_is_named_while_the_file_is_written_is_not_saved_yet(path: Path) -> None:
    class Slow(FileHost):
        def save(self, output: str | Path | None = None) -> None:
            book.define_name("sgd_loss", [Range("S", 1, 3, 1, 3)])
            super().save(output)

    book = OpenBook(Slow(path), str(path), path)
    book.edit([(cell("A1"), "10")])
    book.save()
    assert book.dirty
    assert not load(path).names
    book.save()
    assert [item.name for item in load(path).names] == ["sgd_loss"]
