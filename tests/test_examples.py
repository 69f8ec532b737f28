"""The example workbooks: reproducible, named, true to their source, with values that a sheet computes."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy
import openpyxl
import pytest
from openpyxl.workbook import Workbook

from sgdsheet import examples
from sgdsheet.errors import SettingError
from sgdsheet.examples import quadratic, titanic
from sgdsheet.examples.style import DATA, LOSS, Book, Formula, Page

COMMITTED = Path(__file__).parent.parent / "workbooks"
NAMES = list(examples.names())
ALONE = [name for name in NAMES if not name.startswith("mnist")]  # the others have tests of their own
PUBLISHED = {  # class, sex, age: survived, died
    ("1st", "male", "adult"): (57, 118),
    ("1st", "female", "adult"): (140, 4),
    ("2nd", "male", "adult"): (14, 154),
    ("2nd", "female", "adult"): (80, 13),
    ("3rd", "male", "adult"): (75, 387),
    ("3rd", "female", "adult"): (76, 89),
    ("crew", "male", "adult"): (192, 670),
    ("crew", "female", "adult"): (20, 3),
    ("1st", "male", "child"): (5, 0),
    ("1st", "female", "child"): (1, 0),
    ("2nd", "male", "child"): (11, 0),
    ("2nd", "female", "child"): (13, 0),
    ("3rd", "male", "child"): (13, 35),
    ("3rd", "female", "child"): (14, 17),
}
SETTINGS = {
    *("optimizer", "learning rate", "momentum", "weight decay", "batch size", "epochs", "steps", "seed"),
    *(
        "schedule",
        "validation",
        "early stopping",
        "restarts",
        "device",
        "precision",
        "zero gradients",
        "shuffle",
    ),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every example, freshly built."""
    folder = tmp_path_factory.mktemp("examples")
    for name in NAMES:
        examples.build(name, folder / f"{name}.xlsx")
    return folder


@pytest.fixture(scope="module")
def formulas(built: Path) -> dict[str, Workbook]:
    return {name: openpyxl.load_workbook(built / f"{name}.xlsx") for name in NAMES}


@pytest.fixture(scope="module")
def saved(built: Path) -> dict[str, Workbook]:
    return {name: openpyxl.load_workbook(built / f"{name}.xlsx", data_only=True) for name in NAMES}


@pytest.fixture(scope="module")
def recalculated(formulas: dict[str, Workbook], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbook]:
    """Every example as LibreOffice computes it, from copies without saved values."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    folder = tmp_path_factory.mktemp("recalculated")
    for name, book in formulas.items():
        book.save(folder / f"{name}.xlsx")  # openpyxl saves no values of formulas
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    out = folder / "out"
    sources = [str(folder / f"{name}.xlsx") for name in NAMES]
    command = [office, profile, "--headless", "--convert-to", "xlsx", "--outdir", str(out), *sources]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return {name: openpyxl.load_workbook(out / f"{name}.xlsx", data_only=True) for name in NAMES}


def named(book: Workbook, sheet: str, name: str) -> list[list[object]]:
    """The values in a range that a sheet's own defined name points at."""
    ((target, area),) = book[sheet].defined_names[name].destinations
    assert target == sheet
    cells = book[sheet][area]
    return [[cell.value for cell in row] for row in cells] if isinstance(cells, tuple) else [[cells.value]]


def test_names_and_descriptions() -> None:
    assert {"quadratic", "titanic"} <= set(NAMES)
    assert "style" not in NAMES
    assert all(text and "\n" not in text for text in examples.names().values())


def test_unknown_example_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="quadratic, titanic"):
        examples.build("nothing", tmp_path / "nothing.xlsx")


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_every_time(name: str, built: Path, tmp_path: Path) -> None:
    again = tmp_path / f"{name}.xlsx"
    examples.build(name, again)
    assert again.read_bytes() == (built / f"{name}.xlsx").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_committed_file(name: str, built: Path) -> None:
    # Part by part, byte for byte; the packing around the parts may differ between versions of zlib.
    with ZipFile(built / f"{name}.xlsx") as new, ZipFile(COMMITTED / f"{name}.xlsx") as old:
        assert new.namelist() == old.namelist()
        differing = [part for part in new.namelist() if new.read(part) != old.read(part)]
    assert differing == []


@pytest.mark.parametrize("name", ALONE)
def test_names_belong_to_their_sheet(name: str, formulas: dict[str, Workbook]) -> None:
    book = formulas[name]
    assert not [defined for defined in book.defined_names if defined.startswith("sgd_")]
    for sheet in book.sheetnames:
        assert {"sgd_loss", "sgd_params", "sgd_settings"} <= set(book[sheet].defined_names)
        ((loss,),) = named(book, sheet, "sgd_loss")
        assert str(loss).startswith("=")
        assert all(isinstance(value, int | float) for row in named(book, sheet, "sgd_params") for value in row)
        assert {row[0] for row in named(book, sheet, "sgd_settings")} <= SETTINGS


@pytest.mark.parametrize("name", ALONE)
def test_every_sheet_has_a_chart_and_frozen_headers(name: str, formulas: dict[str, Workbook]) -> None:
    for sheet in formulas[name]:
        assert sheet.freeze_panes
        assert not sheet.sheet_view.showGridLines
        assert len(sheet._charts) == 1
        assert sheet.page_setup.orientation == "landscape"


@pytest.mark.parametrize("name", NAMES)
def test_saved_values_are_what_a_sheet_computes(
    name: str, formulas: dict[str, Workbook], saved: dict[str, Workbook], recalculated: dict[str, Workbook]
) -> None:
    for sheet in formulas[name].sheetnames:
        rows = zip(
            formulas[name][sheet].values,
            saved[name][sheet].values,
            recalculated[name][sheet].values,
            strict=False,
        )
        cells = [cell for row in rows for cell in zip(*row, strict=False)]
        computed = [(old, new) for text, old, new in cells if isinstance(text, str) and text.startswith("=")]
        assert len(computed) == sum(str(value).startswith("=") for row in formulas[name][sheet].values for value in row)
        assert all(isinstance(old, int | float) and isinstance(new, int | float) for old, new in computed)
        assert max((abs(old - new) for old, new in computed), default=0.0) < 1e-9


def test_formulas_without_a_value_are_calculated(tmp_path: Path) -> None:
    with Book(tmp_path / "book.xlsx", "") as book:
        page = Page(book, "sheet", title="", sentence="", widths={})
        page.column("B7", "x", DATA, [1.0, 2.5])
        page.cell("C8", Formula("=SUMPRODUCT(B8:B9,B8:B9)/3"), LOSS)
        page.cell("D8", Formula('=IF(C8>1,"much","little")'), LOSS)
    sheet = openpyxl.load_workbook(tmp_path / "book.xlsx", data_only=True)["sheet"]
    assert (sheet["C8"].value, sheet["D8"].value) == (2.41666666667, "much")


def test_an_error_in_an_example_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"sheet!C8: =LN\(0\) comes to .*Num"),
        Book(tmp_path / "book.xlsx", "") as book,
    ):
        Page(book, "sheet", title="", sentence="", widths={}).cell("C8", Formula("=LN(0)"), LOSS)
    assert not (tmp_path / "book.xlsx").exists()


def test_titanic_is_the_published_table(saved: dict[str, Workbook]) -> None:
    for sheet in ("linear", "nnet"):
        rows = named(saved["titanic"], sheet, "sgd_data")
        people = Counter(tuple(row[:4]) for row in rows)
        assert people.total() == 2201
        assert sum(count for (*_, fate), count in people.items() if fate == 1) == 711
        found = {traits: (people[(*traits, 1)], people[(*traits, 0)]) for traits in PUBLISHED}
        assert found == PUBLISHED


def test_titanic_rows_are_shuffled(saved: dict[str, Workbook]) -> None:
    fates = [row[3] for row in named(saved["titanic"], "linear", "sgd_data")]
    assert 0.25 < sum(fates[:500]) / 500 < 0.4  # type: ignore[arg-type]


def test_titanic_is_small(built: Path) -> None:
    assert (built / "titanic.xlsx").stat().st_size < 400_000


def test_claims_in_the_notes() -> None:
    floor = sum(lived * died / (lived + died) for lived, died in PUBLISHED.values()) / 2201
    assert f"{floor:.4f}" in titanic.NNET_NOTE
    people = titanic.people()
    features = numpy.array([person.features for person in people])
    survived = numpy.array([person.survived for person in people])
    best = numpy.linalg.lstsq(features, survived, rcond=None)[1][0] / 2201
    assert f"{best:.4f}" in titanic.LINEAR_NOTE
    times = numpy.arange(20.0)
    for inputs, digits, note in ((times, -3, quadratic.STUCK), ((times - 9.5) / 9.5, 0, quadratic.CURED)):
        condition = numpy.linalg.cond(numpy.vander(inputs, 3)) ** 2
        assert f"{round(condition, digits):,.0f} times" in note
    best = numpy.polyfit(times, quadratic.SPEEDS, 2, full=True)[1][0] / 20
    assert f"{best:.2f}" in quadratic.CURED
