"""Every function of the registry: its examples, their gradients, its declaration."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import EXAMPLE_CELLS, Derivative
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.formula import parse, render
from sgdsheet.sheet.references import Cell, address, parse_range
from sgdsheet.sheet.syntax import (
    ArrayConstant,
    Axis,
    Boolean,
    Call,
    Node,
    Number,
    Reference,
    Text,
    Unary,
    transform,
    walk,
)
from sgdsheet.sheet.workbook import ExcelError, Formula, Workbook
from tests.errors import refusal
from tests.sheets import HOME, book, differences, lowered

EXAMPLES = [(name, text, expected) for name, found in REGISTRY.items() for text, expected in found.examples.items()]
TARGET = Cell(HOME, 1, 26)


def workbook(formula: str) -> Workbook:
    cells = {area.partition(":")[0]: list(column) for area, column in EXAMPLE_CELLS.items()}
    return book({**cells, "Z1": f"={formula}"})


def agrees(found: object, expected: float | str | bool) -> bool:
    """Whether a cell holds what an example says, to as many decimals as it says where these are few."""
    if isinstance(expected, (str, bool)):
        return (str(found) if isinstance(found, ExcelError) else found) == expected
    decimals = len(repr(expected).partition(".")[2])
    close = 0.51 * 10.0**-decimals if 5 <= decimals <= 12 and "e" not in repr(expected) else 1e-12
    return found == pytest.approx(expected, rel=1e-12, abs=close)


def test_nothing_is_missing() -> None:
    for name, found in REGISTRY.items():
        assert found.help.endswith("."), name
        assert found.examples or found.derivative is Derivative.NONE, name
        assert found.arguments[0] <= found.arguments[1], name
        assert found.category, name


@pytest.mark.parametrize(("name", "text", "expected"), EXAMPLES, ids=[text for _, text, _ in EXAMPLES])
def test_example(name: str, text: str, expected: float | str | bool) -> None:
    assert f"{name}(" in text
    found = evaluate(lowered(workbook(text), [], "Z1")).values[TARGET]
    assert isinstance(found, bool) or not isinstance(expected, bool)
    assert agrees(found, expected)


def reads_keys(name: str, text: str) -> bool:
    """Whether A1:A4 is an argument that must not depend on a parameter."""
    calls = (part for part in walk(parse(text, 1, 26)) if isinstance(part, Call) and part.name == name)
    fixed = (part for call in calls for i, part in enumerate(call.arguments) if i in REGISTRY[name].fixed_arguments)
    return any("A1:A4" in render(part, 1, 26) for part in fixed)


class Opened:
    """A workbook in which the numbers of a formula have become parameter cells, from row 10 on."""

    def __init__(self, name: str, text: str) -> None:
        self.workbook = workbook("0")
        self.values = self.workbook.sheets[HOME].values
        self.places: Iterator[int] = iter(range(10, 1000, 20))
        self.params: list[str] = []
        if "A1:A4" in text and not reads_keys(name, text):
            self.params.append("A1:A4")
        self.name = name
        tree = transform(parse(text, 1, 26), self.found)
        formula = Formula(render(tree, 1, 26), 1, 26, (1, 26, 1, 26))
        self.workbook.sheets[HOME].formulas[1, 26] = formula

    def found(self, node: Node) -> Node | None:
        """Only what stands inside the call in question is opened."""
        if isinstance(node, Call) and node.name == self.name:
            return self.opened(Call(node.name, node.arguments))
        return None

    def opened(self, node: Node) -> Node | None:
        if isinstance(node, Call) and (fixed := REGISTRY[node.name].fixed_arguments):
            kept = [part if i in fixed else transform(part, self.opened) for i, part in enumerate(node.arguments)]
            return Call(node.name, tuple(kept))
        if isinstance(node, Call):
            return Call(node.name, tuple(transform(part, self.opened) for part in node.arguments))
        if isinstance(node, Number):
            return self.cells(((node,),))
        return self.cells(node.rows) if isinstance(node, ArrayConstant) else None

    def cells(self, rows: tuple[tuple[Node, ...], ...]) -> Node:
        """Put the items of an array constant into cells of their own."""
        top = next(self.places)
        for i, row in enumerate(rows):
            for j, item in enumerate(row):
                if isinstance(item, Unary) and isinstance(item.operand, Number):
                    item = Number(-item.operand.value)
                assert isinstance(item, (Number, Text, Boolean))
                self.values[top + i, j + 1] = item.value
                if isinstance(item, Number):
                    self.params.append(address(top + i, j + 1))
        ends = (Axis(top, False), Axis(1, False), Axis(top + len(rows) - 1, False), Axis(len(rows[0]), False))
        return Reference(None, *ends)


OPENED = [example for example in EXAMPLES if Opened(*example[:2]).params]


@pytest.mark.parametrize(("name", "text", "expected"), OPENED, ids=[text for _, text, _ in OPENED])
def test_example_with_parameters(name: str, text: str, expected: float) -> None:
    """The same value, and the gradient that central differences give (0 for functions without a slope)."""
    opened = Opened(name, text)
    program = lowered(opened.workbook, opened.params, "Z1")
    assert agrees(evaluate(program).values.get(TARGET, expected), expected)
    result = program.value_of(TARGET)
    if result.constant:
        assert REGISTRY[name].derivative is Derivative.ZERO or isinstance(expected, str)  # an error
        return
    module = program.module(result.data)
    tensors = [program.parameters[parse_range(text, HOME).identifier] for text in opened.params]
    loss = module()
    if not loss.requires_grad:
        assert REGISTRY[name].derivative is Derivative.ZERO or REGISTRY[name].zero_arguments  # a key that is looked up
        return
    exact = torch.autograd.grad(loss.to(torch.float64), tensors, allow_unused=True)
    for tensor, slopes in zip(tensors, exact, strict=True):
        tensor.requires_grad_(False)
        assert slopes is None or bool(slopes.isfinite().all())
    if REGISTRY[name].derivative is Derivative.ZERO:
        assert all(slopes is None or not slopes.any() for slopes in exact)
        return
    for one, two in zip(exact, differences(module, tensors, step=1e-6), strict=True):
        if not is_edge(two):
            torch.testing.assert_close(torch.zeros_like(two) if one is None else one, two, rtol=1e-6, atol=1e-6)


def is_edge(slopes: torch.Tensor) -> bool:
    """At a jump (INT(2) inside, MAX(0,0)) or beyond the edge of what is defined, differences say nothing."""
    return not bool(slopes.isfinite().all()) or bool((slopes.abs() > 1e4).any()) or math.isnan(float(slopes.sum()))


def test_an_unknown_function_names_its_cell() -> None:
    with refusal(SgdSheetError, cell="Sheet1!Z1", cause="^NOSUCH is not supported"):
        lowered(workbook("NOSUCH(A1)+A2"), ["A1:A4"], "Z1")
