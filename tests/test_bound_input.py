"""Which cells show which fields; and one clear line for every source that does not fit."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.errors import FileError
from tests.bound_books import COUNT, START, Rows, idx, numbers, save, session, trained
from tests.cli_books import run
from tests.errors import refusal
from tests.training_books import write

LINE = "=$K$1*C{r}+$K$2*D{r}+$K$3"


def by_hand(data: Mapping[str, Any], weights: list[float] = START) -> float:
    """The loss of `Rows()` at the start."""
    error = weights[0] * data["x"] + weights[1] * data["z"] + weights[2] - data["y"]
    return float(np.mean(error**2))


# --- columns and fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz", "tsv"])
def test_every_kind_of_file(ending: str, tmp_path: Path) -> None:
    expected = trained(Rows().in_sheet(tmp_path, numbers()), epochs=2)
    path = Rows().file(tmp_path, numbers(), source="data.npz")
    data = path.with_name(f"data.{ending}")
    if ending == "tsv":
        text = save(path.with_name("data.csv"), numbers()).read_text(encoding="utf-8")
        data.write_text(text.replace(",", "\t"), encoding="utf-8")
    else:
        save(data, numbers())
    path = Rows(more={"A2": f" {data.name} "}).file(tmp_path, numbers())
    write(path, Rows().cells(numbers(), 3) | {"A2": f" {data.name} "}, {**Rows().all_names(3), "sgd_source": "A2"})
    model = sgdsheet.compile(sgdsheet.load(path), precision="float64")
    torch.testing.assert_close(trained(model, epochs=2), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "headers",
    [
        ("x", "z", "y"),
        ("X", " z ", "Y"),
        (None, None, None),
        ("The first", "the second", "what to predict"),
    ],
)
def test_headers_and_positions(headers: tuple[str | None, ...], tmp_path: Path) -> None:
    """Columns are found by their headers, whatever the order in the file, else by their order."""
    data = numbers()
    by_header = headers[0] in ("x", "X")
    stored = {name: data[name] for name in ("yzx" if by_header else "xzy")}
    model = Rows(headers=headers).bound(tmp_path, stored)
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


def test_a_header_may_have_spaces_and_the_file_more_columns(tmp_path: Path) -> None:
    data = numbers()
    stored = {"Living_Area": data["x"], "id": np.arange(COUNT), "Number of rooms": data["z"], "Price": data["y"]}
    path = Rows(headers=("living area", "number  of ROOMS", "price")).file(tmp_path, numbers(), source="data.csv")
    save(path.with_name("data.csv"), stored)
    model = sgdsheet.compile(sgdsheet.load(path), precision="float64")
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


@pytest.mark.parametrize("other", ["X", "x_"])
def test_the_column_that_is_called_exactly_so(other: str, tmp_path: Path) -> None:
    """Not the last one whose name is alike."""
    data = numbers()
    path = Rows().file(tmp_path, data, source="data.csv")
    save(path.with_name("data.csv"), {**data, other: np.full(COUNT, 100.0)})
    model = sgdsheet.compile(sgdsheet.load(path), precision="float64")
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


def test_names_come_before_headers(tmp_path: Path) -> None:
    """The headers say otherwise, and are not believed."""
    data = numbers()
    names = {"sgd_input_x": "C4:C{b}", "sgd_input_z": "D3:D4", "sgd_input_Y": "E4"}
    model = Rows(headers=("y", "y", "x"), names=names).bound(tmp_path, data)
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


@pytest.mark.parametrize("names", [{}, {"sgd_input_pixels": "C4:D{b}", "sgd_input_y": "E4:E{b}"}])
def test_a_field_of_several_numbers(names: dict[str, str], tmp_path: Path) -> None:
    """A picture of 1 × 2 pixels takes two columns, by the header above the first of them or by name."""
    data = numbers()
    path = Rows(headers=("pixels", None, "y"), names=names).file(tmp_path, data)
    save(
        path.with_name("data.npz"),
        {"y": data["y"], "pixels": np.stack([data["x"], data["z"]], axis=1).reshape(-1, 1, 2)},
    )
    model = sgdsheet.compile(sgdsheet.load(path), precision="float64")
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


def test_a_column_between_formulas(tmp_path: Path) -> None:
    """Columns of data on both sides of a formula."""
    data = numbers()
    rows = Rows(
        ["=$K$1*C{r}+$K$2*D{r}+$K$3", "=(F{r}-I{r})^2"],
        headers=("x", "z", "unused"),
        names={"sgd_data": "C4:I{b}"},
        more={"I3": "y", "H4:H{b}": "=G{r}"},
    )
    model = rows.bound(tmp_path, data)
    assert session(model).loss_start == pytest.approx(by_hand(data), rel=1e-12)


# --- where the data are -----------------------------------------------------------------------------------


def line_book(tmp_path: Path, source: str = "data.npz", **more: Any) -> Path:
    return Rows(**more).file(tmp_path, numbers(), source=source)


def point_to(path: Path, source: Any, rows: Rows | None = None) -> Path:
    """The workbook with another source."""
    rows = rows or Rows()
    return write(path, {**rows.cells(numbers(), 3), "A2": source}, {**rows.all_names(3), "sgd_source": "A2"})


def test_a_path_in_the_sheet_starts_at_the_workbook_and_an_option_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = line_book(tmp_path)
    (path.parent / "deep").mkdir()
    path.with_name("data.npz").rename(path.with_name("deep") / "data.npz")
    other = numbers(seed=6)
    save(tmp_path / "other.csv", other)
    monkeypatch.chdir(tmp_path)
    point_to(path, "deep/data.npz")
    found = run("train", path, "--json", "--steps", 0, "--precision", "float64").json
    assert found["loss_start"] == pytest.approx(by_hand(numbers()), rel=1e-12)
    assert (found["source"], found["samples"]) == ("data.npz", COUNT)
    found = run("train", path, "--json", "--steps", 0, "--precision", "float64", "--source", "other.csv").json
    assert found["loss_start"] == pytest.approx(by_hand(other), rel=1e-12)
    assert found["source"] == "other.csv"


def test_a_selection_in_the_sheet_holds_for_another_file(tmp_path: Path) -> None:
    data = {**numbers(), "kind": np.arange(COUNT) % 3}
    rows = Rows()
    path = rows.file(tmp_path, data, source="data.npz where kind is 0 or 2")
    chosen = {name: column[data["kind"] != 1] for name, column in data.items()}
    options = ("--json", "--steps", 0, "--precision", "float64")
    found = run("train", path, *options).json
    assert (found["samples"], found["loss_start"]) == (15, pytest.approx(by_hand(chosen), rel=1e-12))
    save(tmp_path / "other.npz", data)
    assert run("train", path, *options, "--source", tmp_path / "other.npz").json["samples"] == 15
    assert run("train", path, *options, "--source", f"{tmp_path / 'other.npz'} where kind is 1").json["samples"] == 8


def test_a_dataset_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the user's own cache; until it is there, the message says how to get it."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *names, **options: tmp_path / "cache")
    path = point_to(line_book(tmp_path), " Titanic")
    with refusal(
        FileError, cell="Model!A2", cause="is not on this machine yet$", remedy="^Get it with `sgdsheet data titanic`"
    ) as caught:
        session(sgdsheet.compile(sgdsheet.load(path)))
    assert caught.value.cell == "Model!A2"
    assert "--source" in run("train", path).err


@pytest.mark.parametrize(
    "place",
    [
        "//server/share/data.npz", "\\\\server\\share\\data.npz", "\\\\?\\UNC\\server\\data.npz",
        "https://example.org/data.npz", "FILE://example.org/data.npz", "s3:bucket/data.npz", "/\\server/data.npz",
    ],
)  # fmt: skip
def test_a_workbook_connects_to_nowhere(place: str, tmp_path: Path) -> None:
    path = point_to(line_book(tmp_path), place)
    with refusal(
        FileError, cell="Model!A2", cause="is not a file on this machine$", remedy="^Name a file beside the workbook"
    ) as caught:
        session(sgdsheet.compile(sgdsheet.load(path)))
    assert caught.value.cell == "Model!A2"


def test_an_empty_cell_means_the_sheet_itself(tmp_path: Path) -> None:
    path = point_to(line_book(tmp_path), None)
    found = run("train", path, "--json", "--steps", 1).json
    assert found["source"] is None
    assert found["loss_start"] == pytest.approx(by_hand({name: column[:3] for name, column in numbers().items()}))


# --- what does not fit ------------------------------------------------------------------------------------


def refused(path: Path, *options: object, status: int = 1, cell: str | None = None) -> str:
    """The one line that `train` ends with; nothing is written and nothing is on stdout."""
    before = sorted(item.name for item in path.parent.iterdir())
    ended = run("train", path, "--json", *options)
    assert (ended.status, ended.out) == (status, "")
    assert sorted(item.name for item in path.parent.iterdir()) == before
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("sgdsheet: " + (f"{cell}: " if cell else ""))
    return lines[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    where = {"cell": "Model!A2"}
    assert "“nowhere.npz” does not exist" in refused(point_to(path, "nowhere.npz"), **where)
    assert "“nowhere.npz” does not exist" in refused(path, "--source", "nowhere.npz")
    assert "is in no format that can be read" in refused(point_to(path, "book.xlsx"), **where)
    (path.parent / "empty.csv").write_text("", encoding="utf-8")
    assert "“empty.csv” is empty" in refused(point_to(path, "empty.csv"), **where)
    (path.parent / "header.csv").write_text("x,z,y\n", encoding="utf-8")
    assert "“header.csv” has a header but no rows" in refused(point_to(path, "header.csv"), **where)
    (path.parent / "bad.npz").write_bytes(b"PK\x03\x04 and so on")
    assert "“bad.npz” cannot be read" in refused(point_to(path, "bad.npz"), **where)
    save(path.parent / "none.npz", {name: column[:0] for name, column in numbers().items()})
    assert "“none.npz” has no samples" in refused(point_to(path, "none.npz"), **where)
    assert "holds no text" in refused(point_to(path, 3), **where)
    message = refused(point_to(path, "data.npz where x is 9"), **where)
    assert "in “data.npz” no sample's “x” is 9 (part “train”). Ask for values that are there" in message
    assert "has no field “w” with one value per sample" in refused(point_to(path, "data.npz where w is 9"), **where)


def test_no_name_for_the_source(tmp_path: Path) -> None:
    ended = run("train", line_book(tmp_path), "--source", " ")
    assert (ended.status, ended.out) == (2, "")
    assert "--source is empty" in ended.err


PICTURE_CELLS: dict[str, Any] = {"A1": "=(A5*SUM(B4:G9)-A4)^2", "A2": "digits", "A4": 1, "A5": 0.5, "B4:G9": 0}
PICTURE_NAMES = {
    "sgd_loss": "A1",
    "sgd_params": "A5",
    "sgd_source": "A2",
    "sgd_input_image": "B4:G9",
    "sgd_input_label": "A4",
}


def picture_book(folder: Path, shown: str = "B4:G9") -> Path:
    """One example: a picture of 6 × 6 and its label."""
    return write(folder / "picture.xlsx", PICTURE_CELLS, {**PICTURE_NAMES, "sgd_input_image": shown})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    idx(tmp_path / "digits", random.integers(0, 256, (5, 6, 6)), random.integers(0, 10, 5), packed=True)
    return picture_book(tmp_path)


def images(book: Path) -> Path:
    return book.parent / "digits" / "train-images-idx3-ubyte.gz"


def test_damaged_pictures(pictures: Path) -> None:
    good = images(pictures).read_bytes()
    where = {"cell": "Model!A2"}
    images(pictures).write_bytes(good[: len(good) // 2])
    assert "its compression is damaged" in refused(pictures, **where)
    images(pictures).write_bytes(gzip.compress(b"\0\0\x08\x01" + gzip.decompress(good)[4:]))
    assert "begins with 00000801, not with 00000803 as IDX images do" in refused(pictures, **where)
    images(pictures).write_bytes(gzip.compress(gzip.decompress(good)[:-1]))
    assert "announces 180 bytes of data but has 179" in refused(pictures, **where)
    images(pictures).unlink()
    assert "“digits” has no images of the part “train”" in refused(pictures, **where)
    idx(pictures.parent / "digits", np.zeros((4, 6, 6)), np.zeros(5), packed=True)
    assert "“digits” has 4 samples of “image” but 5 of “label”" in refused(pictures, **where)


def test_a_test_part_that_does_not_fit(pictures: Path) -> None:
    """Found before the training, not after it."""
    idx(pictures.parent / "digits", np.zeros((3, 5, 5)), np.zeros(3), "t10k")
    message = refused(pictures, cell="Model!A2")
    assert (
        "“image” of the part “test” of “digits” has the shape [5, 5] per sample, and [6, 6] in the part “train”"
        in message
    )
    idx(pictures.parent / "digits", np.zeros((3, 6, 6)), np.zeros(2), "t10k")
    assert "“digits” has 3 samples of “image” but 2 of “label”" in refused(pictures, cell="Model!A2")


@pytest.mark.parametrize(
    ("area", "text"),
    [("B4:G8", "5 x 6"), ("B4:F9", "6 x 5"), ("B4:F8", "5 x 5"), ("B4", "1 x 1"), ("B4:BL4", "1 x 63")],
)
def test_a_shape_that_does_not_fit_the_range(area: str, text: str, tmp_path: Path, pictures: Path) -> None:
    message = refused(picture_book(tmp_path, area), cell=f"Model!{area}")
    assert "a sample of “image” is 6 x 6, and its cells are " + text in message
    assert "sgd_input_image" in message


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    for bad, word in ((np.nan, "is not a number"), (np.inf, "is infinite")):
        data = numbers()
        data["z"][7] = bad
        save(path.with_name("data.npz"), data)
        assert f"“data.npz”, sample 8 of “z”, {word}" in refused(path, cell="Model!A2")
    text = save(path.with_name("data.csv"), numbers()).read_text(encoding="utf-8").splitlines()
    text[5] = "0.5,,1"
    path.with_name("data.csv").write_text("\n".join(text), encoding="utf-8")
    assert "column “z”, row 6, is empty or not a number" in refused(point_to(path, "data.csv"))
    text[5] = "0.5,unknown,1"
    path.with_name("data.csv").write_text("\n".join(text), encoding="utf-8")
    assert "the field “z” of “data.csv” holds text" in refused(point_to(path, "data.csv"))


def test_text_in_a_column_that_nobody_shows(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    save(path.with_name("data.csv"), {**numbers(), "name": np.array(["somebody"] * COUNT)})
    assert session(sgdsheet.compile(sgdsheet.load(point_to(path, "data.csv")))).sample_count == COUNT


def named_book(tmp_path: Path, source: str) -> Path:
    """A sheet with a column that no formula reads: its name is beside the samples."""
    rows = Rows(names={"sgd_data": "C4:H{b}"}, more={"H3": "name", "H4:H{b}": "somebody"})
    return point_to(line_book(tmp_path), source, rows)


@pytest.mark.parametrize("gaps", [False, True])
def test_what_no_formula_reads_may_be_text_or_missing(gaps: bool, tmp_path: Path) -> None:
    """It is shown in the preview as it is."""
    names = ["=1+1", "", "Anna\nB."] + ["x"] * (COUNT - 3)
    column = np.where(np.arange(COUNT) == 1, np.nan, 7.0) if gaps else np.array(names)
    path = named_book(tmp_path, "names.npz")
    np.savez(path.with_name("names.npz"), **numbers(), name=column)
    out = tmp_path / "out.xlsx"
    found = run("train", path, "--steps", 1, "--precision", "float64", "--preview", "--json", "-o", out).json
    assert found["loss_start"] == pytest.approx(by_hand(numbers()), rel=1e-12)
    values = sgdsheet.load(out).sheets["Model"].values
    shown = [values.get((row, 8)) or "" for row in (4, 5, 6)]
    assert shown == ([7, "", 7] if gaps else ["=1+1", "", "Anna B."])
    assert not any(column == 8 for _, column in sgdsheet.load(out).sheets["Model"].formulas)


def test_a_part_without_what_no_formula_reads(tmp_path: Path) -> None:
    path = named_book(tmp_path, "parts.npz")
    arrays = {f"{part}_{name}": values for part in ("train", "test") for name, values in numbers().items()}
    np.savez(path.with_name("parts.npz"), **arrays, train_name=np.ones(COUNT))
    found = run("train", path, "--steps", 0, "--precision", "float64", "--json").json
    assert found["test_loss"] == pytest.approx(by_hand(numbers()), rel=1e-12)


def test_a_choice_of_samples_in_other_words(tmp_path: Path) -> None:
    for origin in ("data.npz where x > 3", "mnist where label = 3"):
        message = refused(point_to(line_book(tmp_path), origin), cell="Model!A2")
        assert "is no choice of samples. Write it as in “mnist where label is 3 or 7”" in message
    assert "“x > 3” is no choice of samples" in refused(line_book(tmp_path), "--source", "data.npz where x > 3")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (
            "=$K$1*VLOOKUP(ABS(C{r}),$M$1:$N$3,2)+$K$2*D{r}+$K$3",
            "looks something up by a value that depends on a sample's",
        ),
        ("=$K$1+VLOOKUP(C{r}+$K$1,$M$1:$N$3,2)+$K$2*D{r}+$K$3", "depends on a parameter. Use fixed values"),
    ],
)
def test_look_ups_by_data(formula: str, message: str, tmp_path: Path) -> None:
    """It is no parameter that they depend on; and the cell is one of the sheet, not of the compiled program."""
    rows = Rows([formula, "=(F{r}-E{r})^2"], more={"M1:N3": [[0, 1], [1, 2], [2, 3]]})
    assert message in refused(rows.file(tmp_path, {**numbers(), "x": np.ones(COUNT)}), cell="Model!F4")


def test_a_criterion_by_data(tmp_path: Path) -> None:
    """Each sample of the file is compared with its own number, not with that of the row that shows it."""
    rows = Rows(['=$K$1*SUMIF($M$1:$M$3,">"&C{r})+$K$2*D{r}+$K$3', "=(F{r}-E{r})^2"], more={"M1:M3": [[0], [1], [2]]})
    data = {**numbers(), "x": np.linspace(-1.0, 2.5, COUNT)}
    ended = run("train", rows.file(tmp_path, data), "--json", "--steps", 1, "--optimizer", "sgd")
    sums = np.array([sum(each for each in (0, 1, 2) if each > x) for x in data["x"]])
    errors = START[0] * sums + START[1] * data["z"] + START[2] - data["y"]
    assert ended.json["loss_start"] == pytest.approx(float(np.mean(errors**2)), rel=1e-6)


def test_a_look_up_by_the_label_of_one_example(pictures: Path) -> None:
    formula = "=(A5*SUM(B4:G9)-MATCH(A4,J1:J10,0))^2"
    cells = {**PICTURE_CELLS, "A1": formula, "J1:J10": [[number] for number in range(10)]}
    message = refused(write(pictures, cells, PICTURE_NAMES), cell="Model!A1")
    assert "looks something up by a value that depends on a sample's data. Put its result into the data" in message


CELLS: dict[str, tuple[Rows, str | None, str]] = {
    "a field that is not there": (
        Rows(names={"sgd_input_w": "C4:C{b}"}), "Model!C4:C6", "sgd_input_w asks for a field that “data.npz”"
    ),
    "over a parameter": (
        Rows(names={"sgd_input_x": "C4:C{b}", "sgd_input_z": "K1"}), "Model!K1", "sgd_input_z lies outside the columns"
    ),
    "a column of parameters": (
        Rows(start={"D4:D{b}": 0.5, "K1:K3": [[value] for value in START]}), "Model!D4:D6",
        "fills cells that are parameters. Let them be different cells",
    ),
    "over a formula": (
        Rows(names={"sgd_input_x": "F4:F{b}", "sgd_input_z": "D4:D{b}"}), "Model!F4",
        "sgd_input_x fills a cell that holds a formula. Point it to cells without formulas",
    ),
    "two in one": (
        Rows(names={"sgd_input_x": "C4:C{b}", "sgd_input_z": "C4:C{b}"}), "Model!C4:C6",
        "sgd_input_x and sgd_input_z fill the same cells. Give each field cells of its own",
    ),
    "outside of the samples": (
        Rows(names={"sgd_input_x": "L4:L{b}"}), "Model!L4:L6", "sgd_input_x lies outside the columns of sgd_data"
    ),
    "too many columns": (
        Rows(names={"sgd_input_x": "C4:D{b}"}), "Model!C4:D6", "has one number, and there are 2 columns for it"
    ),
    "not bound": (
        Rows(names={"sgd_input_x": "C4:C{b}", "sgd_input_y": "E4:E{b}"}), "Model!D4:D6", "column D is read"
    ),
    "a header that the file lacks": (
        Rows(headers=("x", "w", "y")), "Model!D4:D6", "column D is read by the formulas, but nothing in"
    ),
    "other columns, no headers": (
        Rows(headers=(None,) * 3, names={"sgd_data": "D4:G{b}"}), "Model!D4:G6", "has 2 columns without formulas"
    ),
    "no columns": (Rows(names={"sgd_data": "F4:G{b}"}), "Model!F4:G6", "sgd_data has no columns for data"),
    "marked rows": (
        Rows(names={"sgd_valid": "L4:L{b}"}, more={"L4:L6": [[True], [False], [True]]}),
        "Model!L4:L6",
        "sgd_valid marks rows of the sheet, and the data come from a file",
    ),
}  # fmt: skip


def test_a_part_of_a_formula_is_blamed_on_its_cell(tmp_path: Path) -> None:
    """Also when the part is calculated somewhere else, over all samples."""
    rows = Rows(["=$K$1*(C{r}-VLOOKUP(2,C${a}:C${b},2))+$K$2*D{r}+$K$3", "=(F{r}-E{r})^2"])
    message = refused(rows.file(tmp_path, numbers()), cell="Model!F4")
    assert "\0" not in message


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_do_not_fit(name: str, tmp_path: Path) -> None:
    rows, cell, message = CELLS[name]
    assert message in refused(rows.file(tmp_path, numbers()), cell=cell)


def test_one_row_is_no_preview(tmp_path: Path) -> None:
    path = Rows().file(tmp_path, numbers(), shown=1)
    assert "one row high. Show two samples at least" in refused(path, cell="Model!C4:G4")


def test_a_preview_of_fewer_samples_than_rows(tmp_path: Path) -> None:
    """Old rows below new ones would belong to nothing."""
    path = Rows().file(tmp_path, numbers())
    few = save(tmp_path / "few.csv", {name: values[:2] for name, values in numbers().items()})
    before = path.read_bytes()
    ended = run("train", path, "--source", few, "--preview", "--in-place", "--steps", 1)
    assert ended.status == 1
    assert "the preview has 3 rows, and “few.csv” only 2 samples. Leave out --preview" in ended.err
    assert path.read_bytes() == before
    assert run("train", path, "--source", few, "--in-place", "--steps", 1).status == 0


def test_nothing_shows_the_data(pictures: Path) -> None:
    names = {"sgd_loss": "A1", "sgd_params": "A5", "sgd_source": "A2"}
    path = write(pictures, {"A1": "=(A5-A4)^2", "A2": "digits", "A4": 1, "A5": 2}, names)
    message = refused(path, cell="Model!A2")
    assert (
        "no cells that show its data. Name the rows sgd_data, or the cells of one example sgd_input_<field>" in message
    )


@pytest.mark.parametrize("names", [{}, {"sgd_input_label": "L1"}])
def test_a_loss_that_reads_nothing_of_the_file(names: dict[str, str], tmp_path: Path) -> None:
    """Whichever form: it would be the same for all samples."""
    if names:
        idx(tmp_path / "digits", np.zeros((5, 6, 6)), np.zeros(5))
        named = {"sgd_loss": "A1", "sgd_params": "A5", "sgd_source": "A2", **names}
        path = write(tmp_path / "x.xlsx", {"A1": "=(A5-A4)^2", "A2": "digits", "A4": 1, "A5": 2, "L1": 1}, named)
    else:
        path = Rows(loss="=SUMSQ(K1:K3)").file(tmp_path, numbers())
    assert "the loss reads none of the cells that the file fills" in refused(path, cell="Model!A1")


def test_the_loss_of_one_sample(tmp_path: Path) -> None:
    path = Rows(loss="=F4", names={"sgd_loss": "G5"}).file(tmp_path, numbers())
    message = refused(path, cell="Model!G5")
    assert "uses some of the samples only" in message
    path = Rows(names={"sgd_metric": "C4"}).file(tmp_path, numbers())
    assert "the cell belongs to a single sample. Name a cell that averages over the rows" in refused(
        path, cell="Model!C4"
    )


OPTIONS: dict[str, tuple[tuple[object, ...], int, str]] = {
    "unknown device": (("--device", "tpu"), 2, "“tpu” is not possible for --device. Allowed: auto, cpu or cuda"),
    "restarts": (("--restarts", 3), 1, "restarts do not go with data from a file"),
    "lbfgs": (("--optimizer", "lbfgs"), 1, "lbfgs does not go with data from a file. Choose adam or sgd"),
    "wiggle": (("--optimizer", "wiggle"), 1, "wiggle does not go with data from a file"),
    "early stopping": (("--early-stopping", 3), 1, "early stopping needs validation"),
    "everything kept back": (("--validation", 0.99), 1, "no samples are left for training"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_do_not_fit(name: str, tmp_path: Path) -> None:
    options, status, message = OPTIONS[name]
    assert message in refused(line_book(tmp_path), *options, status=status)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    assert "there is no GPU that torch can use" in refused(path, "--device", "cuda", status=2)
    rows = Rows(more={"M1": "device", "N1": "cuda"}, names={"sgd_settings": "M1:N1"})
    assert "there is no GPU that torch can use" in refused(point_to(path, "data.npz", rows), cell="Model!N1")
    rows = Rows(more={"M1": "device", "N1": "tpu"}, names={"sgd_settings": "M1:N1"})
    assert "“tpu” is not possible for device" in refused(point_to(path, "data.npz", rows), cell="Model!N1")


def test_a_loss_that_is_no_number_for_some_sample(tmp_path: Path) -> None:
    """The samples that are shown are fine; one that is not shown is the reason."""
    rows = Rows(["=LN(C{r})*$K$1+D{r}*$K$2+$K$3", "=(F{r}-E{r})^2"])
    data = numbers()
    data["x"] = np.abs(data["x"])
    data["x"][20] = -1
    message = refused(rows.file(tmp_path, data), cell="Model!F4")
    assert "for sample 21 of “data.npz”, the formula =LN(C4)*$K$1+D4*$K$2+$K$3" in message


@pytest.mark.parametrize(
    ("area", "cell", "message"),
    [
        ("A5", "Model!A5", "sgd_input_label fills cells that are parameters"),
        ("H1", "Model!H1", "sgd_input_label fills a cell that holds a formula"),
        ("B4", "Model!B4", "fill the same cells"),
    ],
)
def test_cells_of_one_example_that_are_taken(area: str, cell: str, message: str, pictures: Path) -> None:
    cells = {**PICTURE_CELLS, "A1": "=(A5*SUM(B4:G9)-A4)^2+H1*A5", "H1": "=2"}
    assert message in refused(write(pictures, cells, {**PICTURE_NAMES, "sgd_input_label": area}), cell=cell)


# --- what is found ----------------------------------------------------------------------------------------


def test_inspect_shows_the_file_and_where_it_goes(tmp_path: Path, pictures: Path) -> None:
    found = run("inspect", pictures, "--json").json["file"]
    assert found == {
        "name": "digits",
        "samples": 5,
        "parts": ["train"],
        "fields": [
            {"name": "image", "type": "uint8", "shape": [6, 6]},
            {"name": "label", "type": "uint8", "shape": []},
        ],
        "cells": [
            {"range": "Model!B4:G9", "field": "image", "read": True},
            {"range": "Model!A4", "field": "label", "read": True},
        ],
        "error": None,
    }
    text = run("inspect", pictures).out
    assert "image: 6 x 6 uint8 in Model!B4:G9" in text
    assert "label: uint8 in Model!A4" in text
    path = line_book(tmp_path)
    (path.parent / "words.csv").write_text("x,z,y,word\n1,2,3,a\n", encoding="utf-8")
    lines = [line.strip() for line in run("inspect", path, "--source", path.parent / "words.csv").out.splitlines()]
    assert "y: float64 in Model!E4:E6" in lines
    assert "word: text" in lines


def test_inspect_without_its_file(tmp_path: Path) -> None:
    """The sheet is shown all the same, and what is missing is said."""
    path = point_to(line_book(tmp_path), "nowhere.npz")
    ended = run("inspect", path)
    assert ended.status == 0
    assert "! Model!A2: “nowhere.npz” does not exist" in ended.out
    assert run("inspect", path, "--json").json["file"]["error"].startswith("Model!A2: “nowhere.npz” does not exist")
    assert run("inspect", point_to(path, None), "--json").json["file"] is None


# --- memory -----------------------------------------------------------------------------------------------


def test_bytes_stay_bytes_and_files_stay_mapped(tmp_path: Path) -> None:
    """No copy of the data as floating-point numbers; what is mapped from a file is shared with it, not copied."""
    path = line_book(tmp_path)
    data = {name: (column * 10).astype(np.int8) for name, column in numbers(1000).items()}
    stored = np.stack([data[name] for name in "xzy"], axis=1)
    save(path.with_name("data.npz"), {"columns": stored})
    model = sgdsheet.compile(sgdsheet.load(point_to(path, "data.npz", Rows(headers=(None,) * 3))))
    bound = session(model)._run.bound
    assert bound is not None
    (tensor,) = bound.data.tensors
    assert tensor.dtype == torch.int8
    assert tensor.shape == (1000, 3)
    assert [item.dtype for item in bound.data.batch(torch.arange(4))] == [torch.float32]
