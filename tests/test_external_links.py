"""References to other workbooks: the values that the file saved of them are used, and that is said."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.packaging.relationship import Relationship
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.workbook.external_link.external import (
    ExternalBook,
    ExternalCell,
    ExternalDefinedName,
    ExternalLink,
    ExternalRow,
    ExternalSheetData,
    ExternalSheetDataSet,
    ExternalSheetNames,
)

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.compiler.model import evaluate
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError
from sgdsheet.train.session import Session
from tests.cli_books import run
from tests.sheets import HOME, check_gradients, lowered

FORMULAS = {
    "[1]Data!A1": 2.0,
    "SUM([1]Data!A1:A3)": 9.0,
    "'[1]Two words'!B2&\"!\"": "hello!",
    "[1]Data!B1": True,
    "[1]Data!B2": ExcelError.NA,
    "[1]Data!A9": 0.0,
    "[1]!rate*2": 6.0,
    "[1]!all": 9.0,
    "SUMPRODUCT([1]Data!A1:A3,A1:A3)": 2 * 1 + 3 * 2 + 4 * 3,
    "INDEX([1]Data!$A$1:$A$3,2)": 3.0,
    "SUM(other)": 9.0,
    "SUM(OFFSET([1]Data!A1,1,0,2,1))": 7.0,
}
REFUSED = {
    "[1]Empty!A1": "values are not saved",
    "[2]Data!A1": "another file",
    "[1]!nothing": "another file",
    "SUM([1]Data:Empty!A1)": "cannot be read",
}


def linked_book(path: Path) -> Path:
    """A workbook whose formulas stand in column D, with what it saved of “Other book.xlsx”."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = HOME
    for row in range(1, 4):
        sheet.cell(row, 1, row)
        sheet.cell(row, 2, f"=[1]Data!A{row}*$A$1^2")
    for row, formula in enumerate([*FORMULAS, *REFUSED], start=1):
        sheet.cell(row, 4, f"={formula}")
    sheet["F1"] = "=SUM(B1:B3)"
    book.defined_names["other"] = DefinedName("other", attr_text="[1]Data!$A$1:$A$3")
    sheet.defined_names["sgd_loss"] = DefinedName("sgd_loss", attr_text=f"{HOME}!$F$1")
    sheet.defined_names["sgd_params"] = DefinedName("sgd_params", attr_text=f"{HOME}!$A$1")
    data = [
        ExternalRow(r=1, cell=[ExternalCell(r="A1", v="2"), ExternalCell(r="B1", t="b", v="1")]),
        ExternalRow(r=2, cell=[ExternalCell(r="A2", v="3"), ExternalCell(r="B2", t="e", v="#N/A")]),
        ExternalRow(r=3, cell=[ExternalCell(r="A3", v="4")]),
    ]
    words = [ExternalRow(r=2, cell=[ExternalCell(r="B2", t="str", v="hello")])]
    other = ExternalBook(
        sheetNames=ExternalSheetNames(sheetName=["Data", "Two words", "Empty"]),
        definedNames=[
            ExternalDefinedName(name="rate", refersTo="='Data'!$A$2"),
            ExternalDefinedName(name="all", refersTo="=Data!$A$1:$A$3"),
        ],
        sheetDataSet=ExternalSheetDataSet(
            sheetData=[ExternalSheetData(sheetId=0, row=data), ExternalSheetData(sheetId=1, row=words)]
        ),
        id="rId1",
    )
    link = ExternalLink(externalBook=other)
    link.file_link = Relationship(
        type="externalLinkPath", Target="file:///C:/My%20files/Other%20book.xlsx", TargetMode="External", Id="rId1"
    )
    book._external_links.append(link)
    book.save(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return linked_book(tmp_path / "book.xlsx")


def test_saved_values_of_other_workbooks(path: Path) -> None:
    workbook = sgdsheet.load(path)
    assert [link.name for link in workbook.links] == ["Other book.xlsx"]
    for row, (formula, expected) in enumerate(FORMULAS.items(), start=1):
        if formula == "[1]!all":  # one value fits: the cell in the formula's own row, of which there is none
            expected = ExcelError.VALUE
        found = evaluate(lowered(workbook, [], f"D{row}")).values[Cell(HOME, row, 4)]
        assert found == expected, formula


def test_what_was_not_saved_is_refused(path: Path) -> None:
    report = check_workbook(sgdsheet.load(path))
    causes = {item.area.first: item.error.cause for item in report.unsupported}
    wanted = {Cell(HOME, row, 4): cause for row, cause in enumerate(REFUSED.values(), start=len(FORMULAS) + 1)}
    assert causes.keys() == wanted.keys()
    assert all(wanted[cell] in cause for cell, cause in causes.items())
    assert report.linked == ("Other book.xlsx",)


def test_training_uses_them_and_says_so(path: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(path))
    assert float(model().detach()) == 9.0
    assert model.gradients()[parse_range("A1", HOME).first] == 18.0
    check_gradients(model)
    warnings = Session(model).proof.warnings
    assert any("Other book.xlsx" in line for line in warnings)


def test_check_says_so(path: Path) -> None:
    found = run("check", path, "--all")
    assert "values of Other book.xlsx are used as this workbook saved them" in " ".join(found.out.split())
    assert run("check", path, "--json").json["linked"] == ["Other book.xlsx"]


def test_a_damaged_link_is_no_reason_to_refuse_the_workbook(path: Path) -> None:
    """What refers to it is refused, all else is calculated."""
    for damage in (b"<externalLink", b"<x/>", b'r="A1"'):
        broken = path.with_name("broken.xlsx")
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "xl/externalLinks/externalLink1.xml":
                    content = content.replace(damage, b'r="nowhere"') if damage in content else damage
                new.writestr(name, content)
        workbook = sgdsheet.load(broken)
        report = check_workbook(workbook)
        assert len(workbook.links) == 1
        assert Cell(HOME, 1, 4) in {item.area.first for item in report.unsupported}


def test_training_leaves_the_links_in_the_file(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.xlsx"
    found = run("train", path, "--steps", "3", "-o", out)
    assert not found.status
    assert "Other book.xlsx" in " ".join((found.out + found.err).split())
    again = sgdsheet.load(out)
    assert again.links == sgdsheet.load(path).links
    assert again.sheets[HOME].formulas[1, 2].text == "[1]Data!A1*$A$1^2"
