"""Which samples a model has: rows of the sheet, or those of a source; and which of them are for validation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import SampleData, load
from sgdsheet.data.binding import Binding, bind
from sgdsheet.data.devices import device_of, refuse_device, translator
from sgdsheet.data.distributed import Share
from sgdsheet.data.layouts.choice import layout_of, refuse_processes
from sgdsheet.data.layouts.layout import Reduction, SourceLayout, Whole
from sgdsheet.data.layouts.sheet_rows import SheetRows
from sgdsheet.data.samples import Samples
from sgdsheet.data.splits import blaming, open_parts, refuse_other
from sgdsheet.data.streamed import KeptBack, StreamedData
from sgdsheet.data.streamed_samples import StreamedSamples, whole_of
from sgdsheet.data.validation_rows import kept_back, marked_rows
from sgdsheet.errors import ProblemError, SettingError
from sgdsheet.problem.definition import Problem
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Cell

_FEWEST = 3
"""Rows of the sheet, at least, that are taken apart: in a program for two, two constants look like two samples."""


def samples_of(model: SheetModel, settings: Settings, generator: torch.Generator) -> Samples | None:
    """The samples of a model. None where nobody asks for some of them: neither a source, nor batches or validation."""
    return bind_samples(model, settings, generator) or sheet_samples(model, settings, generator)


def sheet_samples(model: SheetModel, settings: Settings, generator: torch.Generator) -> Samples | None:
    """The rows of the sheet, if the settings or the sheet ask for batches, epochs or validation; else None.

    `sgd_valid` marks the validation rows, else a random share of all is kept back. Raises ProblemError,
    DataError or SettingError where that makes no sense.
    """
    problem = model.problem
    wanted = settings.batch_size is not None or settings.validation or problem.valid is not None
    if problem.data is None:
        if wanted:
            raise SettingError(
                "batches and validation need samples, and the sheet names none",
                cell=problem.valid or problem.sheet,
                remedy="Name the sample rows sgd_data",
            )
        return None
    if not wanted:
        return None
    if problem.data.height < _FEWEST:
        cause = "sgd_data is one row" if problem.data.height == 1 else "sgd_data is two rows only"
        raise ProblemError(cause, cell=problem.data, remedy="Name the rows of all samples sgd_data")
    if problem.valid is not None:
        marked = marked_rows(model, problem.valid, problem.data)
    else:
        marked = kept_back(problem.data.height, settings, generator)
    if bool(marked.all()):
        raise ProblemError("all samples are validation rows", cell=problem.valid, remedy="Keep some for training")
    training, validation = torch.nonzero(~marked).flatten(), torch.nonzero(marked).flatten()
    cells = _judged_cells(problem)
    layout = SheetRows(model, problem.data, validation if len(validation) else None)
    judged = layout.reduction(cells)
    if layout.judged is not None:
        judged.over(judged.data.batch(validation))  # refuses what these rows make an error, before anything is changed
    same = len(cells) == 1 and layout.judged is None
    trained = judged if same else SheetRows(model, problem.data).reduction(cells[:1])
    return Samples(layout, {"train": judged.data}, training, validation, cells, judged, trained, trained.data)


def _reductions(layout: SourceLayout, problem: Problem, cells: Sequence[Cell]) -> tuple[Reduction, Reduction]:
    """What the samples of a source come to: loss and metric, and the loss alone, which is trained."""
    judged = layout.reduction(cells)
    trained = layout.reduction(cells[:1]) if len(cells) > 1 else judged
    if not trained.additive:
        refuse_processes(problem, "it is no sum or average over the samples")
    return judged, trained


def _judged_cells(problem: Problem) -> tuple[Cell, ...]:
    return (problem.loss,) if problem.metric is None else (problem.loss, problem.metric)


def bind_samples(model: SheetModel, settings: Settings, generator: torch.Generator | None = None) -> Samples | None:
    """The samples of a model's source; None if its data are in the sheet. The model moves to the device."""
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
        if source.stream is not None:
            streams = {
                name: StreamedData(item, bindings, by_rows=by_rows, dtype=model.dtype, device=device)
                for name, item in sources.items()
            }
            return _streamed(model, settings, streams, bindings)
        parts = {
            name: load(item, bindings, by_rows=by_rows, dtype=model.dtype, device=device)
            for name, item in sources.items()
        }
    return _in_memory(model, settings, parts, bindings, generator or torch.Generator())


def _streamed(
    model: SheetModel, settings: Settings, parts: dict[str, StreamedData], bindings: Sequence[Binding]
) -> StreamedSamples:
    """The samples of a source that is read block by block."""
    problem, data = model.problem, parts["train"]
    share = settings.validation if "valid" not in parts and settings.validation else 0.0
    training = KeptBack(data.count, share, settings.seed or 0, validation=False)
    validation = KeptBack(data.count, share, settings.seed or 0, validation=True)
    if "valid" in parts:
        validation = KeptBack(parts["valid"].count, 0.0, 0, validation=False)
    if not len(training):
        raise SettingError("no samples are left for training", cell=problem.sheet, remedy="Keep back a smaller share")
    shared = Share.join(data.device, [tensor for _, tensor in model.ranges()])  # what is summed up is shared, too
    whole = whole_of(data, training)
    layout = layout_of(model, bindings, data.name, whole.batch, whole)
    layout.translate = translator(settings)
    cells = _judged_cells(problem)
    judged, trained = _reductions(layout, problem, cells)
    head = {name: item.head for name, item in parts.items()}
    return StreamedSamples(
        layout, head, training, validation, cells, judged, trained, data.head, layout, shared, parts
    )  # fmt: skip


def _in_memory(
    model: SheetModel,
    settings: Settings,
    parts: dict[str, SampleData],
    bindings: Sequence[Binding],
    generator: torch.Generator,
) -> Samples:
    """The samples of a source whose training part is in memory."""
    problem, train, device = model.problem, parts["train"], device_of(settings, model.problem)
    marked = torch.zeros(train.count, dtype=torch.bool)
    if "valid" not in parts:
        marked = kept_back(train.count, settings, generator)
    training = torch.nonzero(~marked).flatten()
    validation = torch.arange(parts["valid"].count) if "valid" in parts else torch.nonzero(marked).flatten()
    if not len(training):
        raise SettingError("no samples are left for training", cell=problem.sheet, remedy="Keep back a smaller share")

    def all_training() -> list[Tensor]:
        return train.batch(training)

    layout = layout_of(model, bindings, train.name, all_training, Whole(all_training, len(training)))
    layout.translate = translator(settings)
    cells = _judged_cells(problem)
    judged, trained = _reductions(layout, problem, cells)
    return Samples(
        layout,
        parts,
        training.to(train.tensors[0].device),
        validation,
        cells,
        judged,
        trained,
        train,
        layout,
        Share.join(device, [tensor for _, tensor in model.ranges()]),
    )
