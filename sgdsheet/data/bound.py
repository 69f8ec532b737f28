"""A bound dataset as training sees it: batches of its training part, the loss over each part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import BoundData, load
from sgdsheet.data.bad_sample import explain
from sgdsheet.data.binding import bind
from sgdsheet.data.devices import device_of, refuse_device, translator
from sgdsheet.data.distributed import Share
from sgdsheet.data.in_sheet import kept_back
from sgdsheet.data.layouts.choice import form_of, refuse_processes
from sgdsheet.data.layouts.layout import Form, Pooled, Whole, evaluate
from sgdsheet.data.layouts.rows import RowForm
from sgdsheet.data.splits import blaming, open_parts, refuse_other
from sgdsheet.errors import DataError, SettingError, quoted
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value

_JUDGED = 20_000
"""Training samples beyond which the loss over the training part is estimated from every second, third, … one."""


@dataclass
class BoundSamples:
    """The samples of a source. `parts` are train and, if they are there, valid and test.

    `validation` are indices into the valid part, or into the training part if the source has no other.
    """

    form: Form
    parts: dict[str, BoundData]
    training: Tensor
    validation: Tensor
    cells: tuple[Cell, ...]
    """Loss and metric, if there is one."""
    judged: Pooled
    """Both together, over the training samples."""
    pooled: Pooled
    """The loss alone."""
    share: Share | None
    _validating: Pooled | None = None

    @property
    def data(self) -> BoundData:
        return self.parts["train"]

    def loss(self, indices: Tensor) -> Callable[[], Tensor]:
        if self.share is not None:
            return self.share.of(self._loss, indices)
        return self._loss(indices)

    def _loss(self, indices: Tensor) -> Callable[[], Tensor]:
        return self.pooled.over(self.data.batch(indices))

    @property
    def judged_samples(self) -> Tensor:
        """The training samples that the loss at the start and the end is over."""
        return self.training[:: -(-len(self.training) // _JUDGED)]

    def some(self, count: int) -> Callable[[], Tensor]:
        """The loss over so many training samples, spread evenly."""
        return self._loss(self.training[:: max(1, len(self.training) // count)][:count])

    def training_loss(self) -> float:
        """The loss over the training samples; of very many, over some that are spread evenly."""
        return _values(self.judged, self.data, self.judged_samples)[0]

    def numbers(self, size: int) -> int:
        """How many numbers a step with a batch of this size calculates."""
        return self.pooled.numbers(self.data.slice(0, min(size, self.data.count)))

    def preview(self) -> dict[Cell, Value]:
        """The first training samples, in the cells that show samples. DataError if there are too few."""
        by_rows = isinstance(self.form, RowForm)
        rows = max(binding.area.height for binding in self.form.bindings) if by_rows else 1
        if self.data.count < rows:
            raise DataError(
                f"the preview has {rows} rows, and {quoted(self.data.name)} only {self.data.count} samples",
                cell=self.form.bindings[0].area,
                remedy="Leave out --preview, or point sgd_data to fewer rows",
            )
        return self.data.first(self.form.bindings, by_rows=by_rows)

    def validate(self) -> tuple[float, float | None]:
        """Loss and metric over the validation samples."""
        data = self.parts.get("valid", self.data)
        if self._validating is None:
            self._validating = self._judging(data, self.validation)
        return _values(self._validating, data, self.validation)

    def test(self) -> tuple[float | None, float | None]:
        """Loss and metric over the test part, if there is one."""
        if "test" not in self.parts:
            return None, None
        data = self.parts["test"]
        everything = torch.arange(data.count)
        return _values(self._judging(data, everything), data, everything)

    def explain_bad_loss(self, model: SheetModel) -> DataError:
        """Why the loss over the training part is not a number."""

        def loss(start: int, stop: int) -> float:
            rows = torch.arange(start, stop, device=self.training.device)
            return _values(self.judged, self.data, rows)[0]

        return explain(model, self.form.bindings, self.data, loss)

    def _judging(self, data: BoundData, indices: Tensor) -> Pooled:
        """Loss and metric over these samples."""
        whole = Whole(lambda: data.batch(indices), len(indices))
        form = self.form.judging(whole)
        return self.judged if form is self.form else form.pooled(self.cells)


def _values(judged: Pooled, data: BoundData, indices: Tensor) -> tuple[float, float | None]:
    """Loss and metric over some of the samples."""
    loss, *rest = evaluate(judged, data, indices if len(indices) < data.count else None)
    return loss, rest[0] if rest else None


def bind_samples(
    model: SheetModel, settings: Settings, generator: torch.Generator | None = None
) -> BoundSamples | None:
    """The source of a model; None if its data are in the sheet. The model moves to the device."""
    problem = model.problem
    if problem.origin is None:
        refuse_processes(problem, "its data are in the sheet")
        refuse_device(settings, problem)
        return None
    device = device_of(settings, problem)
    model.to(device)
    sources = open_parts(model)
    source = sources["train"]
    bindings = bind(model.planner, problem, source)
    by_rows = problem.data is not None
    with blaming(problem):
        for item in sources.values():
            refuse_other(item, source, bindings)
        parts = {
            name: load(item, bindings, by_rows=by_rows, dtype=model.dtype, device=device)
            for name, item in sources.items()
        }
    marked = torch.zeros(source.count, dtype=torch.bool)
    if "valid" not in parts:
        marked = kept_back(source.count, settings, generator or torch.Generator())
    training = torch.nonzero(~marked).flatten()
    validation = torch.arange(parts["valid"].count) if "valid" in parts else torch.nonzero(marked).flatten()
    if not len(training):
        raise SettingError("no samples are left for training", cell=problem.sheet, remedy="Keep back a smaller share")

    def all_training() -> list[Tensor]:
        return parts["train"].batch(training)

    form = form_of(model, bindings, source.name, all_training, Whole(all_training, len(training)))
    form.translate = translator(settings)
    cells = (problem.loss,) if problem.metric is None else (problem.loss, problem.metric)
    judged, pooled = form.pooled(cells), form.pooled(cells[:1])
    if not pooled.additive:
        refuse_processes(problem, "it is no sum or average over the samples")
    return BoundSamples(
        form,
        parts,
        training.to(parts["train"].tensors[0].device),
        validation,
        cells,
        judged,
        pooled,
        Share.join(device, [tensor for _, tensor in model.ranges()]),
    )
