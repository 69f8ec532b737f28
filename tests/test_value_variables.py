"""Functions of one or two whole numbers as linear models: what HiGHS proves of them is what trying all points gives."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsheet.compiler.model import SheetModel, compile
from sgdsheet.errors import TrainingError
from sgdsheet.train.constrained.constraints import compile_constraints
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.discrete.integer_linear import solve_integer_linear
from sgdsheet.train.discrete.looks import PROVED, Limits
from sgdsheet.train.discrete.population import Population
from sgdsheet.train.discrete.value_variables import tabulated_programme
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.solver_models import ALL_DIFFERENT, AT_LEAST, AT_MOST, BINARY, INTEGER, MAX, MIN, workbook

RANDOM = np.random.default_rng(5)
TABLE = RANDOM.integers(1, 50, (7, 7)).tolist()
FLOWS = RANDOM.integers(0, 9, (5, 5)).tolist()
ORDER = {"A1": [[1, 2, 3, 4, 5]], "A3": TABLE, "A11": FLOWS, "H1": [[7, 3, 9, 4, 6]], "H2": [[2, 8, 5, 1, 4]]}
ORDERED = [("A1:E1", ALL_DIFFERENT, "AllDifferent")]
BITS = {"A1": [[0, 0, 0, 0, 0, 0]], "A3": TABLE, "H1": [[7, 3, 9, 4, 6, 5]]}
BINARIES = [("A1:F1", BINARY, "binary")]
NUMBERS = {"A1": [[1, 1, 1]], "H1": [[2, 5, 1, 7]]}
FEW = [("A1:C1", INTEGER, "integer"), ("A1:C1", AT_LEAST, 0), ("A1:C1", AT_MOST, 3)]


def legs(count: int, corner: str = "$A$3:$G$9") -> str:
    columns = "ABCDEFG"[:count]
    steps = zip(columns, columns[1:] + columns[0], strict=True)
    return "+".join(f"INDEX({corner},{one}1,{two}1)" for one, two in steps)


MODELS: dict[str, tuple[dict[str, Any], int, list[Any]]] = {
    "a round trip": (ORDER | {"J9": f"={legs(5)}"}, MIN, ORDERED),
    "two orders of a table": (ORDER | {"J9": f"={legs(5)}+INDEX(H1:L1,A1)*3-INDEX(H2:L2,E1)"}, MAX, ORDERED),
    "quadratic assignment": (
        ORDER
        | {"J9": "=" + "+".join(f"{FLOWS[i][j]}*INDEX($A$3:$G$9,{a}1,{b}1)" for (i, a), (j, b) in
                               product(enumerate("ABCDE"), repeat=2))},
        MIN,
        ORDERED,
    ),
    "weighted completion": (
        ORDER
        | {"A8": [[f"=SUM($A$7:{column}7)" for column in "ABCDE"]]}
        | {"A7": [[f"=INDEX($H$1:$L$1,{column}1)" for column in "ABCDE"]]}
        | {"A9": [[f"=INDEX($H$2:$L$2,{column}1)*{column}8" for column in "ABCDE"]], "J9": "=SUM(A9:E9)"},
        MIN,
        ORDERED,
    ),
    "an order with a condition": (ORDER | {"J9": f"={legs(5)}", "J8": "=B1-A1"}, MIN, [*ORDERED, ("J8", AT_LEAST, 1)]),
    "products of binaries": (BITS | {"J9": "=SUMPRODUCT(MMULT(A1:F1,A3:F8),A1:F1)-9*SUM(A1:F1)^2"}, MIN, BINARIES),
    "a quadratic knapsack": (
        BITS | {"J9": "=SUMPRODUCT(MMULT(A1:F1,A3:F8),A1:F1)", "J8": "=SUMPRODUCT(A1:F1,H1:M1)"},
        MAX,
        [*BINARIES, ("J8", AT_MOST, 17)],
    ),
    "a product in a constraint": (
        BITS | {"J9": "=SUMPRODUCT(A1:F1,H1:M1)", "J8": "=A1*B1+C1*D1+E1*F1"},
        MAX,
        [*BINARIES, ("J8", AT_MOST, 1)],
    ),
    "a cut": (BITS | {"J9": "=" + "+".join(f"{TABLE[i][j]}*ABS({a}1-{b}1)" for (i, a), (j, b) in
                      product(enumerate("ABCDEF"), repeat=2) if i < j)}, MAX, BINARIES),
    "legs that a number forbids": (
        ORDER
        | {"A3": [[1e12 if i == j else item for j, item in enumerate(row)] for i, row in enumerate(TABLE)]}
        | {"J9": f"={legs(5)}"},
        MIN,
        ORDERED,
    ),
    "a number that a constraint forbids": (
        NUMBERS | {"H1": [[9, 5, 3, 1e9]]}
        | {"J9": "=-A1-B1*2-C1*3+A1*B1", "J8": "=INDEX(H1:K1,A1+1)+INDEX(H1:K1,B1+1)+INDEX(H1:K1,C1+1)"},
        MIN,
        [*FEW, ("J8", AT_MOST, 12)],
    ),
    "IF and AND": (BITS | {"J9": "=IF(AND(A1=1,B1=0),5,0)+IF(C1=D1,-4,2)+A1*E1-F1*(1-E1)"}, MAX, BINARIES),
    "powers of one": (NUMBERS | {"J9": "=A1^3-4*A1^2+EXP(-B1)*9+INDEX(H1:K1,C1+1)+A1"}, MIN, FEW),
    "powers of two": (NUMBERS | {"J9": "=(A1-B1)^4-A1*B1*3+CHOOSE(C1+1,4,1,5,2)*B1"}, MIN, FEW),
    "no error is chosen": (NUMBERS | {"J9": "=-LN(A1)*5+6/(3-B1)+SQRT(C1*B1-2)"}, MIN, FEW),
}  # fmt: skip


def model(folder: Path, name: str) -> SheetModel:
    cells, kind, constraints = MODELS[name]
    params = constraints[0][0]
    return compile(workbook(folder, cells, "J9", params, kind, constraints, neg=2))


@pytest.mark.parametrize("name", MODELS)
def test_the_optimum_is_that_of_all_points(name: str, tmp_path: Path) -> None:
    trained = model(tmp_path, name)
    constraints = compile_constraints(trained)
    assert constraints is not None
    assert constraints.discrete is not None
    flat = FlatModel(trained, constraints)
    programme = tabulated_programme(flat, constraints.discrete)
    assert programme is not None
    *_, last = solve_integer_linear(flat, constraints.discrete, Limits(), programme)
    if constraints.discrete.permutations:
        points = np.array(list(permutations(range(1, len(flat.lower) + 1))), dtype=float)
    else:
        sides = [range(int(low), int(high) + 1) for low, high in zip(flat.lower, flat.upper, strict=True)]
        points = np.array(list(product(*sides)), dtype=float)
    objectives, violations = Population(flat).objectives(points)
    best = float(np.where(violations <= 1e-9, objectives, np.inf).min())
    assert float(trained.as_objective(last.loss)) == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert (last.outcome, last.bound) == (PROVED, pytest.approx(last.loss, rel=1e-6, abs=1e-6))


def test_a_fixed_charge(tmp_path: Path) -> None:
    """A binary times a bounded number: what is not open delivers nothing, and a closed place costs nothing."""
    cells = {"A1": [[0, 0, 0], [0, 0, 0]], "A4": [[50, 90, 20], [3, 1, 6]], "J8": "=SUMPRODUCT(A1:C1,A2:C2)"}
    cells |= {"J9": "=SUMPRODUCT(A1:C1,A4:C4)+SUMPRODUCT(A5:C5,A1:C1,A2:C2)"}
    limits = [("A1:C1", BINARY, "binary"), ("A2:C2", AT_MOST, 20), ("J8", AT_LEAST, 35)]
    session = Session(compile(workbook(tmp_path, cells, "J9", "A1:C2", MIN, limits)), trust_formulas=True)
    session.run()
    # places 1 and 3: 70 + 3 * 20 + 6 * 15; 1 and 2: 140 + 20 + 45; 2 and 3: 110 + 20 + 90
    assert session.loss == pytest.approx(205, abs=1e-6)
    assert session.stopped == "optimal"


def test_a_factor_that_is_too_large_is_named(tmp_path: Path) -> None:
    """What may be delivered only if a place is open: with 1E9 in its place, HiGHS opens a billionth of it."""
    cells = {"A1": [[0, 0]], "J7": "=A1-1000000000*B1", "J9": "=A1+50*B1"}
    limits = [("B1", BINARY, "binary"), ("A1", AT_LEAST, 35), ("J7", AT_MOST, 0)]
    session = Session(compile(workbook(tmp_path, cells, "J9", "A1:B1", MIN, limits)), trust_formulas=True)
    with refusal(TrainingError, cell="Model!J7", cause="may be one.* 1e\\+09", remedy="no larger"):
        session.run()


@pytest.mark.parametrize(
    "formula",
    ["=A1*B1*C1", "=EXP(A1+B1+C1)", "=INDEX(A3:C5,A1+1,B1+1)*INDEX(A3:C5,B1+1,C1+1)", "=MAX(A1,B1,C1)*A1"],
)
def test_what_is_no_linear_model(formula: str, tmp_path: Path) -> None:
    """Functions of three numbers, and products of tables of two."""
    cells = NUMBERS | {"A3": [[5, 1, 2], [3, 8, 4], [7, 0, 6]], "J9": formula}
    trained = compile(workbook(tmp_path, cells, "J9", "A1:C1", MIN, [*FEW[:2], ("A1:C1", AT_MOST, 2)]))
    constraints = compile_constraints(trained)
    assert constraints is not None
    assert constraints.discrete is not None
    assert tabulated_programme(FlatModel(trained, constraints), constraints.discrete) is None
