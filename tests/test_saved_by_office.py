"""What LibreOffice saves in another way than Excel is told apart from what differs, and hides nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import xlsxwriter

from sgdsheet.hosts.file import load
from tests.cli_books import run
from tests.ods_parts import content, number, ods, row
from tests.office import LibreOffice
from tests.xlsx_parts import member, openpyxl_book, with_part

APP, BOOK = "docProps/app.xml", "xl/workbook.xml"
OFFICE = "LibreOffice/7.4.7.2$Linux_X86_64 LibreOffice_project/40$Build-2"
META = (
    '<office:document-meta xmlns:office="o" xmlns:meta="m"><office:meta><meta:generator>{}</meta:generator>'
    "</office:meta></office:document-meta>"
)
FORMULAS = {
    "=AND(A1>0,TRUE)": (1, "1 for TRUE"),
    "=A1>9": (0, "0 for FALSE"),
    "=SQRT(A1-17)": ("#VALUE!", "#VALUE! for #NUM!"),
}


def book(folder: Path, program: str, formulas: dict[str, float | str]) -> Path:
    """Formulas in B1 and below with their saved values, A1 is 1, in a file that a program says it saved."""
    path = folder / "book.xlsx"
    with xlsxwriter.Workbook(path) as written:
        page = written.add_worksheet("S")
        page.write(0, 0, 1)
        for place, (formula, saved) in enumerate(formulas.items()):
            page.write_formula(place, 1, formula, None, saved)
    asks = member(path, BOOK)
    with_part(path, BOOK, asks.replace(b' fullCalcOnLoad="1"', b""))  # else 0 is no value
    data = re.sub(rb"(?<=<Application>)[^<]*", program.encode(), member(path, APP))
    return with_part(path, APP, data)


@pytest.mark.parametrize("formula", FORMULAS)
def test_counted_apart(tmp_path: Path, formula: str) -> None:
    saved, told = FORMULAS[formula]
    report = run("check", book(tmp_path, OFFICE, {formula: saved, "=A1+1": 2}), "--all", "--json").json
    assert report["passed"]
    assert report["mismatches"] == []
    assert report["compared"] == 1
    assert [item["cell"] for item in report["by_office"]] == ["S!B1"]
    page = tmp_path / "page.html"
    shown = run("check", tmp_path / "book.xlsx", "--all", "--html", page).out
    assert f"1 cell holds the value as LibreOffice, which saved the file, writes it: {told}, in S!B1" in shown
    assert "1 cell equals its saved value" in shown
    assert told in page.read_text()


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("program", ["Microsoft Excel", "", "SheetWriter"])
def test_differs_in_other_files(tmp_path: Path, program: str, formula: str) -> None:
    found = run("check", book(tmp_path, program, {formula: FORMULAS[formula][0]}), "--all", "--json")
    assert found.status == 1
    assert len(found.json["mismatches"]) == 1
    assert found.json["by_office"] == []


@pytest.mark.parametrize(
    ("formula", "saved"),
    [("=A1>0", 0), ("=A1>0", 2), ("=A1+1", "#VALUE!"), ("=SQRT(A1-17)", "#REF!"), ("=A1&1", 11), ('=A1&""', 1)],
)
def test_what_differs_is_told(tmp_path: Path, formula: str, saved: float | str) -> None:
    found = run("check", book(tmp_path, OFFICE, {formula: saved}), "--all", "--json")
    assert found.status == 1
    assert len(found.json["mismatches"]) == 1
    assert "Recalculate and save the workbook in Excel: LibreOffice saved it" in found.err


def test_what_reads_it_hides_nothing(tmp_path: Path) -> None:
    """LibreOffice adds up a TRUE as 1, Excel leaves it out: that differs, although 1 is what the file has to add."""
    path = book(tmp_path, OFFICE, {"=A1>0": 1, "=SUM(B1)": 1, "=B1+1": 2, "=COUNT(B1)": 1})
    report = run("check", path, "--all", "--json").json
    assert [item["cell"] for item in report["by_office"]] == ["S!B1"]
    assert [item["cell"] for item in report["mismatches"]] == ["S!B2", "S!B4"]


def test_training_is_not_held_up(tmp_path: Path) -> None:
    """A condition in a cell of its own, which LibreOffice saved as a number, on the way to the loss."""
    path = book(tmp_path, OFFICE, {"=A1>0": 1, "=IF(B1,(A1-3)^2,9)": 4})
    found = run("train", path, "--loss", "S!B2", "--params", "S!A1", "--json", "-o", tmp_path / "out.xlsx").json
    assert found["loss"] < 1e-6
    other = book(tmp_path, "Microsoft Excel", {"=A1>0": 1, "=IF(B1,(A1-3)^2,9)": 4})
    refused = run("train", other, "--loss", "S!B2", "--params", "S!A1", "-o", tmp_path / "out.xlsx")
    assert refused.status == 1
    assert "S!B1" in refused.err


@pytest.mark.parametrize(("program", "held"), [(OFFICE, True), ("MicrosoftOffice/15.0 MicrosoftExcel", False)])
def test_ods(tmp_path: Path, program: str, held: bool) -> None:
    path = ods(tmp_path / "book.ods", content(row(number(1, "of:=1=1"))), meta_xml=META.format(program))
    report = run("check", path, "--all", "--json").json
    assert (len(report["by_office"]), len(report["mismatches"])) == ((1, 0) if held else (0, 1))


def test_what_tells_nothing(tmp_path: Path) -> None:
    """A description that is missing or damaged stands in nobody's way."""
    path = book(tmp_path, OFFICE, {"=A1>0": True})
    assert load(path).from_office
    for data in (b"", b"<Application>", b"<a><Application>\xff</b>"):
        assert not load(with_part(path, APP, data)).from_office
    assert not load(openpyxl_book(path)).from_office


def test_real_files(tmp_path: Path, converter: LibreOffice) -> None:
    """LibreOffice itself, saving an .xlsx and an .ods: both are right, and their TRUE in a number's format is told."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as written:
        page, two = written.add_worksheet("S"), written.add_format({"num_format": "0.00"})
        page.write_row(0, 0, [4, -16])
        page.write_formula(1, 0, "=A1>1", two, "")
        page.write_formula(1, 1, "=SQRT(B1)", None, "")
        page.write_formula(1, 2, "=IF(A2,A1*2,0)", None, "")
    for ending in ("xlsx", "ods"):
        report = run("check", converter.convert(path, tmp_path / f"saved.{ending}"), "--all", "--json").json
        assert report["passed"]
        assert report["compared"] == 1
        assert {item["cell"] for item in report["by_office"]} == {"S!A2", "S!B2"}
