"""Batches of samples by flat programs: the steps that autograd takes, on rows of the sheet and of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.train import batch_objectives
from sgdsheet.train.batch_objectives import BatchObjectives
from sgdsheet.train.session import Session
from tests.bound_books import COUNT, Rows, numbers
from tests.test_bound_rows import MODELS
from tests.test_samples import sheet
from tests.training_books import values

STEPPING = [row.name for row in OPTIMIZERS.values() if row.family is Family.GRADIENT]


def trained(folder: Path, where: str, rows: Rows, **options: Any) -> tuple[list[float], list[float], set[int]]:
    """The losses of all batches, the parameters in the end, and the sizes of batches that had a flat program."""
    model = sheet(folder) if where == "sheet" else rows.bound(folder, numbers())
    run = Session(model, seed=3, **options)
    losses = [step.loss for step in run]
    flat = {size for size, filled in run._run._batches._filled.items() if filled is not None}
    return losses, values(model), flat


@pytest.mark.parametrize("where", ["sheet", "file"])
@pytest.mark.parametrize("name", STEPPING)
def test_optimizer(name: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step for step the same losses as with autograd, and the same parameters at the end."""
    options: dict[str, Any] = {"optimizer": name, "batch_size": 5, "epochs": 4}
    losses, ended, flat = trained(tmp_path, where, Rows(), **options)
    assert flat == {5, COUNT % 5}
    monkeypatch.setattr(batch_objectives, "flat_program", lambda *_: None)
    expected, end, none = trained(tmp_path, where, Rows(), **options)
    assert not none
    assert losses == pytest.approx(expected, rel=1e-9)
    assert ended == pytest.approx(end, rel=1e-9)
    assert len(set(losses)) == len(losses), "each batch has other samples"


@pytest.mark.parametrize("name", MODELS)
def test_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to sum up samples of a file gives the same losses as with autograd."""
    options: dict[str, Any] = {"optimizer": "sgd", "lr": 0.01, "batch_size": 4, "epochs": 2}
    losses, ended, flat = trained(tmp_path, "file", MODELS[name], **options)
    assert 4 in flat
    monkeypatch.setattr(batch_objectives, "flat_program", lambda *_: None)
    expected, end, _ = trained(tmp_path, "file", MODELS[name], **options)
    assert losses == pytest.approx(expected, rel=1e-9)
    assert ended == pytest.approx(end, rel=1e-9)


def test_a_batch_of_one_sample(tmp_path: Path) -> None:
    """It has no flat program: it is calculated as two that are alike."""
    losses, _, flat = trained(tmp_path, "sheet", Rows(), optimizer="sgd", lr=0.01, batch_size=11, epochs=2)
    assert flat == {11}
    assert len(losses) == 6


def test_many_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is fixed for a few sizes only; the others are autograd's."""
    monkeypatch.setattr(batch_objectives, "_SIZES", 1)
    losses, _, flat = trained(tmp_path, "sheet", Rows(), optimizer="sgd", lr=0.01, batch_size=5, epochs=2)
    assert flat == {5}
    monkeypatch.setattr(batch_objectives, "flat_program", lambda *_: None)
    assert losses == pytest.approx(
        trained(tmp_path, "sheet", Rows(), optimizer="sgd", lr=0.01, batch_size=5, epochs=2)[0], rel=1e-10
    )


def test_a_parameter_that_moves_house(tmp_path: Path) -> None:
    """Whoever gives a parameter another tensor between two steps trains that one, on the next batch."""
    model = sheet(tmp_path)
    run = Session(model, optimizer="sgd", lr=0.1, batch_size=5, epochs=2, seed=1)
    steps = iter(run)
    next(steps)
    (parameter,) = model.parameters()
    parameter.data = torch.zeros(3, dtype=torch.float64)
    next(steps)
    assert bool(parameter.abs().sum() > 0)


def test_nothing_is_calculated_twice(tmp_path: Path) -> None:
    """A step on a batch takes as many operations as one on all rows, and filling in the samples one for each column."""
    model = sheet(tmp_path)
    run = Session(model, batch_size=5, optimizer="sgd", lr=0.01, steps=3, seed=1)
    run.run()
    objectives: BatchObjectives = run._run._batches
    (filled,) = (item for item in objectives._filled.values() if item is not None)
    whole = Session(sheet(tmp_path), optimizer="sgd", lr=0.01, steps=3)
    whole.run()
    batch, everything = filled.objective._program.operations, whole._run.objective()._program.operations  # type: ignore[attr-defined]
    assert len(batch) <= len(everything) + 3
    assert not any(operation.copied for operation in batch)
