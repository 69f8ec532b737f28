"""Mini-batches and validation rows: the sheet's own formulas over some of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import DataError, FormulaError, ProblemError, SettingError, SgdSheetError
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.sheets import check_gradients
from tests.training_books import model, polynomial, put, values

COUNT = 23
LAST = COUNT + 1
START = [0.5, -0.3, 0.2]
NAMES = {"sgd_params": "A1:A3", "sgd_loss": "Z1", "sgd_data": f"C2:F{LAST}"}


def data() -> Tensor:
    """Two inputs and an output per sample."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(COUNT, generator=generator, dtype=torch.float64)
    return torch.column_stack([x, x[:, 0] - 2 * x[:, 1] + 0.5 + noise])


def cells(pooled: str = "=AVERAGE(F2:F24)", **more: Any) -> dict[str, Any]:
    """Three parameters, two inputs C and D, output E, squared error F."""
    return {
        "A1:A3": [[value] for value in START],
        f"C2:E{LAST}": data().tolist(),
        f"F2:F{LAST}": "=($A$1*C{r}+$A$2*D{r}+$A$3-E{r})^2",
        "Z1": pooled,
    } | {reference.replace("_", ":"): content for reference, content in more.items()}


def sheet(folder: Path, pooled: str = "=AVERAGE(F2:F24)", **more: Any) -> SheetModel:
    return model(folder, cells(pooled, **more), NAMES)


def errors_by_hand(weights: Tensor, rows: Tensor) -> Tensor:
    chosen = data()[rows]
    error: Tensor = (weights[0] * chosen[:, 0] + weights[1] * chosen[:, 1] + weights[2] - chosen[:, 2]) ** 2
    return error


Pool = Callable[[Tensor], Tensor]

POOLED: dict[str, tuple[str, Pool]] = {
    "average": ("=AVERAGE(F2:F24)", lambda e: e.mean()),
    "sum": ("=SUM(F2:F24)", lambda e: e.sum() * COUNT / len(e)),
    "sum and count": ("=SUM(F2:F24)/COUNT(F2:F24)", lambda e: e.mean()),
    "sum and rows": ("=SUM(F2:F24)/ROWS(F2:F24)", lambda e: e.mean()),
    "root mean square": ("=SQRT(AVERAGE(F2:F24))", lambda e: e.mean().sqrt()),
    "sum of squares": ("=SUMSQ(F2:F24)/2", lambda e: (e**2).sum() * COUNT / len(e) / 2),
    "sumproduct": (
        "=SUMPRODUCT(F2:F24,F2:F24)+A1^2*AVERAGE(C2:C24)^0",
        lambda e: (e**2).sum() * COUNT / len(e),  # and the penalty, see by_hand
    ),
    "largest": ("=MAX(F2:F24)", lambda e: e.max()),
    "two of them": ("=0.5*AVERAGE(F2:F24)+SUM(F2:F24)/23", lambda e: 1.5 * e.mean()),
}


def batches(size: int, epochs: int, *, shuffle: bool, seed: int = 0) -> Iterator[Tensor]:
    """The rows of each batch, as the hand-written loop picks them."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(COUNT, generator=generator) if shuffle else torch.arange(COUNT)
        yield from order.split(size)


def check_loop(trained: SheetModel, pool: Pool, size: int, *, shuffle: bool, penalty: bool = False) -> None:
    """Three epochs next to a hand-written loop with the same rows."""
    weights = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = torch.optim.SGD([weights], lr=0.001)
    session = Session(
        trained,
        optimizer="sgd",
        lr=0.001,
        batch_size=size,
        epochs=3,
        shuffle="yes" if shuffle else "no",
        seed=4,
    )
    per_epoch = -(-COUNT // size)
    chosen = batches(size, 3, shuffle=shuffle, seed=4)
    for number, (step, rows) in enumerate(zip(session, chosen, strict=True), 1):
        optimizer.zero_grad()
        loss = pool(errors_by_hand(weights, rows)) + (weights[0] ** 2 if penalty else 0)
        loss.backward()
        optimizer.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-12)
        assert step.epoch == (number // per_epoch if number % per_epoch == 0 else None)
    assert values(trained) == pytest.approx(weights.tolist(), rel=1e-12)
    assert session.steps_taken == 3 * per_epoch
    assert session.epochs_done == 3
    assert session.loss == float(trained().detach())


@pytest.mark.parametrize("name", POOLED)
@pytest.mark.parametrize("shuffle", [True, False])
def test_same_as_a_hand_written_loop(tmp_path: Path, name: str, shuffle: bool) -> None:
    formula, pool = POOLED[name]
    check_loop(sheet(tmp_path, formula), pool, 5, shuffle=shuffle, penalty=name == "sumproduct")


@pytest.mark.parametrize("size", [1, 2, 11, 22, 23, 24, 1000])
def test_batch_sizes(tmp_path: Path, size: int) -> None:
    for name in ("average", "sum"):
        check_loop(sheet(tmp_path, POOLED[name][0]), POOLED[name][1], size, shuffle=True)


def test_epochs_and_steps(tmp_path: Path) -> None:
    for options, steps, epochs in [
        ({"batch_size": 5, "epochs": 2}, 10, 2),
        ({"batch_size": 5, "steps": 7}, 7, 1),
        ({"batch_size": 5, "epochs": 0}, 0, 0),
        ({"batch_size": 5}, 100, 20),
        ({"batch_size": 23, "epochs": 4}, 4, 4),
        ({"validation": 0.5, "batch_size": 4, "epochs": 3}, 9, 3),
        ({"validation": "20 %", "steps": 6, "optimizer": "sgd"}, 6, 6),
    ]:
        session = Session(sheet(tmp_path), **options)  # type: ignore[arg-type]
        session.run()
        assert (session.steps_taken, session.epochs_done) == (steps, epochs), options


def test_each_epoch_has_another_order(tmp_path: Path) -> None:
    session = Session(sheet(tmp_path), optimizer="sgd", lr=1e-12, batch_size=5, epochs=3, seed=1)
    first, second, third = torch.tensor([step.loss for step in session]).split(5)
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, third)
    kept = [
        step.loss for step in Session(sheet(tmp_path), optimizer="sgd", lr=1e-12, batch_size=5, epochs=2, shuffle=False)
    ]
    assert kept[:5] == pytest.approx(kept[5:])


# --- other forms of a sheet -----------------------------------------------------------------------------


def test_array_formulas(tmp_path: Path) -> None:
    """The prediction is one MMULT that spills down all samples."""
    trained = model(
        tmp_path,
        {
            "A1:A2": [[value] for value in START[:2]],
            "A3": START[2],
            f"C2:E{LAST}": data().tolist(),
            f"G2:G{LAST}": f"{{=MMULT(C2:D{LAST},A1:A2)+A3}}",
            f"F2:F{LAST}": "=(G{r}-E{r})^2",
            "Z1": "=AVERAGE(F2:F24)",
        },
        NAMES,
    )
    for shuffle in (True, False):
        trained.reset_parameters()
        check_loop(trained, lambda e: e.mean(), 5, shuffle=shuffle)


def test_one_array_formula_for_all(tmp_path: Path) -> None:
    trained = model(
        tmp_path,
        {
            "A1:A3": [[value] for value in START],
            f"C2:E{LAST}": data().tolist(),
            f"F2:F{LAST}": f"{{=(A1*C2:C{LAST}+A2*D2:D{LAST}+A3-E2:E{LAST})^2}}",
            "Z1": "=SUM(F2:F24)",
        },
        NAMES,
    )
    check_loop(trained, POOLED["sum"][1], 6, shuffle=True)


def test_data_in_a_table_on_another_sheet(tmp_path: Path) -> None:
    """The samples are a table's rows; the errors stand beside them and read their own row."""
    trained = model(
        tmp_path,
        {
            "A1:A3": [[value] for value in START],
            f"Data!C2:E{LAST}": data().tolist(),
            f"Data!F2:F{LAST}": "=(Model!$A$1*Table1[[#This Row],[x]]+Model!$A$2*Table1[[#This Row],[z]]"
            "+Model!$A$3-Table1[[#This Row],[y]])^2",
            "Z1": "=AVERAGE(Table1[error])",
        },
        {**NAMES, "sgd_data": f"Data!C2:F{LAST}"},
        tables={f"Data!C1:F{LAST}": ["x", "z", "y", "error"]},
    )
    check_loop(trained, POOLED["average"][1], 5, shuffle=True)


def test_data_on_another_sheet_row_by_row(tmp_path: Path) -> None:
    """The data start in row 6 of their sheet, the errors in row 2 of the model's."""
    trained = model(
        tmp_path,
        {
            "A1:A3": [[value] for value in START],
            f"Data!C6:E{LAST + 4}": data().tolist(),
            f"F2:F{LAST}": [
                [f"=($A$1*Data!C{row + 4}+$A$2*Data!D{row + 4}+$A$3-Data!E{row + 4})^2"] for row in range(2, LAST + 1)
            ],
            "Z1": "=AVERAGE(F2:F24)",
        },
        {**NAMES, "sgd_data": f"Data!C6:E{LAST + 4}"},
    )
    check_loop(trained, POOLED["average"][1], 5, shuffle=True)


def test_errors_in_the_loss_cell(tmp_path: Path) -> None:
    """No error column at all: SUMXMY2 of predictions and outputs, or everything in one formula."""
    for pooled in (
        "=SUMXMY2(G2:G24,E2:E24)",
        "=SUMPRODUCT((G2:G24-E2:E24)^2)",
        "=SUMPRODUCT((A1*C2:C24+A2*D2:D24+A3-E2:E24)^2)",
        "{=SUM((A1*C2:C24+A2*D2:D24+A3-E2:E24)^2)}",
        "{=SUM(MMULT(TRANSPOSE(G2:G24-E2:E24),G2:G24-E2:E24))}",
        "=SUMPRODUCT((MMULT(C2:D24,A1:A2)+A3-E2:E24)^2)",
    ):
        trained = sheet(tmp_path, pooled, G2_G24="=$A$1*C{r}+$A$2*D{r}+$A$3")
        check_loop(trained, POOLED["sum"][1], 5, shuffle=True)


def test_constant_columns_of_all_samples(tmp_path: Path) -> None:
    """Scaled inputs read the mean and the largest of all rows: data, not results."""
    trained = sheet(
        tmp_path,
        "=AVERAGE(H2:H24)",
        G2_G24="=(C{r}-AVERAGE(C$2:C$24))/MAX(C$2:C$24)",
        H2_H24="=($A$1*G{r}+$A$2*D{r}+$A$3-E{r})^2",
    )
    weights = torch.tensor(START, dtype=torch.float64)
    table = data()
    scaled = (table[:, 0] - table[:, 0].mean()) / table[:, 0].max()
    error = (weights[0] * scaled + weights[1] * table[:, 1] + weights[2] - table[:, 2]) ** 2
    session = Session(trained, optimizer="sgd", lr=1e-15, batch_size=4, epochs=1, shuffle="no")
    found = [step.loss for step in session]
    assert found == pytest.approx([float(part.mean()) for part in error.split(4)], rel=1e-9)


def test_conditions_of_rows_that_are_sorted(tmp_path: Path) -> None:
    """A condition that holds for all rows of the first batch need not hold for those of another."""
    trained = sheet(tmp_path, "=AVERAGE(H2:H24)", G2_G24="=IF(ROW()<13,1,0)", H2_H24="=IF(G{r}=1,F{r},3*F{r})")
    errors = errors_by_hand(torch.tensor(START, dtype=torch.float64), torch.arange(COUNT))
    expected = torch.where(torch.arange(COUNT) < 11, errors, 3 * errors)
    session = Session(trained, optimizer="sgd", lr=1e-15, batch_size=4, epochs=1, shuffle="no")
    found = [step.loss for step in session]
    assert found == pytest.approx([float(part.mean()) for part in expected.split(4)], rel=1e-9)


def test_powers_of_rows_that_are_sorted(tmp_path: Path) -> None:
    """Bases above 0 in all rows of the first batch, and 0 in later ones, where a power has no gradient."""
    trained = sheet(
        tmp_path, "=AVERAGE(H2:H24)", G2_G24="=IF(ROW()<13,2,0)", H2_H24="=(G{r}^$A$1+$A$2*C{r}+$A$3-E{r})^2"
    )
    table, weights = data(), torch.tensor(START, dtype=torch.float64)
    powers = torch.where(torch.arange(COUNT) < 11, 2.0, 0.0).double() ** weights[0]
    expected = (powers + weights[1] * table[:, 0] + weights[2] - table[:, 2]) ** 2
    session = Session(trained, optimizer="sgd", lr=1e-15, batch_size=4, epochs=1, shuffle="no")
    steps = list(session)
    assert [step.loss for step in steps] == pytest.approx([float(part.mean()) for part in expected.split(4)], rel=1e-9)
    assert all(math.isfinite(step.gradient_norm) for step in steps if step.gradient_norm is not None)


def test_a_metric_that_cannot_be_calculated_is_refused(tmp_path: Path) -> None:
    """It does not keep the saved value of other parameters."""
    names = {**NAMES, "sgd_metric": "Y1", "sgd_valid": "I2:I24"}
    content = cells(G2_G24="=MATCH(MAX(C{r}:F{r}),C{r}:F{r},0)", I2_I24="=IF(ROW()>20,1,0)", Y1="=AVERAGE(G2:G24)")
    with refusal(FormulaError, cell="Model!G2", cause="^the formula looks something up by a value that depends"):
        Session(model(tmp_path, content, names), optimizer="sgd", steps=2).run()


def test_a_penalty_is_not_scaled(tmp_path: Path) -> None:
    trained = sheet(tmp_path, "=SUM(F2:F24)+3*SUMSQ(A1:A3)")
    penalty = 3 * sum(value**2 for value in START)
    (step, *_) = Session(trained, optimizer="sgd", lr=1e-15, batch_size=5, epochs=1, shuffle="no")
    expected = errors_by_hand(torch.tensor(START, dtype=torch.float64), torch.arange(5)).sum() * COUNT / 5 + penalty
    assert step.loss == pytest.approx(float(expected), rel=1e-9)


def test_a_loss_that_reads_no_sample(tmp_path: Path) -> None:
    """It is the same for every batch, and trained like any other."""
    trained = sheet(tmp_path, "=SUMSQ(A1:A3)")
    session = Session(trained, optimizer="sgd", lr=0.1, batch_size=5, epochs=1)
    session.run()
    assert values(trained) == pytest.approx([value * 0.8**5 for value in START])


def test_one_row_is_refused(tmp_path: Path) -> None:
    trained = model(tmp_path, cells("=AVERAGE(F2:F24)"), {**NAMES, "sgd_data": "C2:F2"})
    with pytest.raises(ProblemError) as refused:
        Session(trained, batch_size=1)
    assert refused.value.cell is not None
    assert refused.value.cell.endswith("C2:F2")


def test_batches_give_the_whole(tmp_path: Path) -> None:
    """Equal batches average to the loss over all rows, and so do their gradients."""
    trained = model(tmp_path, cells("=AVERAGE(F2:F23)"), {**NAMES, "sgd_data": "C2:F23"})
    check_gradients(trained)
    session = Session(trained, optimizer="sgd", batch_size=11, epochs=1)
    assert session._run.samples is not None
    losses, slopes = [], []
    for rows in torch.randperm(22).split(11):
        loss = session._run.samples.loss(rows)()
        losses.append(loss)
        slopes.append(torch.autograd.grad(loss, list(trained.parameters()))[0])
    whole = trained()
    (slope,) = torch.autograd.grad(whole, list(trained.parameters()))
    assert float(torch.stack(losses).mean().detach()) == pytest.approx(float(whole.detach()), rel=1e-12)
    assert torch.allclose(torch.stack(slopes).mean(0), slope, rtol=1e-12)


# --- what ties samples together -------------------------------------------------------------------------

TIED: dict[str, tuple[dict[str, Any], str, str]] = {
    "running total": ({"G2": "=F2", "G3_G24": "=G2+F{r}"}, "=G24/23", "G"),
    "the row above": ({"G2": "=F2", "G3_G24": "=F{r}-0.5*F2"}, "=AVERAGE(G2:G24)", "G"),
    "part of the rows": ({}, "=AVERAGE(F2:F20)", "Z1"),
    "rows but one": ({}, "=SUM(F3:F24)", "Z1"),
    "a single row": ({}, "=AVERAGE(F2:F24)+F7", "Z1"),
    "more than the rows": ({"F25": "=A1^2"}, "=AVERAGE(F2:F25)", "Z1"),
    "a product": ({}, "=PRODUCT(F2:F24)^0.01", "Z1"),
    "a pick": ({}, "=AVERAGE(F2:F24)+INDEX(F2:F24,3)", "Z1"),
    "a heap of samples and others": ({}, "=SUM(F2:F24,A1^2)", "Z1"),
    "averaged with others": ({}, "=AVERAGE(F2:F24,A1^2)", "Z1"),
    "turned around": ({}, "{=SUM(TRANSPOSE(F2:F24)*F2:F24)}", "Z1"),
    "each with each": (
        {"G2_G24": "{=MMULT(MMULT(C2:D24,TRANSPOSE(C2:D24)),F2:F24)}"},
        "=SUMSQ(G2:G24)",
        "G2",
    ),
    "the row above, in one array": ({"G3_G24": "{=F3:F24-0.5*F2:F23}"}, "=SUMSQ(G3:G24)", "G3"),
    "other rows' data": ({}, "=SUMPRODUCT((F2:F24-E1:E23)^2)", "Z1"),
    "a parameter of each row": (
        {"B2_B24": 0.1, "F2_F24": "=($A$1*C{r}+B{r}-E{r})^2"},
        "=AVERAGE(F2:F24)",
        "F2",
    ),
    "a window": ({"G2_G22": "=SUM(F{r}:F{above})"}, "=AVERAGE(G2:G22)", ""),
    "against all": ({"G2_G24": "=F{r}/SUM(F$2:F$24)"}, "=SUMSQ(G2:G24)", ""),
}


def filled(reference: str, content: str) -> Any:
    """`{r}` is filled in by the builder; a fixed row in the text is the row above the first."""
    if reference == "G3_G24" and not content.startswith("{"):
        above = {"=G2+F{r}": "=G{0}+F{1}", "=F{r}-0.5*F2": "=F{1}-0.5*F{0}"}[content]
        return [[above.format(row - 1, row)] for row in range(3, 25)]
    if isinstance(content, str) and "{above}" in content:
        return [[f"=SUM(F{row}:F{row + 2})"] for row in range(2, 23)]
    return content


@pytest.mark.parametrize("name", [name for name in TIED if name != "against all"])
def test_tied_samples_are_refused(tmp_path: Path, name: str) -> None:
    """By the cell that ties them, and only in batches: on all rows at once the same sheet trains."""
    more, pooled, cell = TIED[name]
    content = cells(pooled) | {key.replace("_", ":"): filled(key, text) for key, text in more.items()}
    params = "A1,B2:B24" if name == "a parameter of each row" else "A1:A3"
    trained = model(tmp_path, content, {**NAMES, "sgd_params": params})
    session = Session(trained, optimizer="sgd", lr=1e-5, steps=5)
    assert session.run() < session.loss_start
    with pytest.raises(FormulaError) as caught:
        Session(trained, optimizer="sgd", lr=1e-4, batch_size=5, steps=5).run()
    assert f"Model!{cell}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_rows_are_not_taken_apart(tmp_path: Path) -> None:
    """In programs for two samples, two constants would be taken for a column of them."""
    trained = model(tmp_path, cells("=AVERAGE(F2:F3)"), {**NAMES, "sgd_data": "C2:F3"})
    with refusal(ProblemError, cell="Model!C2:F3", cause="sgd_data is two rows only"):
        Session(trained, batch_size=1)


Chosen = Callable[[Tensor, Tensor], Tensor]
"""The loss of a batch from its errors [batch] and from its inputs D and weights G [batch, 2]; NaN is no weight."""

LEFT_OUT: dict[str, tuple[dict[str, Any], str, Chosen]] = {
    "text in place of an error": (
        {"H2_H24": '=IF(G{r}="","",F{r})'},
        "=AVERAGE(H2:H24)",
        lambda error, table: error[table[:, 1].isfinite()].mean(),
    ),
    "FALSE in place of an error": (
        {"H2_H24": "=IF(ISNUMBER(G{r}),F{r})"},
        "=SUM(H2:H24)/COUNT(H2:H24)",
        lambda error, table: error[table[:, 1].isfinite()].mean(),
    ),
    "in the array": ({}, "{=AVERAGE(IF(G2:G24>1,F2:F24))}", lambda error, table: error[table[:, 1] > 1].mean()),
    "by a criterion": ({}, '=AVERAGEIF(G2:G24,">1",F2:F24)', lambda error, table: error[table[:, 1] > 1].mean()),
    "beside data": ({}, "=SUM(F2:F24,D2:D24)", lambda error, table: (error + table[:, 0]).sum() * COUNT / len(error)),
    "larger than data": ({}, "=MAX(F2:F24,D2:D24)", lambda error, table: torch.maximum(error, table[:, 0]).max()),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_samples_that_are_left_out(tmp_path: Path, name: str) -> None:
    """Which samples count, and data that are summed up beside them, are those of the batch, not of the first rows."""
    more, pooled, chosen = LEFT_OUT[name]
    weights = [None if row % 5 in (1, 3) and row > 2 else 0.2 + row / 8 for row in range(COUNT)]
    trained = sheet(tmp_path, pooled, G2_G24=[[weight] for weight in weights], **more)
    errors = errors_by_hand(torch.tensor(START, dtype=torch.float64), torch.arange(COUNT))
    known = torch.tensor([math.nan if weight is None else weight for weight in weights], dtype=torch.float64)
    table = torch.column_stack([data()[:, 1], known])
    session = Session(trained, optimizer="sgd", lr=1e-15, batch_size=9, epochs=1, shuffle="no")
    expected = [float(chosen(*part)) for part in zip(errors.split(9), table.split(9), strict=True)]
    assert [step.loss for step in session] == pytest.approx(expected, rel=1e-9)


def test_blank_cells_that_the_first_rows_do_not_have(tmp_path: Path) -> None:
    """A program of the first rows would take nothing for 0 in other rows: refused, with the cell."""
    column = [[None if row == 20 else 1.0] for row in range(COUNT)]
    trained = sheet(tmp_path, "=SUMXMY2(F2:F24,G2:G24)", G2_G24=column)
    with refusal(FormulaError, cell="Model!Z1", cause="is a number in each of the first"):
        Session(trained, optimizer="sgd", batch_size=5, epochs=1)


def test_a_share_of_all_is_a_share_of_the_batch(tmp_path: Path) -> None:
    """A row may read all rows together (a softmax over the samples, say)."""
    more, pooled, _ = TIED["against all"]
    trained = sheet(tmp_path, pooled, **more)
    (step, *_) = Session(trained, optimizer="sgd", lr=1e-15, batch_size=5, epochs=1, shuffle="no")
    error = errors_by_hand(torch.tensor(START, dtype=torch.float64), torch.arange(5))
    shares = error / (error.sum() * COUNT / 5)
    assert step.loss == pytest.approx(float((shares**2).sum() * COUNT / 5), rel=1e-9)


# --- validation -----------------------------------------------------------------------------------------


def test_validation_rows(tmp_path: Path) -> None:
    """Trained on some rows, judged by the others; the loss cell still shows all."""
    marks = [index % 4 == 1 for index in range(COUNT)]
    for written in (
        [[mark] for mark in marks],
        [[int(mark)] for mark in marks],
        [[mark or None] for mark in marks],
    ):
        names = {**NAMES, "sgd_valid": "H2:H24", "sgd_metric": "Z2"}
        trained = model(tmp_path, {**cells(Z2="=MAX(F2:F24)"), "H2:H24": written}, names)
        weights = torch.tensor(START, dtype=torch.float64)
        training = torch.tensor([index for index, mark in enumerate(marks) if not mark])
        validation = torch.tensor([index for index, mark in enumerate(marks) if mark])
        session = Session(trained, optimizer="sgd", lr=0.1, steps=2)
        first = next(iter(session))
        assert first.loss == pytest.approx(float(errors_by_hand(weights, training).mean()), rel=1e-12)
        weights = torch.tensor(START, dtype=torch.float64)
        session.run()
        found = errors_by_hand(torch.tensor(values(trained), dtype=torch.float64), validation)
        assert session.valid_loss == pytest.approx(float(found.mean()), rel=1e-12)
        assert session.valid_metric == pytest.approx(float(found.max()), rel=1e-12)
        assert session.loss == float(trained().detach())


@pytest.mark.parametrize("every", [4, 11])
@pytest.mark.parametrize(
    ("pooled", "more"),
    [
        ("=SUMPRODUCT(F2:F24,G2:G24)/SUM(G2:G24)", {}),
        ("=SUMPRODUCT(F2:F24,G2:G24)/Y1", {"Y1": "=SUM(G2:G24)"}),
        ("=SUMPRODUCT(F2:F24,G2:G24)/Y2", {"Y1": "=SUM(G2:G24)", "Y2": "=Y1*1"}),
    ],
    ids=["in the formula", "in a cell", "in two cells"],
)
def test_validation_divides_by_the_weights_of_its_rows(
    tmp_path: Path, pooled: str, more: dict[str, Any], every: int
) -> None:
    """A weighted mean over the validation rows, and R² about their own mean; samples read means of all rows."""
    marks = torch.tensor([index % every == every - 2 for index in range(COUNT)])
    weights = torch.linspace(0.1, 3.0, COUNT, dtype=torch.float64)
    content = {
        **cells(pooled, Z2="=1-SUM(F2:F24)/DEVSQ(E2:E24)", Y5="=AVERAGE(C2:C24)", X2_X24=[[n] for n in range(COUNT)]),
        **more,
        f"G2:G{LAST}": [[float(weight)] for weight in weights],
        f"H2:H{LAST}": [[bool(mark)] for mark in marks],
        f"F2:F{LAST}": "=($A$1*(C{r}-$Y$5)+$A$2*(D{r}-AVERAGE(D$2:D$24))+$A$3+$X$2-E{r})^2",
    }
    trained = model(tmp_path, content, {**NAMES, "sgd_valid": "H2:H24", "sgd_metric": "Z2"})
    session = Session(trained, optimizer="sgd", lr=1e-3, steps=2)
    session.run()
    found, table = values(trained), data()
    inputs = table[:, :2] - table[:, :2].mean(0)
    errors = (found[0] * inputs[:, 0] + found[1] * inputs[:, 1] + found[2] - table[:, 2])[marks] ** 2
    output, weight = table[marks, 2], weights[marks]
    assert session.valid_loss == pytest.approx(float((errors * weight).sum() / weight.sum()), rel=1e-9)
    determination = 1 - float(errors.sum() / ((output - output.mean()) ** 2).sum())
    assert session.valid_metric == pytest.approx(determination, rel=1e-9)


def test_one_validation_row_has_no_deviations(tmp_path: Path) -> None:
    """Its weighted mean is its error; R² about its own mean would divide by 0 and is refused with its cell."""
    marks = {f"H2:H{LAST}": [[index == 6] for index in range(COUNT)]}
    weights = {f"G2:G{LAST}": [[float(index + 1)] for index in range(COUNT)]}
    content = {**cells("=SUMPRODUCT(F2:F24,G2:G24)/SUM(G2:G24)", Z2="=1-SUM(F2:F24)/DEVSQ(E2:E24)"), **marks, **weights}
    names = {**NAMES, "sgd_valid": "H2:H24"}
    trained = model(tmp_path, content, names)
    session = Session(trained, optimizer="sgd", lr=1e-3, steps=1)
    session.run()
    error = errors_by_hand(torch.tensor(values(trained), dtype=torch.float64), torch.tensor([6]))
    assert session.valid_loss == pytest.approx(float(error), rel=1e-9)
    with refusal(FormulaError, cell="Model!Z2", cause="is an error over the validation rows"):
        Session(model(tmp_path, content, {**names, "sgd_metric": "Z2"}), optimizer="sgd", steps=1)


def test_random_validation_rows(tmp_path: Path) -> None:
    chosen = []
    for seed in (1, 1, 2):
        session = Session(sheet(tmp_path), validation=0.3, seed=seed)
        samples = session._run.samples
        assert samples is not None
        assert len(samples.validation) == 7
        assert sorted([*samples.training.tolist(), *samples.validation.tolist()]) == list(range(COUNT))
        chosen.append(samples.validation.tolist())
    assert chosen[0] == chosen[1] != chosen[2]


def refused(folder: Path, kind: type[SgdSheetError], message: str, names: dict[str, str], **options: Any) -> None:
    more = options.pop("cells", {})
    trained = model(folder, {**cells(), **more}, {**NAMES, **names})
    with pytest.raises(kind, match=message) as caught:
        Session(trained, **options)
    assert "\n" not in str(caught.value)


def test_validation_of_the_wrong_shape(tmp_path: Path) -> None:
    marks = {"H2:H24": [[False]] * 22 + [[True]]}
    for wrong in ("H2:H23", "H3:H24", "H2:I24", "H2"):
        message = rf"Model!{wrong}: sgd_valid must be one column beside all rows of sgd_data"
        refused(tmp_path, ProblemError, message, {"sgd_valid": wrong}, cells=marks)
    text = {"H2:H24": [[False]] * 22 + [["no"]]}
    refused(tmp_path, DataError, r"Model!H24: “no” does not mark a row\. Write TRUE or FALSE, 1 or 0",
            {"sgd_valid": "H2:H24"}, cells=text)  # fmt: skip
    every = {"H2:H24": [[True]] * 23}
    refused(tmp_path, ProblemError, "all samples are validation rows", {"sgd_valid": "H2:H24"}, cells=every)


def test_marks_may_be_calculated(tmp_path: Path) -> None:
    """=ROW()>20 marks the last four rows, whether or not the file has its value."""
    names = {**NAMES, "sgd_valid": "H2:H24"}
    trained = model(tmp_path, {**cells(), "H2:H24": "=ROW(C{r})>20"}, names)
    samples = Session(trained, steps=1)._run.samples
    assert samples is not None
    assert samples.validation.tolist() == [19, 20, 21, 22]


EXCLUDED: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 5, "optimizer": "lbfgs"}, "L-BFGS needs all samples at once"),
    ({"early_stopping": 3}, "early stopping needs validation rows"),
    ({"restarts": 3, "optimizer": "lbfgs"}, "restarts do not go with lbfgs"),
    ({"restarts": 3, "optimizer": "wiggle"}, "restarts do not go with wiggle"),
    ({"restarts": 3, "validation": 0.3, "early_stopping": 2}, "early stopping does not go with restarts"),
    ({"restarts": 3, "optimizer": "accumulate"}, "keeping gradients does not go with restarts"),
    ({"restarts": 3, "zero_gradients": "no"}, "keeping gradients does not go with restarts"),
    ({"optimizer": "adam", "momentum": 0.5}, "momentum does not go with adam"),
    ({"optimizer": "rprop", "weight_decay": 0.5}, "weight decay does not go with rprop"),
    ({"schedule": "cosine"}, "a schedule does not go with lbfgs"),
    ({"optimizer": "annealing", "zero_gradients": "no"}, "keeping gradients does not go with annealing"),
]


@pytest.mark.parametrize(("options", "message"), EXCLUDED, ids=str)
def test_settings_that_exclude_each_other(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    refused(tmp_path, SettingError, f"^Model: {message}", {}, **options)


def test_no_samples_named(tmp_path: Path) -> None:
    names = {key: text for key, text in NAMES.items() if key != "sgd_data"}
    trained = model(tmp_path, cells(), names)
    for options in ({"batch_size": 5}, {"validation": 0.2}):
        with refusal(
            SettingError, cell="Model", cause="the sheet names none$", remedy="^Name the sample rows sgd_data"
        ):
            Session(trained, **options)  # type: ignore[arg-type]
    assert Session(trained, epochs=5, optimizer="sgd").plan.steps == 5
    assert Session(trained, epochs=5, steps=500, optimizer="sgd").plan.steps == 5
    assert Session(trained, epochs=500, steps=5, optimizer="sgd").plan.steps == 5


def test_early_stopping_in_batches(tmp_path: Path) -> None:
    """Best of the epochs by the validation rows, though nothing else picks the best of batches."""
    marks = [index % 3 == 0 for index in range(COUNT)]
    trained = model(tmp_path, {**cells(), "H2:H24": [[mark] for mark in marks]}, {**NAMES, "sgd_valid": "H2:H24"})
    session = Session(
        trained, optimizer="sgd", lr=0.05, momentum=0.9, batch_size=4, epochs=200, early_stopping=5, seed=1
    )
    seen = [(step.valid_loss, values(trained)) for step in session if step.epoch is not None]
    losses = [loss for loss, _ in seen if loss is not None]
    best = losses.index(min(losses))
    assert (session.stopped, session.reason) == ("early", "validation got no better for 5 epochs")
    assert len(losses) == best + 6
    assert values(trained) == seen[best][1]


def test_a_polynomial_in_batches(tmp_path: Path) -> None:
    """Inner arrays in the prediction (x^{2,1,0}) are cut along the samples only."""
    x = [0.1 * index + 0.1 for index in range(20)]
    y = [2 * item**2 - item + 0.3 for item in x]
    trained = polynomial(tmp_path, x, y, [0.0, 0.0, 0.0])
    assert Session(trained, optimizer="adam", lr=0.05, batch_size=5, epochs=600, seed=0).run() < 1e-4
    put(trained, [[2, -1, 0.3]])
    assert float(trained().detach()) == pytest.approx(0, abs=1e-20)
