"""A bound dataset as training sees it: batches of its training part, the loss over each part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sgdsheet import processes
from sgdsheet.errors import DataError, FileError, ProblemError, SettingError, quoted
from sgdsheet.model import SheetModel
from sgdsheet.optimizers import normalised
from sgdsheet.problem import Problem
from sgdsheet.references import Cell, Range
from sgdsheet.samples.binding import Binding, bind
from sgdsheet.samples.data import BoundData, load
from sgdsheet.samples.example import ExampleForm
from sgdsheet.samples.explain import explain
from sgdsheet.samples.form import Form, Pooled, Translate, as_it_is, evaluate
from sgdsheet.samples.in_sheet import kept_back
from sgdsheet.samples.locate import locate
from sgdsheet.samples.parallel import Share
from sgdsheet.samples.rows import RowForm
from sgdsheet.settings import Settings
from sgdsheet.sources import Source, open_source, parse_selection

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
    judged: Pooled
    """Loss and metric together."""
    pooled: Pooled
    share: Share | None

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
        return self._over(self.data, self.judged_samples)[0]

    def numbers(self, size: int) -> int:
        """How many numbers a step with a batch of this size calculates."""
        return self.pooled.numbers(self.data.slice(0, min(size, self.data.count)))

    def preview(self) -> dict[Cell, float]:
        """The first training samples, in the cells that show samples."""
        found: dict[Cell, float] = {}
        by_rows = isinstance(self.form, RowForm)
        for binding, tensor in zip(self.form.bindings, self.data.tensors, strict=True):
            area = binding.area
            shown = tensor[: area.height] if by_rows else tensor[0]
            numbers = shown.reshape(-1).tolist()
            found.update(zip(area.cells(), map(float, numbers), strict=False))
        return found

    def validate(self) -> tuple[float, float | None]:
        """Loss and metric over the validation samples."""
        loss, metric = self._over(self.parts.get("valid", self.data), self.validation)
        return loss, metric

    def test(self) -> tuple[float | None, float | None]:
        """Loss and metric over the test part, if there is one."""
        if "test" not in self.parts:
            return None, None
        return self._over(self.parts["test"], None)

    def explain_bad_loss(self, model: SheetModel) -> DataError:
        """Why the loss over the training part is not a number."""

        def loss(start: int, stop: int) -> float:
            rows = torch.arange(start, stop, device=self.training.device)
            return self._over(self.data, rows)[0]

        return explain(model, self.form.bindings, self.data, loss)

    def _over(self, data: BoundData, indices: Tensor | None) -> tuple[float, float | None]:
        loss, *rest = evaluate(
            self.judged, data, indices if indices is not None and len(indices) < data.count else None
        )
        return loss, rest[0] if rest else None


def bind_samples(
    model: SheetModel, settings: Settings, generator: torch.Generator | None = None
) -> BoundSamples | None:
    """The source of a model; None if its data are in the sheet. The model moves to the device."""
    problem = model.problem
    if problem.origin is None:
        _refuse_processes(problem, "its data are in the sheet")
        return None
    device = device_of(settings, problem)
    model.to(device)
    sources = open_parts(model)
    source = sources["train"]
    bindings = bind(model.workbook, problem, source)
    by_rows = problem.data is not None
    with blaming(problem):
        for item in sources.values():
            _refuse_other(item, source, bindings)
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
    form = form_of(model, bindings, source.name, lambda: parts["train"].batch(training), len(training))
    form.translate = translator(settings)
    cells = [problem.loss] if problem.metric is None else [problem.loss, problem.metric]
    judged, pooled = form.pooled(cells), form.pooled(cells[:1])
    if not pooled.additive:
        _refuse_processes(problem, "it is no sum or average over the samples")
    return BoundSamples(
        form,
        parts,
        training.to(parts["train"].tensors[0].device),
        validation,
        judged,
        pooled,
        Share.join(device, [tensor for _, tensor in model.ranges()]),
    )


def open_parts(model: SheetModel) -> dict[str, Source]:
    """The parts of a model's source."""
    with _located(model) as (path, choose):
        train = open_source(path)
        return {part: choose(train if part == "train" else open_source(path, part)) for part in train.parts()}


def open_part(model: SheetModel, part: str | None) -> Source:
    """One part of a model's source: the named one, or test if there is one, or train."""
    with _located(model) as (path, choose):
        if part is not None:
            return choose(open_source(path, part))
        train = open_source(path)
        return choose(open_source(path, "test") if "test" in train.parts() else train)


@contextmanager
def _located(model: SheetModel) -> Iterator[tuple[Path, Callable[[Source], Source]]]:
    """Where a model's data lie, and what chooses the wanted samples of a part."""
    problem = model.problem
    if problem.origin is None:
        raise ProblemError(
            "the sheet names no data", cell=problem.sheet, remedy="Say --source FILE, or name a cell sgd_source"
        )
    name, selection = parse_selection(problem.origin)
    with blaming(problem):
        yield locate(name, model.workbook.folder), selection.of if selection is not None else _all


@contextmanager
def blaming(problem: Problem) -> Iterator[None]:
    """What is wrong with a file is said of the cell that names it."""
    try:
        yield
    except (FileError, DataError) as error:
        raise type(error)(error.cause, cell=error.cell or problem.origin_cell, remedy=error.remedy) from None


def _refuse_other(source: Source, train: Source, bindings: Sequence[Binding]) -> None:
    """Every part has to have the fields that are shown, in the shape that the training part has."""
    for name in dict.fromkeys(piece.field for binding in bindings for piece in binding.pieces):
        if name not in source.fields:
            raise DataError(
                f"the part “{source.part}” of {quoted(source.name)} has no {quoted(name)}",
                remedy="Add it, or leave out that part",
            )
        shape, expected = (list(item.fields[name].shape[1:]) for item in (source, train))
        if shape != expected:
            raise DataError(
                f"{quoted(name)} of the part “{source.part}” of {quoted(source.name)} has the shape {shape} per sample,"
                f" and {expected} in the part “train”",
                remedy="Use files that belong together",
            )


def _all(source: Source) -> Source:
    return source


def form_of(
    model: SheetModel, bindings: Sequence[Binding], source_name: str, whole: Callable[[], list[Tensor]], total: int
) -> Form:
    """The form in which the sheet shows samples.

    `whole` gives the arguments for all `total` samples at once, of which the data's means and the like are taken.
    """
    problem = model.problem
    _refuse_unfit(problem)
    form: Form
    if problem.data is None:
        form = ExampleForm(model, bindings)
    else:
        form = RowForm(model, problem.data, bindings, source_name, whole, total)
    plan = form.planner.plan([Range.of_cell(problem.loss)])
    shown = [binding.area for binding in bindings]
    if not any(area.intersection(read) for block in plan.blocks for read in block.reads() for area in shown):
        raise ProblemError(
            "the loss reads none of the cells that the file fills",
            cell=problem.loss,
            remedy=f"Let it depend on {', '.join(area.a1 for area in shown[:3])}",
        )
    return form


def _refuse_processes(problem: Problem, why: str) -> None:
    if processes.count() > 1:
        raise ProblemError(
            f"several processes cannot share this loss: {why}", cell=problem.loss, remedy="Start one without torchrun"
        )


def _refuse_unfit(problem: Problem) -> None:
    if problem.valid is not None:
        raise ProblemError(
            "sgd_valid marks rows of the sheet, and the data come from a file",
            cell=problem.valid,
            remedy="Delete the name, and use the setting validation or a file with a valid part",
        )
    if problem.data is not None and problem.data.height < 2:
        raise DataError(
            "the preview of the data is one row high", cell=problem.data, remedy="Show two samples at least"
        )
    if problem.constraints:
        raise ProblemError(
            "constraints do not go with data from a file", cell=problem.sheet, remedy="Delete them in Solver"
        )


def translator(settings: Settings) -> Translate:
    """What makes a program of the formulas ready to run: nothing, or `torch.compile`."""
    return torch.compile if settings.compile else as_it_is


def device_of(settings: Settings, problem: Problem) -> torch.device:
    """The device that the settings name; `auto` is a GPU if there is one."""
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        named = (row.cell for row in problem.settings if normalised(row.name) == "device" and row.value)
        raise SettingError(
            "there is no GPU that torch can use",
            cell=next(named, None),
            remedy="Choose the device cpu, or install torch with CUDA",
        )
    return torch.device("cuda" if there and settings.device in ("auto", "cuda") else "cpu")
