"""One example in the sheet, the others in a file: the mean of the sheet's own formulas over the samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.problem.definition import find_problem
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.train.session import Session
from tests.bound_books import Array, idx, parameters, save, session, slope
from tests.training_books import write

COUNT = 17
SIDE = 6
CLASSES = 3
NAMES = {
    "sgd_loss": "A1",
    "sgd_metric": "A2",
    "sgd_source": "A3",
    "sgd_input_image": "B5:G10",
    "sgd_input_label": "I5",
}


def samples(count: int = COUNT, seed: int = 1) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8),
        "label": random.integers(0, CLASSES, count, dtype=np.uint8),
    }


def convolutional() -> dict[str, Any]:
    """Two kernels, the larger of each 2×2, a score per class, and the cross-entropy of this one picture."""
    random = np.random.default_rng(2)
    cells: dict[str, Any] = {
        "A4": 255,
        "A5": "=A4/2",
        "K5:M7": random.normal(size=(3, 3)).tolist(),
        "K9:M11": random.normal(size=(3, 3)).tolist(),
        "N5:N6": random.normal(size=(2, 1)).tolist(),
        "P5:R12": (random.normal(size=(8, 3)) / 2).tolist(),
        "P13:R13": [random.normal(size=3).tolist()],
        "B12:G17": [[f"={chr(66 + j)}{5 + i}/$A$5-1" for j in range(SIDE)] for i in range(SIDE)],
    }
    for number, (kernel, left) in enumerate((("$K$5:$M$7", "B"), ("$K$9:$M$11", "G"))):
        first = ord(left)
        cells[f"{left}20:{chr(first + 3)}23"] = [
            [
                f"=MAX(0,SUMPRODUCT({chr(66 + j)}{12 + i}:{chr(68 + j)}{14 + i},{kernel})+$N${5 + number})"
                for j in range(4)
            ]
            for i in range(4)
        ]
        for i in range(2):
            for j in range(2):
                corner, end = f"{chr(first + 2 * j)}{20 + 2 * i}", f"{chr(first + 2 * j + 1)}{21 + 2 * i}"
                cells[f"T{5 + 4 * number + 2 * i + j}"] = f"=MAX({corner}:{end})"
    cells["P15:R15"] = [[f"=SUMPRODUCT($T$5:$T$12,{letter}$5:{letter}$12)+{letter}13" for letter in "PQR"]]
    cells["A1"] = "=LN(SUM(EXP(P15)+EXP(Q15)+EXP(R15)))-INDEX(P15:R15,1,I5+1)"
    cells["A2"] = "=IF(INDEX(P15:R15,1,I5+1)=MAX(P15:R15),1,0)"
    return cells


PARAMETERS = "K5:M7,K9:M11,N5:N6,P5:R13"


def by_torch(model: SheetModel, data: Mapping[str, Array], rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of the network, written by hand."""
    one, two, bias, dense = (tensor for _, tensor in model.ranges())
    image = torch.from_numpy(data["image"][rows].astype(float)).unsqueeze(1) / 127.5 - 1
    label = torch.from_numpy(data["label"][rows].astype(int))
    hidden = F.max_pool2d(F.relu(F.conv2d(image, torch.stack([one, two]).unsqueeze(1), bias)), 2).flatten(1)
    scores = hidden @ dense[:8] + dense[8]
    return F.cross_entropy(scores, label), (scores.argmax(1) == label).double().mean()


def book_of(folder: Path, cells: Mapping[str, Any], data: Mapping[str, Array], params: str, **names: str) -> Path:
    """The workbook with its first sample, and data.npz beside it."""
    save(folder / "data.npz", data)
    shown = {"B5:G10": data["image"][0].tolist(), "I5": int(data["label"][0]), "A3": "data.npz"}
    return write(folder / "book.xlsx", {**cells, **shown}, {**NAMES, "sgd_params": params, **names})


def model_of(path: Path, precision: str = "float64") -> SheetModel:
    return sgdsheet.compile(sgdsheet.load(path), precision=precision)


def one_by_one(book: Workbook, data: Mapping[str, Array]) -> Iterator[SheetModel]:
    """The sheet with each sample in its cells, trained on nothing else."""
    problem = replace(find_problem(book), origin=None)
    areas = {item.field: item.area for item in problem.inputs}
    for number in range(len(data["label"])):
        shown = {}
        for field, area in areas.items():
            shown.update(zip(area.cells(), data[field][number].astype(float).reshape(-1).tolist(), strict=True))
        yield sgdsheet.compile(book.with_values(shown), problem=problem, precision="float64")


def mean_of(models: Sequence[SheetModel]) -> tuple[float, Tensor]:
    """The mean of the losses and of the gradients."""
    losses = [float(model().detach()) for model in models]
    slopes = [torch.tensor(list(model.gradients().values()), dtype=torch.float64) for model in models]
    return sum(losses) / len(losses), torch.stack(slopes).mean(dim=0)


def test_the_mean_over_the_sheets_of_all_samples(tmp_path: Path) -> None:
    """Value and gradient: batched, sample by sample in the sheet, and written by hand."""
    data = samples()
    model = model_of(book_of(tmp_path, convolutional(), data, PARAMETERS))
    run = session(model)
    singles = list(one_by_one(model.workbook, data))
    for rows in (list(range(COUNT)), [3, 0, 3], [9]):
        expected = mean_of([singles[row] for row in rows])
        loss, gradient = slope(run, rows)
        assert loss == pytest.approx(expected[0], rel=1e-11)
        torch.testing.assert_close(gradient, expected[1], rtol=1e-10, atol=1e-12)
        assert loss == pytest.approx(float(by_torch(model, data, rows)[0].detach()), rel=1e-11)
    assert run.loss_start == pytest.approx(mean_of(singles)[0], rel=1e-11)


@pytest.mark.parametrize(("size", "shuffle"), [(5, "no"), (4, "yes"), (1, "no"), (COUNT, "no"), (100, "yes")])
def test_training_is_that_of_hand_written_code(size: int, shuffle: str, tmp_path: Path) -> None:
    data = samples()
    path = book_of(tmp_path, convolutional(), data, PARAMETERS)
    trained, by_hand = model_of(path), model_of(path)
    run = session(trained, batch_size=size, shuffle=shuffle, epochs=3, seed=4, lr=0.02)
    losses = [step.loss for step in run]
    generator = torch.Generator().manual_seed(4)
    optimizer = torch.optim.SGD([tensor for _, tensor in by_hand.ranges()], lr=0.02)
    expected = []
    for _ in range(3):
        order = torch.randperm(COUNT, generator=generator) if shuffle == "yes" else torch.arange(COUNT)
        for batch in order.split(size):
            loss, _ = by_torch(by_hand, data, batch.tolist())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(float(loss.detach()))
    assert losses == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(parameters(trained), parameters(by_hand), rtol=1e-9, atol=1e-9)
    assert run.loss == pytest.approx(float(by_torch(trained, data, range(COUNT))[0].detach()), rel=1e-9)
    assert run.loss < run.loss_start


# --- parts ------------------------------------------------------------------------------------------------


def in_parts(**counts: int) -> dict[str, Array]:
    """Arrays called train_image, train_label, valid_image, …"""
    made = {part: samples(count, seed=number) for number, (part, count) in enumerate(counts.items())}
    return {f"{part}_{field}": values for part, fields in made.items() for field, values in fields.items()}


def part(data: Mapping[str, Array], name: str) -> dict[str, Array]:
    return {field: data[f"{name}_{field}"] for field in ("image", "label")}


@pytest.fixture
def parted(tmp_path: Path) -> tuple[SheetModel, dict[str, Array]]:
    data = in_parts(train=11, valid=5, test=7)
    path = book_of(tmp_path, convolutional(), part(data, "train"), PARAMETERS)
    save(tmp_path / "data.npz", data)
    return model_of(path), data


def test_validation_and_test_parts(parted: tuple[SheetModel, dict[str, Array]]) -> None:
    model, data = parted
    run = session(model, epochs=2, batch_size=4)
    assert run.sample_count == 11
    steps = list(run)
    assert len(steps) == 6
    assert [step.epoch for step in steps if step.epoch] == [1, 2]
    loss, accuracy = (float(item.detach()) for item in by_torch(model, part(data, "valid"), range(5)))
    assert (steps[-1].valid_loss, steps[-1].metric) == pytest.approx((loss, accuracy), rel=1e-9)
    assert (run.valid_loss, run.valid_metric) == pytest.approx((loss, accuracy), rel=1e-9)
    loss, accuracy = (float(item.detach()) for item in by_torch(model, part(data, "test"), range(7)))
    assert (run.test_loss, run.test_metric) == pytest.approx((loss, accuracy), rel=1e-9)


def test_early_stopping_keeps_the_best(parted: tuple[SheetModel, dict[str, Array]]) -> None:
    model, data = parted
    run = session(model, epochs=400, batch_size=11, lr=0.5, early_stopping=4)
    seen = [step.valid_loss for step in run]
    assert (run.stopped, run.reason) == ("early", "validation got no better for 4 epochs")
    assert len(seen) < 400
    assert len(seen) - 1 - int(np.argmin(seen)) == 4
    best = float(by_torch(model, part(data, "valid"), range(5))[0].detach())
    assert best == pytest.approx(min(seen), rel=1e-9)
    assert run.valid_loss == pytest.approx(best, rel=1e-9)


def test_a_share_kept_back(tmp_path: Path) -> None:
    """A source without a validation part: some of its samples are never trained on."""
    data = samples()
    model = model_of(book_of(tmp_path, convolutional(), data, PARAMETERS))
    run = session(model, validation=0.3, seed=6, epochs=2)
    kept = torch.randperm(COUNT, generator=torch.Generator().manual_seed(6))[: round(0.3 * COUNT)].sort().values
    assert run.sample_count == COUNT - len(kept)
    others = [row for row in range(COUNT) if row not in kept.tolist()]
    assert run.loss_start == pytest.approx(float(by_torch(model, data, others)[0].detach()), rel=1e-9)
    run.run()
    assert run.valid_loss == pytest.approx(float(by_torch(model, data, kept.tolist())[0].detach()), rel=1e-9)
    assert run.test_loss is None


def test_validation_is_left_alone_where_there_is_a_part_for_it(parted: tuple[SheetModel, dict[str, Array]]) -> None:
    model, _ = parted
    run = session(model, validation=0.5, epochs=1)
    assert run.sample_count == 11


# --- what the cells hold ----------------------------------------------------------------------------------


def test_idx_files_and_a_selection(tmp_path: Path) -> None:
    """MNIST's own format, in a folder beside the workbook; only two of the digits."""
    data = samples(60)
    idx(tmp_path / "digits", data["image"], data["label"], packed=True)
    idx(tmp_path / "digits", data["image"][:9], data["label"][:9], "t10k")
    cells = {**convolutional(), "A3": "digits where label is 0 or 2"}
    names = {**NAMES, "sgd_params": PARAMETERS}
    model = model_of(write(tmp_path / "idx.xlsx", {**cells, "B5:G10": 7, "I5": 1}, names))
    run = session(model, steps=0)
    chosen = [row for row in range(60) if data["label"][row] != 1]
    assert run.sample_count == len(chosen)
    assert run.source == "digits where label is 0 or 2"
    assert run.loss_start == pytest.approx(float(by_torch(model, data, chosen)[0].detach()), rel=1e-9)
    run.run()
    chosen = [row for row in range(9) if data["label"][row] != 1]
    assert run.test_loss == pytest.approx(float(by_torch(model, data, chosen)[0].detach()), rel=1e-9)


@pytest.mark.parametrize("cells", ["B5:G10", "B5:AK5", "B5:B40"])
def test_a_picture_as_a_square_a_row_or_a_column(cells: str, tmp_path: Path) -> None:
    """The pixels of a picture, row by row."""
    data = samples()
    area = {"AP1": 0.01, "A1": f"=(SUM({cells})*AP1-AM1)^2", "A3": "data.npz", cells: 1, "AM1": 1}
    save(tmp_path / "data.npz", data)
    names = {
        "sgd_loss": "A1",
        "sgd_source": "A3",
        "sgd_params": "AP1",
        "sgd_input_image": cells,
        "sgd_input_LABELS": "AM1",
    }
    run = session(model_of(write(tmp_path / "sum.xlsx", area, names)))
    sums = data["image"].reshape(COUNT, -1).astype(float).sum(axis=1)
    assert run.loss_start == pytest.approx(float(np.mean((sums * 0.01 - data["label"]) ** 2)), rel=1e-11)


def test_bytes_are_not_scaled_and_one_example_is_float32_unless_told(tmp_path: Path) -> None:
    path = book_of(tmp_path, convolutional(), samples(), PARAMETERS)
    run = Session(sgdsheet.compile(sgdsheet.load(path)), steps=0)
    assert run.model.dtype == torch.float32
    assert run._run.bound is not None
    assert [tensor.dtype for tensor in run._run.bound.data.tensors] == [torch.uint8, torch.uint8]
    assert run.loss_start == pytest.approx(session(model_of(path)).loss_start, rel=1e-5)
