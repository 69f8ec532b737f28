"""After training a file holds what its formulas give, or nothing where that is not known here."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.references import Cell, address
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.cli_books import line_book, run
from tests.test_proof import calculated, patched

SHEET = "Model"
WORKBOOK, PART = "xl/workbook.xml", "xl/worksheets/sheet1.xml"


def trained(path: Path) -> dict[str, Any]:
    found = run("train", path, "--steps", "20", "--json")
    assert (found.status, found.err) == (0, "")
    return found.json


def values(path: Path) -> dict[str, Value]:
    return {address(*place): value for place, value in load(path).sheets[SHEET].values.items()}


UNKNOWN = "_xlfn.ORG.LIBREOFFICE.RAWSUBTRACT"
"""A function that LibreOffice has and nobody else."""


def one_bad_copy(folder: Path) -> Path:
    """F is filled down and reads G, of which one cell calls a function that sgdsheet does not know."""
    cells: dict[str, Any] = {f"G{row}": float(row) for row in range(2, 7)}
    cells |= {f"F{row}": (f"=C{row}*G{row}", row * (0.5 * (row - 2) + 0.25)) for row in range(2, 7)}
    cells |= {"G3": (f"={UNKNOWN}(E1,1)", -0.5), "F3": ("=C3*G3", 0.75 * -0.5)}
    cells |= {"H1": ("=SUM(F2:F6)", 1.0), "H2": ("=SUM(F4:F6)", 25.0)}
    return calculated(folder, cells)


def test_one_copy_that_cannot_be_calculated(tmp_path: Path) -> None:
    """Its neighbours are written, and so is the loss; what is out of date is taken away, and named."""
    path = one_bad_copy(tmp_path)
    found = trained(path)
    assert sorted(found["not_recalculated"]) == ["Model!F3", "Model!G3", "Model!H1"]
    after = values(tmp_path / "line-trained.xlsx")
    slope, intercept = after["E1"], after["E2"]
    assert isinstance(slope, float)
    assert isinstance(intercept, float)
    assert slope != 0.5
    lines = {row: slope * (row - 2) + intercept for row in range(2, 7)}
    for row in (2, 4, 5, 6):
        assert after[f"C{row}"] == pytest.approx(lines[row], rel=1e-12)
        assert after[f"F{row}"] == pytest.approx(lines[row] * row, rel=1e-12)
    assert after["H2"] == pytest.approx(sum(lines[row] * row for row in (4, 5, 6)), rel=1e-12)
    assert after["E4"] == found["loss"]
    assert after.keys() & {"F3", "G3", "H1"} == set()
    (warning,) = found["warnings"]
    assert warning.startswith("Not recalculated here: Model!")
    assert warning in " ".join(run("train", path).out.split())
    assert load(tmp_path / "line-trained.xlsx").stale


def test_it_is_trained_again(tmp_path: Path) -> None:
    """The mark does not make a file that nobody can train: what has no value is not on the way."""
    path = one_bad_copy(tmp_path)
    for _ in range(2):
        found = run("train", path, "--steps", "20", "--json", "--in-place")
        assert (found.status, found.err) == (0, "")
    assert values(path)["E4"] == found.json["loss"]


def test_nothing_else_changes(tmp_path: Path) -> None:
    path = one_bad_copy(tmp_path)
    trained(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "line-trained.xlsx") as new:
        assert old.namelist() == new.namelist()
        changed = {name for name in old.namelist() if old.read(name) != new.read(name)}
        assert changed == {WORKBOOK, PART}
        assert new.read(WORKBOOK).replace(b' fullCalcOnLoad="1"', b"") == old.read(WORKBOOK)
        one, two = (re.sub(rb"<v>[^<]*</v>", b"<v/>", book.read(PART)) for book in (old, new))
        for cell in (b"G3", b"F3", b"H1"):
            one = re.sub(rb'(<c r="%s"[^>]*><f>[^<]*</f>)<v/>' % cell, rb"\1", one)
        assert one == two


def test_what_no_gradient_goes_through_is_calculated(tmp_path: Path) -> None:
    """Positions, texts and classes that follow from the parameters, and the metric that counts them."""
    cells: dict[str, Any] = {
        "G1": "=MATCH(MAX(C2:C6),C2:C6,0)",
        "G2": '=IF(E1>1,"steep: "&TEXT(E1,"0.00"),"flat")',
        "G3": "=INDEX(A2:A6,G1)+E1",
        "G4": '=COUNTIF(H2:H6,"high")/ROWS(H2:H6)',
        "G5": "=BESSELQ(E1,1)+G1",
    }
    cells |= {f"H{row}": f'=INDEX({{"low","high"}},MATCH(C{row},{{-9,4}},1))' for row in range(2, 7)}
    found = trained(line_book(tmp_path, cells, {"sgd_metric": "Model!$G$4"}))
    assert found["not_recalculated"] == ["Model!G5"]
    after = values(tmp_path / "line-trained.xlsx")
    slope, line = after["E1"], [after[f"C{row}"] for row in range(2, 7)]
    assert isinstance(slope, float)
    assert after["G1"] == 5
    assert after["G2"] == f"steep: {slope:.2f}"
    assert after["G3"] == 4 + slope
    classes = ["high" if isinstance(item, float) and item >= 4 else "low" for item in line]
    assert [after[f"H{row}"] for row in range(2, 7)] == classes
    assert after["G4"] == found["metric"] == classes.count("high") / 5
    assert "G5" not in after


def test_no_mark_where_everything_was_calculated(tmp_path: Path) -> None:
    assert trained(calculated(tmp_path))["not_recalculated"] == []
    with zipfile.ZipFile(tmp_path / "line.xlsx") as old, zipfile.ZipFile(tmp_path / "line-trained.xlsx") as new:
        assert old.read(WORKBOOK) == new.read(WORKBOOK)


@pytest.mark.parametrize(
    ("written", "marked"),
    [
        ('<calcPr calcId="124519"/>', '<calcPr fullCalcOnLoad="1" calcId="124519"/>'),
        ('<calcPr calcId="124519" fullCalcOnLoad="0"/>', '<calcPr calcId="124519" fullCalcOnLoad="1"/>'),
        ('<calcPr calcId="124519" fullCalcOnLoad="1"/>', '<calcPr calcId="124519" fullCalcOnLoad="1"/>'),
        ("", '<calcPr fullCalcOnLoad="1"/>'),
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_the_mark(tmp_path: Path, written: str, marked: str, log: bool) -> None:
    path = calculated(tmp_path)
    patched(path, lambda text: re.sub(r"<calcPr[^>]*/>", written, text))
    host = FileHost(path)
    host.mark_uncalculated([Cell(SHEET, 4, 5)])
    if log:
        host.write({Cell(SHEET, 1, 5): 2.0})
    host.save()
    with zipfile.ZipFile(path) as book:
        text = book.read(WORKBOOK).decode()
    assert text.count(marked) == text.count("<calcPr") == 1
    assert text.index("</definedNames>") < text.index("<calcPr")
    assert "E4" not in values(path)
    assert load(path).stale


def test_a_value_of_another_kind_is_taken_away(tmp_path: Path) -> None:
    """With the type that its cell had: an empty text is a value, too."""
    path = calculated(tmp_path, {"G1": ('=TEXT(BESSELQ(E1,1),"0")', "abc"), "G2": ("=BESSELQ(E1,1)>0", True)})
    assert sorted(trained(path)["not_recalculated"]) == ["Model!G1", "Model!G2"]
    with zipfile.ZipFile(tmp_path / "line-trained.xlsx") as book:
        text = book.read(PART).decode()
    assert re.search(r'<c r="G1"><f>[^<]*</f></c>', text)
    assert re.search(r'<c r="G2"><f>[^<]*</f></c>', text)


def test_errors_are_written_as_such(tmp_path: Path) -> None:
    cells = {
        "G1": ("=1/(E1-E1)", "#DIV/0!"),
        "G2": ("=1/(E1-E1)", 3.0),
        "G3": ('=IFERROR(G2,"none")', 3.0),
        "G4": ("=SQRT(-ABS(E1))", 1.0),
        "G5": ("=IF(E1>9,1,#N/A)", 1.0),
        "G6": ("=G5+G4", "#N/A"),
    }
    found = trained(line_book(tmp_path, cells, {"sgd_metric": "Model!$G$2"}))
    assert found["not_recalculated"] == []
    after = values(tmp_path / "line-trained.xlsx")
    assert [after[f"G{row}"] for row in range(1, 7)] == [
        *(ExcelError.DIV0, ExcelError.DIV0, "none", ExcelError.NUM, ExcelError.NA, ExcelError.NA)
    ]
    with zipfile.ZipFile(tmp_path / "line-trained.xlsx") as book:
        assert re.search(r'<c r="G4" t="e"><f>[^<]*</f><v>#NUM!</v></c>', book.read(PART).decode())


def test_libreoffice_calculates_what_has_no_value(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    trained(one_bad_copy(tmp_path))
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = [office, profile, "--headless", "--convert-to", "xlsx", "--outdir", str(tmp_path / "out")]
    subprocess.run([*command, str(tmp_path / "line-trained.xlsx")], check=True, capture_output=True, timeout=120)
    after = values(tmp_path / "out" / "line-trained.xlsx")
    less = float(after["E1"]) - 1  # type: ignore[arg-type]
    assert after["G3"] == pytest.approx(less, rel=1e-9)
    assert after["F3"] == pytest.approx(after["C3"] * less, rel=1e-9)  # type: ignore[operator]
    assert after["H1"] == pytest.approx(sum(float(after[f"F{row}"]) for row in range(2, 7)), rel=1e-9)  # type: ignore[arg-type]
