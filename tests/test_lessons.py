"""Every example workbook is a lesson: its `Start`, its steps, its numbers, and that each program can calculate it.

Each workbook is found by itself: a new module in `sgdsheet/apps/examples` runs through all of these.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import openpyxl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

import sgdsheet
from sgdsheet.analysis import checking
from sgdsheet.apps import examples
from sgdsheet.apps.examples.lesson import Training, agrees
from sgdsheet.apps.examples.style import MARKS, ROLES, STEPS
from sgdsheet.compiler.model import SheetModel
from sgdsheet.problem.definition import find_problem
from sgdsheet.problem.settings import combine
from sgdsheet.problem.source_names import split_origin
from sgdsheet.sheet.agreement import ROUNDING
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError
from tests.lesson_functions import EVERYWHERE
from tests.office import LibreOffice
from tests.shared_data import MNIST, shared_data
from tests.xlsx_parts import without_values

ROOT = Path(__file__).parent.parent
WORKBOOKS = ROOT / "workbooks"  # `test_same_as_the_committed_file` proves that they are what the builders write
LESSONS = examples.lessons()
NAMES = list(LESSONS)
MOST_BYTES, MOST_PAGES = 1_500_000, 8
NEEDED = {False: (), True: shared_data("mnist")}  # for a training that needs data
TRAININGS = [(name, item) for name, lesson in LESSONS.items() for item in lesson.trainings]


@cache
def drawn(name: str) -> Workbook:
    return openpyxl.load_workbook(WORKBOOKS / f"{name}.xlsx")


@cache
def calculated(name: str) -> Workbook:
    """The same with the saved values in place of formulas."""
    return openpyxl.load_workbook(WORKBOOKS / f"{name}.xlsx", data_only=True)


@cache
def loaded(name: str) -> sgdsheet.sheet.workbook.Workbook:
    return sgdsheet.load(WORKBOOKS / f"{name}.xlsx")


def models(name: str) -> list[str]:
    """The sheets of a workbook that can be trained."""
    return [sheet.title for sheet in drawn(name) if "sgd_loss" in sheet.defined_names]


def formulas(sheet: Worksheet) -> Iterator[tuple[str, str]]:
    for row in sheet.iter_rows():
        for cell in row:
            if isinstance(cell.value, str) and cell.value.startswith("="):
                yield cell.coordinate, cell.value


# --- what a person sees -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_begins_with_start(name: str) -> None:
    book, lesson = drawn(name), LESSONS[name]
    assert book.sheetnames[0] == book.active.title == "Start"  # type: ignore[union-attr]
    sheet = book["Start"]
    texts = {str(cell.value): cell.row for row in sheet.iter_rows() for cell in row if cell.value is not None}
    assert {*lesson.about, lesson.press, lesson.watch, lesson.wrong, "Press", "Watch", "What goes wrong"} <= set(texts)
    assert all(sentence.endswith((".", "?")) for sentence in lesson.about)
    assert set(book.sheetnames[1:]) <= set(texts)  # with a link to each
    assert {link.location for row in sheet.iter_rows() for cell in row if (link := cell.hyperlink)} == {
        f"'{other}'!A1" for other in book.sheetnames[1:]
    }
    assert lesson.questions
    for question, answer in lesson.questions:
        row = texts[answer]
        assert texts[question] == row - 1
        assert sheet.row_dimensions[row].hidden
        assert sheet.row_dimensions[row].outlineLevel == 1
        assert sheet.row_dimensions[row - 1].collapsed
        assert not sheet.row_dimensions[row - 1].hidden
    assert not sheet.sheet_properties.outlinePr.summaryBelow


@pytest.mark.parametrize("name", NAMES)
def test_the_seven_steps_are_marked(name: str) -> None:
    legend = "".join(f"{mark} {step}   " for mark, (step, _) in zip(MARKS, STEPS, strict=True))
    roles = {role.name for role in ROLES}
    for sheet in drawn(name).worksheets[1:]:
        assert sheet["A4"].value == legend
    for title in models(name):
        texts = [(cell.row, str(cell.value)) for row in drawn(name)[title].iter_rows(min_row=2) for cell in row]
        marked = [text for row, text in texts if text != legend and not (row == 3 and text in roles)]
        found = {mark for mark in MARKS if any(mark in text for text in marked)}
        assert found == set(MARKS), title


@pytest.mark.parametrize("name", NAMES)
def test_looks_and_prints(name: str, converter: LibreOffice, tmp_path: Path) -> None:
    for sheet in drawn(name):
        assert not sheet.sheet_view.showGridLines
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.title == "Start" or sheet.freeze_panes
    folder = converted(converter, name, "pdf", tmp_path)
    pages = len(re.findall(rb"/Type\s*/Page\b", (folder / f"{name}.pdf").read_bytes()))
    assert len(drawn(name).sheetnames) <= pages <= MOST_PAGES


@pytest.mark.parametrize("name", NAMES)
def test_every_model_shows_itself_in_a_chart_or_in_colours(name: str) -> None:
    for title in models(name):
        sheet = drawn(name)[title]
        assert sheet._charts or sheet.conditional_formatting


@pytest.mark.parametrize("name", NAMES)
def test_names_belong_to_their_sheet(name: str) -> None:
    assert not [defined for defined in drawn(name).defined_names if defined.startswith("sgd_")]
    for title in models(name):
        problem = find_problem(loaded(name), title)
        assert problem.sheet == problem.loss.sheet == title
        assert problem.settings
        combine(problem.settings, {})  # raises where one is unknown or impossible
        for area in problem.parameters:
            cells = loaded(name).sheets[area.sheet]
            assert all(isinstance(cells.values[cell.row, cell.column], float) for cell in area.cells())
            assert not any((cell.row, cell.column) in cells.formulas for cell in area.cells())


# --- every program ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_only_functions_that_every_program_has(name: str) -> None:
    for sheet in drawn(name):
        for address, text in formulas(sheet):
            plain = re.sub(r'"[^"]*"', '""', text)
            used = set(re.findall(r"([A-Z][A-Z0-9._]*)\(", plain))
            assert used <= EVERYWHERE, f"{sheet.title}!{address}: {used - EVERYWHERE}"
            assert not re.search(r"_xl|#|@", plain), f"{sheet.title}!{address}: {text}"


@pytest.mark.parametrize("name", NAMES)
def test_small(name: str) -> None:
    assert (WORKBOOKS / f"{name}.xlsx").stat().st_size < MOST_BYTES


def converted(office: LibreOffice, name: str, kind: str, folder: Path) -> Path:
    """The folder with the workbook as LibreOffice writes it, from a copy without saved values."""
    source = folder / f"{name}.xlsx"
    if kind == "xlsx":
        without_values(WORKBOOKS / f"{name}.xlsx", source)
    else:
        shutil.copy(WORKBOOKS / f"{name}.xlsx", source)
    return office.convert(source, folder / "out" / f"{name}.{kind}").parent


@pytest.mark.parametrize("name", NAMES)
def test_libreoffice_ours_and_the_saved_values_are_the_same(name: str, converter: LibreOffice, tmp_path: Path) -> None:
    """In every formula cell of the workbook; and `check` finds nothing, on the way to the loss and everywhere."""
    theirs = openpyxl.load_workbook(converted(converter, name, "xlsx", tmp_path) / f"{name}.xlsx", data_only=True)
    saved = calculated(name)
    ours = {}
    for number, title in enumerate(models(name)):
        model = sgdsheet.compile(loaded(name), title, precision="float64")
        for everything in (False, True) if number == 0 else (False,):  # everything is the same from every sheet
            report = checking.check_model(model, everything=everything)
            assert report.passed, (report.fault, report.mismatches[:3])
            assert report.supported == report.compared == report.formulas > 0
            assert not report.unsupported
        ours = ours or model.dependent_cells(everything=True).values
    assert len(ours) == sum(1 for sheet in drawn(name) for _ in formulas(sheet))
    for cell, value in ours.items():
        assert not isinstance(value, ExcelError), cell
        for other in (theirs, saved):
            assert same(value, other[cell.sheet].cell(cell.row, cell.column).value), cell


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= ROUNDING * max(1.0, abs(one))
    return one == other


# --- the numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_shows_what_its_lesson_says(name: str) -> None:
    if not LESSONS[name].shows:
        return
    saved = calculated(name)
    for address, said in LESSONS[name].shows.items():
        title, _, cell = address.partition("!")
        assert agrees(said, saved[title][cell].value), (address, said, saved[title][cell].value)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_numbers(name: str) -> None:
    assert {item.sheet for item in LESSONS[name].trainings} == set(models(name))
    for item in LESSONS[name].trainings:
        assert item.losses or item.best or item.metric or item.stopped


@pytest.mark.parametrize(
    ("name", "training"),
    [
        pytest.param(*item, id=f"{item[0]}-{item[1].sheet}-{index}", marks=NEEDED[bool(item[1].needs)])
        for index, item in enumerate(TRAININGS)
    ],
)
def test_training_gives_the_numbers(name: str, training: Training) -> None:
    model = prepared(name, training)
    session = sgdsheet.Session(model)
    steps = list(session)
    losses = [step.loss for step in steps]
    for number, said in training.losses.items():
        assert agrees(said, losses[number] if number < len(losses) else session.loss), (number, said, losses[number])
    ends = {"best": session.loss, "valid": session.valid_loss, "metric": metric_of(session)}
    for key, number in ends.items():
        if said := getattr(training, key):
            assert number is not None
            assert agrees(said, number), (key, said, number)
    assert training.stopped in session.stopped
    for address, said in training.cells.items():
        cell = cell_at(address, training.sheet)
        value = model.parameter_cells().get(cell, model.value_of(cell))
        assert isinstance(value, float)
        assert agrees(said, value), (address, said, value)


def prepared(name: str, training: Training) -> SheetModel:
    """The model of a sheet, after what a person types first, on the data it needs."""
    book = loaded(name)
    if training.typed:
        typed = {cell_at(address, training.sheet): value for address, value in training.typed.items()}
        book = book.with_values(typed)
    problem, source = find_problem(book, training.sheet), None
    if training.needs:
        wanted = split_origin(problem.origin or "")[1]
        source = f"{MNIST}{wanted}"
    trusted = bool(training.typed)  # nobody has calculated since
    return sgdsheet.compile(book, problem=problem, source=source, trust_formulas=trusted)


def cell_at(address: str, sheet: str) -> Cell:
    """`C3` on the training's own sheet, or `data!C3`."""
    title, _, cell = address.rpartition("!")
    return parse_range(cell, title or sheet).first


def metric_of(session: sgdsheet.Session) -> float | None:
    """Over the test part of a source, or over the validation rows, or what its cell shows."""
    for known in (session.test_metric, session.valid_metric):
        if known is not None:
            return known
    cell = session.model.problem.metric
    value = session.model.value_of(cell) if cell is not None else None
    return value if isinstance(value, float) else None


def test_what_a_text_says_of_a_number() -> None:
    for said, number in (("52.67", 52.6749), ("52.67", 52.665), ("1.19e7", 11858000.0), ("> 0.95", 0.96), ("0", 0.4),
                         ("−58.8", -58.79), ("25,028.15", 25028.153), ("3", 2.51)):  # fmt: skip
        assert agrees(said, number)
    for said, number in (
        ("52.67", 52.676),
        ("> 0.95", 0.95),
        ("< 1", float("nan")),
        ("1", float("inf")),
        ("1.20e7", 11858000.0),
    ):
        assert not agrees(said, number)
    with pytest.raises(ValueError, match="no number"):
        agrees("about 3", 3.0)
