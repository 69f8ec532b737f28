"""Sheets that are trained on a file: the same formulas with all data in the sheet, or with a preview and a source."""

from __future__ import annotations

import csv
import gzip
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.session import Session
from tests.training_books import workbook, write

Array = NDArray[Any]
Columns = Mapping[str, Array]

TOP = 4
"""The row of the first sample."""
COUNT = 23
START = [0.5, -0.3, 0.2]


def numbers(count: int = COUNT, seed: int = 5) -> dict[str, Array]:
    """Two inputs and what is to be predicted from them, of each sample."""
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(2, count))
    return {"x": x, "z": z, "y": x - 2 * z + 0.5 + 0.1 * random.normal(size=count)}


@dataclass(frozen=True)
class Rows:
    """One sample per row from C4 on: the columns x, z, y in C, D, E, then `formulas`, one per column from F on.

    `{r}` is the row itself, `{a}` and `{b}` the first and the last row of all samples. Parameters are K1:K3 (unless
    `start` says otherwise), the loss is A1.
    """

    formulas: Sequence[str] = ("=$K$1*C{r}+$K$2*D{r}+$K$3", "=(F{r}-E{r})^2")
    loss: str = "=AVERAGE(G{a}:G{b})"
    start: Mapping[str, Any] = field(default_factory=lambda: {"K1:K3": [[value] for value in START]})
    more: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    headers: Sequence[str | None] = ("x", "z", "y")

    def cells(self, data: Columns, count: int) -> dict[str, Any]:
        bottom = TOP + count - 1
        cells: dict[str, Any] = {
            f"C{TOP}:E{bottom}": np.column_stack([data[name][:count] for name in "xzy"]).tolist(),
            "C3:E3": [list(self.headers)],
            "A1": self.loss,
            **self.start,
        }
        for number, formula in enumerate(self.formulas):
            letter = "FGHIJ"[number]
            cells[f"{letter}{TOP}:{letter}{bottom}"] = formula
        cells |= self.more
        filled = {}
        for reference, content in cells.items():
            text = content.replace("{a}", str(TOP)).replace("{b}", str(bottom)) if isinstance(content, str) else content
            filled[reference.replace("{b}", str(bottom))] = text
        return filled

    def all_names(self, count: int) -> dict[str, str]:
        bottom = TOP + count - 1
        columns = f"C{TOP}:{'EFGHIJ'[len(self.formulas)]}{bottom}"
        parameters = ",".join(reference for reference in self.start)
        names = {"sgd_loss": "A1", "sgd_params": parameters, "sgd_data": columns, **self.names}
        return {name: text.replace("{b}", str(bottom)) for name, text in names.items()}

    def in_sheet(self, folder: Path, data: Columns) -> SheetModel:
        """All data in the sheet."""
        folder = made(folder / "whole")
        count = len(data["x"])
        book = workbook(folder, self.cells(data, count), self.all_names(count))
        return sgdsheet.compile(book, precision="float64")

    def bound(self, folder: Path, data: Columns, shown: int = 3, precision: str = "float64") -> SheetModel:
        """The first samples in the sheet, all of them in a file."""
        return sgdsheet.compile(sgdsheet.load(self.file(folder, data, shown)), precision=precision)

    def file(self, folder: Path, data: Columns, shown: int = 3, source: str = "data.npz") -> Path:
        """The workbook of `bound`, with its data beside it."""
        folder = made(folder / "bound")
        save(folder / source.split(" where ")[0], data)
        cells = {**self.cells(data, shown), "A2": source}
        return write(folder / "book.xlsx", cells, {**self.all_names(shown), "sgd_source": "A2"})


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


# --- files of data ----------------------------------------------------------------------------------------


def save(path: Path, data: Columns) -> Path:
    """Write columns as the ending says; `.idx` is a folder with MNIST's four files (`image`, `label`)."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(data)
            writer.writerows(zip(*(column.tolist() for column in data.values()), strict=True))
    elif path.suffix == ".parquet":
        columns = {name: column.tolist() for name, column in data.items()}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        np.savez(path, **data)
    return path


def idx(folder: Path, images: Array, labels: Array, part: str = "train", *, packed: bool = False) -> Path:
    """Write images and labels (bytes) as MNIST's files."""
    folder.mkdir(exist_ok=True)
    for kind, content in (("images", images), ("labels", labels)):
        axes = content.ndim
        data = struct.pack(f">I{axes}I", 0x0800 + axes, *content.shape) + content.astype(np.uint8).tobytes()
        name = f"{part}-{kind}-idx{axes}-ubyte"
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / name).write_bytes(data)
    return folder


# --- training ---------------------------------------------------------------------------------------------


def session(model: SheetModel, **options: Any) -> Session:
    """A plain one: SGD, in the order of the samples."""
    return Session(model, **{"optimizer": "sgd", "lr": 0.05, "batch_size": 5, "shuffle": "no", **options})


def trained(model: SheetModel, **options: Any) -> Tensor:
    """All parameters after some epochs."""
    session(model, **options).run()
    return parameters(model)


def parameters(model: SheetModel) -> Tensor:
    return torch.cat([tensor.detach().flatten() for _, tensor in model.ranges()])


def slope(run: Session, rows: Sequence[int]) -> tuple[float, Tensor]:
    """The loss over some samples and its gradient."""
    samples, tensors = run._run.samples, [tensor for _, tensor in run.model.ranges()]
    assert samples is not None
    loss = samples.loss(torch.tensor(rows))()
    slopes = torch.autograd.grad(loss, tensors)
    return float(loss.detach()), torch.cat([slope.flatten() for slope in slopes])
