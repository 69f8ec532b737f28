"""Columns whose rows depend on the rows above, as one operation: the same numbers as row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import scipy.optimize  # type: ignore[import-untyped]
import torch
from torch import fx

import sgdsheet
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.ir.scan import Scan
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.compiler.structure.function_kind import function_kinds
from sgdsheet.compiler.structure.traits import Smoothness
from sgdsheet.compiler.torch_source import export_source
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import HOME, Cells, book, compiled

N = 40
LAST = N + 1
DATA = [round(math.sin(1.7 * row) + 0.3 * math.cos(0.4 * row), 3) for row in range(N + 1)]
SALES = [round(20 + 0.3 * row + 4 * math.sin(row * math.pi / 2), 3) for row in range(N + 1)]

BOOKS: Mapping[str, tuple[Cells, str]] = {
    "exponential smoothing": (
        {"A1:A41": DATA, "F1": 0.3, "B1": "=A1", "B2:B41": "=$F$1*A2+(1-$F$1)*B1", "Z1": "=SUMXMY2(A2:A41,B1:B40)"},
        "F1",
    ),
    "GARCH": (
        {
            "A1:A41": DATA,
            "F1:F3": [0.1, 0.15, 0.7],
            "B1": "=F1/(1-F2-F3)",
            f"B2:B{LAST}": "=$F$1+$F$2*A1^2+$F$3*B1",
            f"C1:C{LAST}": "=LN(B1)+A1^2/B1",
            "Z1": f"=SUM(C1:C{LAST})",
        },
        "F1:F3",
    ),
    "two lags": (
        {"F1:F2": [0.6, -0.3], "B1:B2": [1.0, 0.5], f"B3:B{LAST}": "=$F$1*B2+$F$2*B1", "Z1": f"=SUMSQ(B3:B{LAST})"},
        "F1:F2,B1:B2",
    ),
    "a window of rows above": (
        {"F1:F3": [0.2, 0.3, 0.4], "A1:A41": DATA, "B1:B3": [1, 2, 3], "B4:B41": "=SUMPRODUCT(B1:B3,$F$1:$F$3)+A4",
         "Z1": "=SUMSQ(B4:B41)"},
        "F1:F3",
    ),
    "level, trend and season": (
        {
            "A1:A41": SALES,
            "F1:F3": [0.4, 0.1, 0.3],
            "D1:D4": [4.0, -1.0, -4.0, 1.0],
            "B4": 20,
            "C4": 0.2,
            "B5:B41": "=$F$1*(A5-D1)+(1-$F$1)*(B4+C4)",
            "C5:C41": "=$F$2*(B5-B4)+(1-$F$2)*C4",
            "D5:D41": "=$F$3*(A5-B5)+(1-$F$3)*D1",
            "E5:E41": "=B4+C4+D1",
            "Z1": "=SUMXMY2(A5:A41,E5:E41)",
        },
        "F1:F3",
    ),
    "multiplied seasons": (
        {
            "A1:A41": SALES,
            "F1:F2": [0.4, 0.3],
            "D1:D4": [1.1, 0.95, 0.8, 1.05],
            "B4": 20,
            "B5:B41": "=$F$1*A5/D1+(1-$F$1)*B4",
            "D5:D41": "=$F$2*A5/B5+(1-$F$2)*D1",
            "Z1": "=SUMXMY2(A5:A41,B4:B40)",
        },
        "F1:F2",
    ),
    "a square root": (
        {"F1:F2": [0.5, 0.3], "B1": 2.0, "B2:B41": "=$F$1*SQRT(B1)+$F$2", "Z1": "=SUM(B2:B41)"}, "F1:F2"
    ),
    "logistic growth": (
        {"F1:F2": [0.4, 10.0], "B1": 0.5, "B2:B41": "=B1+$F$1*B1*(1-B1/$F$2)", "Z1": "=SUM(B2:B41)"}, "F1:F2,B1"
    ),
    "predator and prey": (
        {"F1:F2": [0.1, 0.02], "B1:C1": [[4.0, 2.0]], "B2:B41": "=B1+0.1*(B1*$F$1*5-$F$2*B1*C1)",
         "C2:C41": "=C1+0.1*($F$2*B1*C1-0.3*C1)", "Z1": "=SUM(B2:C41)"},
        "F1:F2",
    ),
    "gradient descent written down the rows": (
        {"F1": 0.05, "B1": 3.0, "C1": 0.0, "C2:C41": "=0.8*C1+4*B1^3-6*B1", "B2:B41": "=B1-$F$1*0.1*C2",
         "Z1": "=B41^4-3*B41^2"},
        "F1",
    ),
    "a tank that never holds less than nothing": (
        {"A1:A41": DATA, "F1": 0.2, "B1": 0.1, "B2:B41": "=MAX(0,B1+A2-$F$1)", "Z1": "=SUMSQ(B2:B41)"}, "F1"
    ),
    "starts anew where the data say so": (
        {"A1:A41": DATA, "F1": 0.9, "B1": 1.0, "B2:B41": "=IF(A2>0.9,1,$F$1*B1+0.1)", "Z1": "=SUM(B2:B41)"}, "F1"
    ),
    "across": (
        {"A11:AO11": [DATA], "A13": 0.3, "A12": 1.0, "B12:AO12": "=$A$13*B11+(1-$A$13)*A12", "Z1": "=SUMSQ(B12:AO12)"},
        "A13",
    ),
    "columns that begin in different rows": (
        {"F1": 0.5, "B1": 1.0, "C2": 0.5, "B2:B41": "=$F$1*B1+0.1", "C3:C41": "=0.5*C2+0.1*B3",
         "D1": 0.1, "B42:B43": "=$F$1*B41+C41", "Z1": "=SUM(C3:C41)+B43"},
        "F1",
    ),
    "read each other and begin in different rows": (
        {"F1": 0.5, "B1": 1.0, "C2": 0.5, "B2:B41": "=$F$1*B1+0.1*C1", "C3:C41": "=0.5*C2+0.1*B3",
         "Z1": "=SUM(C3:C41)"},
        "F1",
    ),
    "grows without end": ({"F1": 2.1, "B1": 1.0, "B2:B41": "=$F$1*B1-1", "Z1": "=LN(B41)"}, "F1"),
    "chaos": ({"F1": 3.9, "B1": 0.3, "B2:B41": "=$F$1*B1*(1-B1)", "Z1": "=B30"}, "F1"),
    "the seed is a parameter": (
        {"F1": 2.0, "F2": 0.9, "B1": "=F1^2", "B2:B41": "=$F$2*B1+1", "Z1": "=SUMSQ(B2:B41)"}, "F1:F2"
    ),
    "a long season": (
        {"F1": 0.5, "A1:A260": [math.sin(row) for row in range(260)], "B1:B100": 1.0, "B101:B260": "=$F$1*B1+A101",
         "Z1": "=SUMSQ(B101:B260)"},
        "F1",
    ),
}  # fmt: skip

APART: Mapping[str, tuple[Cells, str]] = {
    "a sum of all rows above": (
        {"F1": 0.01, "B1": 1.0, "B2:B41": "=$F$1*SUM(B$1:B1)+0.1", "Z1": "=SUM(B2:B41)"},
        "F1",
    ),
    "a text above": ({"F1": 0.5, "B1": "start", "B2:B41": "=IF(ISTEXT(B1),1,$F$1*B1)", "Z1": "=SUM(B2:B41)"}, "F1"),
    "a blank above": ({"F1": 0.5, "B2:B41": "=$F$1*B1+1", "Z1": "=SUM(B2:B41)"}, "F1"),
    "few rows": ({"F1": 0.5, "B1": 1.0, "B2:B9": "=$F$1*B1+1", "Z1": "=SUM(B2:B9)"}, "F1"),
    "upwards": ({"F1": 0.5, "B41": 1.0, "B1:B40": "=$F$1*B2+1", "Z1": "=SUM(B1:B40)"}, "F1"),
    "a plane": ({"F1": 0.5, "A1:Y1": 1.0, "A2:A25": 1.0, "B2:Y25": "=$F$1*(A2+B1)", "Z1": "=Y25"}, "F1"),
}


def scans(module: fx.GraphModule) -> list[Scan]:
    return [node.target for node in module.graph.nodes if isinstance(node.target, Scan)]


def programs(cells: Cells, params: str, *, dtype: torch.dtype = torch.float64) -> tuple[Program, Program]:
    """The program of Z1, and the one that calculates row by row."""
    workbook = book(cells)
    areas = [parse_range(text, HOME) for text in params.split(",")]
    plan = planner_of(workbook, areas).plan([parse_range("Z1", HOME)])
    return (
        build_program(workbook, areas, plan, dtype=dtype),
        build_program(workbook, areas, plan.taken_apart(), dtype=dtype),
    )


def modules(cells: Cells, params: str, **options: Any) -> tuple[fx.GraphModule, fx.GraphModule]:
    found = []
    for program in programs(cells, params, **options):
        data = program.regions.read(parse_range("Z1", HOME)).data
        assert isinstance(data, fx.Node)
        found.append(simplify(program.module(data)))
    return found[0], found[1]


def outcome(module: fx.GraphModule) -> tuple[torch.Tensor, ...]:
    loss = module()
    return loss.detach(), *torch.autograd.grad(loss, list(module.parameters()))


@pytest.mark.parametrize("name", BOOKS)
def test_the_same_as_row_by_row(name: str) -> None:
    ours, apart = modules(*BOOKS[name])
    assert len(scans(ours)) >= 1
    assert not scans(apart)
    # What 40 rows of chaos make of the last digit is another number.
    tolerance = 1e-4 if name == "chaos" else 1e-11
    for one, other in zip(outcome(ours), outcome(apart), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("name", BOOKS)
def test_every_cell_is_that_of_its_formula(name: str) -> None:
    cells, params = BOOKS[name]
    ours, apart = (evaluate(program).values for program in programs(cells, params))
    assert ours.keys() == apart.keys()
    for cell, value in apart.items():
        assert ours[cell] == pytest.approx(value, rel=1e-4 if name == "chaos" else 1e-12, abs=1e-13), cell


@pytest.mark.parametrize("name", APART)
def test_what_is_taken_apart(name: str) -> None:
    ours, apart = modules(*APART[name])
    assert not scans(ours)
    for one, other in zip(outcome(ours), outcome(apart), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["GARCH", "a square root", "level, trend and season", "predator and prey"])
def test_second_derivatives(name: str) -> None:
    found = []
    for module in modules(*BOOKS[name]):
        (parameter, *_) = module.parameters()
        (first,) = torch.autograd.grad(module(), parameter, create_graph=True)
        found.append(
            torch.stack([torch.autograd.grad(item, parameter, retain_graph=True)[0] for item in first.flatten()])
        )
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["GARCH", "logistic growth", "level, trend and season", "a long season"])
def test_many_starts_at_once(name: str) -> None:
    """Restarts evaluate the program for many parameters in one call, under `torch.vmap`."""
    ours, apart = modules(*BOOKS[name])
    names = [key for key, _ in ours.named_parameters()]
    starts = {
        key: torch.stack([value.detach() * factor for factor in (1.0, 0.9, 1.1, 0.97)])
        for key, value in ours.named_parameters()
    }
    found = []
    for module in (ours, apart):
        given = {key: value.clone().requires_grad_() for key, value in starts.items()}
        losses = torch.vmap(lambda each, module=module: torch.func.functional_call(module, each, ()))(given)
        found.append((losses, torch.autograd.grad(losses.sum(), [given[key] for key in names])))
        gradients = torch.vmap(
            torch.func.grad(lambda each, module=module: torch.func.functional_call(module, each, ()))
        )
        for key, gradient in gradients(given).items():
            torch.testing.assert_close(gradient, found[-1][1][names.index(key)], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


def test_single_precision() -> None:
    ours, apart = modules(*BOOKS["GARCH"], dtype=torch.float32)
    assert ours().dtype == torch.float32
    for one, other in zip(outcome(ours), outcome(apart), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_rows_after_an_error() -> None:
    """An error goes down the rows, as far as formulas let it."""
    cells: Cells = {
        "F1": 2.0, "A1:A41": [1.0] * 20 + [-1.0] + [1.0] * 20, "B1": 1.0,
        "B2:B41": "=IF(A2=1,IFERROR(B1,0)*0.5+$F$1,LN(A2*$F$1))", "Z1": "=SUM(B30:B41)",
    }  # fmt: skip
    ours, apart = (evaluate(program).values for program in programs(cells, "F1"))
    assert any(value is ExcelError.NUM for value in apart.values())
    for cell, value in apart.items():
        assert ours[cell] == (value if isinstance(value, ExcelError) else pytest.approx(value, rel=1e-12)), cell
    loss, gradient = outcome(modules(cells, "F1")[0])
    expected, by_rows = outcome(modules(cells, "F1")[1])
    torch.testing.assert_close((loss, gradient), (expected, by_rows), rtol=1e-12, atol=0)


def test_the_program_does_not_grow_with_the_rows() -> None:
    def nodes(rows: int) -> int:
        cells = {"F1": 0.5, "B1": 1.0, f"B2:B{rows}": "=$F$1*B1+1", "Z1": f"=SUM(B2:B{rows})"}
        return len(compiled(cells, "F1").program.graph.nodes)

    assert nodes(30) == nodes(3_000)


def test_constants_are_calculated_at_once() -> None:
    cells = {"F1": 0.5, "A1": 2.0, "B1": 1.0, "B2:B41": "=$F$1*B1+1", "Z1": "=SUM(B2:B41)*A1"}
    model = compiled(cells, "A1")
    assert model().item() == pytest.approx(2 * (2 * 40 - sum(0.5**row for row in range(1, 41))), rel=1e-14)
    assert not scans(model.program)


def test_an_export_calculates_row_by_row() -> None:
    """Written source needs torch alone."""
    cells, params = BOOKS["GARCH"]
    model = compiled(cells, params)
    exported: dict[str, Any] = {"__name__": "exported"}
    source = export_source(model).source
    assert "sgdsheet" not in source.split('"""')[2]
    exec(source, exported)
    theirs = exported["SheetModel"]()
    (ours,) = torch.autograd.grad(model(), list(model.parameters()))
    (gradient,) = torch.autograd.grad(theirs(), list(theirs.parameters()))
    assert theirs().item() == pytest.approx(model().item(), rel=1e-13)
    torch.testing.assert_close(ours, gradient, rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    ("formula", "degree", "smoothness"),
    [
        ("=B1+C2-A2", 1, Smoothness.SMOOTH),
        ("=0.9*B1+C2*A2", 1, Smoothness.SMOOTH),
        ("=B1*C2-A2", None, Smoothness.SMOOTH),
        ("=B1^2-C2", None, Smoothness.SMOOTH),
        ("=MAX(B1,C2)-A2", None, Smoothness.KINKED),
        ("=INT(B1)+C2", None, Smoothness.STEPPED),
    ],
)
def test_what_kind_of_function_it_is(formula: str, degree: int | None, smoothness: Smoothness) -> None:
    """A stock that is linear in what is ordered stays a linear programme."""
    cells = {"A1:A41": DATA, "C1:C41": 0.5, "B1": 2.0, "B2:B41": formula, "Z1": "=SUM(B1:B41)"}
    workbook = book(cells)
    areas = [parse_range("C2:C41", HOME)]
    plan = planner_of(workbook, areas).plan([parse_range("Z1", HOME)])
    program = build_program(workbook, areas, plan, dtype=torch.float64)
    data = program.regions.read(parse_range("Z1", HOME)).data
    assert isinstance(data, fx.Node)
    assert scans(program.module(data))
    (kind,) = function_kinds(program, [data], {})
    assert (kind.degree, kind.smoothness) == (degree, smoothness)


def test_a_forecast_is_fitted_by_least_squares() -> None:
    sales = [100 + 2 * row + 9 * math.sin(7.3 * row) for row in range(40)]
    cells = {
        "A1:A40": sales, "F1:F2": [0.9, 0.7], "B1": "=A1", "C1": 0,
        "B2:B40": "=$F$1*A2+(1-$F$1)*(B1+C1)", "C2:C40": "=$F$2*(B2-B1)+(1-$F$2)*C1", "D2:D40": "=B1+C1",
        "Z1": "=SUMXMY2(A2:A40,D2:D40)",
    }  # fmt: skip

    def forecast_errors(factors: Sequence[float]) -> list[float]:
        level, trend, errors = sales[0], 0.0, []
        for sold in sales[1:]:
            errors.append(sold - level - trend)
            before, level = level, factors[0] * sold + (1 - factors[0]) * (level + trend)
            trend = factors[1] * (level - before) + (1 - factors[1]) * trend
        return errors

    session = sgdsheet.Session(compiled(cells, "F1:F2"))
    session.run()
    expected = scipy.optimize.least_squares(forecast_errors, [0.9, 0.7], xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert session.plan.fitted
    assert session.stopped == "converged"
    assert session.loss == pytest.approx(2 * expected.cost, rel=1e-9)


def test_rows_of_samples_that_depend_on_each_other_are_refused_in_batches() -> None:
    cells, params = BOOKS["exponential smoothing"]
    workbook = book(
        {**cells, "C1:C41": "=(A1-B1)^2", "Z1": "=AVERAGE(C1:C41)"}, names={"sgd_data": "Sheet1!$A$1:$A$41"}
    )
    model = sgdsheet.compile(workbook, loss="Sheet1!Z1", params=f"Sheet1!{params}", trust_formulas=True)
    with refusal(FormulaError, cell="Sheet1!B41", cause="uses some of the samples only"):
        sgdsheet.Session(model, batch_size=8, epochs=1, optimizer="sgd").run()


def test_a_recurrence_beside_the_samples_trains_in_batches() -> None:
    cells = {
        "A1:A41": DATA, "F1:F2": [0.5, 0.9], "H1": 1.0, "H2:H41": "=$F$2*H1+0.05",
        "C1:C41": "=(A1-$F$1*$H$41)^2", "Z1": "=AVERAGE(C1:C41)",
    }  # fmt: skip
    workbook = book(cells, names={"sgd_data": "Sheet1!$A$1:$A$41"})
    model = sgdsheet.compile(workbook, loss="Sheet1!Z1", params="Sheet1!F1:F2", trust_formulas=True)
    session = sgdsheet.Session(model, batch_size=8, epochs=3, optimizer="sgd", learning_rate=0.01, seed=1)
    session.run()
    assert session.loss <= session.loss_start
    assert model().item() == pytest.approx(session.loss, rel=1e-12)
