"""The samples of a model as training sees them: batches of the training part, the loss over each part.

They are the rows of `sgd_data`, or come from a source, a file or dataset of which the sheet shows a few. Both are
columns of numbers ([samples, ...]) and cells as functions of a batch of them (see `layouts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.bad_sample import explain
from sgdsheet.data.distributed import Share
from sgdsheet.data.layouts.layout import Closed, Layout, Reduction, SourceLayout, Whole, evaluate
from sgdsheet.data.layouts.sheet_rows import SheetReduction
from sgdsheet.data.layouts.source_rows import SourceRows
from sgdsheet.errors import DataError, SgdSheetError, quoted
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value

JUDGED = 20_000
"""Training samples of a source beyond which the loss over the training part is estimated from every second, third, …
one."""


@dataclass
class Samples:
    """The samples of a model. `parts` are train and, in a source, valid and test, if they are there.

    `training` are indices into the train part; `validation` into the valid part, or into train if there is no other.
    """

    layout: Layout
    parts: dict[str, SampleData]
    training: Tensor
    validation: Tensor
    cells: tuple[Cell, ...]
    """The loss cell, and the metric's cell if there is one."""
    judged: Reduction
    """Loss and metric together, for what is said of a part. Lowered apart from `trained`, which takes fewer operations.
    """
    trained: Reduction
    """The loss alone, for taking steps."""
    data: SampleData
    """The training part, as far as the loss reads it."""
    source: SourceLayout | None = None
    """How the sheet shows samples of a source; None if all samples are rows of the sheet."""
    share: Share | None = None

    def __post_init__(self) -> None:
        self._validating: Reduction | None = None

    def loss(self, indices: Tensor) -> Callable[[], Tensor]:
        """A function that calculates the loss, a scalar, over the training samples of these indices [batch]."""
        if self.share is not None:
            return self.share.of(self._loss, indices)
        return self._loss(indices)

    def _loss(self, indices: Tensor) -> Callable[[], Tensor]:
        return self.trained.over(self.data.batch(indices))

    def closed(self, indices: Tensor) -> Closed | None:
        """The loss over the training samples of these indices [batch], as a module that holds them in memory that
        stays, for the next batch of as many; None where there is none."""
        return None if self.share is not None else self.trained.closed(self.data.batch(indices))

    def fill(self, columns: Sequence[Tensor], indices: Tensor) -> None:
        """Put the training samples of these indices [batch] into the columns [batch, ...] of a closed module."""
        self.data.fill(columns, indices)

    def module(self, indices: Tensor) -> fx.GraphModule:
        """The loss over the training samples of these indices [batch], as a module of the parameters alone.

        It holds these samples until it is asked for others. Only for rows of the sheet: those of a source may be too
        many for it.
        """
        assert isinstance(self.trained, SheetReduction)
        return self.trained.module(self.data.batch(indices))

    def batches(self, size: int, *, shuffle: bool, generator: torch.Generator, skip: int = 0) -> Iterator[Tensor]:
        """The batches of one epoch after the first `skip`: indices [size] of training samples. The last batch may be
        smaller."""
        order = self.training
        if shuffle:
            order = order[torch.randperm(len(order), generator=generator).to(order.device)]
        return iter(order.split(size)[skip:])

    @property
    def judged_samples(self) -> Tensor | range:
        """The indices of the training samples that the loss at the start and at the end of a run is over."""
        if self.source is None:
            return self.training
        return self.training[:: -(-len(self.training) // JUDGED)]

    def some(self, count: int) -> Callable[[], Tensor]:
        """A function that calculates the loss, a scalar, over so many training samples, evenly spread."""
        return self._loss(self.training[:: max(1, len(self.training) // count)][:count])

    def training_loss(self) -> float:
        """The loss over the training samples; of very many, over some that are spread evenly."""
        indices = self.judged_samples
        assert isinstance(indices, Tensor)
        return _values(self.trained, self.data, indices)[0]

    def numbers(self, size: int) -> int:
        """How many numbers a step with a batch of this size calculates."""
        return self.trained.numbers(self.data.slice(0, min(size, self.data.count)))

    def preview(self) -> dict[Cell, Value]:
        """The first training samples of a source, in the cells that show samples. DataError if there are too few."""
        if self.source is None:
            return {}
        bindings, by_rows = self.source.bindings, isinstance(self.source, SourceRows)
        rows = max(binding.area.height for binding in bindings) if by_rows else 1
        if self.data.count < rows:
            raise DataError(
                f"the preview has {rows} rows, and {quoted(self.data.name)} only {self.data.count} samples",
                cell=bindings[0].area,
                remedy="Leave out --preview, or point sgd_data to fewer rows",
            )
        return self.data.first(bindings, by_rows=by_rows)

    def validate(self) -> tuple[float, float | None]:
        """Loss and metric over the validation samples; the metric is None if there is none."""
        data = self.parts.get("valid", self.parts["train"])
        if self._validating is None:
            self._validating = self._judging(data, self.validation)
        return _values(self._validating, data, self.validation)

    def test(self) -> tuple[float | None, float | None]:
        """Loss and metric over the test part; each is None if there is none."""
        if "test" not in self.parts:
            return None, None
        data = self.parts["test"]
        everything = torch.arange(data.count)
        return _values(self._judging(data, everything), data, everything)

    def explain_bad_loss(self, model: SheetModel) -> SgdSheetError:
        """The error that says why the loss over the training part is not a finite number."""
        if self.source is None:
            return model.explain_bad_loss()

        def loss(start: int, stop: int) -> float:
            rows = torch.arange(start, stop, device=self.training.device)
            return _values(self.trained, self.data, rows)[0]

        return explain(model, self.source.bindings, self.data, loss)

    def _judging(self, data: SampleData, indices: Tensor) -> Reduction:
        """Loss and metric over these samples."""
        layout = self.layout.judging(Whole(lambda: data.batch(indices), len(indices)))
        return self.judged if layout is self.layout else layout.reduction(self.cells)


def _values(judged: Reduction, data: SampleData, indices: Tensor) -> tuple[float, float | None]:
    """Loss and metric over some of the samples."""
    loss, *rest = evaluate(judged, data, indices if len(indices) < data.count else None)
    return loss, rest[0] if rest else None
