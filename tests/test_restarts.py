"""Many starts at once: the same as one after the other, and never worse than the sheet."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.compiler.backward import many_starts
from sgdsheet.compiler.backward.flat_program import FlatProgram, recorded
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SettingError
from sgdsheet.problem.initialisers import parse_start_values
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import Settings
from sgdsheet.train import start_objectives
from sgdsheet.train.constrained.constraints import Bounds
from sgdsheet.train.drivers import restarts
from sgdsheet.train.restarts import BatchedStarts, Distribution, best_of, default_start, draw_start
from sgdsheet.train.session import Session
from sgdsheet.train.start_objectives import FlatObjectives, StartObjectives, VmapObjectives, flat_objectives
from sgdsheet.train.start_ranges import start_ranges
from sgdsheet.train.vectorized import for_vmap
from tests.errors import refusal
from tests.sheets import HOME, book, compiled
from tests.solver_models import AT_LEAST, AT_MOST, solver_names
from tests.training_books import model, put, values

ROWS = 8


def network(folder: Path) -> SheetModel:
    """Two ReLU units on eight samples, with a matrix product that the batched form turns around."""
    return model(
        folder,
        {
            "A1:B2": [[0.4, -0.2], [0.1, 0.3]],
            "A3:B3": [[0.1, -0.1]],
            "A4": 0.2,
            "D1:E8": [[math.sin(row), math.cos(2 * row)] for row in range(ROWS)],
            "F1:F8": [[math.sin(row) ** 2 + 0.3 * row / ROWS] for row in range(ROWS)],
            "G1:H8": "{=MMULT(D1:E8,A1:B2)+A3:B3}",
            "I1:I8": "=MAX(0,G{r})-MAX(0,H{r})+$A$4",
            "J1:J8": "=(I{r}-F{r})^2",
            "L1": "=AVERAGE(J1:J8)",
        },
        {"sgd_loss": "L1", "sgd_params": "A1:B2,A3:B3,A4", "sgd_data": "D1:J8"},
    )


def starts_of(trained: SheetModel, count: int, start: str, seed: int) -> BatchedStarts:
    """The starts that a run would draw, in float64."""
    parameters, generator = list(trained.program.parameters()), torch.Generator().manual_seed(seed)
    return BatchedStarts(
        parameters,
        lambda: draw_start(parameters, parse_start_values(start), generator),
        count,
    )


def objectives_of(trained: SheetModel, starts: BatchedStarts, how: str) -> StartObjectives:
    """The objectives of all starts in float64: by the flat program, or by vmap and autograd."""
    if how == "vmap":
        return VmapObjectives(for_vmap(trained.program), trained.parameter_names, trained.as_objective)
    found = flat_objectives(trained.program, trained.parameter_names, trained.as_objective, starts.cells())
    assert found is not None
    return found


@pytest.mark.parametrize("how", ["flat", "vmap"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "rprop"])
def test_the_same_as_one_by_one(tmp_path: Path, name: str, schedule: str, how: str) -> None:
    """Four starts at once are four runs of their own, digit for digit."""
    trained = network(tmp_path)
    starts = starts_of(trained, 4, "uniform 0.8", 3)
    firsts = [starts.values(index) for index in range(4)]
    starts.prepare(OPTIMIZERS[name], 0.05, Settings(), 25, schedule)
    objectives = objectives_of(trained, starts, how)
    losses = [starts.step(objectives).tolist() for _ in range(25)]
    ended = starts.losses(objectives).tolist()
    for index, first in enumerate(firsts):
        put(trained, first)
        seen, last, end = [], [], math.nan
        for step in Session(trained, optimizer=name, lr=0.05, schedule=schedule, steps=25):
            seen.append(step.loss)
            last, end = values(trained), float(trained().detach())
        assert [row[index] for row in losses] == pytest.approx(seen, rel=1e-10)
        assert torch.cat([item.flatten() for item in starts.values(index)]).tolist() == pytest.approx(last, rel=1e-8)
        assert ended[index] == pytest.approx(end, rel=1e-8)


def test_float32_exploration_is_close(tmp_path: Path) -> None:
    """What a run really does: float32 and turned products. Its first losses are those of float64."""
    trained = network(tmp_path)
    exact = starts_of(trained, 6, "uniform 0.5", 1)
    session = Session(trained, restarts=6, seed=1, start="uniform 0.5", optimizer="sgd", lr=0.05, steps=20)
    exact.prepare(OPTIMIZERS["sgd"], 0.05, Settings(), 20, "constant")
    objectives = objectives_of(trained, exact, "vmap")
    for step, _ in zip(restarts(session._run), range(20), strict=False):
        losses = exact.step(objectives)
        assert step.loss == pytest.approx(float(losses.min()), rel=1e-4)
        assert exact.lowest_now == float(losses.min())


@pytest.mark.parametrize("how", ["flat", "vmap"])
def test_groups_change_nothing(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More starts than fit into the cache, or into memory, are calculated group by group."""
    trained, found = network(tmp_path), []
    monkeypatch.setattr(many_starts, "_FEWEST", 1)
    for groups, most in ((1, 10**9), (3, 2), (5, 0)):
        starts = starts_of(trained, 5, "normal", 2)
        starts.prepare(OPTIMIZERS["adam"], 0.05, Settings(), 10, "constant")
        numbers = sum(buffer.numel() for buffer in trained.program.buffers())
        monkeypatch.setattr(start_objectives, "_NUMBERS_AT_ONCE", most * numbers)
        record = recorded(trained.program, list(trained.program.parameters()), trained.as_objective)
        monkeypatch.setattr(many_starts, "_CACHE", most * FlatProgram(trained.program.parameters(), record).nbytes)
        objectives = objectives_of(trained, starts, how)
        if isinstance(objectives, FlatObjectives):
            assert len(objectives.groups(5)) == groups
        found.append([starts.step(objectives).tolist() for _ in range(10)])
    assert np.array(found[1]) == pytest.approx(np.array(found[0]), rel=1e-12)
    assert np.array(found[2]) == pytest.approx(np.array(found[0]), rel=1e-12)


def test_parameters_stay_where_the_program_reads_them(tmp_path: Path) -> None:
    """A step copies neither the parameters of all starts nor their gradients; groups of starts have their own."""
    trained = network(tmp_path)
    starts = starts_of(trained, 5, "normal", 2)
    starts.prepare(OPTIMIZERS["adam"], 0.05, Settings(), 10, "constant")
    objectives = objectives_of(trained, starts, "flat")
    before = [stacked.clone() for stacked in starts.stacked]
    first = starts.step(objectives).clone()
    places = objectives.places(5)
    assert places is not None
    assert objectives.places(6) is None
    assert [item.data_ptr() for item in starts.moved] == [place.data_ptr() for place in places]
    assert objectives.values(before).tolist() == pytest.approx(first.tolist(), rel=1e-12)


def test_momentum_and_decay_apply(tmp_path: Path) -> None:
    trained = network(tmp_path)
    found = []
    for options in ({}, {"momentum": 0.9}, {"weight_decay": 0.5}):
        trained.reset_parameters()
        session = Session(trained, restarts=3, optimizer="sgd", lr=0.01, steps=30, seed=0, **options)  # type: ignore[arg-type]
        found.append([step.loss for step in session][-2])
    assert len({round(loss, 6) for loss in found}) == 3


@pytest.mark.parametrize("options", [{}, {"restarts": 64}], ids=str)
def test_calls_of_a_step(tmp_path: Path, options: dict[str, Any]) -> None:
    """A step of many starts calls no more functions, torch's operations among them, than one of a single run."""
    most = 170
    steps, calls = iter(Session(network(tmp_path), optimizer="adam", lr=0.05, steps=30, seed=0, **options)), 0

    def counted(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    list(itertools.islice(steps, 10))
    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        list(itertools.islice(steps, 10))
    finally:
        sys.setprofile(before)
    assert calls <= 10 * most, calls


# --- what comes out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": "sgd", "lr": 0.1}, {"batch_size": 3}, {"schedule": "cosine"}], ids=str
)
def test_the_best_is_kept(tmp_path: Path, options: dict[str, Any]) -> None:
    trained = network(tmp_path)
    session = Session(trained, restarts=20, seed=0, steps=150, **options)
    steps = list(session)
    spread = session.distribution
    assert spread is not None
    assert spread.starts == 20
    assert list(spread.losses) == sorted(spread.losses)
    assert spread.quantile(0.0) <= spread.quantile(0.5) <= spread.quantile(1.0) == spread.losses[-1]
    assert 1 <= spread.minima <= 20
    assert session.loss <= session.loss_start
    assert session.loss <= spread.losses[0] * (1 + 1e-4)
    assert session.loss == float(trained().detach())
    assert len(steps) == session.steps_taken == 151  # the last one chooses and polishes


def test_never_worse_than_the_sheet(tmp_path: Path) -> None:
    """The sheet's values are one of the starts, and are compared once more in the end."""
    trained = network(tmp_path)
    Session(trained).run()
    best = values(trained)
    session = Session(trained, restarts=2, seed=0, start="normal 50", optimizer="sgd", lr=1e-9, steps=3)
    assert session.run() <= session.loss_start
    assert values(trained) == pytest.approx(best, abs=1e-3)


def test_the_polish_takes_no_more_threads_than_the_run() -> None:
    """NumPy's threads wait for each other by turning in circles: on a busy machine that took six times the processor
    time. SciPy has a BLAS of its own, which the first least squares of a process load."""
    program = """
import sys
from threadpoolctl import threadpool_info
import sgdsheet
model = sgdsheet.compile(sgdsheet.load(sys.argv[1]), "fit")
session = sgdsheet.Session(model, **eval(sys.argv[2]))
session._run.fit is not None or sys.exit("no least squares")
pools = [{pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
         for _ in session]
print(len(pools[-1]), {threads for pool in pools for threads in pool.values()})
"""
    book = Path(__file__).parent.parent / "workbooks" / "linear_regression.xlsx"
    for options in ({"restarts": 3, "seed": 0, "steps": 2, "optimizer": "auto"}, {"optimizer": "auto"}):
        words = [sys.executable, "-c", program, str(book), repr(options)]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert found.split() == ["2", "{1}"], options


def test_a_blas_that_is_loaded_later_takes_no_more_threads() -> None:
    program = """
import sys
from threadpoolctl import threadpool_info
from sgdsheet.train.session import threads
assert "scipy.linalg" not in sys.modules
with threads(1, solving=True):
    import scipy.optimize
    print(*[pool["num_threads"] for pool in threadpool_info()])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {*found.split()} == {"1"}
    assert len(found.split()) >= 3  # those of NumPy, SciPy and torch


def test_no_steps(tmp_path: Path) -> None:
    session = Session(network(tmp_path), restarts=30, seed=0, steps=0, optimizer="sgd")
    assert session.run() <= session.loss_start
    assert session.distribution is not None


def test_starts_that_blow_up() -> None:
    """LN of a negative start is no number: those starts count as lost, the others go on."""
    trained = compiled({"A1": 2.0, "Z1": "=10*A1-LN(A1)"}, "A1")
    session = Session(trained, restarts=40, seed=0, start="normal", optimizer="sgd", lr=0.001, steps=100)
    assert session.run() < session.loss_start
    assert session.distribution is not None
    assert session.distribution.starts == 40
    assert 5 < len(session.distribution.losses) < 35
    assert all(math.isfinite(step) for step in session.distribution.losses)
    trained.reset_parameters()
    assert Session(trained, restarts=40, seed=0).run() == pytest.approx(1 + math.log(10), abs=1e-9)


def test_all_starts_blow_up() -> None:
    """In float32 nothing is left; the sheet's values stay."""
    trained = compiled({"A1": 1.5, "Z1": "=(A1*1E+200)^1.5"}, "A1")
    session = Session(trained, restarts=5, seed=0, steps=5)
    assert session.run() <= session.loss_start
    assert session.distribution is not None
    if not session.distribution.losses:
        assert math.isnan(session.distribution.quantile(0.5))


def test_distribution() -> None:
    losses = torch.tensor([3.0, math.nan, 1.0, 1.0 + 1e-9, math.inf, 2.0, -math.inf])
    chosen, spread = best_of(losses, 3)
    assert chosen == [2, 5, 0]
    assert spread == Distribution((1.0, 1.0 + 1e-9, 2.0, 3.0), 7) or spread.losses == (1.0, 1.0, 2.0, 3.0)
    assert spread.minima == 3
    empty = best_of(torch.tensor([math.nan]), 3)
    assert empty[0] == []
    assert math.isnan(empty[1].quantile(0.5))
    assert empty[1].minima == 0


@pytest.mark.parametrize(("numbers", "width"), [([0.1, -0.2, 0.3], 0.5), ([30.0, -40.0, 0.0], 60.0), ([0.0] * 3, 0.5)])
def test_default_start(numbers: list[float], width: float) -> None:
    (start,) = default_start([torch.tensor(numbers, dtype=torch.float64)])
    assert (start.initialiser.name, start.scale) == ("uniform", width)


# --- bounds ---------------------------------------------------------------------------------------------


def bounded(**names: Any) -> SheetModel:
    """A wave whose lowest valley within -3..3 is not the next one; its bounds come from Solver."""
    cells = {"A1": 2.5, "A2": 0.5, "Z1": "=SIN(5*A1)+0.1*A1^2+(A2-4)^2"}
    constraints = [("A1", AT_LEAST, -3.0), ("A1", AT_MOST, 3.0), ("A2", AT_MOST, 1.5)]
    text = solver_names("Z1", "A1:A2", 2, constraints, neg=2, **names)
    text = {key: value.replace("Model!", f"{HOME}!") for key, value in text.items()}
    return sgdsheet.compile(book(cells, names=text), HOME)


@pytest.mark.parametrize("options", [{}, {"optimizer": "adam", "lr": 0.1}, {"optimizer": "sgd", "lr": 0.01}], ids=str)
def test_bounds_are_kept(options: dict[str, Any]) -> None:
    trained = bounded()
    session = Session(trained, restarts=25, seed=1, start="uniform 3", steps=200, **options)
    session.run()
    x, y = values(trained)
    assert x == pytest.approx(-0.3117, abs=1e-2)
    assert y == pytest.approx(1.5, abs=1e-12)
    assert session.violation == 0.0
    trained.reset_parameters()
    assert Session(trained).run() > session.loss  # descent alone stays in its valley


@pytest.mark.parametrize("name", [row.name for row in OPTIMIZERS.values() if row.family is not Family.LINE_SEARCH])
def test_bounds_are_kept_by_every_method(name: str) -> None:
    trained = bounded()
    session = Session(trained, optimizer=name, steps=100, seed=0)
    for _ in session:
        x, y = values(trained)
        assert -3 <= x <= 3
        assert y <= 1.5
    assert session.loss < session.loss_start


def constrained_model() -> SheetModel:
    """The wave again, with a constraint that no bound expresses."""
    cells = {"A1": 2.5, "A2": 0.5, "B1": "=A1+A2", "Z1": "=SIN(5*A1)+0.1*A1^2+(A2-4)^2"}
    text = solver_names("Z1", "A1:A2", 2, [("B1", AT_MOST, 1.0)], neg=2)
    text = {key: value.replace("Model!", f"{HOME}!") for key, value in text.items()}
    return sgdsheet.compile(book(cells, names=text), HOME)


# --- the same seed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "batches", "bounded", "constrained"])
def test_bit_for_bit(tmp_path: Path, kind: str) -> None:
    options: dict[str, Any] = {"restarts": 5, "steps": 40}
    if kind == "batches":
        options["batch_size"] = 3
    found = []
    for seed in (4, 4, 5):
        trained = {"bounded": bounded, "constrained": constrained_model}.get(kind, lambda: network(tmp_path))()
        session = Session(trained, seed=seed, **options)
        found.append(([step.loss for step in session], values(trained), session.distribution))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


def test_start_entries(tmp_path: Path) -> None:
    trained = network(tmp_path)
    assert Session(trained, restarts=3, start="kaiming, zeros, keep", steps=3).run() > 0
    with refusal(SettingError, cell="Model", cause="start has 2 entries for 3 parameter ranges"):
        Session(trained, restarts=3, start="kaiming, zeros")


# --- magnitudes and bounds ----------------------------------------------------------------------------------


def ranges_of(
    values: list[float],
    lower: list[float] | None = None,
    upper: list[float] | None = None,
    bent: list[float] | None = None,
) -> Any:
    parameter = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    units = parameter.detach().abs().clamp(min=1e-4)

    def objective() -> torch.Tensor:
        return (bends * ((parameter - 2 * units) / units).square()).sum()

    bends = torch.ones_like(units) if bent is None else torch.tensor(bent, dtype=torch.float64)
    bounds = (
        None if lower is None or upper is None else Bounds(torch.tensor(lower).double(), torch.tensor(upper).double())
    )
    return start_ranges([parameter], bounds, objective)


def test_each_parameter_is_drawn_around_its_magnitude_or_in_its_box() -> None:
    far = math.inf
    assert ranges_of([0.5, -2.0, 0.0]) is None, "one width suits all"
    assert ranges_of([250.0, 5e-4], bent=[250.0**2, 5e-4**2]) is None, "a loss that bends alike, as a network's does"
    apart = ranges_of([250.0, 5e-4, 0.0])
    assert apart.widths[0].tolist() == [500.0, 1e-3, 0.5]
    drawn = torch.stack([apart.draw(torch.Generator().manual_seed(seed))[0] for seed in range(400)])
    assert (drawn.abs().max(dim=0).values / apart.widths[0]).tolist() == pytest.approx([1, 1, 1], abs=0.02)
    boxed = ranges_of([150.0, 1.0], [100.0, 0.0], [200.0, far])
    drawn = torch.stack([boxed.draw(torch.Generator().manual_seed(seed))[0] for seed in range(400)])
    assert drawn.min(dim=0).values.tolist() == pytest.approx([100, 0], abs=2)
    assert drawn[:, 0].max() == pytest.approx(200, abs=2)
    assert float((drawn[:, 1] == 0).double().mean()) < 0.01, "mirrored, not heaped up at the bound"
    fixed = ranges_of([3.0, 1.0], [3.0, 0.0], [3.0, 2.0])
    assert fixed.draw(torch.Generator())[0][0] == 3.0


def curve(folder: Path, start: Sequence[float]) -> SheetModel:
    """y = a (1 - exp(-b x)) with a = 240 and b = 5.5e-4, but with a loss that does not look like a sum of squares."""
    x = [50.0 * row for row in range(1, 19)]
    cells = {
        "A1:A2": [[item] for item in start],
        "C1:C18": [[item] for item in x],
        "D1:D18": [[240 * (1 - math.exp(-5.5e-4 * item))] for item in x],
        "E1:E18": "=LN(COSH(D{r}-$A$1*(1-EXP(-$A$2*C{r}))))",
        "Z1": "=SUM(E1:E18)",
    }
    return model(folder, cells, {"sgd_params": "A1:A2", "sgd_loss": "Z1"})


def test_magnitudes_that_are_far_apart(tmp_path: Path) -> None:
    """Drawn with one width, and trained with one learning rate for both, all starts ended at 532."""
    trained = curve(tmp_path, [500.0, 1e-4])
    session = Session(trained, restarts=20, steps=200, seed=1)
    session.run()
    assert values(trained) == pytest.approx([240, 5.5e-4], rel=1e-5)
    assert session.plan.learning_rate == 0.1
    assert session.distribution is not None
    assert session.distribution.quantile(0.5) < 50


def test_a_chosen_optimizer_keeps_the_units_of_the_cells(tmp_path: Path) -> None:
    session = Session(curve(tmp_path, [500.0, 1e-4]), restarts=3, steps=2, optimizer="adam", seed=1)
    session.run()
    assert session.plan.learning_rate == OPTIMIZERS["adam"].learning_rate
