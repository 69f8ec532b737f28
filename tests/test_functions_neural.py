"""The functions of neural networks: the same as torch's, in a model as in the add-ins' cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import sgdsheet
from sgdsheet.analysis.checking import check_model
from sgdsheet.apps.udf.calls import Grid, calculate
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import Derivative
from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.layouts.sheet_rows import SheetReduction, SheetRows
from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.sheet.formula import function_name
from sgdsheet.sheet.references import Cell, Range, address, parse_range
from sgdsheet.sheet.workbook import ExcelError
from sgdsheet.train.session import Session
from tests.errors import refusal
from tests.sheets import HOME, book, check, check_gradients, compiled, lowered, value

Function = Callable[..., Tensor]


def numbers(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(height, width, generator=generator, dtype=torch.float64) * 2


def labels(height: int, classes: int) -> Tensor:
    return torch.arange(height, dtype=torch.float64).mul(7).remainder(classes).reshape(-1, 1)


def probabilities(height: int, width: int) -> Tensor:
    return numbers(height, width).sigmoid()


def convolved(image: Tensor, kernel: Tensor, bias: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    found = F.conv2d(image[None, None], kernel[None, None], bias.reshape(1), stride=stride, padding=padding)
    return found[0, 0]


def by_mean(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0, unbiased=False)


CASES: dict[str, tuple[str, list[Tensor], str, Function]] = {
    "relu": ("SGD_RELU", [numbers(4, 3)], "", torch.relu),
    "sigmoid": ("SGD_SIGMOID", [numbers(4, 3)], "", torch.sigmoid),
    "tanh": ("SGD_TANH", [numbers(4, 3)], "", torch.tanh),
    "softmax of rows": ("SGD_SOFTMAX", [numbers(4, 3)], "", lambda x: x.softmax(1)),
    "softmax of a row": ("SGD_SOFTMAX", [numbers(1, 5)], "", lambda x: x.softmax(1)),
    "softmax of a column": ("SGD_SOFTMAX", [numbers(5, 1)], "", lambda x: x.softmax(0)),
    "linear": ("SGD_LINEAR", [numbers(4, 3), numbers(3, 2, 1)], "", torch.matmul),
    "linear with bias": (
        "SGD_LINEAR",
        [numbers(4, 3), numbers(3, 2, 1), numbers(1, 2, 2)],
        "",
        lambda x, w, b: x @ w + b,
    ),
    "linear, one feature": ("SGD_LINEAR", [numbers(4, 1), numbers(1, 3, 1)], "", torch.matmul),
    "convolution": ("SGD_CONV2D", [numbers(6, 7), numbers(3, 2, 1), numbers(1, 1)], "", convolved),
    "convolution, stride": (
        "SGD_CONV2D",
        [numbers(6, 7), numbers(3, 2, 1), numbers(1, 1)],
        ",2",
        lambda *x: convolved(*x, stride=2),
    ),
    "convolution, padding": (
        "SGD_CONV2D",
        [numbers(5, 1), numbers(3, 3, 1), numbers(1, 1)],
        ",2,1",
        lambda *x: convolved(*x, stride=2, padding=1),
    ),
    "convolution of all": ("SGD_CONV2D", [numbers(3, 3), numbers(3, 3, 1), numbers(1, 1)], "", convolved),
    "mse": ("SGD_MSE", [numbers(4, 3), numbers(4, 3, 1)], "", F.mse_loss),
    "mae": ("SGD_MAE", [numbers(4, 3), numbers(4, 3, 1)], "", F.l1_loss),
    "bce": ("SGD_BCE", [numbers(6, 1), labels(6, 2)], "", F.binary_cross_entropy_with_logits),
    "bce of far scores": ("SGD_BCE", [numbers(6, 1) * 400, labels(6, 2)], "", F.binary_cross_entropy_with_logits),
    "bce of probabilities": ("SGD_BCE", [probabilities(6, 1), labels(6, 2)], ",TRUE", F.binary_cross_entropy),
    "cross-entropy": (
        "SGD_CROSSENTROPY",
        [numbers(6, 4), labels(6, 4)],
        "",
        lambda x, y: F.cross_entropy(x, y.flatten().long()),
    ),
    "cross-entropy of far scores": (
        "SGD_CROSSENTROPY",
        [numbers(6, 4) * 500, labels(6, 4)],
        "",
        lambda x, y: F.cross_entropy(x, y.flatten().long()),
    ),
    "cross-entropy of soft targets": (
        "SGD_CROSSENTROPY",
        [numbers(6, 4), numbers(6, 4, 1).softmax(1)],
        "",
        F.cross_entropy,
    ),
    "cross-entropy of probabilities": (
        "SGD_CROSSENTROPY",
        [numbers(6, 4).softmax(1), labels(6, 4)],
        ",TRUE",
        lambda x, y: F.nll_loss(x.log(), y.flatten().long()),
    ),
    "accuracy": (
        "SGD_ACCURACY",
        [numbers(20, 3), labels(20, 3)],
        "",
        lambda x, y: (x.argmax(1) == y.flatten()).double().mean(),
    ),
    "accuracy of one column": (
        "SGD_ACCURACY",
        [numbers(20, 1), labels(20, 2)],
        ",0",
        lambda x, y: ((x > 0) == (y > 0)).double().mean(),
    ),
    "one-hot": ("SGD_ONEHOT", [labels(6, 4)], ",4", lambda y: F.one_hot(y.flatten().long(), 4).double()),
    "normalise": ("SGD_NORMALIZE", [numbers(6, 3)], "", by_mean),
    "normalise as before": (
        "SGD_NORMALIZE",
        [numbers(6, 3), numbers(1, 3, 1), numbers(1, 3, 2)],
        "",
        lambda x, mean, deviation: (x - mean) / deviation,
    ),
    "random": (
        "SGD_RANDN",
        [],
        "3,2,0.5,9",
        lambda: torch.from_numpy(np.random.RandomState(9).standard_normal((3, 2))) * 0.5,
    ),
}


COMPARED = "RELU SIGMOID TANH SOFTMAX LINEAR CONV2D MSE MAE BCE CROSSENTROPY ACCURACY ONEHOT NORMALIZE RANDN"


def test_every_function_is_compared() -> None:
    """With torch; a new one may have examples instead, one of them on an array of several rows and columns."""
    compared = {case[0] for case in CASES.values()}
    assert compared >= {f"SGD_{name}" for name in COMPARED.split()}
    own = {name: found for name, found in REGISTRY.items() if name.startswith("SGD_")}
    ours = {name for name, found in own.items() if found.derivative is not Derivative.NONE}
    assert compared <= ours
    for name in ours - compared:
        assert any(re.search(r"\{[^}]*,[^}]*;[^}]*\}", formula) for formula in REGISTRY[name].examples), name


def options(text: str) -> list[Grid]:
    return [[[{"TRUE": True}.get(item) or float(item)]] for item in text.split(",") if item]


@pytest.mark.parametrize("case", CASES)
def test_the_add_ins_get_what_torch_gives(case: str) -> None:
    name, arrays, rest, expected = CASES[case]
    found = calculate(name, [*(array.tolist() for array in arrays), *options(rest)])
    wanted = expected(*arrays)
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64),
        wanted.reshape(wanted.shape if wanted.dim() == 2 else (1, 1)),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("case", CASES)
def test_a_sheet_gets_what_torch_gives(case: str) -> None:
    """Weighted and summed up in a loss whose parameters are all arguments: the same value and gradient."""
    name, arrays, rest, expected = CASES[case]
    cells: dict[str, Any] = {"A50": 1.0}
    params, texts = ["A50"], []
    for number, array in enumerate(arrays):
        corner = 1 + 8 * number
        area = f"{address(1, corner)}:{address(len(array), corner + array.shape[1] - 1)}"
        cells[area] = array.tolist()
        texts.append(area)
        params.append(area)
    tensors = [array.clone().requires_grad_() for array in arrays]
    wanted = expected(*tensors)
    weights = numbers(*wanted.shape, 8) if wanted.dim() == 2 else torch.ones(1, 1, dtype=torch.float64)
    shown = "AD1:" + address(len(weights), 29 + weights.shape[1])
    cells[shown] = weights.tolist()
    cells["Z1"] = f"=SUMPRODUCT({name}({','.join([*texts, rest.lstrip(',')] if rest else texts)})*{shown})*A50"
    fixed = REGISTRY[name].fixed_arguments
    chosen = [text for number, text in enumerate(params[1:]) if number not in fixed]
    loss = (wanted * weights).sum()
    if REGISTRY[name].derivative is Derivative.ZERO or not chosen:
        model = compiled(cells, "A50")
        assert model.gradients()[Cell(HOME, 50, 1)] == pytest.approx(float(loss.detach()), rel=1e-12)
        return
    model = compiled(cells, ",".join(["A50", *chosen]))
    assert float(model().detach()) == pytest.approx(float(loss.detach()), rel=1e-12)
    loss.backward()
    slopes = model.gradients()
    for text, tensor in zip(texts, tensors, strict=True):
        if text in chosen:
            exact = [slopes[cell] for cell in parse_range(text, HOME).cells()]
            slope = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad  # None: class numbers
            assert exact == pytest.approx(slope.flatten().tolist(), rel=1e-10, abs=1e-12)


# --- how programs write the names -------------------------------------------------------------------------

SPELLINGS = (
    "SGD_RELU",
    "sgd_relu",
    "SGD.RELU",
    "_xludf.SGD_RELU",
    "[1]!SGD_RELU",
    r"'C:\Add ins\sgdsheet.xlam'!SGD_RELU",
    "sgdsheet.xlam!SGD_RELU",
    "ORG.SGDSHEET.FUNCTIONS.SGDRELU",
    "org.sgdsheet.Functions.sgdRelu",
    "COM.SGDSHEET.FUNCTIONS.SGDRELU",
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    cells = {"A1:A3": [[-1.0], [2.0], [3.0]], "Z1": f"=SUMPRODUCT({name}(A1:A3))"}
    model = check(cells, "A1:A3", 5)
    assert model.program.code == compiled({**cells, "Z1": "=SUM(SGD_RELU(A1:A3))"}, "A1:A3").program.code


def test_other_names_stay() -> None:
    for name in ("SGDRELU", "MYSGD_RELU", "ORG.OTHER.SGDRELU", "SUM", "ORG.SGDSHEET.FUNCTIONS.RELU"):
        assert function_name(name) == name


def test_methods_of_the_extension_are_known() -> None:
    for item in declarations():
        assert function_name(f"ORG.SGDSHEET.FUNCTIONS.{item['method'].upper()}") == item["name"]


# --- networks ---------------------------------------------------------------------------------------------

COUNT = 12


def network(loss: str = "SGD_CROSSENTROPY(K2:M13,D2:D13)", **more: str) -> SheetModel:
    """Three features, four hidden units, three classes: written with nothing but our functions."""
    cells = {
        "A2:C13": numbers(COUNT, 3).tolist(),
        "D2:D13": labels(COUNT, 3).tolist(),
        "F2:I13": "{=SGD_RELU(SGD_LINEAR(A2:C13,P2:S4,P5:S5))}",
        "K2:M13": "{=SGD_LINEAR(F2:I13,U2:W5,U6:W6)}",
        "P2:S4": numbers(3, 4, 1).tolist(),
        "P5:S5": [[0.1, -0.2, 0.3, 0.4]],
        "U2:W5": numbers(4, 3, 2).tolist(),
        "U6:W6": [[0.0, 0.1, -0.1]],
        "Z1": f"={loss}",
        **more,
    }
    return compiled(cells, "P2:S5,U2:W6")


def by_hand(model: SheetModel, rows: Tensor) -> Tensor:
    first, second = (tensor for _, tensor in model.ranges())
    hidden = torch.relu(numbers(COUNT, 3)[rows] @ first[:3] + first[3])
    return F.cross_entropy(hidden @ second[:4] + second[4], labels(COUNT, 3)[rows].flatten().long())


LOSSES = (
    "SGD_CROSSENTROPY(K2:M13,D2:D13)",
    "SGD_CROSSENTROPY(SGD_LINEAR(F2:I13,U2:W5,U6:W6),D2:D13)",
    "SGD_CROSSENTROPY(K2:M13,SGD_ONEHOT(D2:D13,3))",
    "SGD_CROSSENTROPY(SGD_SOFTMAX(K2:M13),D2:D13,TRUE)",
)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_network(loss: str) -> None:
    model = network(loss)
    torch.testing.assert_close(model().detach(), by_hand(model, torch.arange(COUNT)).detach(), rtol=1e-12, atol=0)
    check_gradients(model)


def test_a_network_learns() -> None:
    model = network()
    start = float(model().detach())
    *_, last = Session(model, optimizer="adam", lr=0.05, steps=300)
    assert last.loss < start / 20


def test_check_finds_no_fault() -> None:
    report = check_model(network())
    assert report.passed
    assert report.gradient_max_error is not None
    assert report.gradient_max_error < 1e-7
    assert report.gradient_checked == 31
    assert not report.unsupported


def over_rows(model: SheetModel) -> SheetReduction:
    """The loss as a function of rows of the sheet."""
    return SheetRows(model, Range(HOME, 2, 1, COUNT + 1, 13)).reduction([model.problem.loss])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rows", [[3, 1], [0, 5, 7, 11, 2], list(range(COUNT))])
def test_batches_of_a_network(loss: str, rows: list[int]) -> None:
    model = network(loss)
    reduction = over_rows(model)
    chosen = torch.tensor(rows)
    ours = reduction.over(reduction.data.batch(chosen))()
    torch.testing.assert_close(ours, by_hand(model, chosen), rtol=1e-12, atol=0)


TIED = {
    "SUMPRODUCT(SGD_SOFTMAX(K2:K13)*D2:D13)": "uses SGD_SOFTMAX on a column of samples",
    "AVERAGE(SGD_NORMALIZE(K2:M13))": "uses SGD_NORMALIZE on the samples",
    "SGD_CROSSENTROPY(K2:K13,1)": "uses SGD_CROSSENTROPY on a column of samples",
}


@pytest.mark.parametrize("loss", TIED)
def test_what_ties_samples_together(loss: str) -> None:
    model = network(loss)
    with refusal(FormulaError, cell="Sheet1!Z1", cause=TIED[loss]):
        over_rows(model)


def test_a_convolutional_network() -> None:
    """One example in the sheet, kernels filled down: each copy has its own."""
    check(
        {
            "A1:F6": numbers(6, 6).tolist(),
            "H1:J3": numbers(3, 3, 1).tolist(),
            "L1:O4": "{=SGD_RELU(SGD_CONV2D(A1:F6,H1:J3,H4))}",
            "H4": 0.3,
            "Z1": "=SGD_MSE(L1:O4,A1:D4)",
        },
        "H1:J3,H4",
        None,
    )


def test_filled_down() -> None:
    """A layer row by row is the same as all at once."""
    cells = {
        "A1:B3": [[1.0, 2], [3, -4], [5, 6]],
        "D1:D2": [[0.5], [-0.25]],
        "E1": 0.1,
        "F1:F3": "=SGD_RELU(SGD_LINEAR($A1:$B1,$D$1:$D$2,$E$1))",
        "Z1": "=SUM(F1:F3)",
    }
    check(cells, "D1:D2,E1", 3.8)


# --- what goes wrong --------------------------------------------------------------------------------------

REFUSED = {
    "SGD_LINEAR(A1:B3,A1:B3)": r"^the formula calls SGD_LINEAR with inputs and weights .* \(3x2 and 3x2\)",
    "SGD_LINEAR(A1:B3,A1:B2,A1:A3)": "with a bias that does not fit",
    "SGD_MSE(A1:B3,A1:A3)": r"arrays of different sizes \(3x2 and 3x1\)",
    "SGD_BCE(A1:A3,B1:B2)": "arrays of different sizes",
    "SGD_CROSSENTROPY(A1:A3,B1:B3)": "with one score per row",
    "SGD_CROSSENTROPY(A1:B3,A1:A2)": "labels that do not fit",
    "SGD_ACCURACY(A1:B3,A1:A2)+A1": "labels that do not fit",
    "SGD_CONV2D(A1:B3,A1:B3,0,0)": "cannot use 0 for the stride",
    "SGD_CONV2D(A1:A3,A1:B3)": "a kernel larger than the image",
    "SUM(SGD_RANDN(A2))+A1": "needs one fixed number for the number of rows",
    "SUM(SGD_RANDN(1.5))+A1": "cannot use 1.5 for the number of rows",
    "SUM(SGD_RANDN(1000000,10000))+A1": "asks for 10,000,000,000 random numbers",
    "SUM(SGD_GRAD(A2,A1))": "SGD_GRAD, which is a gradient itself, so it has no place between parameters and loss",
    "SUM(SGD_STEP(A1,A2,1))": "SGD_STEP, which takes a gradient itself",
    'SUM(SGD_PREDICT("x.xlsx",A1))': "SGD_PREDICT, which runs the model of another workbook",
    "SGD_NOSUCH(A1)": "SGD_NOSUCH is not supported",
    "SGD_RELU(A1,A2)": "calls SGD_RELU with 2 arguments",
}


@pytest.mark.parametrize("formula", REFUSED)
def test_refused(formula: str) -> None:
    with refusal(SgdSheetError, cell="Sheet1!Z1", cause=REFUSED[formula]):
        lowered(book({"A1:B3": [[1.0, 0], [2, 1], [3, 1]], "Z1": f"={formula}"}), ["A1:B3"], "Z1")


def test_constants_keep_saved_values() -> None:
    workbook = book({"A1": 2.0, "B1": "=SGD_VERSION()", "C1": "=SGD_GRAD(A5,A6)", "Z1": "=A1^2*C1"})
    workbook.sheets[HOME].values[1, 3] = 5.0
    model = sgdsheet.compile(workbook, HOME, loss="Z1", params="A1")
    assert float(model().detach()) == 20


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=SGD_RELU(A1)", ExcelError.DIV0),
        ("=SUM(SGD_SOFTMAX(A1:B1))", ExcelError.DIV0),
        ("=SUM(SGD_RELU(B1:B3))", 3.0),
        ("=SGD_RELU(C1)", ExcelError.VALUE),
        ("=SUM(SGD_ONEHOT(B1:B3,2))", ExcelError.VALUE),
        ("=SGD_BCE(1.5,1,TRUE)", ExcelError.NUM),
        ("=SGD_BCE(0,1,TRUE)", 100.0),
        ("=SGD_CROSSENTROPY({1,0},{1},TRUE)", 100.0),
        ("=SUM(SGD_NORMALIZE({3;3;3}))", 0.0),
        ("=SGD_SOFTMAX(7)", 1.0),
        ("=SUM(SGD_ONEHOT({1;#N/A},2))", ExcelError.NA),
        ("=SUM(SGD_ONEHOT(C1,2))", ExcelError.VALUE),
        ('=SUM(SGD_ONEHOT(A1:C1,{"text","more"}))', ExcelError.DIV0),
        ("=SGD_CROSSENTROPY({1,0;0,1},{1;#N/A})", ExcelError.NA),
        ("=SUM(SGD_NORMALIZE(A1:B3))", ExcelError.DIV0),
        ("=INDEX(SGD_NORMALIZE(A1:B3),3,1)", ExcelError.DIV0),
        ("=INDEX(SGD_NORMALIZE(B1:C3),2,1)", -((3 / 2) ** 0.5)),
        ("=INDEX(SGD_NORMALIZE(B1:C3),2,2)", ExcelError.VALUE),
    ],
)
def test_errors_texts_and_blanks(formula: str, expected: object) -> None:
    """Text is an error, a blank cell 0, TRUE 1, and an error stays one."""
    cells = {"A1": ExcelError.DIV0, "B1": 2.0, "B3": True, "C1": "text"}
    found = value(formula, cells)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


CELLS = st.sampled_from([0.0, 1.0, -2.0, 0.5, 1e308, 1e-320, 1e18, True, None, "", "a", "1", "TRUE", *ExcelError])
SHAPES = st.sampled_from([(1, 1), (1, 3), (3, 1), (2, 2), (3, 2)])
CALLED = [entry for entry in declarations() if all(item["kind"] != "reference" for item in entry["arguments"])]


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any]]:
    entry = draw(st.sampled_from(CALLED))
    arguments: list[Any] = []
    for argument in entry["arguments"]:
        if argument["optional"] and draw(st.booleans()):
            break
        height, width = (1, 1) if argument["kind"] == "scalar" else draw(SHAPES)
        row = st.lists(CELLS, min_size=width, max_size=width)
        arguments.append(draw(st.lists(row, min_size=height, max_size=height)))
    return entry["name"], arguments


@given(calls())
@settings(max_examples=400)
def test_whatever_stands_in_the_cells(call: tuple[str, list[Any]]) -> None:
    """There is a value for every cell, or a reason why there is none."""
    name, arguments = call
    if name == "SGD_PREDICT":
        return  # reads a file
    try:
        found = calculate(name, arguments)
    except SgdSheetError:
        return
    assert found
    assert {len(row) for row in found} == {len(found[0])}
    assert all(isinstance(cell, (float, bool, str, ExcelError)) for row in found for cell in row)


def test_slopes_where_a_parameter_gives_an_error() -> None:
    """A probability beyond 1 is an error, hidden by IF: it must not leak NaN into the gradient."""
    model = compiled({"A1": 1.5, "A2": 0.5, "Z1": "=IF(A1>1,A2^2,SGD_BCE(A1,1,TRUE))+A1"}, "A1:A2")
    assert list(model.gradients().values()) == [1.0, 1.0]
