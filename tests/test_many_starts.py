"""Loss and gradient of many starts in one pass: those of each start by itself, for every operation and example."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import fx, nn

import sgdsheet
from sgdsheet.compiler.backward import many_starts as at_once
from sgdsheet.compiler.backward.batched_forms import FORMS
from sgdsheet.compiler.backward.flat_program import recorded
from sgdsheet.compiler.backward.many_starts import ManyStarts, many_starts
from sgdsheet.compiler.backward.tape import NoRuleError
from sgdsheet.errors import SgdSheetError
from sgdsheet.train.start_objectives import FlatObjectives, VmapObjectives, exploring_objectives
from tests.sheets import compiled
from tests.test_flat_program import CALLS, ROOT, WORKBOOKS, Case, example, same

FACTORS = (1.0, 1.0078125, 0.75, 1.25)
"""What the parameters of the starts are multiplied by."""

WITHOUT_A_FORM = {torch.conv2d, torch.nn.functional.max_pool2d, "unfold"}
"""Operations that go one start at a time under vmap."""


def batched(module: fx.GraphModule, parameters: list[nn.Parameter]) -> ManyStarts:
    """The program at the module's parameters times each of the factors."""
    with torch.no_grad():
        record = recorded(module, parameters, same, by_columns=True)
        found = ManyStarts(record, [item.detach() for item in parameters], len(FACTORS))
        for stacked, parameter in zip(found.parameters, parameters, strict=True):
            for place, factor in enumerate(FACTORS):
                stacked[..., place] = parameter * factor
    found.forward()
    found.backward()
    return found


@pytest.mark.parametrize(("target", "given"), CALLS, ids=[getattr(target, "__name__", target) for target, _ in CALLS])
def test_operation(target: Any, given: Case) -> None:
    module = example(target, given)
    parameters = list(module.parameters())
    if target in WITHOUT_A_FORM:
        with pytest.raises(NoRuleError):
            batched(module, parameters)
        return
    found = batched(module, parameters)
    before = [parameter.detach().clone() for parameter in parameters]
    for place, factor in enumerate(FACTORS):
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value * factor)
        loss = module.forward()
        expected = torch.autograd.grad(loss, parameters, allow_unused=True)
        torch.testing.assert_close(found.losses[place], loss.detach(), rtol=1e-12, atol=1e-14, equal_nan=True)
        for ours, theirs in zip(found.gradients, expected, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                torch.testing.assert_close(ours[..., place], theirs, rtol=1e-11, atol=1e-13, equal_nan=True)


@pytest.mark.parametrize("name", WORKBOOKS)
def test_example_workbook(name: str) -> None:
    """Starts of every model of every example have the objectives and gradients that autograd gives them, in float32."""
    book = sgdsheet.load(ROOT / "workbooks" / name)
    for sheet in book.sheets:
        try:
            model = sgdsheet.compile(book, sheet)
        except SgdSheetError:
            continue
        generator = torch.Generator().manual_seed(1)
        stacks = [
            tensor.detach().float() + 0.2 * torch.randn((5, *tensor.shape), generator=generator)
            for _, tensor in model.ranges()
        ]
        found = exploring_objectives(model.program, model.parameter_names, model.as_objective, stacks)
        if not isinstance(found, FlatObjectives):
            assert any(node.target in WITHOUT_A_FORM for node in model.program.graph.nodes), sheet
            continue
        exact = VmapObjectives(model.program, model.parameter_names, model.as_objective)
        values, gradients = found.with_gradients(stacks)
        expected, theirs = exact.with_gradients([stacked.to(model.dtype) for stacked in stacks])
        finite = expected.isfinite()
        torch.testing.assert_close(values[finite].to(model.dtype), expected[finite], rtol=1e-3, atol=1e-5)
        for ours, other in zip(gradients, theirs, strict=True):
            assert ours is not None
            assert other is not None
            length = float(other[finite].norm())
            assert float((ours[finite] - other[finite]).norm()) <= 2e-3 * length + 1e-6


def test_a_gradient_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong form makes no program: restarts stay right."""
    model = compiled({"A1:C1": [[1.5, -2.0, 0.5]], "Z1": "=SUMPRODUCT(SIN(A1:C1))"}, "A1:C1")
    (parameter,) = model.program.parameters()
    stacks = [torch.stack([parameter.detach() * factor for factor in FACTORS])]
    assert many_starts(model.program, [parameter], model.as_objective, stacks) is not None
    right = FORMS[torch.cos]

    def wrong(starts: Any, operation: Any) -> Any:
        for each in right(starts, operation):
            each.function = torch.sin
            yield each

    monkeypatch.setitem(FORMS, torch.cos, wrong)
    assert many_starts(model.program, [parameter], model.as_objective, stacks) is None


def test_starts_of_which_none_has_a_finite_loss() -> None:
    """There is nothing to compare with, so nothing is trusted."""
    model = compiled({"A1": 1.5, "Z1": "=SQRT(A1)"}, "A1")
    stacks = [torch.tensor([-1.0, -2.0], dtype=torch.float64)]
    assert many_starts(model.program, list(model.program.parameters()), model.as_objective, stacks) is None


@pytest.mark.parametrize(("count", "each", "expected"), [(64, 1, 64), (1000, 8_000, 125), (300, 10**9, 16), (1, 1, 1)])
def test_parts_of_the_same_size(count: int, each: int, expected: int) -> None:
    """Parts that fit into the cache, or sixteen starts at least, and none of them with a rest."""
    assert at_once._at_once(count, each) == expected


@pytest.mark.parametrize(("sheet", "most", "copied"), [("linear", 8, 0), ("nnet", 16, 0), ("mmult", 32, 3)])
def test_operations_of_a_step(sheet: str, most: int, copied: int) -> None:
    """All starts together take about as many operations as one; products of two parameters copy their results."""
    model = sgdsheet.compile(sgdsheet.load(ROOT / "workbooks" / "titanic.xlsx"), sheet)
    stacks = [torch.randn((64, *tensor.shape), dtype=torch.float64) for _, tensor in model.ranges()]
    found = many_starts(model.program, list(model.program.parameters()), model.as_objective, stacks)
    assert found is not None
    assert len(found.operations) <= most
    assert sum(operation.copied for operation in found.operations) <= copied
