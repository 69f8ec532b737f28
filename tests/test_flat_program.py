"""The flat program of loss and gradient: the same numbers as autograd's, for every operation, function and example."""

from __future__ import annotations

import operator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

import sgdsheet
from sgdsheet.compiler.backward.derivative_table import DERIVATIVES
from sgdsheet.compiler.backward.flat_program import FlatProgram, derived, flat_program
from sgdsheet.compiler.backward.tape import NoRuleError
from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.sheet.references import parse_range
from sgdsheet.train import run
from sgdsheet.train.session import Session
from sgdsheet.train.step_objectives import AutogradObjective, FlatObjective
from tests.sheets import HOME, Cells, compiled, lowered
from tests.test_functions import OPENED, TARGET, Opened

ROOT = Path(__file__).parent.parent


def parameter(numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


A = parameter([[0.5, -1.25, 2.0], [0.75, 0.75, -0.5]])
CUBE = parameter([[[0.5, -1.25, 2.0], [0.75, 0.75, -0.5]], [[1.5, 0.25, -2.0], [0.25, -0.75, 0.5]]])
SMALL = parameter([[0.5, -0.25, 0.125], [0.75, 0.75, -0.5]])
POSITIVE = parameter([[0.5, 1.25, 2.0], [0.75, 0.75, 0.25]])
ABOVE_ONE = parameter([[1.5, 1.25, 2.0], [1.75, 2.75, 3.0]])
EDGES = parameter([[0.0, -1.0, 2.0]])
VECTOR, PAIR, COLUMN = parameter([1.5, -0.5, 0.25]), parameter([1.0, 2.0]), parameter([[2.0], [3.0]])
THREE_BY_TWO, THREE_BY_ONE = parameter([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), parameter([[1.0], [2.0], [0.5]])
LONG = parameter([1.0, 2.0, 3.0, 4.0, 5.0])
INDEX = torch.tensor([[0, 2, 2], [1, 0, 1]])
IMAGES = parameter(torch.sin(torch.arange(100.0)).reshape(2, 2, 5, 5).tolist())
KERNELS = parameter(torch.cos(torch.arange(24.0)).reshape(3, 2, 2, 2).tolist())

Case = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments and options of a call: tensors with a gradient become parameters, others constants."""


def case(*arguments: Any, **options: Any) -> Case:
    return arguments, options


ROWS: tuple[tuple[tuple[Any, ...], list[Case]], ...] = (
    ((torch.exp, torch.expm1, torch.abs, torch.sin, torch.cos, torch.tan, torch.sinh, torch.cosh), [case(A)]),
    ((torch.square, torch.erf, torch.erfc, torch.atan, torch.asinh, torch.tanh, torch.sigmoid), [case(A)]),
    ((F.logsigmoid, torch.neg, operator.neg), [case(A)]),
    ((torch.floor, torch.ceil, torch.trunc, torch.round, torch.sign), [case(A)]),
    ((torch.lgamma, torch.log, torch.log1p, torch.log10, torch.log2, torch.sqrt), [case(POSITIVE)]),
    ((torch.atanh, torch.asin, torch.acos), [case(SMALL)]),
    ((torch.acosh,), [case(ABOVE_ONE)]),
    ((torch.relu,), [case(EDGES), case(A)]),
    ((torch.clamp_min,), [case(EDGES, 0.0), case(A, 0.75), case(A, VECTOR)]),
    ((torch.clamp_max,), [case(EDGES, 0.0), case(A, 0.75)]),
    ((torch.where,), [case(INDEX > 1, A, VECTOR), case(INDEX > 1, A, torch.nan), case(INDEX > 1, 1.0, A)]),
    (
        (operator.add, torch.add, operator.sub, torch.sub, operator.mul, torch.mul, operator.truediv, torch.div),
        [case(A, VECTOR), case(A, 2), case(A, torch.tensor(3.0)), case(COLUMN, VECTOR)],
    ),
    (
        (operator.pow, torch.pow),
        [
            *(case(A, 2.0), case(A, 2), case(A, 0), case(A, 3.0), case(POSITIVE, 0.5), case(POSITIVE, VECTOR)),
            case(parameter([0.0, 2.0, -2.0]), parameter([2.0, 0.0, 3.0])),
        ],
    ),
    ((operator.sub, operator.truediv, operator.pow), [case(2.0, POSITIVE)]),
    ((torch.maximum, torch.minimum), [case(A, VECTOR), case(PAIR, parameter([1.0, 3.0]))]),
    ((torch.atan2,), [case(A, POSITIVE)]),
    ((torch.special.ndtri,), [case(parameter([0.1, 0.5, 0.975]))]),
    (("abs", torch.deg2rad, torch.rad2deg), [case(A), case(EDGES)]),
    ((torch.clamp,), [case(EDGES, min=0.0), case(A, -0.5, 0.75), case(A, max=0.75)]),
    ((torch.flip,), [case(A, [1]), case(CUBE, [0, -1])]),
    ((torch.ones_like,), [case(A)]),
    ((torch.full_like,), [case(A, 0.5)]),
    ((torch.argmax,), [case(A, dim=1)]),
    (
        (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge),
        [case(A, 0.75), case(0.75, A), case(A, VECTOR)],
    ),
    ((operator.and_, operator.or_), [case(INDEX > 1, INDEX < 2)]),
    ((operator.invert,), [case(INDEX > 1)]),
    ((torch.remainder,), [case(A, POSITIVE), case(A, 0.4)]),
    ((torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge), [case(A, 0.75)]),
    ((torch.isnan, torch.isfinite, torch.isinf, torch.logical_not, torch.any, torch.all), [case(A)]),
    ((torch.logical_and, torch.logical_or, torch.logical_xor), [case(A, torch.ones(2, 3))]),
    (("t", Tensor.t), [case(A)]),
    (("unsqueeze", Tensor.unsqueeze, torch.unsqueeze), [case(A, 1), case(A, -1)]),
    (("squeeze", Tensor.squeeze, torch.squeeze), [case(CUBE[:1, :1]), case(CUBE[:1, :1], 0), case(A, 0)]),
    (("transpose", Tensor.transpose, torch.transpose), [case(A, 0, 1)]),
    (("movedim", Tensor.movedim, torch.movedim), [case(CUBE, 0, 2)]),
    (("expand", Tensor.expand), [case(VECTOR, 4, 3), case(EDGES, 2, -1, 3)]),
    (("permute", Tensor.permute, torch.permute), [case(CUBE, (2, 0, 1))]),
    (("reshape", torch.reshape), [case(A, (3, 2)), case(CUBE, (-1,))]),
    (("select", torch.select), [case(A, 1, 2), case(A, 0, -1)]),
    (("narrow", torch.narrow), [case(A, 1, 1, 2)]),
    (
        (operator.getitem,),
        [
            case(A, 1),
            case(A, (slice(None), slice(1, 3))),
            case(A, (..., None, 1)),
            case(VECTOR.detach(), INDEX),
            case(A, (INDEX // 2,)),
        ],
    ),
    (("unfold",), [case(A, 1, 2, 1), case(LONG, 0, 2, 2)]),
    (("detach",), [case(A)]),
    (("to",), [case(A, torch.float64), case(A, torch.float32), case(A, VECTOR)]),
    ((torch.stack,), [case([A, A]), case([VECTOR, VECTOR], 1)]),
    ((torch.cat,), [case([A, A]), case([A, POSITIVE], 1)]),
    ((torch.take_along_dim,), [case(A, INDEX, 1), case(EDGES, INDEX, 1)]),
    ((torch.gather,), [case(A, 1, INDEX)]),
    ((torch.index_select,), [case(A, 1, torch.tensor([0, 0, 2]))]),
    (
        (torch.sum, torch.mean),
        [case(A), case(A, 0), case(A, dim=1), case(CUBE, (0, 2)), case(A, 1, keepdim=True)],
    ),
    ((F.mse_loss,), [case(A, POSITIVE), case(A, POSITIVE, reduction="sum")]),
    ((torch.logsumexp,), [case(A, 1), case(A, (0, 1)), case(A, 0, keepdim=True)]),
    ((torch.amax, torch.amin), [case(A), case(A, 0), case(parameter([[1.0, 1.0], [0.5, 1.0]]), (0, 1))]),
    ((torch.cumsum,), [case(A, 1)]),
    ((torch.prod,), [case(A), case(EDGES), case(A, 1), case(A, 0, keepdim=True), case(A[:1], dim=0), case(PAIR[:1])]),
    (
        (torch.matmul,),
        [
            *(case(A, VECTOR), case(PAIR, A), case(VECTOR, VECTOR), case(A, THREE_BY_TWO), case(CUBE, VECTOR)),
            *(case(CUBE, THREE_BY_ONE), case(PAIR, CUBE), case(EDGES, THREE_BY_ONE)),
        ],
    ),
    ((F.linear,), [case(A, POSITIVE), case(A, POSITIVE, PAIR), case(CUBE, POSITIVE)]),
    (
        (torch.tensordot,),
        [
            case(CUBE, POSITIVE, dims=([2], [1])),
            case(A, POSITIVE, ([0, 1], [0, 1])),
            case(A, A, dims=([0], [0])),
        ],
    ),
    ((torch.softmax, torch.log_softmax), [case(A, -1), case(A, dim=0)]),
    ((torch.conv2d,), [case(IMAGES, KERNELS), case(IMAGES, KERNELS, VECTOR, stride=2, padding=1)]),
    ((F.max_pool2d,), [case(IMAGES, 2), case(IMAGES, (2, 2), (1, 1))]),
)
"""Calls by what a graph may call: each operation of the table with operands that matter, edges among them."""

CALLS = [(target, given) for targets, examples in ROWS for target in targets for given in examples]


def example(target: Any, given: Case) -> fx.GraphModule:
    """A program that calls an operation, and makes a loss of the results' sines and of all parameters' sum."""
    graph, held = fx.Graph(), {"spare": nn.Parameter(torch.ones((), dtype=torch.float64))}

    def node(item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        name = f"item_{len(held)}"
        held[name] = nn.Parameter(item.detach().clone()) if item.requires_grad else item  # type: ignore[assignment]
        return graph.get_attr(name)

    arguments, options = (fx.node.map_aggregate(part, node) for part in given)
    result = graph.create_node(
        "call_method" if isinstance(target, str) else "call_function", target, arguments, options
    )
    found = graph.call_function(torch.sin, (graph.call_method("to", (result, torch.float64)),))
    total = graph.call_function(torch.sum, (found,))
    for name in [name for name, item in held.items() if isinstance(item, nn.Parameter)]:
        total = graph.call_function(operator.add, (total, graph.call_function(torch.sum, (graph.get_attr(name),))))
    graph.output(total)
    return fx.GraphModule(held, graph)


def same(one: object) -> Any:
    return one


def equal_to_autograd(module: fx.GraphModule, parameters: list[nn.Parameter]) -> FlatProgram:
    """Its flat program, which gives the same loss and gradient, there and after the parameters have moved."""
    with torch.no_grad():
        found = derived(module, parameters, same)
    for _ in range(2):
        found.forward()
        found.backward()
        loss = module.forward()
        expected = torch.autograd.grad(loss, parameters, allow_unused=True)
        torch.testing.assert_close(found.loss, loss.detach(), rtol=1e-12, atol=1e-14, equal_nan=True)
        for ours, theirs in zip(found.gradients, expected, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13, equal_nan=True)
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.0078125)
    return found


# --- the table ------------------------------------------------------------------------------------------------


def test_every_operation_has_an_example() -> None:
    assert not DERIVATIVES.keys() ^ {target for target, _ in CALLS}


@pytest.mark.parametrize(("target", "given"), CALLS, ids=[getattr(target, "__name__", target) for target, _ in CALLS])
def test_operation(target: Any, given: Case) -> None:
    module = example(target, given)
    equal_to_autograd(module, list(module.parameters()))


# --- functions and workbooks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text", "expected"), OPENED, ids=[text for _, text, _ in OPENED])
def test_function(name: str, text: str, expected: float) -> None:
    """The gradient of a function's own example, unless one of its operations has no rule."""
    opened = Opened(name, text)
    program = lowered(opened.workbook, opened.params, "Z1")
    result = program.value_of(TARGET)
    if result.constant:
        return
    module = program.module(result.data)
    tensors = [program.parameters[parse_range(text, HOME).identifier] for text in opened.params]
    loss = module()
    if not loss.requires_grad or loss.dtype != torch.float64:
        return
    try:
        equal_to_autograd(module, tensors)
    except NoRuleError:
        assert {node.target for node in module.graph.nodes if node.op.startswith("call")} - DERIVATIVES.keys()


WORKBOOKS = sorted(path.name for path in (ROOT / "workbooks").glob("*.xlsx"))


@pytest.mark.parametrize("name", WORKBOOKS)
def test_example_workbook(name: str) -> None:
    """Every model of every example is trained without autograd, and with its gradient."""
    book = sgdsheet.load(ROOT / "workbooks" / name)
    for sheet in book.sheets:
        try:
            model = sgdsheet.compile(book, sheet)
        except SgdSheetError:
            continue
        parameters = [tensor for _, tensor in model.ranges()]
        found = flat_program(model.program, parameters, model.as_objective)
        assert found is not None, sheet
        gradients = torch.autograd.grad(model.objective(), parameters, allow_unused=True)
        for ours, theirs in zip(found.gradients, gradients, strict=True):
            assert ours is not None
            assert theirs is not None
            rounding = 1e6 * torch.finfo(theirs.dtype).eps * float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=0, atol=rounding)


def test_a_gradient_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong rule makes no flat program: what training does stays right."""
    model = compiled({"A1:C1": [[1.5, -2.0, 0.5]], "Z1": "=SUMPRODUCT(SIN(A1:C1))"}, "A1:C1")
    parameters = list(model.parameters())
    assert flat_program(model.program, parameters, model.as_objective) is not None

    def wrong(tape: Any, x: Any) -> Any:
        return tape(torch.sin, x.value), lambda g: tape.give(x, lambda: tape.product(g, tape(torch.sin, x.value)))

    monkeypatch.setitem(DERIVATIVES, torch.sin, wrong)
    before = parameters[0].detach().clone()
    assert flat_program(model.program, parameters, model.as_objective) is None
    assert torch.equal(parameters[0], before)


def test_at_a_minimum_there_is_a_flat_program() -> None:
    """There the gradient is nothing but rounding, of which both have their own."""
    model = compiled({"A1:A3": [[0.1], [0.2], [0.3]], "B1": 0.2, "Z1": "=SUMPRODUCT((A1:A3-B1)^2)"}, "B1")
    (parameter,) = model.parameters()
    with torch.no_grad():
        parameter.fill_((0.1 + 0.2 + 0.3) / 3)
    assert flat_program(model.program, [parameter], model.as_objective) is not None


# --- training -------------------------------------------------------------------------------------------------

DATA: Cells = {
    "A1:B4": [[0.5, 1.5], [-1.0, 0.25], [2.0, -0.75], [1.25, 1.0]],
    "C1:C4": [[1.0], [-0.5], [0.75], [2.0]],
    "F1:G2": [[0.3, -0.2], [0.4, 0.1]],
    "D1:D4": "=TANH(SUMPRODUCT(A1:B1,$F$1:$G$1))*$F$2+$G$2",
    "Z1": "=SUMXMY2(C1:C4,D1:D4)/4",
}


def losses(monkeypatch: pytest.MonkeyPatch, *, without: bool, **options: Any) -> list[float]:
    with monkeypatch.context() as patch:
        if without:
            patch.setattr(run, "flat_program", lambda *_: None)
        model = compiled(DATA, "F1:G2")
        session = Session(model, steps=60, **options)
        found = [step.loss for step in session]
    return [*found, *model.parameter_cells().values()]


@pytest.mark.parametrize("name", [row.name for row in OPTIMIZERS.values() if row.family is not Family.POPULATION])
def test_optimizer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step for step the same losses as with autograd, and the same parameters at the end.

    A line search goes far on little, so there the parameters of two runs part where the loss hardly depends on them.
    """
    with_autograd, flat = (losses(monkeypatch, without=each, optimizer=name, seed=0) for each in (True, False))
    assert flat[:-4] == pytest.approx(with_autograd[:-4], rel=1e-9)
    searches = OPTIMIZERS[name].family is Family.LINE_SEARCH
    assert flat[-4:] == pytest.approx(with_autograd[-4:], rel=1e-4 if searches else 1e-9)


@pytest.mark.parametrize("aim", ["maximize", "value"])
def test_other_directions(aim: str) -> None:
    """A loss that is to become large, or to reach a value."""
    model = compiled(DATA, "F1:G2")
    direction = Direction.MAXIMISE if aim == "maximize" else Direction.VALUE
    model.problem = replace(model.problem, direction=direction, target=0.125)
    parameters = list(model.parameters())
    found = flat_program(model.program, parameters, model.as_objective)
    assert found is not None
    torch.testing.assert_close(found.objective, model.objective().detach())
    (expected,) = torch.autograd.grad(model.objective(), parameters)
    torch.testing.assert_close(found.gradients[0], expected)


def test_a_parameter_that_moves_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives a parameter another tensor between two steps trains that one."""
    model = compiled(DATA, "F1:G2")
    (parameter,) = model.parameters()
    steps = iter(Session(model, steps=3, optimizer="sgd", lr=0.1))
    next(steps)
    parameter.data = torch.zeros(2, 2, dtype=torch.float64)
    loss = model().item()
    assert next(steps).loss == pytest.approx(loss, rel=1e-12)
    assert next(steps).loss < loss


def test_a_parameter_that_moves_back() -> None:
    """Away from its memory autograd calculates its gradient, and back there the flat program does, not the last one."""
    model = compiled(DATA, "F1:G2")
    (parameter,) = model.parameters()
    program = flat_program(model.program, [parameter], model.as_objective)
    assert program is not None
    plain = AutogradObjective(lambda: model(), model.as_objective, [parameter])
    objective = FlatObjective(program, lambda: plain, [parameter])
    home = parameter.data
    for moved in (torch.zeros(2, 2, dtype=torch.float64), home, torch.ones(2, 2, dtype=torch.float64), home):
        parameter.data = moved
        value = objective.value().item()
        objective.backward()
        assert parameter.grad is not None
        (gradient,) = torch.autograd.grad(model(), [parameter])
        assert value == pytest.approx(model().item(), rel=1e-12)
        assert objective.loss.item() == value
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


# --- what must not grow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sheet", "most"), [("linear", 6), ("nnet", 16), ("mmult", 25)])
def test_operations_of_a_step(sheet: str, most: int) -> None:
    """Loss and gradient of the Titanic's models take so many operations, and nothing is calculated twice."""
    model = sgdsheet.compile(sgdsheet.load(ROOT / "workbooks" / "titanic.xlsx"), sheet)
    found = flat_program(model.program, list(model.parameters()), model.as_objective)
    assert found is not None
    assert len(found.operations) <= most
    assert not any(operation.copied for operation in found.operations)
