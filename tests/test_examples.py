"""The example workbooks: reproducible, named, true to their source, with values that a sheet computes."""

from __future__ import annotations

from collections import Counter
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy
import openpyxl
import pytest
from openpyxl.workbook import Workbook

import sgdsheet
from sgdsheet.analysis.diagnosis.curvature import spectrum
from sgdsheet.apps import examples
from sgdsheet.apps.examples import quadratic, titanic
from sgdsheet.apps.examples._titanic_more import CONDITIONS
from sgdsheet.apps.examples.style import DATA, LOSS, Book, Formula, Page
from sgdsheet.errors import SettingError
from tests.errors import refusal

COMMITTED = Path(__file__).parent.parent / "workbooks"
NAMES = list(examples.names())
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


@cache
def built(name: str) -> bytes:
    """An example, freshly built."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "book.xlsx"
        examples.build(name, path)
        return path.read_bytes()


@cache
def saved(name: str) -> Workbook:
    return openpyxl.load_workbook(COMMITTED / f"{name}.xlsx", data_only=True)


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
    assert all(text and "\n" not in text for text in examples.titles().values())


def test_the_tour_has_every_example_once_and_in_order() -> None:
    chapters = examples.tour()
    assert sorted(name for names in chapters.values() for name in names) == NAMES
    assert all(chapters.values())
    assert next(iter(chapters.values()))[0] == "linear_regression"


def test_unknown_example_lists_the_known_ones(tmp_path: Path) -> None:
    with refusal(SettingError, remedy=", ".join(NAMES)):
        examples.build("nothing", tmp_path / "nothing.xlsx")


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_every_time(name: str, tmp_path: Path) -> None:
    again = tmp_path / f"{name}.xlsx"
    examples.build(name, again)
    assert again.read_bytes() == built(name)


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_committed_file(name: str) -> None:
    # Part by part, byte for byte; the packing around the parts may differ between versions of zlib.
    with ZipFile(BytesIO(built(name))) as new, ZipFile(COMMITTED / f"{name}.xlsx") as old:
        assert new.namelist() == old.namelist()
        differing = [part for part in new.namelist() if new.read(part) != old.read(part)]
    assert differing == []


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


def test_titanic_is_the_published_table() -> None:
    for sheet in ("linear", "nnet"):
        rows = named(saved("titanic"), sheet, "sgd_data")
        people = Counter(tuple(row[:4]) for row in rows)
        assert people.total() == 2201
        assert sum(count for (*_, fate), count in people.items() if fate == 1) == 711
        found = {traits: (people[(*traits, 1)], people[(*traits, 0)]) for traits in PUBLISHED}
        assert found == PUBLISHED


def test_titanic_rows_are_shuffled() -> None:
    fates = [row[3] for row in named(saved("titanic"), "linear", "sgd_data")]
    assert 0.25 < sum(fates[:500]) / 500 < 0.4  # type: ignore[arg-type]


@pytest.mark.parametrize("sheet", ["raw", "scaled"])
def test_how_unequal_the_columns_are(sheet: str) -> None:
    condition, rate = CONDITIONS[sheet]
    found = spectrum(sgdsheet.compile(sgdsheet.load(COMMITTED / "titanic.xlsx"), sheet))
    assert found.condition == pytest.approx(float(condition.replace(",", "")), rel=0.01)
    assert found.stable_rate == pytest.approx(float(rate), rel=0.01)
    texts = [str(cell.value) for row in saved("titanic")[sheet].iter_rows(max_row=60) for cell in row]
    assert any(f"{condition} times" in text and rate in text for text in texts)


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
