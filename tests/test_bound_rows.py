"""Samples in rows, from a file: the same numbers as with all data in the sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.compiler.evaluation import CellValues, evaluate
from sgdsheet.compiler.program import Program
from sgdsheet.data.predictions import predict
from sgdsheet.errors import FormulaError
from sgdsheet.problem.settings import Settings
from tests.bound_books import COUNT, START, TOP, Rows, numbers, parameters, save, session, slope, trained
from tests.errors import refusal

TOLERANCE = 1e-10
LINE = "=$K$1*C{r}+$K$2*D{r}+$K$3"
ERROR = "=(F{r}-E{r})^2"

MODELS: dict[str, Rows] = {
    "average": Rows(),
    "average of an array": Rows([LINE], "{=AVERAGE((F{a}:F{b}-E{a}:E{b})^2)}"),
    "sumproduct per row": Rows(["=SUMPRODUCT(C{r}:D{r},$K$1:$L$1)+$M$1", ERROR], start={"K1:M1": [START]}),
    "mmult per row": Rows(["=MMULT(C{r}:D{r},$K$1:$K$2)+$K$3", ERROR]),
    "hidden layer": Rows(
        ["=TANH(C{r}*$K$1+D{r}*$K$2+$K$3)", "=TANH(C{r}*$L$1+D{r}*$L$2+$L$3)", "=F{r}-2*G{r}", "=(H{r}-E{r})^2"],
        "=AVERAGE(I{a}:I{b})",
        start={"K1:L3": [[0.5, 0.1], [-0.3, 0.4], [0.2, -0.6]]},
    ),
    "root of the average": Rows(loss="=SQRT(AVERAGE(G{a}:G{b}))"),
    "largest error": Rows(loss="=MAX(G{a}:G{b})"),
    "log-likelihood": Rows(
        ["=1/(1+EXP(-(" + LINE[1:] + ")))", "=-IF(E{r}>0,LN(F{r}),LN(1-F{r}))"], "=AVERAGE(G{a}:G{b})"
    ),
    "penalty": Rows(loss="=AVERAGE(G{a}:G{b})+0.1*SUMSQ(K1:K3)"),
    "sum by count": Rows(loss="=SUM(G{a}:G{b})/COUNT(G{a}:G{b})"),
    "sum by rows": Rows(loss="=SUM(G{a}:G{b})/ROWS(G{a}:G{b})"),
    "sum of squares by rows": Rows(["=" + LINE[1:] + "-E{r}"], "=SUMSQ(F{a}:F{b})/ROWS(F{a}:F{b})"),
    "mean squared difference": Rows([LINE], "=SUMXMY2(E{a}:E{b},F{a}:F{b})/ROWS(F{a}:F{b})"),
    "centred by a cell": Rows(
        ["=$K$1*(C{r}-$B$1)/$B$2+$K$2*D{r}+$K$3", ERROR], more={"B1": "=AVERAGE(C{a}:C{b})", "B2": "=STDEV(C{a}:C{b})"}
    ),
    "centred in the formula": Rows(["=$K$1*(C{r}-AVERAGE(C${a}:C${b}))/STDEV(C${a}:C${b})+$K$2*D{r}+$K$3", ERROR]),
    "relative to the data": Rows(loss="=AVERAGE(G{a}:G{b})/VAR(E{a}:E{b})"),
    "over another sheet": Rows(
        [LINE, "=Errors!C{r}"], more={"Errors!C4:C{b}": "=(Model!F{r}-Model!E{r})^2"}, loss="=AVERAGE(Errors!C{a}:C{b})"
    ),
    "functions of the data": Rows(
        loss="=SUMPRODUCT(ABS(D{a}:D{b}),SIGN(C{a}:C{b})+2,G{a}:G{b})/SUMPRODUCT(ABS(D{a}:D{b}))"
    ),
    "parameters below the preview": Rows(
        ["=$C$90*C{r}+$C$91*D{r}+$C$92", ERROR], start={"C90:C92": [[value] for value in START]}
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_like_all_data_in_the_sheet(name: str, tmp_path: Path) -> None:
    """The loss at the start, a batch's loss and gradient, and where six epochs lead."""
    rows, data = MODELS[name], numbers()
    data["y"] = (data["y"] > 0).astype(float) if name == "log-likelihood" else data["y"]
    whole, bound = (session(model, epochs=6) for model in (rows.in_sheet(tmp_path, data), rows.bound(tmp_path, data)))
    assert bound.source == "data.npz"
    assert bound.sample_count == COUNT
    assert bound.loss_start == pytest.approx(whole.loss_start, rel=TOLERANCE)
    for batch in ([0, 1, 2, 3, 4], [22, 3, 9], [8, 8], [17]):
        expected, found = slope(whole, batch), slope(bound, batch)
        assert found[0] == pytest.approx(expected[0], rel=TOLERANCE)
        torch.testing.assert_close(found[1], expected[1], rtol=TOLERANCE, atol=TOLERANCE)
    start = parameters(bound.model)
    losses = [[step.loss for step in run] for run in (whole, bound)]
    assert losses[1] == pytest.approx(losses[0], rel=TOLERANCE)
    assert bound.loss == pytest.approx(whole.loss, rel=TOLERANCE)
    assert bound.loss < bound.loss_start
    torch.testing.assert_close(parameters(bound.model), parameters(whole.model), rtol=TOLERANCE, atol=TOLERANCE)
    assert not torch.equal(start, parameters(bound.model))


@pytest.mark.parametrize("shuffle", ["yes", "no"])
@pytest.mark.parametrize("size", [1, 2, 7, 11, COUNT - 1, COUNT, 4 * COUNT])
def test_batch_sizes(size: int, shuffle: str, tmp_path: Path) -> None:
    """Also where a sample is left over, or where the batch is larger than the data."""
    options = {"batch_size": size, "shuffle": shuffle, "seed": 3, "epochs": 4, "optimizer": "adam"}
    expected = trained(Rows().in_sheet(tmp_path, numbers()), **options)
    found = trained(Rows().bound(tmp_path, numbers()), **options)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("shown", [2, 3, 12, COUNT])
@pytest.mark.parametrize(
    "name",
    ["average", "mmult per row", "hidden layer", "centred by a cell", "centred in the formula", "over another sheet"],
)
def test_how_many_are_shown_does_not_matter(name: str, shown: int, tmp_path: Path) -> None:
    rows = MODELS[name]
    expected = trained(rows.in_sheet(tmp_path, numbers()), epochs=2)
    torch.testing.assert_close(
        trained(rows.bound(tmp_path, numbers(), shown), epochs=2), expected, rtol=1e-9, atol=1e-9
    )


def test_parameters_in_the_rows_that_a_batch_needs(tmp_path: Path) -> None:
    """The samples of a batch have more rows than there is room between the preview and what lies below it."""
    start = {"C8:C10": [[value] for value in START]}
    rows = Rows(["=$C$8*C{r}+$C$9*D{r}+$C$10", ERROR], start=start)
    expected = trained(Rows().in_sheet(tmp_path, numbers()), epochs=3, batch_size=15)
    found = trained(rows.bound(tmp_path, numbers(), shown=4), epochs=3, batch_size=15)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_formulas_beside_other_rows(tmp_path: Path) -> None:
    """A sample's formulas may lie lower than its data, here and on another sheet."""

    def rows(count: int) -> Rows:
        error = [[f"=F{row}-E{row}"] for row in range(TOP, TOP + count)]
        square = [[f"=Model!H{row}^2"] for row in range(40, 40 + count)]
        more = {f"H40:H{39 + count}": error, f"Errors!C10:C{9 + count}": square}
        return Rows([LINE], f"=AVERAGE(Errors!C10:C{9 + count})", more=more)

    expected = trained(rows(COUNT).in_sheet(tmp_path, numbers()), epochs=3)
    found = trained(rows(3).bound(tmp_path, numbers()), epochs=3)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("shown", [2, 5])
def test_a_sum_is_over_the_whole_source(shown: int, tmp_path: Path) -> None:
    """However many samples the sheet shows."""
    rows = Rows(loss="=SUM(G{a}:G{b})")
    whole = session(rows.in_sheet(tmp_path, numbers()), epochs=4, lr=0.002)
    bound = session(rows.bound(tmp_path, numbers(), shown), epochs=4, lr=0.002)
    assert bound.loss_start == pytest.approx(whole.loss_start, rel=TOLERANCE)
    whole.run()
    bound.run()
    torch.testing.assert_close(parameters(bound.model), parameters(whole.model), rtol=TOLERANCE, atol=TOLERANCE)


def test_index_by_a_number_from_the_data(tmp_path: Path) -> None:
    """Three classes: the probability of the right one is picked by its number."""
    data = numbers()
    data["y"] = np.arange(COUNT) % 3
    rows = Rows(
        ["=EXP(C{r}*K$1+D{r}*K$2)", "=EXP(C{r}*L$1+D{r}*L$2)", "=EXP(C{r}*M$1+D{r}*M$2)",
         "=-LN(INDEX(F{r}:H{r},E{r}+1)/SUM(F{r}:H{r}))"],
        "=AVERAGE(I{a}:I{b})",
        start={"K1:M2": [[0.1, -0.2, 0.3], [0.0, 0.4, -0.5]]},
    )  # fmt: skip
    weights = np.array(rows.start["K1:M2"])
    scores = np.column_stack([data["x"], data["z"]]) @ weights
    by_hand = np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(COUNT), data["y"]])
    whole = session(rows.in_sheet(tmp_path, data), epochs=5, shuffle="yes")
    bound = session(rows.bound(tmp_path, data), epochs=5, shuffle="yes")
    assert bound.loss_start == pytest.approx(by_hand, rel=TOLERANCE)
    whole.run()
    bound.run()
    torch.testing.assert_close(parameters(bound.model), parameters(whole.model), rtol=TOLERANCE, atol=TOLERANCE)


# --- over more samples than are evaluated at once ---------------------------------------------------------


MANY = 601

OVER_PARTS: dict[str, Rows] = {
    "average": Rows(),
    "root": Rows(loss="=SQRT(AVERAGE(G{a}:G{b}))"),
    "penalty": Rows(loss="=2*AVERAGE(G{a}:G{b})/3+0.1*SUMSQ(K1:K3)"),
    "several cells of a row": Rows(
        ["=EXP($K$1*C{r})/SUM(EXP($K$1*C{r}),EXP($K$2*D{r}))", "=SUMSQ(C{r}:F{r},$K$3)/MAX(1,ABS(E{r}))"]
    ),
    "a product of matrices": Rows(["=MMULT(C{r}:D{r},$K$1:$K$2)+SUMPRODUCT($K$1:$K$3)", ERROR]),
    "product": Rows(loss="=AVERAGE(G{a}:G{b})*AVERAGE(F{a}:F{b})"),
    "ratio": Rows(loss="=AVERAGE(G{a}:G{b})/(1+AVERAGE(F{a}:F{b})^2)"),
    "squares around the mean": Rows(loss="=DEVSQ(G{a}:G{b})/ROWS(G{a}:G{b})"),
    "variance": Rows(loss="=VARP(G{a}:G{b})"),
    "centred in the formula": Rows(loss="{=AVERAGE((G{a}:G{b}-AVERAGE(G{a}:G{b}))^2)}"),
    "centred by a cell": Rows(loss="{=AVERAGE((G{a}:G{b}-B1)^2)}", more={"B1": "=AVERAGE(G{a}:G{b})"}),
    "centred in each row": Rows(
        [LINE, ERROR, "=(G{r}-$B$1)^2"], "=AVERAGE(H{a}:H{b})", more={"B1": "=AVERAGE(G{a}:G{b})"}
    ),
    "by the largest": Rows([LINE, ERROR, "=G{r}/$B$1"], "=AVERAGE(H{a}:H{b})", more={"B1": "=MAX(G{a}:G{b})"}),
    "weighted": Rows(loss="=SUMPRODUCT(F{a}:F{b},G{a}:G{b})/SUM(G{a}:G{b})"),
    "averages of some": Rows(loss='=AVERAGEIF(F{a}:F{b},">0",G{a}:G{b})'),
    "average of errors or FALSE": Rows([LINE, ERROR, "=IF(F{r}>0,G{r})"], "=AVERAGE(H{a}:H{b})"),
    "count of some": Rows(loss='=COUNTIF(F{a}:F{b},">0")/COUNT(F{a}:F{b})+0*AVERAGE(G{a}:G{b})'),
}


ADDITIVE = {"average", "penalty", "several cells of a row", "a product of matrices"}


@pytest.mark.parametrize("name", OVER_PARTS)
def test_the_loss_over_all_samples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portion by portion where the parts' mean is the whole, else all at once: either way the whole sheet's loss."""
    monkeypatch.setattr("sgdsheet.data.layouts.layout._AT_ONCE", 512)
    rows, data = OVER_PARTS[name], numbers(MANY)
    expected = float(rows.in_sheet(tmp_path, data)().detach())
    run = session(rows.bound(tmp_path, data))
    assert run.loss_start == pytest.approx(expected, rel=1e-9)
    assert run._run.bound is not None
    assert run._run.bound.judged.additive == (name in ADDITIVE)


def weighted(data: dict[str, Any]) -> tuple[float, float, float]:
    """The mean squared error weighted by |z| and the coefficient of determination, by hand; and the sum of squares."""
    line = START[0] * (data["x"] - CENTRE) + START[1] * data["z"] + START[2]
    squares = (line - data["y"]) ** 2
    weights = np.abs(data["z"])
    spread = ((data["y"] - data["y"].mean()) ** 2).sum()
    return float((weights * squares).sum() / weights.sum()), float(1 - squares.sum() / spread), float(squares.sum())


CENTRE = float(numbers()["x"].mean())


def test_statistics_are_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean that samples read is the same for the loss alone and for loss and metric: one look at the source."""
    rows = Rows(
        ["=$K$1*(C{r}-AVERAGE(C${a}:C${b}))+$K$2*D{r}+$K$3", ERROR],
        more={"B1": "=MAX(G{a}:G{b})"},
        names={"sgd_metric": "B1"},
    )
    model = rows.bound(tmp_path, numbers())
    looks: list[int] = []

    def counted(program: Program, arguments: Sequence[torch.Tensor]) -> CellValues:
        looks.append(len(arguments[0]))
        return evaluate(program, arguments)

    monkeypatch.setattr("sgdsheet.data.layouts.source_rows.evaluate", counted)
    session(model, epochs=1).run()
    assert looks == [COUNT]


@pytest.mark.parametrize("loss", ["weighted", "sum"])
def test_each_part_is_judged_by_its_own_sums(loss: str, tmp_path: Path) -> None:
    """What loss and metric divide by is of the part that they are over; what samples read stays that of training."""
    rows = Rows(
        ["=$K$1*(C{r}-AVERAGE(C${a}:C${b}))+$K$2*D{r}+$K$3", ERROR],
        "=SUMPRODUCT(ABS(D{a}:D{b}),G{a}:G{b})/SUMPRODUCT(ABS(D{a}:D{b}))" if loss == "weighted" else "=SUM(G{a}:G{b})",
        more={"B1": "=1-SUM(G{a}:G{b})/DEVSQ(E{a}:E{b})"},
        names={"sgd_metric": "B1", "sgd_output": "F4:F{b}"},
    )
    parts = {"train": numbers(), "valid": numbers(11, seed=1), "test": numbers(7, seed=2)}
    path = rows.file(tmp_path, numbers())
    save(
        path.with_name("data.npz"),
        {f"{part}_{field}": values for part, data in parts.items() for field, values in data.items()},
    )
    run = session(sgdsheet.compile(sgdsheet.load(path), precision="float64"), steps=0)
    run.run()
    found = {"train": (run.loss, None), "valid": (run.valid_loss, run.valid_metric)}
    found["test"] = (run.test_loss, run.test_metric)
    for part, data in parts.items():
        mean, determination, total = weighted(data)
        expected = (mean if loss == "weighted" else total, determination)
        assert found[part][0] == pytest.approx(expected[0], rel=1e-9)
        assert found[part][1] in (None, pytest.approx(expected[1], rel=1e-9))
        seen = predict(sgdsheet.compile(sgdsheet.load(path), precision="float64"), Settings(), part=part)
        assert (seen.loss, seen.metric) == pytest.approx(expected, rel=1e-9)


# --- what cannot be cut to a batch ------------------------------------------------------------------------


def rowwise(*formulas: str) -> dict[str, list[list[str]]]:
    return {"G4:G6": [[formula] for formula in formulas]}


REFUSED: dict[str, tuple[Rows, str, str]] = {
    "the next row's data": (
        Rows(more=rowwise("=(F4-E5)^2", "=(F5-E6)^2", "=(F6-E7)^2")), "Model!G4", "reads the row of another sample"
    ),
    "the next row's result": (
        Rows(more=rowwise("=(F4-F5)^2", "=(F5-F6)^2", "=(F6-F7)^2")), "Model!G4", "reads the result of another sample"
    ),
    "a window": (
        Rows(more=rowwise("=SUM(F4:F5)", "=SUM(F5:F6)", "=SUM(F6:F7)")), "Model!G4", "the result of another sample"
    ),
    "one shown sample": (Rows([LINE, "=(F{r}-E$5)^2"]), "Model!G4", "reads the data of several samples"),
    "one shown sample's result": (Rows([LINE, "=(F{r}-F$5)^2"]), "Model!G4", "reads the result of another sample"),
    "some samples": (Rows(loss="=AVERAGE(G4:G5)"), "Model!A1", "some of the samples"),
    "a single sample": (Rows(loss="=G5"), "Model!A1", "some of the samples"),
    "its place": (Rows([LINE, "=(F{r}-E{r})^2*ROW()"]), "Model!G4", "ROW"),
    "its place by another cell": (Rows([LINE, "=(F{r}-E{r})^2*ROW(C{r})"]), "Model!G4", "ROW"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    rows, cell, cause = REFUSED[name]
    with refusal(FormulaError, cell=cell, cause=cause) as caught:
        session(rows.bound(tmp_path, numbers()))
    assert caught.value.remedy
