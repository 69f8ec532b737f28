"""Threes and sevens from the sheet, with the start values, the data and the results of a published notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.formats import open_source
from tests.shared_data import GOLDEN, MNIST, shared_data

ROOT = Path(__file__).parent.parent
pytestmark = shared_data("mnist", "golden")


@pytest.fixture(scope="module")
def traces() -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads((GOLDEN / "mnist37_f64.json").read_text())
    return found


def threes_and_sevens(part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Threes first, each in the order of file names that are numbers: “10.png” before “7.png”."""
    source = open_source(MNIST, part)
    labels = source.fields["label"]
    order = [
        index
        for digit in (3, 7)
        for index in sorted(np.flatnonzero(labels == digit).tolist(), key=lambda number: f"{number}.png")
    ]
    return source.fields["image"][order], labels[order]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "threes_and_sevens.npz"
    train, valid = threes_and_sevens("train"), threes_and_sevens("test")
    np.savez(path, train_image=train[0], train_label=train[1], valid_image=valid[0], valid_label=valid[1])
    return path


def compiled(sheet: str, source: Path, start: list[NDArray[Any]]) -> SheetModel:
    book = sgdsheet.load(ROOT / "workbooks" / "mnist_3_or_7.xlsx")
    model = sgdsheet.compile(book, sheet, source=str(source))
    with torch.no_grad():
        for (_, parameter), values in zip(model.ranges(), start, strict=True):
            parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
    return model


def test_linear(source: Path, traces: dict[str, list[float]]) -> None:
    start = np.load(GOLDEN / "mnist37_linear1_init.npz")
    model = compiled("linear", source, [start["w"], start["b"]])
    images, labels = threes_and_sevens("test")
    pixels, threes = torch.from_numpy(images.reshape(-1, 784) / 255.0), torch.from_numpy(labels == 3)

    def accuracy() -> float:
        """The notebook's: the mean over batches of 256, whose last one is smaller."""
        weights, bias = (parameter.detach().double() for _, parameter in model.ranges())
        right = ((pixels @ weights + bias > 0) == threes).double()
        return float(torch.stack([batch.mean() for batch in right.split(256)]).mean())

    session = sgdsheet.Session(model, optimizer="sgd", lr=1.0, batch_size=256, epochs=21, shuffle=False)
    found = [accuracy()]
    for step in session:
        if step.epoch is not None:
            found.append(accuracy())
            assert step.metric is not None
            assert abs(step.metric - found[-1]) < 0.003  # the mean over all rows
    assert found == pytest.approx(traces["linear1_batchacc"], abs=1e-3)


def test_net(source: Path, traces: dict[str, list[float]]) -> None:
    start = np.load(GOLDEN / "mnist37_golden_init.npz")
    model = compiled("net", source, [start["net_w1"].T, *(start[f"net_{name}"] for name in ("b1", "w2", "b2"))])
    session = sgdsheet.Session(model, optimizer="sgd", lr=0.1, batch_size=256, epochs=40, shuffle=False)
    steps = [step for step in session if step.epoch is not None]
    assert [step.valid_loss for step in steps] == pytest.approx(traces["simple_net_valid_loss"], abs=1e-5)
    assert [step.metric for step in steps] == pytest.approx(traces["simple_net_acc"], abs=1e-3)
