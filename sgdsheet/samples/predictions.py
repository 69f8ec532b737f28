"""What a model says about every sample of a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.errors import ProblemError
from sgdsheet.model import SheetModel
from sgdsheet.references import Range, address
from sgdsheet.samples.binding import Binding, bind, width_of
from sgdsheet.samples.data import BoundData, load
from sgdsheet.samples.devices import device_of
from sgdsheet.samples.form import Each, evaluate, spans
from sgdsheet.samples.forms import form_of
from sgdsheet.samples.parts import blaming, open_part
from sgdsheet.settings import Settings
from sgdsheet.sources import Source

_REPEATED = 20
"""Fields of one number that are repeated beside the predictions, at most: pixels are not."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A field that is one number: which of a batch's tensors has it, and in which column."""

    field: str
    index: int
    column: int

    def of(self, batch: Sequence[Tensor]) -> Tensor:
        tensor = batch[self.index]
        return tensor if tensor.dim() == 1 else tensor[:, self.column]


def _single(source: Source, bindings: Sequence[Binding]) -> Iterator[_Column]:
    for index, binding in enumerate(bindings):
        column = 0
        for piece in binding.pieces:
            if width_of(source, piece.field) == 1:
                yield _Column(piece.field, index, column)
            column += piece.width


@dataclass
class Predictions:
    """One part of a source seen through a model: loss and metric over it, and the cells of each sample.

    `columns` names the numbers of a row: the sample's number (from 1), the fields that are one number each (unless
    they are very many), and the cells.
    """

    columns: list[str]
    loss: float
    metric: float | None
    part: str
    data: BoundData
    _each: Each
    _repeated: list[_Column]

    @property
    def count(self) -> int:
        return self.data.count

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """The rows, some thousand at a time."""
        for start, stop in spans(self.data, self.data.count):
            batch = self.data.slice(start, stop)
            numbers = torch.arange(start + 1, stop + 1, dtype=torch.float64).unsqueeze(1)
            fields = [item.of(batch).double().cpu().unsqueeze(1) for item in self._repeated]
            yield torch.cat([numbers, *fields, self._each.over(batch).double().cpu()], dim=1).numpy()


def predict(
    model: SheetModel, settings: Settings, *, part: str | None = None, areas: Sequence[Range] = ()
) -> Predictions:
    """Evaluate a model on one part of its source (unless named: test if it is there, else train).

    `areas` are the cells wanted of each sample; in the form rows, columns beside the preview. Raises ProblemError
    if neither they nor `sgd_output` are given.
    """
    problem = model.problem
    wanted = tuple(areas) or problem.outputs
    if not wanted:
        raise ProblemError(
            "nothing says which cells are the predictions",
            cell=problem.sheet,
            remedy="Name them sgd_output, or say --cells",
        )
    device = device_of(settings, problem)
    model.to(device)
    source = open_part(model, part)
    bindings = bind(model.workbook, problem, source)
    by_rows = problem.data is not None
    with blaming(problem):
        data = load(source, bindings, by_rows=by_rows, dtype=model.dtype, device=device)

    def training_data() -> list[torch.Tensor]:
        """What the mean of a column is taken over, as in training."""
        train = open_part(model, "train") if source.part != "train" and "train" in source.parts() else source
        known = load(train, bindings, by_rows=by_rows, dtype=model.dtype, device=device)
        return known.slice(0, known.count)

    form = form_of(model, bindings, source.name, training_data, data.count)
    cells = [problem.loss] if problem.metric is None else [problem.loss, problem.metric]
    loss, *metric = evaluate(form.pooled(cells), data)
    single = list(_single(source, bindings))
    repeated = single if len(single) <= _REPEATED else []
    names = ["sample", *(item.field for item in repeated), *_names(model, wanted)]
    each = form.each(wanted)
    return Predictions(_unique(names), loss, metric[0] if metric else None, source.part, data, each, repeated)


def _names(model: SheetModel, areas: Sequence[Range]) -> Iterator[str]:
    """The header above a column of the preview, else the cell."""
    for area in areas:
        values = model.workbook.sheets[area.sheet].values
        if model.problem.data is None:
            yield from (address(cell.row, cell.column) for cell in area.cells())
            continue
        for column in range(area.left, area.right + 1):
            header = values.get((area.top - 1, column))
            text = f"{header:g}" if isinstance(header, float) else str(header or "")
            yield " ".join(text.split()) or address(area.top, column)


def _unique(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name} {number}"
        found.append(unique)
    return found
