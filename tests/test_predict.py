"""`sgdsheet predict`: the sheet's cells for every sample of a file, written into a table."""

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from sgdsheet.data.formats.delimited import read as read_table
from sgdsheet.data.tables import table_writer
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import Cell
from tests.bound_books import COUNT, START, Rows, numbers, save
from tests.cli_books import run
from tests.training_books import write

ROWS = Rows(
    names={"sgd_output": "F4:G{b}", "sgd_metric": "A5"},
    more={"F3": " Predicted\n value ", "A5": "=SQRT(AVERAGE(G4:G{b}))"},
)


def by_hand(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    line = START[0] * data["x"] + START[1] * data["z"] + START[2]
    return line, (line - data["y"]) ** 2


def rows_of(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, np.array(rows, dtype=float)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    more = {**ROWS.more, "M1": "precision", "N1": "float64"}
    rows = Rows(names={**ROWS.names, "sgd_settings": "M1:N1"}, more=more)
    return rows.file(tmp_path, numbers())


@pytest.mark.parametrize("ending", ["csv", "parquet", "CSV"])
def test_every_sample(ending: str, book: Path, tmp_path: Path) -> None:
    target = tmp_path / f"found.{ending}"
    found = run("predict", book, "-o", target, "--json").json
    line, error = by_hand(numbers())
    assert found == {
        "sheet": "Model",
        "source": "data.npz",
        "part": "train",
        "samples": COUNT,
        "loss": pytest.approx(error.mean(), rel=1e-12),
        "metric": pytest.approx(np.sqrt(error.mean()), rel=1e-12),
        "notes": [],
        "columns": found["columns"],
        "output": str(target),
    }
    if ending == "parquet":
        table = pyarrow.parquet.read_table(target)
        header, rows = table.column_names, np.array([column.to_numpy() for column in table.columns]).T
    else:
        header, rows = rows_of(target)
    assert header == found["columns"]
    assert header == ["sample", "x", "z", "y", "Predicted value", "G4"]
    assert rows[:, 0].tolist() == list(range(1, COUNT + 1))
    np.testing.assert_allclose(rows[:, -2:], np.column_stack([line, error]), rtol=1e-12)


def test_fields_of_one_number_are_repeated(book: Path, tmp_path: Path) -> None:
    """What was predicted from stands beside the prediction, under its own name."""
    run("predict", book, "-o", tmp_path / "found.csv")
    header, rows = rows_of(tmp_path / "found.csv")
    assert header == ["sample", "x", "z", "y", "Predicted value", "G4"]
    np.testing.assert_allclose(rows[:, 1:4], np.column_stack([numbers()[name] for name in "xzy"]), rtol=1e-12)


def test_text_is_repeated_as_text(book: Path, tmp_path: Path) -> None:
    """A column that no formula reads, by its header; but not one that the wanted cells read."""
    rows = Rows(names={**ROWS.names, "sgd_data": "C4:H{b}"}, more={"H3": "name", "I4:I{b}": "=H{r}*F{r}"})
    write(book, rows.cells(numbers(), 3) | {"A2": "names.csv"}, {**rows.all_names(3), "sgd_source": "A2"})
    names = [f"number {index}" for index in range(COUNT)]
    save(book.with_name("names.csv"), {"name": np.array(names), **numbers()})
    run("predict", book, "-o", tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["name"] for row in found] == names
    np.testing.assert_allclose([float(row["F4"]) for row in found], by_hand(numbers())[0], rtol=1e-6)
    assert "the field “name” of “names.csv” holds text" in refused(book, "--cells", "I4:I6")


def test_for_people(book: Path, tmp_path: Path) -> None:
    ended = run("predict", book)
    error = by_hand(numbers())[1].mean()
    assert ended.status == 0
    assert ended.out.splitlines() == [
        f"data.npz, train: {COUNT} samples",
        f"loss {error:.10g}, metric {np.sqrt(error):.4g}",
        "Wrote predictions.csv: sample, x, z, y, Predicted value, G4",
    ]
    assert (tmp_path / "predictions.csv").is_file()


def test_other_cells(book: Path, tmp_path: Path) -> None:
    """--cells comes before sgd_output; what is named twice gets a number."""
    run("predict", book, "--cells", "G4:G6,F4:F6,G4:G6", "-o", tmp_path / "found.csv")
    header, rows = rows_of(tmp_path / "found.csv")
    assert header == ["sample", "x", "z", "y", "G4", "Predicted value", "G4 2"]
    line, error = by_hand(numbers())
    np.testing.assert_allclose(rows[:, 4:], np.column_stack([error, line, error]), rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 601])
def test_any_number_of_samples(count: int, book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single one, too; and so many that they are evaluated in portions."""
    monkeypatch.setattr("sgdsheet.data.layouts.layout._AT_ONCE", 512)
    data = numbers(count)
    save(tmp_path / "other.csv", data)
    found = run("predict", book, "--source", "other.csv", "-o", "found.csv", "--json").json
    _, rows = rows_of(tmp_path / "found.csv")
    line, error = by_hand(data)
    assert found["samples"] == len(rows) == count
    assert found["loss"] == pytest.approx(error.mean(), rel=1e-12)
    np.testing.assert_allclose(rows[:, -2:], np.column_stack([line, error]), rtol=1e-10)


@pytest.mark.parametrize(("part", "expected"), [(None, 5), ("test", 5), ("train", 9), ("valid", 3)])
def test_parts(part: str | None, expected: int, book: Path, tmp_path: Path) -> None:
    parts = {"train": numbers(9), "valid": numbers(3, seed=1), "test": numbers(5, seed=2)}
    save(
        book.with_name("data.npz"),
        {f"{name}_{field}": values for name, data in parts.items() for field, values in data.items()},
    )
    found = run("predict", book, "--json", *(("--part", part) if part else ())).json
    assert (found["part"], found["samples"]) == (part or "test", expected)
    assert found["loss"] == pytest.approx(by_hand(parts[part or "test"])[1].mean(), rel=1e-12)


def test_one_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several cells of each sample, called by their addresses."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    data = {"image": random.normal(size=(7, 2, 3)), "label": random.integers(0, 3, 7)}
    save(tmp_path / "data.npz", data)
    cells = {
        "A1": "=(A5*SUM(B4:D5)-A4)^2", "A2": "data.npz", "A4": 1, "A5": 0.5, "B4:D5": 0, "B7:D8": "=B{r}*$A$5",
        "F1": "precision", "G1": "float64",
    }  # fmt: skip
    cells["B7:D8"] = [[f"={letter}{row}*$A$5" for letter in "BCD"] for row in (4, 5)]
    names = {
        "sgd_loss": "A1", "sgd_params": "A5", "sgd_source": "A2", "sgd_input_image": "B4:D5", "sgd_input_label": "A4",
        "sgd_output": "B7:C8,D8", "sgd_settings": "F1:G1",
    }  # fmt: skip
    found = run("predict", write(tmp_path / "book.xlsx", cells, names), "--json").json
    assert found["columns"] == ["sample", "label", "B7", "C7", "B8", "C8", "D8"]
    assert found["loss"] == pytest.approx(
        np.mean((0.5 * data["image"].reshape(7, 6).sum(axis=1) - data["label"]) ** 2), rel=1e-12
    )
    assert found["metric"] is None
    _, rows = rows_of(tmp_path / "predictions.csv")
    assert rows[:, 1].tolist() == data["label"].tolist()
    np.testing.assert_allclose(rows[:, 2:], 0.5 * data["image"].reshape(7, 6)[:, [0, 1, 3, 4, 5]], rtol=1e-12)


# --- data that the model has not seen ----------------------------------------------------------------------


CENTRED = Rows(
    ["=$K$1*(C{r}-AVERAGE(C${a}:C${b}))/STDEV(C${a}:C${b})+$K$2*D{r}+$K$3", "=(F{r}-E{r})^2"],
    more={"M1": "precision", "N1": "float64"},
    names={"sgd_output": "F4:F{b}", "sgd_settings": "M1:N1"},
)


def test_a_sample_has_the_same_prediction_in_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of a column is that of the data that the sheet names."""
    monkeypatch.chdir(tmp_path)
    path, data = CENTRED.file(tmp_path, numbers()), numbers()
    save(tmp_path / "few.csv", {name: values[:3] for name, values in data.items()})
    save(tmp_path / "one.csv", {name: values[:1] for name, values in data.items()})
    run("predict", path, "-o", "all.csv")
    _, every = rows_of(tmp_path / "all.csv")
    for count, name in ((3, "few.csv"), (1, "one.csv")):
        assert run("predict", path, "--source", name, "-o", "found.csv", "--json").json["notes"] == []
        _, rows = rows_of(tmp_path / "found.csv")
        np.testing.assert_allclose(rows, every[:count], rtol=1e-12)


def test_data_without_a_known_training_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sheet that names no data takes the means from the file at hand, and says so."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "mine.csv", numbers())
    path = write(tmp_path / "book.xlsx", CENTRED.cells(numbers(), 3), CENTRED.all_names(3))
    ended = run("predict", path, "--source", "mine.csv")
    assert "is that of mine.csv: the sheet does not name the data that it was trained on (sgd_source)" in ended.out
    save(tmp_path / "one.csv", {name: values[:1] for name, values in numbers().items()})
    assert "“one.csv” has a single sample, and a formula sums up a column of them" in refused(
        path, "--source", "one.csv"
    )


def test_samples_without_labels(book: Path, tmp_path: Path) -> None:
    """There is a prediction where there is no loss."""
    data = numbers()
    save(tmp_path / "new.csv", {"x": data["x"], "z": data["z"]})
    ended = run("predict", book, "--source", "new.csv", "--cells", "F4:F6", "-o", "found.csv")
    assert "! no loss: column E is read by the formulas, but nothing in “new.csv” fills it" in ended.out
    header, rows = rows_of(tmp_path / "found.csv")
    assert header == ["sample", "x", "z", "Predicted value"]
    np.testing.assert_allclose(rows[:, 3], by_hand(data)[0], rtol=1e-12)
    found = run("predict", book, "--source", "new.csv", "--cells", "F4:F6", "--json").json
    assert (found["loss"], found["metric"]) == (None, None)
    assert "column E is read" in refused(book, "--source", "new.csv")  # sgd_output has the error


def test_a_saved_value_that_the_formula_does_not_give(book: Path) -> None:
    """The predictions would be those of formulas that this workbook contradicts."""
    trained = book.with_name("trained.xlsx")
    run("train", book, "--steps", 1, "-o", trained)
    host = FileHost(trained)
    host.write({Cell("Model", 4, 3): 7.0})
    host.save()
    assert "F4: saved as " in refused(trained)
    assert run("predict", trained, "--trust-formulas").status == 0


def test_one_example_without_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label that the sheet happens to show is not taken for everybody's."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "new.npz", {"image": np.arange(12.0).reshape(4, 3)})
    cells = {"A1": "=(A5*SUM(B4:D4)-A4)^2", "A4": 1, "A5": 0.5, "B4:D4": 0, "B7": "=SUM(B4:D4)*A5", "B8": "=B7-A4"}
    names = {"sgd_loss": "A1", "sgd_params": "A5", "sgd_input_image": "B4:D4", "sgd_input_label": "A4"}
    path = write(tmp_path / "book.xlsx", cells, names)
    found = run("predict", path, "--source", "new.npz", "--cells", "B7", "--json").json
    assert (found["loss"], found["notes"]) == (None, ["no loss: new.npz has no label"])
    _, rows = rows_of(tmp_path / "predictions.csv")
    np.testing.assert_allclose(rows[:, 1], np.arange(12.0).reshape(4, 3).sum(1) / 2)
    assert "sgd_input_label asks for a field" in refused(path, "--source", "new.npz", "--cells", "B7:B8")


def test_repeated_fields_keep_all_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is float32, the file is not."""
    monkeypatch.chdir(tmp_path)
    data = numbers()
    data["x"] = 123_456_789 + np.arange(len(data["x"]))
    data["z"] = np.full(len(data["x"]), 0.1)
    run("predict", Rows(names={"sgd_output": "F4:F{b}"}).file(tmp_path, data))
    _, rows = rows_of(tmp_path / "predictions.csv")
    assert rows[:, 1].tolist() == data["x"].tolist()
    assert set(rows[:, 2]) == {0.1}


def test_long_whole_numbers_keep_all_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identifiers of samples have up to 19 digits, of which float64 keeps 15."""
    monkeypatch.chdir(tmp_path)
    data = numbers()
    data["x"] = 2**53 + 1 + 2 * np.arange(len(data["x"]))
    run("predict", Rows(names={"sgd_output": "F4:F{b}"}).file(tmp_path, data))
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        assert [row["x"] for row in csv.DictReader(file)] == [str(number) for number in data["x"]]
    table = tmp_path / "people.csv"
    table.write_text("id,x\n9007199254740993,1\n7,2\n")
    assert read_table(table, "train").fields["id"].tolist() == ["9007199254740993", "7"]
    table.write_text("id,x\n9007199254740992,1\n7,1e300\n")
    assert read_table(table, "train").fields["id"].tolist() == [2.0**53, 7.0]


# --- cells that are no numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_texts(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a class is written as what it is."""
    monkeypatch.chdir(tmp_path)
    rows = Rows(more={"H4:H{b}": '=IF(F{r}>0,"pos","neg")'}, names={"sgd_output": "H4:H{b},F4:F{b},H4:H{b}"})
    run("predict", rows.file(tmp_path, numbers()), "-o", f"found.{ending}")
    if ending == "csv":
        with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
            rows_found = list(csv.DictReader(file))
        found, again = ([row[name] for row in rows_found] for name in ("H4", "H4 2"))
    else:
        found = pyarrow.parquet.read_table(tmp_path / "found.parquet")["H4"].to_pylist()
    if ending == "csv":
        assert found == again
    assert found == ["pos" if number > 0 else "neg" for number in by_hand(numbers())[0]]
    assert set(found) == {"pos", "neg"}


def test_texts_of_one_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "data.npz", {"image": np.arange(12.0).reshape(4, 3), "label": np.arange(4)})
    cells = {
        "A1": "=(A5*SUM(B4:D4)-A4)^2", "A2": "data.npz", "A4": 1, "A5": 0.5, "B4:D4": 0,
        "F4:F7": [['=IF(A5*SUM(B4:D4)>9,"big","small")'], ["hello"], [7.0], ['=IF(A4>1,"hi","lo")']],
    }  # fmt: skip
    names = {
        "sgd_loss": "A1", "sgd_params": "A5", "sgd_source": "A2", "sgd_input_image": "B4:D4", "sgd_input_label": "A4",
        "sgd_output": "F4:F7",
    }  # fmt: skip
    run("predict", write(tmp_path / "book.xlsx", cells, names))
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        found = [row[2:] for row in csv.reader(file)]
    assert found[1:] == [
        ["small", "hello", "7", "lo"],
        ["small", "hello", "7", "lo"],
        ["big", "hello", "7", "hi"],
        ["big", "hello", "7", "hi"],
    ]


def test_cells_that_are_the_same_for_all(book: Path) -> None:
    """What stands beside the preview says nothing about the other samples."""
    assert "Model!ZZ4: column ZZ has no formula that follows from a sample" in refused(book, "--cells", "ZZ4:ZZ6")


# --- the file ---------------------------------------------------------------------------------------------


def test_a_file_is_replaced_at_once(book: Path, tmp_path: Path) -> None:
    target = tmp_path / "found.csv"
    target.write_text("sample,old", encoding="utf-8")
    target.chmod(0o640)
    other = os.open(target, os.O_RDONLY)
    assert run("predict", book, "-o", target).status == 0
    assert os.read(other, 99) == b"sample,old"  # whoever was reading it goes on reading the old one
    os.close(other)
    assert len(rows_of(target)[1]) == COUNT
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bound", "found.csv"]


def test_what_fails_half_way_leaves_the_old_file(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: a real one would say so in the middle of the table."""
    target = tmp_path / "found.csv"
    target.write_text("sample,old", encoding="utf-8")
    write_row = csv.writer

    class Full:
        def __init__(self, file: object) -> None:
            self.writer = write_row(file)  # type: ignore[arg-type]

        def writerow(self, row: list[str]) -> None:
            self.writer.writerow(row)

        def writerows(self, rows: list[list[float]]) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sgdsheet.data.tables.csv.writer", Full)
    ended = run("predict", book, "-o", target)
    assert (ended.status, ended.out) == (1, "")
    assert "cannot be written: No space left on device" in ended.err
    assert target.read_text(encoding="utf-8") == "sample,old"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bound", "found.csv"]


def refused(book: Path, *options: object, status: int = 1) -> str:
    folder = book.parent.parent
    before = sorted(str(item) for item in folder.rglob("*"))
    ended = run("predict", book, *options)
    assert (ended.status, ended.out) == (status, "")
    assert sorted(str(item) for item in folder.rglob("*")) == before
    (line,) = ended.err.splitlines()
    return line


def test_places_that_cannot_be_written(book: Path, tmp_path: Path) -> None:
    assert "nowhere” is not a folder. Create it" in refused(book, "-o", tmp_path / "nowhere" / "found.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "“folder.csv” is a folder" in refused(book, "-o", "folder.csv")
    message = refused(book, "-o", "found.xlsx")
    assert (
        message == "sgdsheet: “found.xlsx” is not the name of predictions of sgdsheet. Let it end with .csv or .parquet"
    )


def test_the_data_are_not_overwritten(book: Path, tmp_path: Path) -> None:
    save(tmp_path / "mine.csv", numbers())
    message = refused(book, "--source", "mine.csv", "-o", "mine.csv", status=2)
    assert message == "sgdsheet: --output would write over the data “mine.csv”. Give it another name"


def test_cells_that_are_no_predictions(book: Path) -> None:
    assert "Model!F4:F5: the cells have other rows than the samples. Name columns beside C4:G6" in refused(
        book, "--cells", "F4:F5"
    )
    assert "Model!A1: the cells have other rows than the samples" in refused(book, "--cells", "A1")
    assert "--cells" in refused(book, "--cells", "nonsense!")
    assert "has no part “test”, only “train”" in refused(book, "--part", "test")


def test_nothing_to_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Rows().file(tmp_path, numbers())
    assert "Model: nothing says which cells are the predictions. Name them sgd_output, or say --cells" in refused(path)
    path = write(path, Rows().cells(numbers(), 3), Rows().all_names(3))
    assert "the sheet names no data. Say --source FILE, or name a cell sgd_source" in refused(path)
    assert "the sheet names no data. Say --source FILE, or name a cell sgd_source" in refused(path, "--cells", "F4:F6")


def test_an_unknown_part_or_device_is_wrong_usage(book: Path) -> None:
    for option in (("--part", "all"), ("--device", "tpu")):
        ended = run("predict", book, *option)
        assert (ended.status, ended.out) == (2, "")
        assert option[1] in ended.err


def test_texts_are_no_formulas(tmp_path: Path) -> None:
    """A class or a heading of a workbook must not become a formula of whoever opens the table in a spreadsheet."""
    texts = ['=HYPERLINK("http://there","click")', "+1-2", "@SUM(A1)", "-", "\t=1", "-0.5", "+1e3", "plain", "", None]
    with table_writer(tmp_path / "found.csv", ["=1+1", "x"]) as add:
        add([texts, np.arange(10.0)])
    with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=1+1", "x"]
    kept = [row[0] for row in rows]
    assert kept == [f"'{text}" for text in texts[:5]] + ["-0.5", "+1e3", "plain", "", ""]
    with table_writer(tmp_path / "found.parquet", ["text", "x"]) as add:
        add([texts, np.arange(10.0)])
    table = pyarrow.parquet.read_table(tmp_path / "found.parquet")
    assert table.column("text").to_pylist() == texts  # no spreadsheet takes that for formulas
