"""The layout *one example*: the sheet shows one sample of a source, and the loss of that sample.

The loss over a batch is the mean over its samples: the program of the shown sample is batched by `torch.vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes import each_node, simplify
from sgdsheet.compiler.passes.layers import kernels_of_channels_last, pooling_of_channels_last
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.data.binding import Binding
from sgdsheet.data.layouts.layout import Closed, Translate, Whole, as_it_is, numbers_in, with_constants
from sgdsheet.data.text_cells import texts_of
from sgdsheet.sheet.references import Cell, Range


class OneExample:
    """A sheet that shows a single sample."""

    def __init__(self, model: SheetModel, bindings: Sequence[Binding]) -> None:
        self.model = model
        self.bindings = bindings
        self.translate: Translate = as_it_is
        self.areas = [binding.area for binding in bindings]
        self.planner = model.planner.among([*model.problem.parameters, *self.areas])
        self.reads_training = False

    def reduction(self, cells: Sequence[Cell]) -> ExampleReduction:
        return ExampleReduction(self, cells)

    def each(self, areas: Sequence[Range]) -> EachExample:
        texts: dict[int, Sequence[str]] = {}
        return EachExample(self.batched(self.program(areas, texts)), texts)

    def judging(self, whole: Whole) -> OneExample:
        return self  # its cells are means over the samples, whichever they are

    def batched(self, module: fx.GraphModule) -> Callable[..., Tensor]:
        """The program as a function of a batch: [samples, ...] for each binding to [samples, cells]."""
        return self.translate(torch.vmap(module.forward))

    def program(self, areas: Sequence[Range], texts: dict[int, Sequence[str]] | None = None) -> fx.GraphModule:
        """The program for the cells of one sample, [cells]; its arguments are what the bindings fill.

        `texts` gets, by the number of the cell, the texts that a result stands for.
        """
        program = self._lowered(areas)
        builder = program.builder
        parts: list[Data] = []
        for area in areas:
            value, first = program.regions.read(area), sum(other.size for other in areas[: len(parts)])
            if texts is not None:
                found = texts_of(value, area, area.size, builder)
                texts.update((first + place, listed) for place, listed in found.items())
            parts.append(builder.method("reshape", builder.stored(value).data, (area.size,)))
        data = parts[0] if len(parts) == 1 else builder.call(torch.cat, parts)
        if isinstance(data, Tensor):
            data = builder.attribute(data)
        return self._finished(program, data)

    def _lowered(self, areas: Sequence[Range]) -> Program:
        plan = self.planner.plan(areas).taken_apart()
        return build_program(
            with_constants(self.model, plan),
            self.model.problem.parameters,
            plan,
            inputs={binding.name: binding.area for binding in self.bindings},
            dtype=self.model.dtype,
            shared=self.model.shared_parameters,
        )

    def _finished(self, program: Program, output: fx.Node) -> fx.GraphModule:
        device = next(iter(self.model.shared_parameters.values())).device
        examples = [
            torch.zeros([size for size in (area.height, area.width) if size > 1], dtype=self.model.dtype, device=device)
            for area in self.areas
        ]
        found = simplify(program.module(output).to(device), examples=examples)
        kernels_of_channels_last(found.graph)
        each_node(pooling_of_channels_last)(found.graph)
        found.recompile()
        return found


class ExampleReduction:
    """The mean of cells over a batch."""

    additive = True

    def __init__(self, layout: OneExample, cells: Sequence[Cell]) -> None:
        module = layout.program([Range.of_cell(cell) for cell in cells])
        self._batched, self._per_sample = layout.batched(module), numbers_in(module)
        self._single = len(cells) == 1

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        batched = self._batched
        if self._single:
            return lambda: batched(*batch).mean()
        return lambda: batched(*batch).mean(dim=0)

    def closed(self, batch: Sequence[Tensor]) -> Closed | None:
        return None  # its samples are stacked by vmap

    def numbers(self, batch: Sequence[Tensor]) -> int:
        return self._per_sample * len(batch[0])


@dataclass
class EachExample:
    """Cells of every sample."""

    batched: Callable[..., Tensor]
    texts: Mapping[int, Sequence[str]]

    def over(self, batch: Sequence[Tensor]) -> Tensor:
        with torch.no_grad():
            return self.batched(*batch)
