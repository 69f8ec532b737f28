"""The MNIST workbooks: what they name, what they look like, and that their formulas are the networks they claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import torch
import torch.nn.functional as F
from openpyxl.workbook import Workbook
from torch import Tensor

import sgdsheet
from sgdsheet.apps.examples._pictures import PIXELS, SIDE, draw, shuffled
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import Workbook as SheetWorkbook

WORKBOOKS = Path(__file__).parent.parent / "workbooks"
MODELS = [("mnist_3_or_7", "linear"), ("mnist_3_or_7", "net"), ("mnist", "mnist"), ("mnist_cnn", "cnn")]
PARAMETERS = {
    "linear": [(784,), ()],
    "net": [(784, 30), (30,), (30,), ()],
    "mnist": [(784, 30), (30,), (30, 10), (10,)],
    "cnn": [(5, 40), (8,), (80, 40), (16,), (40, 64), (10,)],
}


@pytest.fixture(scope="module")
def books() -> dict[str, SheetWorkbook]:
    return {name: sgdsheet.load(WORKBOOKS / f"{name}.xlsx") for name in ("mnist_3_or_7", "mnist", "mnist_cnn")}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Workbook]:
    return {name: openpyxl.load_workbook(WORKBOOKS / f"{name}.xlsx") for name in ("mnist_3_or_7", "mnist", "mnist_cnn")}


def numbers(book: SheetWorkbook, area: Range) -> Tensor:
    values = [book.sheets[area.sheet].values[cell.row, cell.column] for cell in area.cells()]
    return torch.tensor([float(value) for value in values], dtype=torch.float64).reshape(area.height, area.width)


def inputs(model: SheetModel) -> dict[str, Tensor]:
    return {item.field: numbers(model.workbook, item.area) for item in model.problem.inputs}


# --- the same networks, written by hand --------------------------------------------------------------------


def linear(image: Tensor, label: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    return ((image / 255 @ weights + bias).sigmoid() - (label[:, 0] == 3).double()).abs().mean()


def net(image: Tensor, label: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    hidden = torch.relu(image / 255 @ w1 + b1)
    return ((hidden @ w2 + b2).sigmoid() - (label[:, 0] == 3).double()).abs().mean()


def mnist(image: Tensor, label: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.cross_entropy(torch.relu(image / 255 @ w1 + b1) @ w2 + b2, label[:, 0].long())


def cnn(image: Tensor, label: Tensor, k1: Tensor, b1: Tensor, k2: Tensor, b2: Tensor, w: Tensor, b: Tensor) -> Tensor:
    first = k1.reshape(5, 8, 5).permute(1, 0, 2)[:, None]
    second = k2.reshape(16, 5, 8, 5).permute(0, 2, 1, 3)
    maps = F.max_pool2d(torch.relu(F.conv2d(image[None, None] / 255, first, b1)), 2)
    maps = F.max_pool2d(torch.relu(F.conv2d(maps, second, b2)), 2)
    dense = w.reshape(10, 4, 16, 4).permute(0, 2, 1, 3).reshape(10, -1)
    return F.cross_entropy(maps.flatten(1) @ dense.T + b, label[0].long())


BY_HAND: dict[str, Callable[..., Tensor]] = {"linear": linear, "net": net, "mnist": mnist, "cnn": cnn}


@pytest.mark.parametrize(("name", "sheet"), MODELS)
def test_value_and_gradient_of_the_network_it_claims_to_be(
    books: dict[str, SheetWorkbook], name: str, sheet: str
) -> None:
    model = sgdsheet.compile(books[name], sheet, precision="float64")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # biases of zero would hide where they belong
        for _, parameter in model.ranges():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    weights = [parameter.detach().clone().requires_grad_() for _, parameter in model.ranges()]
    expected = BY_HAND[sheet](*_fields(model), *weights)
    loss = model()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    expected.backward()
    for (_, parameter), weight in zip(model.ranges(), weights, strict=True):
        assert parameter.grad is not None
        assert weight.grad is not None
        assert torch.allclose(parameter.grad, weight.grad, rtol=1e-9, atol=1e-12)
        assert bool(weight.grad.abs().sum() > 0)


def _fields(model: SheetModel) -> tuple[Tensor, Tensor]:
    found = inputs(model)
    return found["image"], found["label"]


@pytest.mark.parametrize(("name", "sheet"), MODELS)
def test_saved_loss_is_the_compiled_one(books: dict[str, SheetWorkbook], name: str, sheet: str) -> None:
    model = sgdsheet.compile(books[name], sheet, precision="float64")
    saved = books[name].sheets[sheet].values[model.problem.loss[1:]]
    assert model().item() == pytest.approx(saved, rel=1e-9)


@pytest.mark.parametrize(("name", "sheet"), MODELS)
def test_names(books: dict[str, SheetWorkbook], name: str, sheet: str) -> None:
    model = sgdsheet.compile(books[name], sheet)
    problem = model.problem
    assert [tuple(parameter.shape) for _, parameter in model.ranges()] == PARAMETERS[sheet]
    assert problem.metric is not None
    assert (problem.origin or "").split()[0] == "mnist"
    image = next(item.area for item in problem.inputs if item.field == "image")
    label = next(item.area for item in problem.inputs if item.field == "label")
    if sheet == "cnn":
        assert problem.data is None
        assert (image.height, image.width, label.size) == (SIDE, SIDE, 1)
    else:
        assert problem.data is not None
        assert problem.data == label.bounding_box(image)
        assert (image.width, image.height) == (PIXELS, problem.data.height)


@pytest.mark.parametrize("name", ["mnist_3_or_7", "mnist", "mnist_cnn"])
def test_loads_and_compiles_in_time_and_is_small(name: str) -> None:
    path = WORKBOOKS / f"{name}.xlsx"
    assert path.stat().st_size < 1_500_000
    start = time.process_time()
    book = sgdsheet.load(path)
    for model in MODELS:
        if model[0] == name:
            sgdsheet.compile(book, model[1])
    assert time.process_time() - start < 5 * sum(model[0] == name for model in MODELS)


@pytest.mark.parametrize("name", ["mnist_3_or_7", "mnist", "mnist_cnn"])
def test_pages(drawn: dict[str, Workbook], name: str) -> None:
    for sheet in drawn[name].worksheets[1:]:  # after Start
        assert sheet.freeze_panes
        assert not sheet.sheet_view.showGridLines
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.conditional_formatting


def test_pictures_show_the_weights(books: dict[str, SheetWorkbook]) -> None:
    book = books["mnist"]
    pictures = book.sheets["pictures"]
    weights = numbers(book, parse_range("B7:AE790", "weights"))
    cells = sum(position in pictures.values for position in pictures.formulas)
    assert cells == (6 + 30) * PIXELS
    for unit, corner in ((0, "F36"), (1, "AI36"), (7, "AI66")):
        first = parse_range(corner, "pictures")
        area = first._replace(bottom=first.top + SIDE - 1, right=first.left + SIDE - 1)
        assert torch.equal(numbers(book, area).flatten(), weights[:, unit])


def test_drawn_digits_look_like_those_of_mnist() -> None:
    for digit in range(10):
        for seed in range(5):
            image = torch.tensor(draw(digit, seed), dtype=torch.float64).reshape(SIDE, SIDE)
            assert image.max() == 255
            assert image.min() == 0
            assert 0.05 < image.mean() / 255 < 0.3
            place = torch.arange(SIDE, dtype=torch.float64) + 0.5
            down, across = (image.sum(1) @ place) / image.sum(), (image.sum(0) @ place) / image.sum()
            assert abs(across - SIDE / 2) < 1.5
            assert abs(down - SIDE / 2) < 2
            assert not image[0].any()
            assert not image[-1].any()


def test_drawn_digits_differ_but_are_reproducible() -> None:
    assert draw(3, 1) == draw(3, 1)
    assert len({tuple(draw(3, seed)) for seed in range(10)}) == 10
    labels = [label for label, _ in shuffled((3, 7), 20, seed=37)]
    assert labels.count(3) == labels.count(7) == 10
    assert labels != sorted(labels)


@pytest.mark.parametrize(
    ("name", "sheet", "cell"),
    [("mnist", "pictures", "F36"), ("mnist_3_or_7", "linear", "L8"), ("mnist_cnn", "cnn", "AK8")],
)
def test_weights_show_their_signs_and_not_only_colours(
    drawn: dict[str, Workbook], name: str, sheet: str, cell: str
) -> None:
    assert drawn[name][sheet][cell].number_format == '[>=0.1]"+";[<=-0.1]"−";""'
