"""Spreadsheet values as tensors with named axes.

The cells of a block are evaluated together. A `Value` stands for all of them and has up to four axes:

    R, C   the rows and columns of the block: one position per copy of the formula
    h, w   the rows and columns of the Excel array that each copy works on

An axis of length 1 is left out, so a filled-down column is a vector `R`, a parameter cell a scalar, and
`SUMPRODUCT($A2:$J2, $L$1:$U$1)` filled down a matrix `Rw` times a vector `w`: what one would write by hand.

A Value whose data is a tensor is a *constant*: operations on constants run at once. As soon as a parameter
takes part, the data is a node of a `torch.fx` graph and the operation is recorded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from sgdsheet.compiler.ir.recording import Data
from sgdsheet.errors import FormulaError

MOST_CELLS = 20_000_000
"""Numbers in one tensor, beyond which a formula is refused rather than run out of memory."""


class Kind(IntEnum):
    """What a cell holds. Known when compiling, but for what an IF chooses where its condition depends on a parameter.

    Arithmetic takes such a choice for the number that it is stored as; SUM and its like leave out of ranges what is no
    number, see `Builder.no_number`.
    """

    NUMBER = 0
    BOOLEAN = 1
    TEXT = 2
    BLANK = 3
    ERROR = 4
    MAYBE_BLANK = 5
    """A number, or nothing in its place, which is stored as 0."""
    MAYBE_FALSE = 6
    """A number, or FALSE or nothing in its place, stored as 0."""
    MAYBE_TRUE = 7
    """A number, or TRUE, FALSE or nothing in its place."""


UNSETTLED = (Kind.MAYBE_BLANK, Kind.MAYBE_FALSE, Kind.MAYBE_TRUE)


class Fault(IntEnum):
    """Which error a cell holds: the numbers of Excel's ERROR.TYPE, and some beyond. Named as in `ExcelError`."""

    NULL = 1
    DIV0 = 2
    VALUE = 3
    REF = 4
    NAME = 5
    NUM = 6
    NA = 7
    GETTING_DATA = 8
    SPILL = 9
    CONNECT = 10
    BLOCKED = 11
    UNKNOWN = 12
    FIELD = 13
    CALC = 14
    BUSY = 15
    EXTERNAL = 16
    PYTHON = 17

    @property
    def nan(self) -> float:
        """The NaN that stands for this error: the fault is written into its highest bits, which float32 keeps, too."""
        number: float = struct.unpack("<d", struct.pack("<Q", _QUIET | self << _SHIFT))[0]
        return number


_QUIET, _SHIFT, _BITS = 0x7FF8 << 48, 46, 31


def fault_of(number: float) -> Fault:
    """The error that a NaN stands for; any other number that is not finite is #NUM!, as is a NaN of the processor's."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    code = bits >> _SHIFT & _BITS
    return Fault(code) if number != number and 0 < code <= max(Fault) else Fault.NUM


def fault_codes(data: Tensor) -> Tensor:
    """The faults that errors among numbers stand for; of other numbers it is anything."""
    return data.to(torch.float64).contiguous().view(torch.int64) >> _SHIFT & _BITS


@dataclass(frozen=True, slots=True)
class Value:
    """All copies of one (sub-)expression of a block.

    `axes` names the dimensions of `data` in order, `sizes` their lengths. `kinds` is one Kind for everything
    or a tensor of kinds as large as the data. Booleans are stored as torch.bool; everything else is a number:
    0 for blank, for text its index in the builder's `texts`, for errors a NaN that says which (`Fault.nan`). While a
    program runs the processor keeps that only as far as it likes: of what depends on a parameter it is known that it is
    an error, not which. See `model.evaluate`. Booleans among other kinds are
    numbers too, and so are those that can turn out to be an error (`wide`).
    `reference` tells cells from calculated values: SUM and its like ignore text in the former.
    """

    data: Data
    axes: str = ""
    sizes: tuple[int, ...] = ()
    kinds: Kind | Tensor = Kind.NUMBER
    reference: bool = False
    wide: bool = False

    @property
    def constant(self) -> bool:
        return isinstance(self.data, Tensor)

    @property
    def tensor(self) -> Tensor:
        """The data of a constant."""
        assert isinstance(self.data, Tensor)
        return self.data

    @property
    def is_bits(self) -> bool:
        """Whether the data are of the type torch.bool."""
        return self.kinds is Kind.BOOLEAN and not self.wide

    def size(self, axis: str) -> int:
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def is_array(self) -> bool:
        return "h" in self.axes or "w" in self.axes

    def only(self, *kinds: Kind) -> bool:
        """Whether every cell is of one of these kinds."""
        return isinstance(self.kinds, Kind) and self.kinds in kinds

    def has(self, *kinds: Kind) -> bool:
        """Whether any cell is of one of these kinds."""
        if isinstance(self.kinds, Tensor):
            return bool(torch.isin(self.kinds, torch.tensor(kinds, dtype=torch.uint8)).any())
        return self.kinds in kinds

    def kind_tensor(self) -> Tensor:
        """The kinds, one per cell."""
        if isinstance(self.kinds, Tensor):
            return self.kinds
        return torch.full(self.sizes, int(self.kinds), dtype=torch.uint8)

    def renamed(self, mapping: dict[str, str]) -> Value:
        """The value with other names for its axes."""
        return replace(self, axes="".join(mapping.get(axis, axis) for axis in self.axes))

    def with_kinds(self, kinds: Kind | Tensor) -> Value:
        """The value with its numbers as other kinds; one Kind is enough where all cells agree."""
        found = simplified(kinds) if isinstance(kinds, Tensor) else kinds
        return replace(self, kinds=found, wide=found is Kind.BOOLEAN)

    def picked(self, data: Data, axes: str, sizes: tuple[int, ...], pick: Callable[[Tensor], Tensor]) -> Value:
        """A part of the cells: `data`, and of the kinds what `pick` leaves of them."""
        part = replace(self, data=data, axes=axes, sizes=sizes)
        return part.with_kinds(pick(self.kinds)) if isinstance(self.kinds, Tensor) else part


def simplified(kinds: Tensor) -> Kind | Tensor:
    """One Kind where all cells agree."""
    first = int(kinds.flatten()[0]) if kinds.numel() else 0
    return Kind(first) if bool((kinds == first).all()) else kinds


def refuse_large(count: int) -> None:
    """FormulaError for more numbers in one tensor than can be handled."""
    if count > MOST_CELLS:
        raise FormulaError(
            f"works on {count:,} numbers at once, and {MOST_CELLS:,} can be handled", remedy="Use smaller ranges"
        )
