"""The values of a program's cells, errors by their kind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.close_numbers import compares_close_numbers
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.values import Kind, fault_codes, fault_of
from sgdsheet.compiler.ir.values import Value as Tensors
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Value
from sgdsheet.system.garbage import no_collection
from sgdsheet.system.long_work import checkpoint


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses one thread, as is best for small tensors and beside a training."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class CellValues:
    """What formula cells come to: their values, and the blocks that could not be calculated and why."""

    values: dict[Cell, Value]
    failures: list[tuple[Block, SgdSheetError]]


def evaluate(program: Program, arguments: Sequence[Tensor] = ()) -> CellValues:
    """Run a program once and read off the values of all its cells. `arguments` are its inputs, in their order."""
    live = [value.data for _, value in program.results if isinstance(value.data, fx.Node)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        computed = iter(program.module(live)(*arguments) if live else ())
    values: dict[Cell, Value] = {}
    live_cells: list[Cell] = []
    with no_collection():
        for block, value in program.results:
            checkpoint()
            data = value.data
            if isinstance(data, fx.Node):
                data = next(computed)
                live_cells += block.range.cells()
            elif value.has(Kind.ERROR) and bool((data.isnan() & (fault_codes(data) == 0)).any()):
                live_cells += block.range.cells()  # an error of something that depends on a parameter
            values.update(cell_values(program, block, value, data))
    errors = any(isinstance(values[cell], ExcelError) for cell in live_cells)
    if not arguments and (program.builder.unsure or errors or compares_close_numbers(program)):
        values.update(_exactly(program, live_cells))
    return CellValues(values, program.failures)


def _exactly(program: Program, cells: Iterable[Cell]) -> dict[Cell, Value]:
    """The values of cells that depend on a parameter, calculated one operation at a time.

    A program tells that a cell is an error, and not which, nor whether `IF(A1>0,TRUE,5)` is TRUE or 1, nor which
    numbers are equal to 15 digits; and a number beyond all bounds, an error in a spreadsheet, may come back to a finite
    one on its way. With the present parameters as constants, each operation tells.
    """
    workbook = program.workbook.with_values(program.parameter_cells())
    plan = Plan([block for block, _ in program.results], set())
    exact = evaluate(build_program(workbook, (), plan, dtype=torch.float64, strict=False)).values
    return {cell: exact[cell] for cell in cells if cell in exact}


def cell_values(program: Program, block: Block, value: Tensors, data: Tensor) -> Mapping[Cell, Value]:
    """The cells of one block, of which a program has made `data`."""
    numbers = data.detach().cpu().double().expand(value.sizes).reshape(-1).tolist()
    kinds = value.kind_tensor().reshape(-1).tolist()
    if len(kinds) == 1 and block.range.size > 1:
        numbers, kinds = numbers * block.range.size, kinds * block.range.size
    return {
        cell: _cell_value(program, number, kind)
        for cell, number, kind in zip(block.range.cells(), numbers, kinds, strict=True)
    }


def values_of_block(program: Program, block: Block, value: Tensors, data: Tensor) -> BlockValues:
    """The values of one block, of which a program has made `data`, as arrays."""
    area = block.range
    numbers = data.detach().cpu().double().expand(value.sizes).numpy()
    if value.kinds is Kind.NUMBER and bool(np.isfinite(numbers).all()):
        return BlockValues(area, _in_area(area, numbers) + 0.0)  # no cell holds -0
    kinds = _in_area(area, value.kind_tensor().numpy())
    return BlockValues(area, _in_area(area, numbers), kinds, partial(_cell_value, program))


def _in_area(area: Range, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers [rows, columns] of an area, from those without its dimensions of length 1, or one for all cells."""
    shape = (area.height, area.width)
    return np.broadcast_to(numbers.ravel(), shape) if numbers.size == 1 else numbers.reshape(shape)


def _cell_value(program: Program, number: float, kind: int) -> Value:
    if kind == Kind.TEXT:
        return program.builder.texts[int(number)]
    if not math.isfinite(number):
        return ExcelError[fault_of(number).name]
    return bool(number) if kind == Kind.BOOLEAN else number + 0.0  # no cell holds -0
