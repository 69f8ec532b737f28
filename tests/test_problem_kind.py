"""What kind of problem a sheet is: what is said is right, and what is not proved is not said."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx

from sgdsheet.compiler.passes.shapes import note_shapes
from sgdsheet.compiler.program import Program
from sgdsheet.compiler.structure.function_analysis import FunctionAnalysis
from sgdsheet.compiler.structure.function_kind import FunctionKind, function_kinds
from sgdsheet.compiler.structure.intervals import Interval, outputs_between
from sgdsheet.compiler.structure.rules import RULES
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.train.constrained.problem_kind import ProblemKind, kind_of
from tests import solver_models as models
from tests.sheets import HOME, book, compiled, lowered
from tests.solver_models import AT_LEAST, AT_MOST, EQUAL, MAX
from tests.test_functions import OPENED, TARGET, Opened

DATA = {
    "A1:A4": [[1.0], [2.0], [3.0], [4.5]],
    "B1:B4": [[2.0], [2.5], [5.0], [4.0]],
    "H1": 0.5,
    "H2": 0.25,
    "C1:C4": "=$H$1+$H$2*A1-B1",
}
"""Data in A and B, a line through H1 and H2, and its distances in C."""


def kind(formula: str, **cells: Any) -> FunctionKind:
    """The kind of Z1 as a function of H1 and H2."""
    program = lowered(book({**DATA, **cells, "Z1": formula}), ["H1:H2"], "Z1")
    return function_kinds(program, [program.value_of(Cell(HOME, 1, 26)).data], {})[0]


KINDS = {
    "SUM(C1:C4)": "linear",
    "SUMPRODUCT(A1:A2,H1:H2)/SUM(A1:A4)+3": "linear",
    'SUMIF(A1:A4,">2",C1:C4)': "linear",
    "IF(A1>2,H1^2,H1)": "linear",
    "SUMSQ(C1:C4)": "quadratic and convex",
    "-SUMXMY2(C1:C4,B1:B4)": "quadratic and concave",
    "SUMPRODUCT(C1:C4,C1:C4)+H1*H2": "quadratic and convex",
    "H1*H2": "quadratic",
    "H1^2+H2^2+3*H1*H2": "quadratic",
    "H1^2+H2^2+2*H1*H2": "quadratic and convex",
    "SQRT(AVERAGE(C1^2,C2^2,C3^2))": "nonlinear, smooth and convex",
    "SQRT(SUMXMY2(C1:C4,B1:B4))": "nonlinear, smooth and convex",
    "LN(1+EXP(3*H1))+H2": "nonlinear, smooth and convex",
    "LN(SUMPRODUCT(EXP(C1:C4)))": "nonlinear, smooth and convex",
    "LN(H1)+SQRT(H2)": "nonlinear, smooth and concave",
    "EXP(H1)*H2": "nonlinear and smooth",
    "SUMPRODUCT(ABS(C1:C4))": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "MAX(C1:C4)-MIN(C1:C4)": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "MIN(C1:C4)": "piecewise linear and concave, with kinks in Sheet1!Z1",
    "MAX(C1:C4)+MIN(C1:C4)": "piecewise linear, with kinks in Sheet1!Z1",
    "MAX(0,1-H1)^2+H2": "nonlinear and convex, with kinks in Sheet1!Z1",
    "ABS(H1)*ABS(H2)": "nonlinear, with kinks in Sheet1!Z1",
    "MEDIAN(C1:C4)": "piecewise linear, with kinks in Sheet1!Z1",
    "ROUND(H1,0)+H2": "nonlinear, with steps in Sheet1!Z1",
    "IF(H1>H2,1,2)+H1": "nonlinear, with steps in Sheet1!Z1",
    'COUNTIF(C1:C4,">0")+H1': "nonlinear, with steps in Sheet1!Z1",
    "IF(H1>H2,H1,H2)": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "IF(H1<=H2,H1,H2)": "piecewise linear and concave, with kinks in Sheet1!Z1",
    "IF(C1>0,0.9*C1,-0.1*C1)": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "IF(C1>0,0.9*C1,1-0.1*C1)": "nonlinear, with steps in Sheet1!Z1",
    "IF(ABS(C1)<=1.5,C1^2/2,1.5*(ABS(C1)-0.75))": "nonlinear, smooth and convex",
    "IF(ABS(C1)<=1.5,C1^2/2,1.5*(ABS(C1)-0.8))": "nonlinear, with steps in Sheet1!Z1",
    "IF(ABS(C1)<=1.5,C1^2/2,2*(ABS(C1)-0.9375))": "nonlinear, with kinks in Sheet1!Z1",
    "IF(H1>1,2*H1-1,H1^2)+H2": "nonlinear, smooth and convex",
    "IF(H1<1,H1,IF(H1<2,2*H1-1,3*H1-3))+H2": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "IFS(C1>2,C1+1,C1>1,2*C1-1,TRUE,3*C1-2)": "piecewise linear and concave, with kinks in Sheet1!Z1",
    "IF(AND(H1>=1,H1<2),2*H1-1,IF(2<=H1,3*H1-3,H1))+H2": "piecewise linear and convex, with kinks in Sheet1!Z1",
    "IF(H1<1,3*H1,IF(H1<2,H1+2,2*H1))+H2": "piecewise linear, with kinks in Sheet1!Z1",
    "IF(C1<-1,-2*C1-1,IF(C1>1,2*C1-1,C1^2))": "nonlinear and smooth",
    "IF(H1*H2<1,H1*H2,IF(H1*H2<2,2*H1*H2-1,3))": "nonlinear, with kinks in Sheet1!Z1",
    "IF(H1<1,5*H1,IF(H1<2,4*H1,3*H1))+H2": "nonlinear, with steps in Sheet1!Z1",
    "IF(H1<1,H1,IF(H1<2,2*H1-1,3*H1-2))+H2": "nonlinear, with steps in Sheet1!Z1",
    "IF(H1<1,H1,IF(H1<H2,2*H1-1,3*H1-1-H2))+H2": "nonlinear, with steps in Sheet1!Z1",
    "IF(H1<0,H1*LN(H2),IF(H1<1,0,H1-1))": "nonlinear, with steps in Sheet1!Z1",  # LN(H2) may be an error
    "PMT(H1/12,36,-1000)+H2": "nonlinear",  # with a formula of its own for a rate of 0
    "NPV(H1,A1:A4)+H2": "nonlinear",
}


@pytest.mark.parametrize(("formula", "expected"), KINDS.items(), ids=list(KINDS))
def test_kind(formula: str, expected: str) -> None:
    assert str(kind(f"={formula}")) == expected


def test_the_cells_that_make_it_so_are_named() -> None:
    found = kind("=SUM(D1:D4)+E1", **{"D1:D4": "=ABS(C1)", "E1": "=ROUND(H1,0)", "F1": "=H1^2"})
    assert [str(area) for area in found.stepped_cells] == ["Sheet1!E1"]
    assert str(found) == "nonlinear, with steps in Sheet1!E1"
    found = kind("=SUM(D1:D4)+F1", **{"D1:D4": "=ABS(C1)", "F1": "=H1^2"})
    assert [str(area) for area in found.kinked_cells] == ["Sheet1!D1:D4"]
    assert [str(area) for area in found.nonlinear_cells] == ["Sheet1!D1:D4", "Sheet1!F1"]


# --- nothing is said that is wrong --------------------------------------------------------------------------


def loss_of(program: Program) -> fx.GraphModule | None:
    result = program.value_of(TARGET)
    if result.constant:
        return None
    module = program.module([result.data])  # type: ignore[list-item]
    note_shapes(module)
    return module


def refute(module: fx.GraphModule, tensors: Sequence[torch.Tensor], width: float, seed: int) -> str:
    """What is said of a module's only output and is wrong, as values at random points show; empty if nothing is.

    `width` is how far from the present parameters the points are.
    """
    analysis = FunctionAnalysis(module)
    output = next(node for node in module.graph.nodes if node.op == "output").args[0][0]
    traits = analysis.of(output)
    generator = torch.Generator().manual_seed(seed)
    starts = [tensor.detach().clone() for tensor in tensors]

    def at(points: Sequence[torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            for tensor, point in zip(tensors, points, strict=True):
                tensor.copy_(point)
            value: torch.Tensor = module()[0].double().sum()
        return value

    def moved() -> list[torch.Tensor]:
        return [item + width * torch.randn(item.shape, generator=generator, dtype=item.dtype) for item in starts]

    wrong = ""
    for _ in range(12):
        one, two = moved(), moved()
        first, second = float(at(one)), float(at(two))
        middle = float(at([(left + right) / 2 for left, right in zip(one, two, strict=True)]))
        if not all(map(math.isfinite, (first, second, middle))):
            continue
        slack = 1e-9 * (1 + abs(first) + abs(second))
        above = (first + second) / 2 - middle
        if traits.convex and above < -slack:
            wrong = "convex"
        if traits.concave and above > slack:
            wrong = "concave"
        if traits.linear and abs(above) > slack:
            wrong = "linear"
        if output.meta["shape"].numel() == 1 and not traits.low - slack <= middle <= traits.high + slack:
            wrong = f"between {traits.low} and {traits.high}: {middle}"
        if traits.log_convex and middle > 0 and middle**2 > first * second * (1 + 1e-9):
            wrong = "log-convex"
    at(starts)
    return wrong


@pytest.mark.parametrize(("name", "text", "expected"), OPENED, ids=[text for _, text, _ in OPENED])
def test_functions(name: str, text: str, expected: object) -> None:
    """Every operation that a function records has a rule, and what the rules say of it is not refuted."""
    opened = Opened(name, text)
    program = lowered(opened.workbook, opened.params, "Z1")
    module = loss_of(program)
    if module is None:
        return
    calls = {node.target for node in module.graph.nodes if node.op.startswith("call")}
    assert calls - set(RULES) <= {torch.where, "where"}
    tensors = [program.parameters[parse_range(text, HOME).identifier] for text in opened.params]
    for number, width in enumerate((0.05, 3.0)):
        assert not refute(module, tensors, width, number)


OPERATIONS = ("+", "-", "*", "/", "^")
CALLS = ("ABS", "EXP", "LN", "SQRT", "TANH", "-", "COSH", "SINH", "ROUND")
SEVERAL = ("MAX", "MIN", "SUM", "AVERAGE", "SUMSQ", "PRODUCT")


def formula(chance: random.Random, depth: int) -> str:
    """A formula of H1 and H2, put together at random."""
    kind = chance.random() if depth else 0.0
    if kind < 0.25:
        return chance.choice(("H1", "H2", "0.5", "2", "1.5", "(-1)", "C1", "0"))
    one, two = formula(chance, depth - 1), formula(chance, depth - 1)
    if kind < 0.35:
        return f"({one})^{chance.choice(('2', '3', '0.5', '(-1)', '1.5', '4'))}"
    if kind < 0.65:
        return f"({one}{chance.choice(OPERATIONS[:4])}{two})"
    if kind < 0.8:
        called = chance.choice(CALLS)
        return f"{called}({one}{',1' if called == 'ROUND' else ''})"
    if kind < 0.92:
        return f"{chance.choice(SEVERAL)}({one},{two})"
    return f"IF({one}{chance.choice(('<', '>', '<='))}{two},{formula(chance, depth - 1)},{one})"


def random_losses(chance: random.Random) -> Iterator[tuple[str, fx.GraphModule, dict[str, Tensor]]]:
    """Some formulas put together at random, those of them that depend on parameters, with their programs."""
    for _ in range(4):
        text = formula(chance, 4)
        program = lowered(book({**DATA, "Z1": f"={text}"}), ["H1:H2"], "Z1")
        module = loss_of(program)
        if module is not None:
            yield text, module, program.parameters


@pytest.mark.parametrize("seed", range(30))
def test_random_formulas(seed: int) -> None:
    chance = random.Random(seed)
    for text, module, parameters in random_losses(chance):
        for width in (0.2, 2.0):
            assert not refute(module, list(parameters.values()), width, seed), text


@pytest.mark.parametrize("seed", range(30))
def test_random_formulas_stay_in_their_range(seed: int) -> None:
    """What interval arithmetic proves from bounds of the parameters, at many points between these."""
    chance = random.Random(1000 + seed)
    generator = torch.Generator().manual_seed(seed)
    for text, module, parameters in random_losses(chance):
        ((name, tensor),) = parameters.items()
        lower = tensor.detach() - torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 3
        upper = lower + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 5
        output = next(node for node in module.graph.nodes if node.op == "output").args[0][0]
        traits = FunctionAnalysis(module, {name: (lower.reshape(-1), upper.reshape(-1))}).of(output)
        for _ in range(60):
            share = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            with torch.no_grad():
                tensor.copy_(lower + share * (upper - lower))
                values = module()[0].double()
            values = values[values.isfinite()]
            slack = 1e-9 * (1 + values.abs())
            assert bool((values >= traits.low - slack).all()), text
            assert bool((values <= traits.high + slack).all()), text


@pytest.mark.parametrize("seed", range(30))
def test_random_formulas_stay_in_their_intervals(seed: int) -> None:
    """The same number by number, for two boxes at once, also of what has a sign only here and there."""
    chance = random.Random(2000 + seed)
    generator = torch.Generator().manual_seed(seed)
    for text, module, parameters in random_losses(chance):
        ((name, tensor),) = parameters.items()
        lower = torch.stack([tensor.detach()] * 2) - 3 * torch.rand(
            (2, *tensor.shape), generator=generator, dtype=tensor.dtype
        )
        widths = torch.tensor([5.0, 0.3]).reshape(2, *(1 for _ in tensor.shape))
        upper = lower + widths * torch.rand((2, *tensor.shape), generator=generator, dtype=tensor.dtype)

        def between(low: Tensor, high: Tensor, name: str = name, module: fx.GraphModule = module) -> Interval:
            return outputs_between(module, {name: Interval(low, high)})[0]

        found = torch.vmap(between)(lower, upper)
        for number in range(2):
            for _ in range(30):
                share = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                with torch.no_grad():
                    tensor.copy_(lower[number] + share * (upper[number] - lower[number]))
                    value = module()[0].double()
                slack = 1e-9 * (1 + value.abs())
                if bool(value.isfinite()):
                    assert bool(value >= found.low[number] - slack), text
                    assert bool(value <= found.high[number] + slack), text


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("SUMPRODUCT(H1:H2,C1:C2)", 0.0, 8.0),
        ("INDEX(C1:C5,H1+3)", 1.0, 5.0),
        ("CHOOSE(H2,10,30,20)", 10.0, 30.0),
        ("COS(H1)", math.cos(2), 1.0),
        ("IF(H1>5,100,H2)", 1.0, 3.0),
        ("H1*H1", 0.0, 4.0),
        ('COUNTIF(H1:H2,">=1")', 1.0, 2.0),
        ("1/H2", 1 / 3, 1.0),
        ("1/H1", -math.inf, math.inf),
        ("LN(H2)", 0.0, math.log(3)),
        ("ROUND(H2/2,0)", 1.0, 2.0),
        ("SUMXMY2(H1:H2,C1:C2)", 0.0, 10.0),
        ("PRODUCT(H1:H2)", -6.0, 6.0),
    ],
)
def test_intervals(text: str, low: float, high: float) -> None:
    """H1 from -2 to 2, H2 from 1 to 3, and 1 to 5 in C1:C5."""
    cells = {"H1:H2": [[0.5], [1.5]], "C1:C5": [[1.0], [2.0], [3.0], [4.0], [5.0]], "Z1": f"={text}"}
    program = lowered(book(cells), ["H1:H2"], "Z1")
    module = loss_of(program)
    assert module is not None
    ((name, tensor),) = program.parameters.items()
    ends = [torch.tensor(numbers, dtype=torch.float64).reshape(tensor.shape) for numbers in ([-2, 1], [2, 3])]
    found = outputs_between(module, {name: Interval(*ends)})[0]
    assert (float(found.low), float(found.high)) == pytest.approx((low, high))


# --- problems -----------------------------------------------------------------------------------------------


def problem(tmp_path: Path, objective: str, constraints: Sequence[tuple[str, int, Any]], **more: Any) -> ProblemKind:
    cells = {"A1": [[1.0], [2.0]], "C1": f"={objective}", "D1": "=A1+2*A2", "D2": "=A1^2+A2^2", "D3": "=A1*A2"}
    found = models.workbook(tmp_path, cells, "C1", "A1:A2", constraints=constraints, **more)
    return kind_of(models.compile(found))


def test_problems(tmp_path: Path) -> None:
    found = problem(tmp_path, "3*A1-A2", [("D1", AT_MOST, 8)])
    assert (found.name, found.linear, found.convex) == ("linear programme", True, True)
    found = problem(tmp_path, "3*A1-A2", [("D2", AT_MOST, 8)])
    assert (found.name, found.linear, found.convex) == ("nonlinear, convex", False, True)
    found = problem(tmp_path, "3*A1-A2", [("D2", AT_LEAST, 8)])
    assert (found.name, found.convex) == ("nonlinear", False)
    assert found.lines() == [
        "The objective Model!C1 is linear.",
        "Solver's constraint 1 (Model!D2 >= 8) is quadratic and convex.",
    ]
    found = problem(tmp_path, "3*A1-A2", [("D2", EQUAL, 8), ("D1", AT_MOST, 8)])
    assert not found.convex
    assert found.lines()[-1] == "The other constraints are linear."
    found = problem(tmp_path, "(A1-1)^2+A2^2", [("D1", AT_MOST, 8)])
    assert (found.name, found.convex) == ("quadratic, convex", True)
    valley = "there is one valley, so a minimum that is found is the lowest there is"
    assert found.lines()[0] == f"The objective Model!C1 is quadratic and convex: {valley}."
    found = problem(tmp_path, "(A1-1)^2+A2^2", [("D1", AT_MOST, 8)], kind=MAX)
    assert (found.name, found.convex) == ("quadratic", False)
    several = "there may be several maxima, of which a run finds one"
    assert found.lines()[0] == f"The objective Model!C1 is quadratic and convex: {several}."
    found = problem(tmp_path, "MAX(A1,A2)+ABS(A1-3)", [])
    assert (found.name, found.convex) == ("piecewise linear, convex", True)


def test_bounds_are_used(tmp_path: Path) -> None:
    """x^3 and 1/x are convex for positive x only, and ABS(x) is x there."""
    assert not problem(tmp_path, "A1^3+1/A2", [], neg=2).convex
    assert problem(tmp_path, "A1^3+1/A2", [], neg=1).convex
    assert problem(tmp_path, "ABS(A1)+ABS(A2)", [], neg=1).name == "linear programme"


def test_what_hides_an_error_is_not_convex() -> None:
    """IFERROR(LN(x),0) is concave only where LN has a value."""
    assert str(kind("=IFERROR(LN(H1),0)+H2")) == "nonlinear and smooth"


def test_the_parameters_stay() -> None:
    model = compiled({**DATA, "Z1": "=H1*H2+H1^2"}, "H1:H2")
    kind_of(model)
    assert list(model.parameter_cells().values()) == [0.5, 0.25]
