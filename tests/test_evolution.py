"""Searches with a population: many minima, steps, whole numbers in models that are not linear, permutations."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.errors import ProblemError, SettingError, TrainingError
from sgdsheet.train.constrained.constraints import compile_constraints, no_constraints
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.discrete.population import Population
from sgdsheet.train.discrete.search import Method
from tests import solver_models as models
from tests.errors import refusal
from tests.solver_models import ALL_DIFFERENT, AT_LEAST, AT_MOST, BINARY, EQUAL, INTEGER, MAX, MIN
from tests.test_integers import named, numbers, solved

EVOLUTIONARY = {"eng": 3}


def on_rows(count: int, start: float, formula: str, total: str) -> dict[str, Any]:
    """Parameters in A, a formula of each in B, and a loss; none of them starts at the same value."""
    return {
        "cells": {
            "A1": [[start + 0.37 * (row % 5)] for row in range(count)],
            "B1": [[formula.replace("#", str(row))] for row in range(1, count + 1)],
            "D1": total.replace("@", str(count)),
        },
        "loss": "D1",
        "params": f"A1:A{count}",
    }


GLOBAL = {
    "Rastrigin": ("=A#^2-10*COS(2*PI()*A#)+10", "=SUM(B1:B@)", 2.1, 5.12),
    "Ackley": (
        "=A#^2",
        "=20+EXP(1)-20*EXP(-0.2*SQRT(AVERAGE(B1:B@)))-EXP(SUMPRODUCT(COS(2*PI()*A1:A@))/@)",
        12.5,
        32.0,
    ),
    "Griewank": ("=COS(A#/SQRT(#))", "=SUMSQ(A1:A@)/4000-PRODUCT(B1:B@)+1", 333.0, 600.0),
    "Schwefel": ("=A#*SIN(SQRT(ABS(A#)))", "=418.9828872724338*@-SUM(B1:B@)", -301.0, 500.0),
    "Levy": (
        "=1+(A#-1)/4",
        "=SIN(PI()*B1)^2+SUMPRODUCT((B1:B@-1)^2*(1+10*SIN(PI()*B1:B@+1)^2))-10*(B@-1)^2*SIN(PI()*B@+1)^2"
        "+(B@-1)^2*SIN(2*PI()*B@)^2",
        -7.0,
        10.0,
    ),
    "Rosenbrock": ("=A#", "=SUMPRODUCT(100*(A2:A@-OFFSET(A1:A@,0,0,@-1)^2)^2+(1-OFFSET(A1:A@,0,0,@-1))^2)", -3.0, 5.0),
}
"""The formula of each row, the loss, where it starts, and the bounds; the global minimum is 0."""

PROVED = ("Rastrigin", "Ackley", "Griewank", "Rosenbrock")
"""Those of which interval arithmetic proves that nothing is below 0."""


@pytest.mark.parametrize(
    ("name", "count"),
    # The search for a proof in vain takes longer than the minimum: six dimensions of these are enough for a test.
    [(name, count) for name in GLOBAL for count in (2, 10 if name in PROVED else 6)],
)
def test_many_minima(name: str, count: int, tmp_path: Path) -> None:
    formula, total, start, bound = GLOBAL[name]
    constraints = [(f"A1:A{count}", AT_MOST, bound), (f"A1:A{count}", AT_LEAST, -bound)]
    model = models.model(tmp_path, **on_rows(count, start, formula, total), constraints=constraints, **EVOLUTIONARY)
    session = solved(model)
    assert session.plan.optimizer_name == "evolutionary"
    assert abs(session.loss) < 1e-9
    if name in PROVED:
        assert session.stopped == "optimal"
        assert session.reason.endswith("as interval arithmetic over the formulas proves")
    else:
        assert session.stopped == "best found"
        assert "nothing proves that it is the optimum (none can be better than -" in session.reason


@pytest.mark.parametrize("seed", [1, 6])
def test_later_populations_find_what_the_first_has_missed(seed: int, tmp_path: Path) -> None:
    """Seeds with which one population ends in another minimum of Griewank's function."""
    formula, total, _, bound = GLOBAL["Griewank"]
    constraints = [("A1:A10", AT_MOST, bound), ("A1:A10", AT_LEAST, -bound)]
    model = models.model(tmp_path, **on_rows(10, 333.0, formula, total), constraints=constraints, **EVOLUTIONARY)
    assert abs(solved(model, seed=seed).loss) < 1e-9


INTERVALS = {
    "a minimum": ("=(ROUND(A1,0)-2)^2+ABS(INT(B1))-4", MIN, -4.0, "optimal"),
    "a maximum": ("=9-2*ABS(ROUND(A1,0)-B1)-MOD(INT(B1*10),5)^2", MAX, 9.0, "optimal"),
    "a bound that is not reached": ("=SIN(ROUND(A1,0))+COS(ROUND(A1,0))+INT(B1)", MIN, -8.0, "best found"),
    "of bounds alone": ("=ROUND(A1,0)+2*INT(B1)", MIN, -18.0, "optimal"),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_what_interval_arithmetic_proves(name: str, tmp_path: Path) -> None:
    formula, kind, bound, ending = INTERVALS[name]
    bounds = [("A1:B1", AT_MOST, 6), ("A1:B1", AT_LEAST, -6)]
    session = solved(models.model(tmp_path, {"A1": [[1.3, 3.6]], "A3": formula}, "A3", "A1:B1", kind, bounds))
    assert session.plan.optimizer_name == "evolutionary"
    assert session.loss_bound == pytest.approx(bound, abs=1e-9)
    assert session.stopped == ending
    if ending == "optimal":
        assert session.loss == pytest.approx(bound, abs=1e-9)
    else:
        assert session.loss > bound
        assert "nothing proves that it is the optimum (none can be better than -8)" in session.ending


def test_without_bounds_the_box_is_said_and_gets_wider(tmp_path: Path) -> None:
    """The minimum is far outside of the box around the start."""
    cells = {"A1": [[1.0, 1.0]], "A2": "=ROUND(A1,0)^2-10000*ROUND(A1,0)+25000000+(ROUND(B1,0)+7)^2"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, neg=2)
    session = solved(model)
    assert session.loss == 0
    assert session.loss_bound is None
    assert "Model!A1 and 1 others without bounds, searched from" in session.ending


@pytest.mark.parametrize("formula", ["=-ROUND(A1,0)*B1", "=A1*B1-2*A1^2"])
def test_without_limit(formula: str, tmp_path: Path) -> None:
    model = models.model(tmp_path, {"A1": [[3.0, 1.0]], "A3": formula}, "A3", "A1:B1", MIN, [("B1", AT_MOST, 9)])
    with refusal(TrainingError, cell="Model!A1", cause="gets better and better", remedy="Give it a bound"):
        sgdsheet.Session(model, trust_formulas=True, optimizer="evolutionary").run()
    assert numbers(model) == [3.0, 1.0]


STEPPED = {
    "rounded": ("=(ROUND(A1,1)-2.3)^2+(B1-0.5)^2", 0.0),
    "compared": ("=IF(A1>2,1,3)+IF(B1<-1,1,2)", 2.0),
    "looked up by a position": ("=INDEX(D1:D6,ROUND(A1,0))+B1^2", 1.0),
    "looked up": ("=VLOOKUP(A1,$F$1:$G$6,2)+VLOOKUP(ROUND(B1,0),$F$2:$G$6,2,FALSE)", 4.0),
    "matched": ("=INDEX(G2:G6,MATCH(A1,F2:F6))+XLOOKUP(B1,F2:F6,G2:G6,99,1)", 4.0),
    "chosen": ("=CHOOSE(ROUND(A1,0),9,7,8)+ABS(INT(B1))", 7.0),
    "rounded up and cut": ("=ABS(ROUNDUP(A1,1)-1.6)+ABS(TRUNC(B1)-2)+MOD(INT(A1*10),5)", 0.0),
}


@pytest.mark.parametrize("name", STEPPED)
def test_losses_without_a_gradient(name: str, tmp_path: Path) -> None:
    """They are searched without being told to."""
    formula, best = STEPPED[name]
    cells: dict[str, Any] = {"A1": [[1.0, 3.0]], "A3": formula, "D1": [[5], [3], [8], [1], [9], [4]]}
    cells["F1"] = [["from", "price"], [0, 8], [2, 5], [3, 6], [4, 2], [5, 7]]
    constraints = [("A1:B1", AT_MOST, 6), ("A1", AT_LEAST, 1), ("B1", AT_LEAST, -3)]
    session = solved(models.model(tmp_path, cells, "A3", "A1:B1", MIN, constraints))
    assert session.plan.optimizer_name == "evolutionary"
    assert session.loss == pytest.approx(best, abs=1e-5)


def test_named_gradient_optimizers_still_refuse_steps(tmp_path: Path) -> None:
    cells = {"A1": [[1.0, 3.0]], "A2": "=(ROUND(A1,0)-7)^2+B1^2"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, neg=2)
    with refusal(ProblemError, cell="Model!A1", cause=r"only in steps \(ROUND in Model!A2\)", remedy="evolutionary"):
        sgdsheet.Session(model, trust_formulas=True, optimizer="adam")


@pytest.mark.parametrize(
    "options", [{"restarts": 3}, {"lr": 0.1}, {"validation": 0.2}, {"compile": True}, {"early_stopping": 3}]
)
def test_what_does_not_go_with_a_search(options: dict[str, Any], tmp_path: Path) -> None:
    cells = {"A1": [[1.0, 3.0]], "A2": "=(ROUND(A1,0)-7)^2+B1^2"}
    with refusal(SettingError, cell="Model"):
        sgdsheet.Session(models.model(tmp_path, cells, "A2", "A1:B1", MIN), optimizer="evolutionary", **options)


def test_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    found = []
    for seed in (3, 3, 4):
        model = models.model(tmp_path, **on_rows(4, 2.0, "=SIN(A#*3)+A#^2/50+ROUND(A#,1)/7", "=SUM(B1:B@)"), neg=2)
        session = sgdsheet.Session(model, trust_formulas=True, optimizer="evolutionary", seed=seed, steps=40)
        found.append([step.loss for step in session] + numbers(model))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_steps_end_a_search(tmp_path: Path) -> None:
    model = models.model(tmp_path, **on_rows(4, 2.0, "=SIN(A#*3)+A#^2/50", "=SUM(B1:B@)"), neg=2)
    session = sgdsheet.Session(model, trust_formulas=True, optimizer="evolutionary", steps=5)
    session.run()
    assert (session.steps_taken, session.stopped) == (5, "steps")
    assert session.loss < session.loss_start


def test_no_steps_change_nothing(tmp_path: Path) -> None:
    model = models.model(tmp_path, **on_rows(3, 2.0, "=SIN(A#*3)", "=SUM(B1:B@)"), neg=2)
    before = numbers(model)
    sgdsheet.Session(model, trust_formulas=True, optimizer="evolutionary", steps=0).run()
    assert numbers(model) == before


def test_names_of_our_own(tmp_path: Path) -> None:
    cells = {"A1": [[1.0], [2.0], [3.0]], "B1": "=(ROUND(A1,0)-4)^2+ABS(A2*A3-7)+ABS(A2-A3)"}
    model = named(tmp_path, cells, sgd_loss="$B$1", sgd_params="$A$1:$A$3")
    session = solved(model, optimizer="evolutionary")
    assert session.loss == pytest.approx(0, abs=1e-6)


# --- one point alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in GLOBAL if name != "Rosenbrock"])  # a valley, for descent
def test_annealing_finds_its_way_among_many_minima(name: str, tmp_path: Path) -> None:
    """With nothing said but the optimizer; moves that did not adapt ended at 59 on Rastrigin's function."""
    formula, total, start, bound = GLOBAL[name]
    constraints = [("A1:A10", AT_MOST, bound), ("A1:A10", AT_LEAST, -bound)]
    model = models.model(tmp_path, **on_rows(10, start, formula, total), constraints=constraints, neg=2)
    session = sgdsheet.Session(model, trust_formulas=True, optimizer="annealing", seed=1)
    assert session.run() < (0.3 if name == "Griewank" else 0.01)
    assert all(abs(number) <= bound for number in numbers(model))


def test_annealing_and_wiggle_take_steps(tmp_path: Path) -> None:
    for name, best in (("annealing", 0.0), ("wiggle", 0.0)):
        cells = {"A1": [[3.0, 4.0]], "A3": "=(ROUND(A1,0)-7)^2+ABS(INT(B1)-2)"}
        session = sgdsheet.Session(models.model(tmp_path, cells, "A3", "A1:B1", MIN, neg=2), trust_formulas=True,
                                   optimizer=name)  # fmt: skip
        assert session.run() == best
        assert session.stopped in ("steps", "stalled")


def test_annealing_does_not_care_about_units(tmp_path: Path) -> None:
    """One parameter is measured in millionths of the other's unit."""
    cells = {"A1": [[2e6, 3.0]], "A2": "=(A1/1000000-5)^2-3*COS(4*(A1/1000000-5))+(B1+2)^2-3*COS(4*(B1+2))"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, neg=2)
    session = sgdsheet.Session(model, trust_formulas=True, optimizer="annealing", seed=2)
    assert session.run() == pytest.approx(-6, abs=1e-3)


# --- whole numbers ------------------------------------------------------------------------------------------


def test_few_points_are_all_tried(tmp_path: Path) -> None:
    """The gear train: which teeth give the ratio 1/6.931 best (Sandgren, 1990)."""
    cells = {"A1": [[20, 20, 20, 20]], "A2": "=(1/6.931-A1*B1/(C1*D1))^2*1000000000000"}
    constraints = [("A1:D1", AT_LEAST, 12), ("A1:D1", AT_MOST, 40), ("A1:D1", INTEGER, "integer")]
    session = solved(models.model(tmp_path, cells, "A2", "A1:D1", MIN, constraints))
    teeth = np.arange(12.0, 41.0)
    a, b, c, d = np.meshgrid(teeth, teeth, teeth, teeth, indexing="ij")
    best = ((1 / 6.931 - a * b / (c * d)) ** 2 * 1e12).min()
    assert session.loss == pytest.approx(best, rel=1e-6)
    assert session.stopped == "optimal"
    assert session.ending == f"optimal: all {29**4:,} points were tried"
    assert session.loss_bound == session.loss


def test_the_gear_train_is_proved_where_it_is_larger(tmp_path: Path) -> None:
    """From 12 to 60 teeth there are six million points; the best is known (Sandgren 1990): 16 19 / 43 49."""
    cells = {"A1": [[20, 20, 20, 20]], "A2": "=(1/6.931-A1*B1/(C1*D1))^2"}
    constraints = [("A1:D1", AT_LEAST, 12), ("A1:D1", AT_MOST, 60), ("A1:D1", INTEGER, "integer")]
    session = solved(models.model(tmp_path, cells, "A2", "A1:D1", MIN, constraints))
    assert session.loss == pytest.approx((1 / 6.931 - 16 * 19 / (43 * 49)) ** 2, rel=1e-9)
    assert session.plan.optimizer_name == "branch and bound (intervals)"
    assert session.ending.startswith("optimal: proved by branch and bound with interval arithmetic, in ")


def test_whole_prices_by_branch_and_bound(tmp_path: Path) -> None:
    """Prices with rounded demand that must not add up to too much: 26⁵ points, and steps that have no gradient."""
    random, count, most = np.random.default_rng(1), 5, 60
    base, elasticity = random.uniform(50, 200, count).round(1), -random.uniform(0.5, 2.2, count).round(2)
    cost = random.uniform(3, 9, count).round(1)
    rows = [
        [
            10,
            base[i],
            elasticity[i],
            cost[i],
            f"=INT(B{i + 1}*(A{i + 1}/10)^C{i + 1})",
            f"=(A{i + 1}-D{i + 1})*E{i + 1}",
        ]
        for i in range(count)
    ]
    cells = {"A1": rows, "H1": "=SUM(F1:F5)", "H2": "=SUM(A1:A5)"}
    constraints = [
        ("A1:A5", AT_LEAST, 5), ("A1:A5", AT_MOST, 30), ("A1:A5", INTEGER, "integer"), ("H2", AT_MOST, most)
    ]  # fmt: skip
    session = solved(models.model(tmp_path, cells, "H1", "A1:A5", MAX, constraints))
    best = {0: 0.0}  # the highest profit by the sum of the prices so far
    for i in range(count):
        gains = {p: (p - cost[i]) * np.floor(base[i] * (p / 10) ** elasticity[i]) for p in range(5, 31)}
        sums = [(total + p, gain + before) for total, before in best.items() for p, gain in gains.items()]
        best = {total: max(gain for other, gain in sums if other == total) for total, _ in sums if total <= most}
    assert session.loss == pytest.approx(max(best.values()), rel=1e-12)
    assert session.stopped == "optimal"


def test_whole_numbers_beside_others_by_branch_and_bound(tmp_path: Path) -> None:
    """Six products of whole numbers with a continuous factor: the bound comes close, and is said."""
    cells = {"A1": [[3, 1.0]], "A2": "=A1*(2+B1^2)+60/(A1*B1)", "A3": "=A1*B1"}
    constraints = [("A1:B1", AT_LEAST, 0.5), ("A1:B1", AT_MOST, 20), ("A1", INTEGER, "integer"), ("A3", AT_LEAST, 4)]
    session = solved(models.model(tmp_path, cells, "A2", "A1:B1", MIN, constraints))
    radius = np.linspace(0.5, 20, 2_000_001)
    best = min((n * (2 + radius**2) + 60 / (n * radius))[n * radius >= 4].min() for n in range(1, 21))
    assert session.loss == pytest.approx(best, rel=1e-7)
    assert session.loss_bound is not None
    assert best * (1 - 1e-5) < session.loss_bound <= best + 1e-9
    assert "of the best possible" in session.ending


def test_branch_and_bound_finds_that_nothing_will_do(tmp_path: Path) -> None:
    cells = {"A1": [[30, 40, 50, 60]], "A2": "=A1*B1*C1*D1", "A3": "=A1^2+B1^2+C1^2+D1^2"}
    constraints = [("A1:D1", AT_MOST, 99), ("A1:D1", INTEGER, "integer"), ("A3", EQUAL, 0.5)]
    model = models.model(tmp_path, cells, "A2", "A1:D1", MIN, constraints)
    with refusal(TrainingError, cell="Model!A3", cause="no point that meets all constraints"):
        sgdsheet.Session(model, trust_formulas=True).run()
    assert numbers(model) == [30.0, 40.0, 50.0, 60.0]


def test_a_knapsack_with_a_bonus_for_pairs(tmp_path: Path) -> None:
    """Not linear: things that belong together are worth more. All subsets are tried here."""
    random = np.random.default_rng(4)
    worth, weight = random.integers(5, 40, 12).astype(float), random.integers(5, 40, 12).astype(float)
    cells = {
        "A1": [[0.0, one, two] for one, two in zip(worth, weight, strict=True)],
        "E1": "=SUMPRODUCT(A1:A12,B1:B12)+9*SUMPRODUCT(A1:A11,A2:A12)",
        "E2": "=SUMPRODUCT(A1:A12,C1:C12)",
    }
    constraints = [("E2", AT_MOST, 120), ("A1:A12", BINARY, "binary")]
    session = solved(models.model(tmp_path, cells, "E1", "A1:A12", MAX, constraints))
    chosen = np.array(list(itertools.product([0.0, 1.0], repeat=12)))
    values = chosen @ worth + 9 * (chosen[:, :-1] * chosen[:, 1:]).sum(axis=1)
    assert session.loss == values[chosen @ weight <= 120].max()
    assert session.stopped == "optimal"


def test_no_point_meets_the_constraints(tmp_path: Path) -> None:
    cells = {"A1": [[3, 4]], "A2": "=A1*B1", "A3": "=A1^2+B1^2"}
    constraints = [("A1:B1", AT_MOST, 9), ("A1:B1", INTEGER, "integer"), ("A3", EQUAL, 7)]
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, constraints)
    with refusal(TrainingError, cell="Model!A3", cause="no point that meets all constraints .* violated by 1"):
        sgdsheet.Session(model, trust_formulas=True).run()
    assert numbers(model) == [3.0, 4.0]


def test_bounds_that_no_permutation_meets(tmp_path: Path) -> None:
    cells = {"A1": [[1, 1, 1]], "A3": "=3*A1*B1+5*B1+C1"}
    constraints = [("A1:C1", ALL_DIFFERENT, "AllDifferent"), ("A1:B1", AT_LEAST, 3)]
    model = models.model(tmp_path, cells, "A3", "A1:C1", MAX, constraints)
    with refusal(TrainingError, cell="Model!A3", cause="no whole numbers within the bounds"):
        sgdsheet.Session(model, trust_formulas=True).run()
    assert numbers(model) == [1.0, 1.0, 1.0]


# --- permutations -------------------------------------------------------------------------------------------


def tour(count: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """A round trip through cities in the order of the parameters, by INDEX into the table of distances."""
    places = np.random.default_rng(seed).random((count, 2)) * 100
    distances = np.round(np.linalg.norm(places[:, None] - places[None], axis=2), 2)
    last, top = "BCDEFGHIJKLMNOPQRSTUVWXYZ"[count - 1], count + 3
    stages = [f"=INDEX($B$1:${last}${count},A{top + i},A{top + (i + 1) % count})" for i in range(count)]
    model = {
        "cells": {
            "B1": distances.tolist(),
            f"A{top}": [[float(city + 1), stage] for city, stage in enumerate(stages)],
            "A1": f"=SUM(B{top}:B{top + count - 1})",
        },
        "loss": "A1",
        "params": f"A{top}:A{top + count - 1}",
        "constraints": [(f"A{top}:A{top + count - 1}", ALL_DIFFERENT, "AllDifferent")],
    }
    return model, distances


def shortest(distances: np.ndarray) -> float:
    """The shortest round trip, by dynamic programming over sets of cities (Held and Karp, 1962)."""
    count = len(distances)
    best = np.full((1 << (count - 1), count - 1), math.inf)
    for city in range(count - 1):
        best[1 << city, city] = distances[-1, city]
    for visited in range(1, 1 << (count - 1)):
        for city in range(count - 1):
            if visited >> city & 1 and visited != 1 << city:
                before = best[visited ^ (1 << city)] + distances[:-1, city]
                best[visited, city] = before.min()
    return float((best[-1] + distances[:-1, -1]).min())


def test_a_small_round_trip_is_proved(tmp_path: Path) -> None:
    model, distances = tour(7, 1)
    session = solved(models.model(tmp_path, **model))
    best = min(
        sum(distances[order[i], order[(i + 1) % 7]] for i in range(7)) for order in itertools.permutations(range(7))
    )
    assert session.loss == pytest.approx(best, rel=1e-12)
    assert session.ending == "optimal: all 5,040 points were tried"


def test_a_longer_round_trip_is_proved(tmp_path: Path) -> None:
    model, distances = tour(12, 2)
    compiled = models.model(tmp_path, **model)
    session = solved(compiled)
    assert session.loss == pytest.approx(shortest(distances), rel=1e-12)
    assert sorted(numbers(compiled)) == list(range(1, 13))
    assert session.stopped == "optimal"
    assert session.plan.search is not None
    assert session.plan.search.method is Method.BRANCH_AND_BOUND


# --- populations --------------------------------------------------------------------------------------------


def test_a_population_is_evaluated_as_the_model_itself(tmp_path: Path) -> None:
    model = models.model(tmp_path, **models.HS71)
    constraints = compile_constraints(model)
    assert constraints is not None
    flat = FlatModel(model, constraints)
    points = np.random.default_rng(0).random((7, 4)) * 4 + 1
    losses, residuals = Population(flat).values(points)
    expected = [flat.at(point) for point in points]
    assert np.allclose(losses, [point.loss for point in expected], rtol=1e-14)
    assert np.allclose(residuals, [point.residuals for point in expected], rtol=1e-14, atol=1e-13)


def test_what_cannot_be_batched_is_tried_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("vmap: no batching rule")

    monkeypatch.setattr("sgdsheet.train.discrete.population.many_values", lambda *_: None)
    monkeypatch.setattr("sgdsheet.train.discrete.population.vmap", refuse)
    cells = {"A1": [[1.0, 3.0]], "A2": "=ROUND(A1,0)^2-14*ROUND(A1,0)+49+B1^2"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, [("A1:B1", AT_MOST, 9), ("A1:B1", AT_LEAST, -9)])
    session = solved(model, time_limit=2)
    assert session.loss == pytest.approx(0, abs=1e-3)
    assert "one by one" in session.ending


def test_a_slow_clock_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found depends on the points that are tried, not on the seconds, unless somebody has set a limit."""
    cells = {"A1": [[4.3, -3.7]], "A2": "=20+A1^2-10*COS(2*PI()*A1)+B1^2-10*COS(2*PI()*B1)"}
    limits = [("A1:B1", AT_MOST, 5.12), ("A1:B1", AT_LEAST, -5.12)]
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, limits, neg=2)
    quick = solved(model, optimizer="evolutionary", seed=1)
    clock = itertools.count(0.0, 1000.0)
    monkeypatch.setattr("sgdsheet.train.discrete.evolution.time.monotonic", lambda: next(clock))
    again = models.model(tmp_path, cells, "A2", "A1:B1", MIN, limits, neg=2)
    slow = solved(again, optimizer="evolutionary", seed=1)
    assert (slow.loss, slow.ending) == (quick.loss, quick.ending)
    assert again.parameter_cells() == model.parameter_cells()
    limited = solved(
        models.model(tmp_path, cells, "A2", "A1:B1", MIN, limits, neg=2), optimizer="evolutionary", time_limit=5
    )
    assert limited.stopped == "time"


def test_errors_are_no_solutions(tmp_path: Path) -> None:
    """Below 2 the loss is an error, and lower values than elsewhere stand right beside it."""
    cells = {"A1": [[5.0, 1.0]], "A2": "=SQRT(A1-2)+ROUND(B1,0)^2"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, [("A1:B1", AT_MOST, 9), ("A1:B1", AT_LEAST, -9)])
    assert solved(model).loss == pytest.approx(0, abs=1e-3)


def test_nothing_restricts_a_model_without_constraints(tmp_path: Path) -> None:
    model = models.model(tmp_path, **{**models.ROSENBROCK, "constraints": []})
    found = no_constraints(model)
    assert found.bounds.count == 0
    assert torch.equal(found.residuals(), torch.zeros(0, dtype=torch.float64))
