"""What a model says about every sample of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import SampleData, load
from sgdsheet.data.binding import Binding, UnboundColumnError, bind, inputs_absent, width_of
from sgdsheet.data.devices import device_of
from sgdsheet.data.formats import Source
from sgdsheet.data.layouts.choice import layout_of
from sgdsheet.data.layouts.layout import Batch, Each, SourceLayout, Whole, evaluate, spans
from sgdsheet.data.splits import blaming, open_part, refuse_other
from sgdsheet.data.streamed import KeptBack, StreamedData, StreamedRows
from sgdsheet.data.streamed_samples import value_over
from sgdsheet.data.tables import Column
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Input
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Range, address

_REPEATED = 20
"""Fields of one number that are repeated beside the predictions, at most: pixels are not."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that is one number: which of a batch's tensors has it, and in which column."""

    field: str
    index: int
    column: int

    def of(self, data: SampleData) -> Column:
        """The numbers of the field as they are in the file: the model may calculate with fewer digits."""
        if self.field in data.texts:
            texts: list[str | None] = data.texts[self.field].tolist()
            return texts
        if self.field in data.whole:
            return data.whole[self.field].reshape(-1)
        tensor = data.tensors[self.index]
        found: NDArray[np.float64] = (tensor if tensor.dim() == 1 else tensor[:, self.column]).double().cpu().numpy()
        return found


def _single(source: Source, bindings: Sequence[Binding]) -> Iterator[_Field]:
    for index, binding in enumerate(bindings):
        column = 0
        for piece in binding.pieces:
            if width_of(source, piece.field) == 1:
                yield _Field(piece.field, index, column)
            column += piece.width


def _portions(data: SampleData | StreamedData) -> Iterator[tuple[int, SampleData]]:
    """All samples, some thousand at a time, each time with the number of those before."""
    if isinstance(data, StreamedData):
        yield from data.portions()
        return
    for start, stop in spans(data, data.count):
        yield start, data.part(start, stop)


@dataclass
class Predictions:
    """One part of a source seen through a model: loss and metric over it, and the cells of each sample.

    `columns` names what stands in a row: the sample's number (from 1), the fields that are one number each (unless
    they are very many), and the cells. The loss is None where the source lacks what it is judged by; then `notes` say
    so, as they say what else may surprise.
    """

    columns: list[str]
    loss: float | None
    metric: float | None
    notes: list[str]
    part: str
    data: SampleData | StreamedData
    _each: Each
    _repeated: list[_Field]

    @property
    def count(self) -> int:
        return self.data.count

    def table(self) -> Iterator[list[Column]]:
        """The columns, numbers or texts, for some thousand samples at a time."""
        for start, portion in _portions(self.data):
            cells = self._each.over(portion.slice(0, portion.count)).double().cpu().numpy()
            yield [
                np.arange(start + 1, start + portion.count + 1, dtype=np.float64),
                *(item.of(portion) for item in self._repeated),
                *(self._shown(place, cells[:, place]) for place in range(cells.shape[1])),
            ]

    def _shown(self, place: int, numbers: NDArray[np.float64]) -> Column:
        texts = self._each.texts.get(place)
        if texts is None:
            return numbers
        return [texts[int(number)] if number == number else None for number in numbers.tolist()]


def predict(
    model: SheetModel,
    settings: Settings,
    *,
    part: str | None = None,
    areas: Sequence[Range] = (),
    trained_on: str | None = None,
) -> Predictions:
    """Evaluate a model on one part of its source (unless named: test if it is there, else train).

    `areas` are the cells wanted of each sample; in the layout of rows, columns beside the preview. `trained_on` is the
    source of which the means of columns and the like are taken that the samples read, if it is another one. Raises
    ProblemError if neither `areas` nor `sgd_output` are given.
    """
    problem, wanted = model.problem, tuple(areas) or model.problem.outputs
    if not wanted:
        raise ProblemError(
            "nothing says which cells are the predictions",
            cell=problem.sheet,
            remedy="Name them sgd_output, or say --cells",
        )
    device = device_of(settings, problem)
    model.to(device)
    source = open_part(model, part)
    absent = inputs_absent(problem, source)
    if not _depend(model, wanted, absent):  # else it is said what is missing
        problem = replace(problem, inputs=tuple(item for item in problem.inputs if item not in absent))
    bindings = bind(model.planner, problem, source, wanted)

    def loaded(source: Source) -> SampleData | StreamedData:
        with blaming(problem):
            read = load if source.stream is None else StreamedData
            return read(source, bindings, by_rows=problem.data is not None, dtype=model.dtype, device=device)

    data = loaded(source)
    layout = _layout(model, source, bindings, data, loaded, trained_on)
    each, notes = layout.each(wanted), list[str]()
    if layout.reads_training and trained_on is None and problem.origin_cell is None:
        notes.append(
            f"what samples read of whole columns, such as a mean, is that of {source.name}:"
            " the sheet does not name the data that it was trained on (sgd_source)"
        )
    loss, metric = _judged(model, layout, data, absent, notes)
    single = list(_single(source, bindings))
    repeated = single if len(single) <= _REPEATED else []
    names = ["sample", *(item.field for item in repeated), *_names(model, wanted)]
    return Predictions(_unique(names), loss, metric, notes, source.part, data, each, repeated)


def _layout(
    model: SheetModel,
    source: Source,
    bindings: Sequence[Binding],
    data: SampleData | StreamedData,
    loaded: Callable[[Source], SampleData | StreamedData],
    trained_on: str | None,
) -> SourceLayout:
    """The layout in which the sheet shows samples; what they read of whole columns is of the training data."""

    def training() -> list[Tensor]:
        train = open_part(model, "train", trained_on)
        refuse_other(train, source, bindings)
        return _everything(loaded(train))()

    known = everything = _everything(data)
    is_training = trained_on is None and (source.part == "train" or "train" not in source.parts())
    if not is_training:
        train = open_part(model, "train", trained_on)
        known = training
        if train.stream is not None:
            refuse_other(train, source, bindings)
            known = _everything(loaded(train))
    return layout_of(model, bindings, source.name, known, Whole(everything, data.count))


def _everything(data: SampleData | StreamedData) -> Batch:
    """What gives all samples, or stands for them where they do not fit into memory."""
    if isinstance(data, StreamedData):
        return StreamedRows(data, KeptBack(data.count, 0.0, 0, validation=False))
    return lambda: data.slice(0, data.count)


def _judged(
    model: SheetModel, layout: SourceLayout, data: SampleData | StreamedData, absent: Sequence[Input], notes: list[str]
) -> tuple[float | None, float | None]:
    """Loss and metric, or a note why there are none."""
    problem = model.problem
    cells = [problem.loss] if problem.metric is None else [problem.loss, problem.metric]
    if _depend(model, [Range.of_cell(cell) for cell in cells], absent):
        notes.append(f"no loss: {data.name} has no {', '.join(item.field for item in absent)}")
        return None, None
    try:
        reduction = layout.reduction(cells)
        if isinstance(data, StreamedData):
            loss, *metric = value_over(reduction, data, KeptBack(data.count, 0.0, 0, validation=False))
        else:
            loss, *metric = evaluate(reduction, data)
    except UnboundColumnError as error:
        notes.append(f"no loss: {error.cause}")
        return None, None
    return loss, metric[0] if metric else None


def _depend(model: SheetModel, cells: Sequence[Range], absent: Sequence[Input]) -> bool:
    """Whether cells depend on some that the source does not fill."""
    areas = [item.area for item in absent]
    return bool(areas) and bool(model.planner.among(areas).plan(cells).live)


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
