"""The loss over one or two parameters: its numbers, and the pictures of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.analysis.loss_surface import LossSlice, LossSurface, chosen_cells, loss_slice, losses_at
from sgdsheet.analysis.trajectory import Trajectory, record_training
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import FileError, ProblemError, SettingError, TrainingError
from sgdsheet.plots.animation import animate
from sgdsheet.plots.surface import surface
from tests.chart_books import LOSS, X, Y, charted
from tests.cli_books import run
from tests.errors import refusal
from tests.sheets import compiled
from tests.training_books import write

ROOT = Path(__file__).parent.parent


@pytest.fixture
def model(tmp_path: Path) -> SheetModel:
    return sgdsheet.compile(sgdsheet.load(charted(tmp_path / "book.xlsx")))


def by_hand(slope: float, constant: float) -> float:
    return sum((slope * x + constant - y) ** 2 for x, y in zip(X, Y, strict=True)) / len(X)


def titanic(sheet: str) -> SheetModel:
    return sgdsheet.compile(sgdsheet.load(ROOT / "workbooks" / "titanic.xlsx"), sheet)


def test_the_losses_of_a_surface_are_those_of_the_sheet(model: SheetModel, tmp_path: Path) -> None:
    before = model.parameter_cells()
    picture = sgdsheet.surface(model, "E1,E2", tmp_path / "loss.png", between=[(-1, 4), (-2, 3)], path=False)
    found = picture.shows
    assert isinstance(found, LossSurface)
    assert (found.x.title, found.y.title) == ("E1 (slope)", "E2 (constant)")
    assert (found.x.values[0], found.x.values[-1], found.y.values[0], found.y.values[-1]) == (-1, 4, -2, 3)
    for row, constant in zip(found.losses, found.y.values, strict=True):
        assert row == pytest.approx([by_hand(slope, constant) for slope in found.x.values])
    assert model.parameter_cells() == before
    assert (tmp_path / "loss.png").read_bytes() == picture.data
    assert picture.data.startswith(b"\x89PNG")


def test_a_slice_has_its_exact_gradient_and_the_difference(model: SheetModel) -> None:
    found = surface(model, "E2", between=[(-3, 5)], path=False).shows
    assert isinstance(found, LossSlice)
    assert found.losses == pytest.approx([by_hand(0.5, constant) for constant in found.axis.values])
    assert (found.at, found.loss) == (0.0, pytest.approx(LOSS))
    exact = 2 * sum(0.5 * x - y for x, y in zip(X, Y, strict=True)) / len(X)
    assert found.gradient == pytest.approx(exact, rel=1e-12)
    assert found.difference == pytest.approx(exact, rel=1e-9)  # exactly, for a parabola


def test_gradient_and_difference_agree_where_it_is_smooth() -> None:
    model = titanic("nnet")
    cell = next(iter(model.parameter_cells()))
    at = model.parameter_cells()[cell]
    found = loss_slice(model, cell, (at - 1e-3, at + 1e-3), 5)
    assert found.gradient == model.gradients()[cell]
    assert found.difference == pytest.approx(found.gradient, rel=1e-4)


def test_losses_at_many_points_are_those_of_one_by_one() -> None:
    model = titanic("nnet")
    cells = list(model.parameter_cells())[:2]
    points = torch.rand(9, 2, generator=torch.Generator().manual_seed(0)).tolist()
    found = losses_at(model, cells, points)
    (tensor,) = model.parameters()
    for point, loss in zip(points, found, strict=True):
        with torch.no_grad():
            tensor.view(-1)[:2] = torch.tensor(point, dtype=tensor.dtype)
            assert loss == pytest.approx(float(model()), rel=1e-12)


def test_the_path_is_that_of_the_training(model: SheetModel) -> None:
    alone = surface(model, optimizer="sgd", lr=0.05, steps=50)
    trained = sgdsheet.compile(model.workbook)
    recorded = animate(trained, seconds=1, optimizer="sgd", lr=0.05, steps=50).shows
    assert surface(model, path=recorded).data == alone.data
    assert surface(model, path=False).data != alone.data
    x = alone.shows.x.values
    assert x[0] < 0.5 < 2.0 < x[-1], "the path is in the picture"


def test_a_path_that_diverges_does_not_shrink_the_rest(model: SheetModel) -> None:
    found = surface(model, optimizer="sgd", lr=0.4, steps=200).shows
    assert all(abs(value) < 100 for value in (*found.x.values, *found.y.values))


def test_one_parameter_has_its_path_on_the_curve() -> None:
    model = compiled({"A1": 1.0, "Z1": "=(A1^2-9)^2"}, "A1")
    plain, trained = surface(model, path=False), surface(model, optimizer="sgd", lr=0.01, steps=30)
    assert plain.data != trained.data
    assert trained.shows.axis.values[0] < 1 < 3 < trained.shows.axis.values[-1]
    assert trained.shows.gradient == -32.0  # 2·(1 − 9)·2
    assert list(model.parameter_cells().values()) == [1.0]


def test_a_slice_reaches_past_the_bottom_of_its_valley() -> None:
    model = compiled({"A1": 0.0, "B1": 5.0, "Z1": "=(A1-40)^2+B1^2"}, "A1:B1")
    axis = surface(model, "A1").shows.axis
    assert axis.values[0] < 0 < 40 < axis.values[-1] < 100


def test_what_is_not_a_number_is_a_gap(tmp_path: Path) -> None:
    model = compiled({"A1": 2.0, "B1": 1.0, "Z1": "=LN(A1)^2+B1^2"}, "A1:B1")
    found = surface(model, "A1:B1", between=[(-1, 3), (-1, 1)], path=False).shows
    assert all(math.isnan(loss) for loss in found.losses[0][:15])
    assert found.losses[0][-1] == pytest.approx(math.log(3) ** 2 + 1)
    with refusal(TrainingError, cell="Sheet1!A1", cause="^the loss is a number nowhere there"):
        surface(model, "A1", between=[(-3, -2)], path=False)


@pytest.mark.parametrize(
    ("params", "cell", "cause", "remedy"),
    [
        ("A2", "'line & co'!A2", "^the cell is not a parameter$", "^Parameters are E1:E2"),
        ("Z9", "'line & co'!Z9", "the cell is not a parameter", ""),
        ("nonsense", None, "nonsense", ""),
        ("E1,gone!A1", None, "gone", ""),
    ],
)
def test_other_cells_are_refused(model: SheetModel, params: str, cell: str | None, cause: str, remedy: str) -> None:
    with refusal(ProblemError, cell=cell, cause=cause, remedy=remedy):
        surface(model, params)


def test_more_than_two_are_refused() -> None:
    model = titanic("nnet")
    with pytest.raises(ProblemError, match=r"^there are 12 parameters. Choose one or two of E6:J7: --params$"):
        chosen_cells(model, None)
    with refusal(ProblemError, cause="has room for two parameters, not 6"):
        chosen_cells(model, "E6:J6")


@pytest.mark.parametrize("between", [[(0, 1)], [(0, 1), (1, 1)], [(0, 1), (0, math.inf)], [(2, 1), (0, 1)]])
def test_spans(model: SheetModel, between: list[tuple[float, float]]) -> None:
    with refusal(SettingError, cause="span"):
        surface(model, between=between, path=False)


def test_relief(model: SheetModel) -> None:
    flat, relief = surface(model, steps=5), surface(model, steps=5, three_d=True)
    assert flat.shows == relief.shows
    assert flat.data != relief.data


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_same_surface_gives_the_same_bytes(model: SheetModel, tmp_path: Path, ending: str) -> None:
    one, two = (surface(model, "E1", tmp_path / f"{name}{ending}") for name in "ab")
    assert one.data == two.data
    with refusal(FileError, cause="is not the name of a picture"):
        surface(model, "E1", tmp_path / "loss.gif")


def test_data_from_a_file(tmp_path: Path) -> None:
    """The loss is that over the data, not over the rows that the sheet shows."""
    x = np.random.default_rng(0).normal(size=300)
    np.savez(tmp_path / "data.npz", x=x, y=3 * x + 1)
    cells = {
        **{"A1": "x", "B1": "y", "A2:B4": [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], "C2:C4": "=($E$1*A{r}+$E$2-B{r})^2"},
        **{"E1": 0.0, "E2": 0.0, "E4": "=AVERAGE(C2:C4)", "E5": "data.npz"},
    }
    names = {"sgd_loss": "E4", "sgd_params": "E1:E2", "sgd_data": "A2:C4", "sgd_source": "E5"}
    model = sgdsheet.compile(sgdsheet.load(write(tmp_path / "book.xlsx", cells, names)))
    before = model.parameter_cells()
    found = surface(model, path=False, between=[(-1, 4), (-1, 2)]).shows
    low = min((loss, i, j) for j, row in enumerate(found.losses) for i, loss in enumerate(row))
    assert found.x.values[low[1]] == pytest.approx(3, abs=0.3)
    assert found.y.values[low[2]] == pytest.approx(1, abs=0.3)
    assert model.parameter_cells() == before
    sliced = surface(model, "E2", path=False).shows
    assert sliced.gradient == pytest.approx(-2 * float((3 * x + 1).mean()), rel=1e-4)


# --- the command ------------------------------------------------------------------------------------------


def test_command(tmp_path: Path) -> None:
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "loss.png"
    before = book.read_bytes()
    done = run("surface", book, "--params", "E1,E2", "-o", target, "--steps", 20)
    assert (done.status, done.err, done.out) == (0, "", f"Wrote {target}\n")
    assert target.read_bytes().startswith(b"\x89PNG")
    assert book.read_bytes() == before


def test_the_path_is_that_of_the_last_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same workbook and settings the command goes the way that `train` went."""
    book, trained = charted(tmp_path / "book.xlsx"), tmp_path / "trained.xlsx"
    settings = ("--optimizer", "adam", "--lr", 0.1, "--steps", 37)
    assert run("train", book, "-o", trained, *settings).status == 0
    paths: list[Trajectory] = []

    def recorded(*arguments: Any) -> Trajectory:
        paths.append(record_training(*arguments))
        return paths[-1]

    monkeypatch.setattr("sgdsheet.plots.surface.record_training", recorded)
    assert run("surface", book, "-o", tmp_path / "loss.png", *settings).status == 0
    (path,) = paths
    ends = [value for tensor in path.snapshots[-1].parameters for value in tensor.flatten().tolist()]
    values = sgdsheet.load(trained).sheets["line & co"].values
    assert ends == [values[1, 5], values[2, 5]]


def test_command_for_one(tmp_path: Path) -> None:
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "slice.svg"
    done = run("surface", book, "--params", "E2", "-o", target, "--between", "-3:5")
    assert f"= 0 the loss is {LOSS:g}\nexact gradient -8, by differences -8\n" in done.out


def test_command_json(tmp_path: Path) -> None:
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "loss.png"
    done = run("surface", book, "-o", target, "--no-path", "--three-d", "--json").json
    assert done["parameters"] == ["'line & co'!E1", "'line & co'!E2"]
    assert len(done["losses"]) == len(done["values"][1])
    one = run("surface", book, "--params", "E1", "-o", target, "--json").json
    assert one["gradient"] == pytest.approx(-22)


def test_without_names(tmp_path: Path) -> None:
    """--loss and --params together say what the model is."""
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "loss.png"
    done = run("surface", book, "--loss", "D2", "--params", "E1", "-o", target)
    assert done.status == 1
    assert run("surface", book, "--loss", "E4", "--params", "E1", "-o", target, "--json").json["at"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--params", "E1"], 2, "Missing option"),
        (["--params", "E1", "-o", "loss.txt"], 1, "is not the name of a picture"),
        (["--params", "E1", "-o", "loss.png", "--between", "1"], 2, "--between has '1' instead of two numbers"),
        (["--params", "E1", "-o", "loss.png", "--between", "2:1"], 2, "2 to 1 is no span"),
        (["--params", "B2", "-o", "loss.png"], 1, "B2: the cell is not a parameter"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    done = run("surface", charted(tmp_path / "book.xlsx"), *arguments)
    assert done.status == status
    assert message in done.err
    assert len(done.err.splitlines()) == 1 or status == 2
    assert not Path("loss.png").exists()
