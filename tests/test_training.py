"""Training: every optimizer, schedule and initialiser, because it is in a table; and the Python interface."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import DataError, SettingError, TrainingError
from sgdsheet.problem.initialisers import INITIALISERS
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.train.algorithms import OWN
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.sheets import HOME, book, compiled
from tests.training_books import fourth_power, losses, polynomial, put, values, write

X = [-1.0, -0.5, 0.2, 0.5, 1.0, 1.5]
Y = [2.5, 0.9, 0.2, 0.1, 0.8, 2.0]
START = [0.3, -0.4, 0.1]
GRADIENT = [row.name for row in OPTIMIZERS.values() if row.family is Family.GRADIENT]


@pytest.fixture
def curve(tmp_path: Path) -> SheetModel:
    """A parabola through six points: convex, and not too round a valley."""
    return polynomial(tmp_path, X, Y, START)


def least_squares() -> float:
    return float(np.mean((np.polyval(np.polyfit(X, Y, 2), X) - np.array(Y)) ** 2))


def by_hand(weights: Tensor) -> Tensor:
    """The sheet's loss, without the sheet."""
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    error: Tensor = weights[0] * x**2 + weights[1] * x + weights[2] - y
    return (error**2).mean()


# --- optimizers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(curve: SheetModel, name: str) -> None:
    session = Session(curve, optimizer=name, steps=300, seed=0)
    assert session.run() < session.loss_start
    assert session.loss == float(curve().detach())


REACHES = {
    "adagrad": 1.0,
    "adadelta": 5.0,
    "rmsprop": 0.002,
    "adamax": 0.02,
    "nadam": 0.02,
    "radam": 0.02,
    "asgd": 0.1,
}


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ("accumulate", "annealing")])
def test_every_optimizer_gets_there(curve: SheetModel, name: str) -> None:
    """With a learning rate for this sheet; rmsprop ends within the noise of its steps."""
    rate = REACHES.get(name, None if name in ("lbfgs", "wiggle", "evolutionary") else 0.05)
    options = {"lr": rate} if rate else {}
    assert Session(curve, optimizer=name, steps=1500, **options).run() == pytest.approx(least_squares(), rel=2e-3)


@pytest.mark.parametrize("momentum", [None, 0.0, 0.7])
@pytest.mark.parametrize("decay", [None, 0.1])
@pytest.mark.parametrize("name", GRADIENT)
def test_same_as_torch(curve: SheetModel, name: str, momentum: float | None, decay: float | None) -> None:
    """Step for step what the optimizer of torch does."""
    row = OPTIMIZERS[name]
    if (momentum is not None and not row.momentum) or (decay is not None and not row.weight_decay):
        if momentum == 0.0:
            return
        with refusal(SettingError, cell="Model", cause=f"does not go with {name}"):
            Session(curve, optimizer=name, momentum=momentum, weight_decay=decay)
        return
    options = dict(row.options)
    if momentum is not None:
        options["momentum"] = momentum
        if momentum == 0.0 and "nesterov" in options:
            options["nesterov"] = False
    if decay is not None:
        options["weight_decay"] = decay
    weights = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    kind = OWN.get(row.class_name) or getattr(torch.optim, row.class_name)
    optimizer = kind([weights], lr=row.learning_rate, **options)
    session = Session(curve, optimizer=name, momentum=momentum, weight_decay=decay, steps=30)
    for step in session:
        if not row.accumulates:
            optimizer.zero_grad()
        loss = by_hand(weights)
        loss.backward()
        optimizer.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-12)
        assert step.learning_rate == row.learning_rate
        if step.number < 30:
            assert values(curve) == pytest.approx(weights.tolist(), rel=1e-12)


def test_keeping_gradients(curve: SheetModel) -> None:
    """`zero gradients no` makes an `accumulate` of every optimizer; here of Adam."""
    weights = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = torch.optim.Adam([weights], lr=0.01)
    for step in Session(curve, optimizer="adam", zero_gradients="no", steps=25):
        loss = by_hand(weights)
        loss.backward()
        optimizer.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-12)


def test_wiggle_goes_down_only(curve: SheetModel) -> None:
    found = losses(curve, optimizer="wiggle", steps=100)
    assert all(after <= before for before, after in pairwise(found))


def test_annealing_leaves_a_local_minimum() -> None:
    """x⁴ - 8x² + 3x has its lower minimum at -2.1; from 1.9, descent stays where it is."""
    cells = {"A1": 1.9, "Z1": "=A1^4-8*A1^2+3*A1"}
    descended, annealed = compiled(cells, "A1"), compiled(cells, "A1")
    Session(descended).run()
    session = Session(annealed, optimizer="annealing", lr=0.5, steps=2000, seed=1)
    rises = sum(after > before for before, after in pairwise(step.loss for step in session))
    assert values(descended)[0] > 1.5
    assert values(annealed)[0] == pytest.approx(-2.088, abs=0.02)
    assert rises > 10


def test_gradient_norm(curve: SheetModel) -> None:
    weights = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    by_hand(weights).backward()
    assert weights.grad is not None
    for name in ("sgd", "lbfgs"):
        curve.reset_parameters()
        (step, *_) = Session(curve, optimizer=name, steps=1, measure_gradient=True)
        assert step.gradient_norm == pytest.approx(float(weights.grad.norm()), rel=1e-12)


# --- L-BFGS and what is not finite ----------------------------------------------------------------------


@pytest.mark.parametrize("start", [1.0, 5.0, 0.01, 300.0])
def test_walls_send_the_line_search_back(start: float) -> None:
    """Beyond 0 there is no logarithm, and the first step goes there."""
    model = compiled({"A1": start, "Z1": "=10*A1-LN(A1)"}, "A1")
    session = Session(model)
    session.run()
    assert values(model) == [pytest.approx(0.1, rel=1e-6)]
    assert session.stopped == "converged"


def test_no_finite_gradient() -> None:
    model = compiled({"A1": 1e-320, "A2": 1.0, "Z1": "=LOG10(A1)^2+A2^2"}, "A1:A2")
    session = Session(model)
    assert session.run() == session.loss_start
    assert (session.stopped, session.reason) == ("diverged", "the loss has no finite gradient at step 0")
    assert values(model) == [1e-320, 1]


def test_a_loss_that_is_no_number_at_the_start() -> None:
    model = compiled({"A1": -1.0, "Z1": "=LN(A1)+A1"}, "A1")
    with refusal(DataError, cell="Sheet1!Z1"):
        Session(model)


def test_a_loss_that_becomes_nan() -> None:
    model = compiled({"A1": 1.0, "Z1": "=10*A1-LN(A1)"}, "A1")
    session = Session(model, lr=1.0, steps=10)
    assert session.run() == session.loss_start == 10
    assert (session.stopped, session.reason) == ("diverged", "the loss became nan at step 1")
    assert values(model) == [1]
    assert session.steps_taken == 1


# --- the best parameters --------------------------------------------------------------------------------


def test_the_best_are_kept(tmp_path: Path) -> None:
    """Momentum swings past the minimum: what stays is the best that was seen, not the last."""
    trained = fourth_power(tmp_path, 1)
    session = Session(trained, optimizer="accumulate", lr=0.01, steps=30)
    found = [step.loss for step in session]
    assert session.loss == min(found)
    assert found[-1] > session.loss


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps(curve: SheetModel, steps: int) -> None:
    session = Session(curve, optimizer="sgd", steps=steps)
    assert len(list(session)) == session.steps_taken == steps
    assert (session.loss == session.loss_start) == (steps == 0)


def test_left_early(curve: SheetModel) -> None:
    session = Session(curve, optimizer="adam", steps=100)
    steps = iter(session)
    seen = [next(steps).loss for _ in range(7)]
    steps.close()  # type: ignore[attr-defined]
    assert session.steps_taken == 7
    assert session.loss <= min(seen)
    assert session.loss == float(curve().detach())


def test_taken_up_again(curve: SheetModel) -> None:
    """A second iteration goes on to the planned number of steps."""
    session = Session(curve, optimizer="sgd", lr=0.1, steps=10)
    for step in session:
        if step.number == 4:
            break
    assert [step.number for step in session] == [5, 6, 7, 8, 9, 10]
    assert list(session) == []


def test_maximum_and_target() -> None:
    cells = {"A1": 1.2, "Z1": "=5-(A1-2)^2"}
    cases = [({"solver_typ": "1"}, 0.0, 5.0), ({"solver_typ": "3", "solver_val": "4.75"}, 0.5, 4.75)]
    for names, expected, loss in cases:
        named = {"solver_opt": "Sheet1!$Z$1", "solver_adj": "Sheet1!$A$1", "solver_neg": "2", **names}
        model = problem(cells, named)
        for options in ({}, {"optimizer": "sgd", "lr": 0.2, "steps": 300}):
            model.reset_parameters()
            assert Session(model, **options).run() == pytest.approx(loss, abs=1e-9)  # type: ignore[arg-type]
            assert abs(values(model)[0] - 2) == pytest.approx(expected, abs=1e-4)


def problem(cells: dict[str, Any], names: dict[str, str]) -> SheetModel:
    return sgdsheet.compile(book(cells, names=names), HOME)


# --- schedules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_schedules_are_torchs(curve: SheetModel, name: str, optimizer: str) -> None:
    steps, rate = 40, 0.1
    row = SCHEDULES[name]
    weights = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    reference = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]([weights], lr=rate)
    scheduler = None
    if row.torch_name:
        options = dict(row.options(steps, rate))
        if name == "onecycle":
            options["cycle_momentum"] = optimizer != "sgd"
        scheduler = getattr(torch.optim.lr_scheduler, row.torch_name)(reference, **options)
    rates = []
    for step in Session(curve, optimizer=optimizer, lr=rate, schedule=name, steps=steps):
        assert step.learning_rate == float(reference.param_groups[0]["lr"])
        rates.append(step.learning_rate)
        reference.zero_grad()
        loss = by_hand(weights)
        loss.backward()
        reference.step()
        if scheduler is not None:
            scheduler.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-12)
    assert max(rates) == pytest.approx(rate, rel=0.01)
    if name in ("cosine", "exponential"):
        assert all(after < before for before, after in pairwise(rates))
        assert rates[-1] < 0.02 * rate
    if name == "warmrestarts":
        assert sum(after > before for before, after in pairwise(rates)) == 3


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_schedules_of_short_runs(curve: SheetModel, name: str, steps: int) -> None:
    assert len(losses(curve, optimizer="sgd", schedule=name, steps=steps)) == steps


@pytest.mark.parametrize("name", GRADIENT)
def test_every_optimizer_with_every_schedule(curve: SheetModel, name: str) -> None:
    for schedule in SCHEDULES:
        curve.reset_parameters()
        assert len(losses(curve, optimizer=name, schedule=schedule, steps=8)) == 8


# --- start values ---------------------------------------------------------------------------------------

INPUTS, UNITS = 200, 50


@pytest.fixture(scope="module")
def wide() -> SheetModel:
    """A weight matrix of 200 inputs and 50 units, a row of 50 constants, and a single cell."""
    cells = {
        "A1:AX200": 3.0,
        "A202:AX202": 4.0,
        "A204": 5.0,
        "Z300": "=SUMSQ(A1:AX200)+SUMSQ(A202:AX202)+A204^2",
    }
    return compiled(cells, "A1:AX200,A202:AX202,A204", loss="Z300")


def drawn(model: SheetModel, start: str, seed: int = 0) -> list[Tensor]:
    """The start values. The sheet's own are worse, so that a run of no steps keeps those drawn."""
    model.reset_parameters()
    Session(model, optimizer="sgd", start=start, seed=seed, steps=0).run()
    found = [tensor.detach().clone() for _, tensor in model.ranges()]
    model.reset_parameters()
    return found


WIDTHS = {
    "uniform": 0.5,
    "uniform 0.1": 0.1,
    "kaiming": math.sqrt(6 / INPUTS),
    "xavier": math.sqrt(6 / (INPUTS + UNITS)),
    "normal": 1.0,
    "normal 0.2": 0.2,
}


@pytest.mark.parametrize("start", WIDTHS)
def test_distributions(wide: SheetModel, start: str) -> None:
    weights, constants, single = drawn(wide, start)
    width = WIDTHS[start]
    assert abs(float(weights.mean())) < 5 * width / math.sqrt(weights.numel())
    if start.startswith("normal"):
        assert float(weights.std()) == pytest.approx(width, rel=0.03)
        assert float(weights.abs().max()) > 3 * width
    else:
        assert 0.999 * width < float(weights.abs().max()) <= width
        assert float(weights.std()) == pytest.approx(width / math.sqrt(3), rel=0.02)
    assert len({*weights.flatten().tolist()}) == weights.numel()
    assert constants.shape == (UNITS,)
    assert single.shape == ()


def test_zeros_and_keep(wide: SheetModel) -> None:
    assert [float(tensor.abs().sum()) for tensor in drawn(wide, "zeros")] == [0, 0, 0]
    assert [float(tensor.mean()) for tensor in drawn(wide, "keep")] == [3, 4, 5]


def test_one_start_per_range(wide: SheetModel) -> None:
    weights, constants, single = drawn(wide, "Kaiming, ZEROS,keep")
    assert float(weights.std()) == pytest.approx(math.sqrt(2 / INPUTS), rel=0.02)
    assert not constants.any()
    assert float(single) == 5
    with refusal(SettingError, cell="Sheet1", cause="start has 2 entries for 3 parameter ranges"):
        Session(wide, start="zeros, zeros")


@pytest.mark.parametrize("name", INITIALISERS)
def test_seeds_of_start_values(wide: SheetModel, name: str) -> None:
    one, same, other = drawn(wide, name, 1), drawn(wide, name, 1), drawn(wide, name, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert torch.equal(one[0], other[0]) == (INITIALISERS[name].distribution in ("keep", "zeros"))


def test_a_bad_start_does_not_replace_the_sheets_values() -> None:
    model = compiled({"A1": 2.0, "Z1": "=(A1-2)^2+1E-9*A1"}, "A1")
    session = Session(model, optimizer="sgd", start="normal 100", seed=0, steps=3, lr=1e-6)
    assert session.run() == session.loss_start
    assert values(model) == [2]


# --- the same seed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "annealing"},
        {"optimizer": "adam", "batch_size": 4},
        {"restarts": 6},
        {"start": "normal"},
    ],
    ids=str,
)
def test_same_seed_same_run(tmp_path: Path, options: dict[str, Any]) -> None:
    found = []
    for seed in (7, 7, 8):
        trained = polynomial(tmp_path, X, Y, START)
        found.append((losses(trained, steps=40, seed=seed, **options), values(trained)))
    assert found[0] == found[1]
    assert found[0] != found[2]


# --- the Python interface -------------------------------------------------------------------------------


def test_python_interface(tmp_path: Path) -> None:
    """The four lines of the documentation."""
    cells = {"A1:A2": [[1.0], [1.0]], "B1": "=(A1-3)^2+(A2-4)^2"}
    path = write(tmp_path / "book.xlsx", cells, {"sgd_loss": "B1", "sgd_params": "A1:A2"})
    model = sgdsheet.compile(sgdsheet.load(str(path)), sheet="Model")
    assert isinstance(model, torch.nn.Module)
    assert model().shape == ()
    assert model().item() == 13
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [(2,)]
    model().backward()
    assert next(iter(model.parameters())).grad.tolist() == [-4, -6]
    numbers = []
    for step in sgdsheet.Session(model, optimizer="adam", lr=0.01, steps=500):
        numbers.append(step.number)
    assert numbers == list(range(1, 501))
    assert model().item() < 0.1
    assert values(model) == pytest.approx([3, 4], abs=0.3)
    assert sgdsheet.Session(model).run() == pytest.approx(0, abs=1e-12)


def test_torch_alone_can_train_it() -> None:
    model = compiled({"A1": 1.0, "Z1": "=(A1-3)^2"}, "A1")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()
    assert values(model) == [pytest.approx(3)]


def test_lr_alone_means_sgd(curve: SheetModel) -> None:
    assert Session(curve, lr=0.1).plan.optimizer.name == "sgd"
    assert Session(curve, lr=0.1, optimizer="adam").plan.optimizer.name == "adam"
    assert Session(curve).plan.optimizer.name == "lbfgs"
    assert Session(curve, batch_size=2).plan.optimizer.name == "adam"
    assert Session(curve, restarts=2).plan.optimizer.name == "adam"


def test_unknown_option(curve: SheetModel) -> None:
    with refusal(SettingError, cause="“learning” is not a setting$", remedy="^Settings are .*learning_rate"):
        Session(curve, learning=0.1)


def test_threads_are_put_back(curve: SheetModel) -> None:
    """One thread within a step; between steps the caller has its own."""
    before, within = torch.get_num_threads(), []
    forward = curve.program.forward

    def watched() -> torch.Tensor:
        within.append(torch.get_num_threads())
        return forward()

    curve.program.forward = watched
    torch.set_num_threads(2)
    try:
        session = Session(curve, optimizer="sgd", steps=2)
        within.clear()
        for _ in session:
            assert torch.get_num_threads() == 2
        assert within[:2] == [1, 1]
    finally:
        torch.set_num_threads(before)


def test_no_finite_parameters_at_all(curve: SheetModel) -> None:
    """The session's last guard: someone else broke the parameters meanwhile."""
    session = Session(curve, optimizer="sgd", steps=2)
    steps = iter(session)
    next(steps)
    session._run.start = session._run.best = [torch.full((3,), torch.nan, dtype=torch.float64)]
    put(curve, [[math.nan] * 3])
    with refusal(TrainingError, cause="no parameters gave a finite loss"):
        list(steps)
