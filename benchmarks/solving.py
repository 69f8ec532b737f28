"""How well sheets are solved, beside SciPy and lmfit on the same problems in the same run.

    python benchmarks/solving.py [--json FILE] [--only PART]

A sheet gets no settings: what is solved how is decided by sgdsheet. SciPy and lmfit get what a person would write:
functions in numpy, derivatives by differences (SciPy's default), their own defaults. A result is shown as the number of
right digits, up to 11, and the seconds of processor time for solving, which hardly depend on what else a machine does.
NIST's certified data are used where they are there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    differential_evolution,
    least_squares,
    linear_sum_assignment,
    linprog,
    milp,
    minimize,
)

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE))

import sgdsheet  # noqa: E402
from sgdsheet.problem.definition import find_problem  # noqa: E402
from tests import analysts_solver as analysts  # noqa: E402
from tests import hock_schittkowski as hock  # noqa: E402
from tests import solver_models as models  # noqa: E402
from tests.certified_curves import CURVES as CURVES_OF_FEW_POINTS  # noqa: E402
from tests.sheets import book  # noqa: E402

NIST = HERE.parent / "shared" / "data" / "nist"
MOST = 11.0
Floats = NDArray[np.float64]

CURVES: dict[str, tuple[str, Callable[[Floats, Floats], Floats]]] = {
    "Misra1a": ("$H$1*(1-EXP(-$H$2*A1))", lambda b, x: b[0] * (1 - np.exp(-b[1] * x[:, 0]))),
    "Lanczos3": (
        "$H$1*EXP(-$H$2*A1)+$H$3*EXP(-$H$4*A1)+$H$5*EXP(-$H$6*A1)",
        lambda b, x: sum(b[i] * np.exp(-b[i + 1] * x[:, 0]) for i in (0, 2, 4)),  # type: ignore[return-value]
    ),
    "Nelson": ("$H$1-$H$2*A1*EXP(-$H$3*B1)", lambda b, x: b[0] - b[1] * x[:, 0] * np.exp(-b[2] * x[:, 1])),
    "Hahn1": (
        "($H$1+$H$2*A1+$H$3*A1^2+$H$4*A1^3)/(1+$H$5*A1+$H$6*A1^2+$H$7*A1^3)",
        lambda b, x: np.polyval(b[3::-1], x[:, 0]) / np.polyval([b[6], b[5], b[4], 1.0], x[:, 0]),
    ),
    "MGH10": ("$H$1*EXP($H$2/(A1+$H$3))", lambda b, x: b[0] * np.exp(b[1] / (x[:, 0] + b[2]))),
    "Bennett5": ("$H$1*($H$2+A1)^(-1/$H$3)", lambda b, x: b[0] * (b[1] + x[:, 0]) ** (-1 / b[2])),
}
"""NIST's models: as a formula of x in A and B and the parameters in H, and as a function."""


class Result(NamedTuple):
    """What a method came to: right digits and seconds."""

    digits: float
    seconds: float


class Row(NamedTuple):
    """One problem, and the results by column; None where a column has nothing to say."""

    part: str
    name: str
    ours: Result
    method: str
    scipy: Result | None
    lmfit: Result | None
    wanted: float
    """Digits that we want of ourselves."""


# --- measuring ----------------------------------------------------------------------------------------------


def digits(found: float | Sequence[float] | Floats, right: float | Sequence[float] | Floats) -> float:
    """How many digits of the worst number are right; of a right number of 0, how many decimals."""
    found, right = np.atleast_1d(np.asarray(found, float)), np.atleast_1d(np.asarray(right, float))
    if not np.isfinite(found).all():
        return 0.0
    errors = np.abs(found - right) / np.where(right == 0, 1.0, np.abs(right))
    worst = float(errors.max())
    return MOST if worst == 0 else float(np.clip(-math.log10(worst), 0.0, MOST))


def timed(solve: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and how many seconds of processor time it takes; NaN where it fails."""
    start = time.process_time()
    with np.errstate(all="ignore"):
        try:
            found = solve()
        except Exception as error:  # what a library raises is its result here
            print(f"    {type(error).__name__}: {error}", file=sys.stderr)
            found = math.nan
    return found, time.process_time() - start


def solved(model: sgdsheet.SheetModel, **settings: Any) -> tuple[sgdsheet.Session, float]:
    """A session that has run, and its seconds of processor time."""
    session = sgdsheet.Session(model, **settings)
    start = time.process_time()
    session.run()
    return session, time.process_time() - start


def of_cells(cells: dict[str, Any], params: str, maximize: bool = False) -> sgdsheet.SheetModel:
    workbook = book(cells)
    return sgdsheet.compile(workbook, problem=find_problem(workbook, None, "Z1", params, maximize=maximize))


# --- curves -------------------------------------------------------------------------------------------------


class Certified(NamedTuple):
    """One of NIST's sets."""

    starts: tuple[Floats, Floats]
    parameters: Floats
    x: Floats
    y: Floats


def certified(path: Path) -> Certified:
    lines = path.read_text().splitlines()
    rows = [re.match(r"\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", line) for line in lines]
    table = np.array([[float(item) for item in row.groups()] for row in rows if row])
    first = next(number for number, line in enumerate(lines) if line.startswith("Data:") and number > 50)
    data = np.array([[float(item) for item in line.split()] for line in lines[first + 1 :] if line.strip()])
    y = np.log(data[:, 0]) if path.stem == "Nelson" else data[:, 0]
    return Certified((table[:, 0], table[:, 1]), table[:, 2], data[:, 1:], y)


def curves() -> list[Row]:
    return [*few_points(), *from_files()]


def few_points() -> list[Row]:
    """NIST's sets of a few lines, without SciPy and lmfit."""
    rows = []
    for name, item in CURVES_OF_FEW_POINTS.items():
        for start in (1, 2):
            session, seconds = solved(of_cells(*item.cells(start)))
            ours = digits(list(session.model.parameter_cells().values()), item.parameters)
            method = session.plan.optimizer_name
            rows.append(Row("NIST curves", f"{name}, start {start}", Result(ours, seconds), method, None, None, 8.0))
    return rows


def from_files() -> list[Row]:
    rows = []
    for name, (formula, curve) in CURVES.items():
        path = NIST / f"{name}.dat"
        if not path.exists():
            continue
        found = certified(path)
        last = len(found.y)
        for number, start in enumerate(found.starts, 1):
            cells = {
                f"A1:{'AB'[found.x.shape[1] - 1]}{last}": found.x.tolist(),
                f"C1:C{last}": found.y[:, None].tolist(),
                f"H1:H{len(start)}": start[:, None].tolist(),
                f"D1:D{last}": f"=({formula}-C1)^2",
                "Z1": f"=SUM(D1:D{last})",
            }
            session, seconds = solved(of_cells(cells, f"H1:H{len(start)}"))
            ours = digits(list(session.model.parameter_cells().values()), found.parameters)

            def distance(b: Floats, found: Certified = found, curve: Any = curve) -> Floats:
                return np.asarray(np.nan_to_num(curve(b, found.x) - found.y, nan=1e10, posinf=1e10, neginf=-1e10))

            theirs, taken = timed(
                lambda start=start, distance=distance: least_squares(distance, start, x_scale="jac").x
            )
            rows.append(
                Row(
                    "NIST curves",
                    f"{name}, start {number}",
                    Result(ours, seconds),
                    session.plan.optimizer_name,
                    Result(digits(theirs, found.parameters), taken),
                    by_lmfit(distance, start, found.parameters),
                    8.0,
                )
            )
    return rows


def by_lmfit(distance: Callable[[Floats], Floats], start: Floats, right: Floats) -> Result | None:
    """What lmfit's default method comes to; None if it is not installed."""
    if importlib.util.find_spec("lmfit") is None:
        return None
    lmfit = importlib.import_module("lmfit")  # for whoever has it: nothing else needs it

    parameters = lmfit.Parameters()
    for number, value in enumerate(start):
        parameters.add(f"b{number}", value)
    found, seconds = timed(
        lambda: [
            *lmfit.minimize(lambda p: distance(np.array(list(p.valuesdict().values()))), parameters)
            .params.valuesdict()
            .values()
        ]
    )
    return Result(digits(found, right), seconds)


# --- constraints --------------------------------------------------------------------------------------------


def as_function(text: str) -> Callable[[Floats], float]:
    """One of Hock and Schittkowski's formulas in Python."""
    code = re.sub(r"x(\d+)", lambda found: f"x[{int(found[1]) - 1}]", text).replace("^", "**")
    compiled = compile(code, text, "eval")
    names = {"EXP": np.exp, "LN": np.log, "SQRT": np.sqrt, "SIN": np.sin, "COS": np.cos}
    return lambda x: float(eval(compiled, {"__builtins__": {}}, {**names, "x": x}))


def constrained(folder: Path) -> list[Row]:
    rows = []
    for name, case in hock.CASES.items():
        model = models.compile(models.workbook(folder, **case.model()))
        session, seconds = solved(model)
        objective = as_function(case.objective)
        parts = []
        for text, relation, right in case.constraints:
            sign = -1.0 if relation == hock.LE else 1.0
            function = as_function(text)
            kind = "eq" if relation == hock.EQ else "ineq"
            parts.append({"type": kind, "fun": lambda x, f=function, s=sign, r=right: s * (f(x) - r)})
        limits: list[tuple[float | None, float | None]] = [(None, None)] * len(case.start)
        for number, lower, upper in case.bounds:
            limits[number - 1] = (lower, upper)
        theirs, taken = timed(
            lambda o=objective, c=case, b=limits, p=parts: (
                minimize(o, np.array(c.start, float), method="SLSQP", bounds=b, constraints=p).fun
            )
        )
        rows.append(
            Row(
                "constrained",
                name,
                Result(near(session.loss, case.optimum), seconds),
                session.plan.optimizer_name,
                Result(near(theirs, case.optimum), taken),
                None,
                8.0,
            )
        )
    return rows


def near(found: float, published: float) -> float:
    """Right digits; published optima have ten of them, at best."""
    return MOST if abs(found - published) <= 1e-9 * max(1.0, abs(published)) else digits(found, published)


# --- Solver's workbooks ---------------------------------------------------------------------------------------


def workbooks(folder: Path) -> list[Row]:
    """Analysts' workbooks as Solver leaves them; their optima are found by SciPy in another way, which is not timed."""
    rows = []
    for name, make in analysts.BOOKS.items():
        item = make()
        found = models.workbook(folder, item.cells, item.loss, item.params, item.kind, item.constraints, **item.names)
        session, seconds = solved(models.compile(found))
        ours = Result(digits(session.loss, item.optimum), seconds)
        wanted = min(8.0, -math.log10(item.close))
        rows.append(
            Row("Solver's workbooks", name.replace("_", " "), ours, session.plan.optimizer_name, None, None, wanted)
        )
    return rows


# --- linear and integer -------------------------------------------------------------------------------------


def linear(folder: Path) -> list[Row]:
    random = np.random.default_rng(7)
    rows = []
    for products, materials in ((10, 8), (40, 30)):
        use, stock = random.uniform(1, 9, (materials, products)), random.uniform(50, 100, materials)
        gain = random.uniform(5, 20, products)
        column = _letters(products)
        cells = {
            "A1": [[0.0] * products],
            "A2": [gain.tolist()],
            "A5": [
                [*row, f"=SUMPRODUCT(A{5 + number}:{column}{5 + number},A$1:{column}$1)", limit]
                for number, (row, limit) in enumerate(zip(use.tolist(), stock.tolist(), strict=True))
            ],
            "A3": f"=SUMPRODUCT(A1:{column}1,A2:{column}2)",
        }
        used, limit = _letters(products + 1), _letters(products + 2)
        last = 4 + materials
        constraints = [(f"{used}5:{used}{last}", models.AT_MOST, f"{limit}5:{limit}{last}")]
        found = models.workbook(folder, cells, "A3", f"A1:{column}1", models.MAX, constraints)
        session, seconds = solved(models.compile(found))
        theirs, taken = timed(lambda g=gain, u=use, s=stock: -linprog(-g, A_ub=u, b_ub=s).fun)
        rows.append(
            Row(
                "linear",
                f"{products} products, {materials} materials",
                Result(digits(session.loss, theirs), seconds),
                session.plan.optimizer_name,
                Result(MOST, taken),
                None,
                10.0,
            )
        )
    return rows


def _letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def integers(folder: Path) -> list[Row]:
    random = np.random.default_rng(3)
    worth, weight = random.integers(10, 99, 30).astype(float), random.integers(5, 60, 30).astype(float)
    room = float(weight.sum() // 3)
    cells = {
        "A1": np.column_stack([np.zeros(30), worth, weight]).tolist(),
        "E1": "=SUMPRODUCT(A1:A30,B1:B30)",
        "E2": "=SUMPRODUCT(A1:A30,C1:C30)",
    }
    constraints = [("A1:A30", models.BINARY, "binary"), ("E2", models.AT_MOST, room)]
    found = models.workbook(folder, cells, "E1", "A1:A30", models.MAX, constraints)
    session, seconds = solved(models.compile(found))
    theirs, taken = timed(
        lambda: (
            -milp(
                -worth,
                constraints=LinearConstraint(weight[None], -np.inf, room),
                integrality=np.ones(30),
                bounds=Bounds(0, 1),
            ).fun
        )
    )
    rows = [_whole("a knapsack of 30 things", session, seconds, theirs, taken)]
    cost = random.integers(10, 99, (8, 8)).astype(float)
    cells = {
        "A1": np.zeros((8, 8)).tolist(),
        "A11": cost.tolist(),
        "J1": [[f"=SUM(A{row}:H{row})"] for row in range(1, 9)],
        "A9": [[f"=SUM({letter}1:{letter}8)" for letter in "ABCDEFGH"]],
        "J9": "=SUMPRODUCT(A1:H8,A11:H18)",
    }
    constraints = [
        ("A1:H8", models.BINARY, "binary"), ("J1:J8", models.EQUAL, 1.0), ("A9:H9", models.EQUAL, 1.0)
    ]  # fmt: skip
    found = models.workbook(folder, cells, "J9", "A1:H8", models.MIN, constraints)
    session, seconds = solved(models.compile(found))
    theirs, taken = timed(lambda: float(cost[linear_sum_assignment(cost)].sum()))
    return [*rows, _whole("an assignment of 8 to 8", session, seconds, theirs, taken)]


def _whole(name: str, session: sgdsheet.Session, seconds: float, theirs: float, taken: float) -> Row:
    ours = Result(digits(session.loss, theirs), seconds)
    return Row("integer", name, ours, session.plan.optimizer_name, Result(MOST, taken), None, 9.0)


# --- kinks --------------------------------------------------------------------------------------------------


def kinks() -> list[Row]:
    random = np.random.default_rng(5)
    x = random.uniform(0, 10, (200, 2))
    y = x @ [1.5, -0.5] + 2 + random.standard_t(2, 200)
    base = {
        "A1:B200": x.tolist(),
        "C1:C200": y[:, None].tolist(),
        "H1:H3": [[0.0], [0.0], [0.0]],
        "D1:D200": "=$H$1*A1+$H$2*B1+$H$3-C1",
        "E1:E200": "=ABS(D1)",
    }
    design = np.column_stack([x, np.ones(200)])

    def least_absolute() -> float:
        equal = np.hstack([design, np.eye(200), -np.eye(200)])
        limits = [(None, None)] * 3 + [(0, None)] * 400
        return float(linprog(np.r_[np.zeros(3), np.ones(400)], A_eq=equal, b_eq=y, bounds=limits).fun)

    def minimax() -> float:
        ones = np.ones((200, 1))
        above = np.vstack([np.hstack([design, -ones]), np.hstack([-design, -ones])])
        found = linprog([0, 0, 0, 1], A_ub=above, b_ub=np.r_[y, -y], bounds=[(None, None)] * 4)
        return float(found.fun)

    rows = []
    for name, loss, by_hand in (
        ("least absolute deviations, 200 points", "=SUM(E1:E200)", least_absolute),
        ("minimax, 200 points", "=MAX(E1:E200)", minimax),
    ):
        session, seconds = solved(of_cells({**base, "Z1": loss}, "H1:H3"))
        theirs, taken = timed(by_hand)
        ours = Result(digits(session.loss, theirs), seconds)
        rows.append(Row("kinks", name, ours, session.plan.optimizer_name, Result(MOST, taken), None, 9.0))
    for name, formula, function, start, right in (
        (
            "CB2 (Charalambous, Bandler)",
            "=MAX(H1^2+H2^4,(2-H1)^2+(2-H2)^2,2*EXP(H2-H1))",
            lambda b: max(b[0] ** 2 + b[1] ** 4, (2 - b[0]) ** 2 + (2 - b[1]) ** 2, 2 * math.exp(b[1] - b[0])),
            [1.0, -0.1],
            1.9522244938706594,
        ),
        (
            "Rosenbrock's valley with ABS",
            "=10*ABS(H2-H1^2)+ABS(1-H1)",
            lambda b: 10 * abs(b[1] - b[0] ** 2) + abs(1 - b[0]),
            [-1.2, 1.0],
            0.0,
        ),
    ):
        session, seconds = solved(of_cells({"H1:H2": [[start[0]], [start[1]]], "Z1": formula}, "H1:H2"))
        theirs, taken = timed(lambda f=function, s=start: minimize(f, s, method="Nelder-Mead").fun)
        ours = Result(digits(session.loss, right), seconds)
        rows.append(
            Row("kinks", name, ours, session.plan.optimizer_name, Result(digits(theirs, right), taken), None, 8.0)
        )
    return rows


# --- many minima --------------------------------------------------------------------------------------------


def _rastrigin(x: Floats) -> float:
    return float(10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def _ackley(x: Floats) -> float:
    inner = -0.2 * np.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    return float(20 + np.e - 20 * np.exp(inner[0]) - np.exp(inner[1]))


def _griewank(x: Floats) -> float:
    return float(1 + np.sum(x**2) / 4000 - np.prod(np.cos(x / np.sqrt(np.arange(1, len(x) + 1)))))


def _schwefel(x: Floats) -> float:
    return float(418.9828872724338 * len(x) - np.sum(x * np.sin(np.sqrt(np.abs(x)))))


SURFACES: dict[str, tuple[str, str, Callable[[Floats], float], float]] = {
    "Rastrigin": ("=A1^2-10*COS(2*PI()*A1)", "=10*{n}+SUM(B1:B{n})", _rastrigin, 5.12),
    "Ackley": (
        "=COS(2*PI()*A1)",
        "=20+EXP(1)-20*EXP(-0.2*SQRT(SUMSQ(A1:A{n})/{n}))-EXP(AVERAGE(B1:B{n}))",
        _ackley,
        32.0,
    ),
    "Griewank": ("=COS(A1/SQRT(ROW()))", "=1+SUMSQ(A1:A{n})/4000-PRODUCT(B1:B{n})", _griewank, 600.0),
    "Schwefel": ("=A1*SIN(SQRT(ABS(A1)))", "=418.9828872724338*{n}-SUM(B1:B{n})", _schwefel, 500.0),
}
"""A column of parts, the loss of n parameters, the same as a function, and the width of the box."""


def surfaces(folder: Path) -> list[Row]:
    """Starts far from the lowest point; ours is the evolutionary method, as SciPy's is."""
    rows = []
    for name, (part, loss, function, width) in SURFACES.items():
        for size in (2, 10):
            start = (0.7 * width * np.random.default_rng(size).uniform(-1, 1, size)).tolist()
            cells = {
                "A1": [[value] for value in start],
                "B1": [[part.replace("A1", f"A{row}")] for row in range(1, size + 1)],
                "E1": loss.format(n=size),
            }
            area = f"A1:A{size}"
            limits = [(area, models.AT_LEAST, -width), (area, models.AT_MOST, width)]
            found = models.workbook(folder, cells, "E1", area, models.MIN, limits, neg=2)
            session, seconds = solved(models.compile(found), optimizer="evolutionary", seed=1)
            theirs, taken = timed(
                lambda f=function, w=width, n=size: differential_evolution(f, [(-w, w)] * n, seed=1, tol=1e-8).fun
            )
            rows.append(
                Row(
                    "many minima",
                    f"{name}, {size} parameters",
                    Result(digits(session.loss, 0.0), seconds),
                    session.plan.optimizer_name,
                    Result(digits(theirs, 0.0), taken),
                    None,
                    6.0,
                )
            )
    return rows


# --- the table ----------------------------------------------------------------------------------------------


def shown(result: Result | None, width: int = 15) -> str:
    return f"{'-':>{width}}" if result is None else f"{result.digits:>5.1f} {result.seconds:>7.3f} s".rjust(width)


def show(rows: Sequence[Row], absent: Sequence[str]) -> None:
    print("right digits of the worst number (11 at most), seconds of processor time for solving\n")
    print(f"{'problem':40}{'sgdsheet':>15}{'SciPy':>15}{'lmfit':>15}  method")
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            print(part)
        print(f"  {row.name:38}{shown(row.ours)}{shown(row.scipy)}{shown(row.lmfit)}  {row.method}")
    print()
    for text in absent:
        print(text)


def missing(rows: Sequence[Row]) -> list[str]:
    """What is not met, in words."""
    found = [
        f"{row.part}, {row.name}: {row.ours.digits:.1f} digits and not {row.wanted:g}"
        for row in rows
        if row.ours.digits < row.wanted
    ]
    times = [row.ours.seconds for row in rows if row.part == "NIST curves"]
    if times and statistics.median(times) > 0.3:
        found.append(f"NIST curves: a median of {statistics.median(times):.2f} s and not 0.3")
    return found


def main() -> None:
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "curves": lambda _: curves(),
        "constrained": constrained,
        "workbooks": workbooks,
        "linear": linear,
        "integers": integers,
        "kinks": lambda _: kinks(),
        "surfaces": surfaces,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument("--only", choices=list(parts), help="one part of it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    absent = []
    if importlib.util.find_spec("lmfit") is None:
        absent.append("lmfit is not installed, so its column is empty: pip install lmfit")
    if not NIST.exists():
        absent.append("NIST's data are not there, so the curves are left out: see shared/data in CONTRIBUTING.md")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        solved(of_cells({"H1": 1.0, "Z1": "=(H1-2)^2"}, "H1"))  # what is loaded once is not measured
        for name, part in parts.items():
            if options.only in (None, name):
                rows += part(Path(folder))
    show(rows, absent)
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=2))
    found = missing(rows)
    print("Not met: " + ("; ".join(found) if found else "nothing"))


if __name__ == "__main__":
    main()
