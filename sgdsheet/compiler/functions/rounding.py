"""Rounding to multiples, whole-number arithmetic, and numbers in other bases."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import reduce
from typing import Any, TypeVar

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import ONE, ZERO, failing, inside
from sgdsheet.compiler.functions.plain import Cell, Grid, is_number, plain
from sgdsheet.compiler.functions.registry import Derivative
from sgdsheet.compiler.ir.values import Fault
from sgdsheet.sheet.workbook import ExcelError

_NEAR = 1e-12

_F = TypeVar("_F", bound=Callable[..., Any])


def _multiples(number: float, step: float) -> float:
    """How many steps there are in a number; one that misses a whole number by rounding only is that number."""
    found = number / step
    near = round(found)
    return float(near) if abs(found - near) <= _NEAR * max(1.0, abs(found)) else found


def _times(count: float, step: float) -> float:
    """A multiple, without the digits that binary numbers put behind it."""
    return float(Decimal(repr(count)) * Decimal(repr(step)))


def _counted(number: Tensor, step: Tensor) -> Tensor:
    """`_multiples` of tensors; where the step is 0, of 1."""
    found = number / inside(step != 0, step)
    near = torch.round(found)
    return torch.where((found - near).abs() <= _NEAR * found.abs().clamp(min=1.0), near, found)


def _towards_step(number: Tensor, step: Tensor, rounded: Callable[[Tensor], Tensor]) -> Tensor:
    result = torch.where(number == 0, 0.0, step * rounded(_counted(number, step)))
    return failing(torch.logical_and(number > 0, step < 0), result)


def _ceiling(number: Tensor, step: Tensor) -> Tensor:
    return _towards_step(number, step, torch.ceil)


def _floor(number: Tensor, step: Tensor) -> Tensor:
    return failing(torch.logical_and(step == 0, number != 0), _towards_step(number, step, torch.floor), Fault.DIV0)


def _nearest(number: Tensor, step: Tensor) -> Tensor:
    result = step * torch.floor(_counted(number, step) + 0.5)
    unlike = number * step < 0
    return torch.where(number == 0, 0.0, failing(unlike, result))


def _upwards(number: Tensor, step: Tensor = ONE, away: Tensor = ZERO) -> Tensor:
    size = torch.abs(step)
    count = _counted(number, size)
    return size * torch.where(torch.logical_and(away != 0, number < 0), torch.floor(count), torch.ceil(count))


def _downwards(number: Tensor, step: Tensor = ONE, towards: Tensor = ZERO) -> Tensor:
    size = torch.abs(step)
    count = _counted(number, size)
    return size * torch.where(torch.logical_and(towards != 0, number < 0), torch.ceil(count), torch.floor(count))


def _to_even(number: Tensor) -> Tensor:
    return torch.sign(number) * 2.0 * torch.ceil(torch.abs(number) / 2.0)


def _to_odd(number: Tensor) -> Tensor:
    size = 2.0 * torch.ceil((torch.abs(number) - 1.0).clamp(min=0.0) / 2.0) + 1.0
    return torch.where(number < 0, -size, size)


def _whole_part(number: Tensor, divisor: Tensor) -> Tensor:
    return failing(divisor == 0, torch.trunc(number / inside(divisor != 0, divisor)), Fault.DIV0)


def _multiple(
    name: str, tensors: Callable[..., Tensor], examples: Mapping[str, float | str | bool], **options: Any
) -> Callable[[_F], _F]:
    """Declare a function that rounds to a multiple: constant in the number but for its jumps."""

    def declare(implementation: _F) -> _F:
        count = len(inspect.signature(implementation).parameters)
        steps = [position for position in (0, 2) if position < count]
        declared = plain(
            name, examples=examples, tensors=tensors, derivative=Derivative.KINKED, zero_arguments=steps, **options
        )
        return declared(implementation)

    return declare


@_multiple(
    "CEILING",
    tensors=_ceiling,
    examples={"CEILING(2.5,1)": 3, "CEILING(-2.5,-2)": -4, "CEILING(-2.5,2)": -2, "CEILING(0.234,0.01)": 0.24},
)
def ceiling(number: float, step: float) -> float | ExcelError:
    """Rounded up, away from zero where both are negative, to a multiple."""
    if step == 0 or number == 0:
        return 0.0
    return ExcelError.NUM if number > 0 > step else _times(float(math.ceil(_multiples(number, step))), step)


@_multiple(
    "FLOOR",
    tensors=_floor,
    examples={"FLOOR(3.7,2)": 2, "FLOOR(-2.5,-2)": -2, "FLOOR(2.5,-2)": "#NUM!", "FLOOR(1.58,0.1)": 1.5},
)
def floor(number: float, step: float) -> float | ExcelError:
    """Rounded down, towards zero where both are negative, to a multiple."""
    if number == 0:
        return 0.0
    if step == 0:
        return ExcelError.DIV0
    return ExcelError.NUM if number > 0 > step else _times(float(math.floor(_multiples(number, step))), step)


def _towards(number: float, step: float, *, up: bool) -> float:
    if step == 0 or number == 0:
        return 0.0
    count = _multiples(number, abs(step))
    return _times(float(math.ceil(count) if up else math.floor(count)), abs(step))


@_multiple(
    "CEILING.MATH",
    tensors=_upwards,
    left_out_is_default=True,
    examples={
        "CEILING.MATH(24.3,5)": 25,
        "CEILING.MATH(6.7)": 7,
        "CEILING.MATH(-8.1,2)": -8,
        "CEILING.MATH(-5.5,2,-1)": -6,
    },
)
def ceiling_math(number: float, step: float = 1.0, away: float = 0.0) -> float:
    """Rounded up to a multiple; negative numbers towards zero unless the mode says otherwise."""
    return _towards(number, step, up=not (away and number < 0))


@_multiple(
    "FLOOR.MATH",
    tensors=_downwards,
    left_out_is_default=True,
    examples={"FLOOR.MATH(24.3,5)": 20, "FLOOR.MATH(-8.1,2)": -10, "FLOOR.MATH(-5.5,2,-1)": -4},
)
def floor_math(number: float, step: float = 1.0, towards: float = 0.0) -> float:
    """Rounded down to a multiple; negative numbers away from zero unless the mode says otherwise."""
    return _towards(number, step, up=bool(towards and number < 0))


@_multiple("CEILING.PRECISE", tensors=_upwards, examples={"CEILING.PRECISE(4.3)": 5, "CEILING.PRECISE(-4.3,2)": -4})
def ceiling_precise(number: float, step: float = 1.0) -> float:
    """Rounded up to a multiple, whatever the signs."""
    return _towards(number, step, up=True)


@_multiple("ISO.CEILING", tensors=_upwards, examples={"ISO.CEILING(4.3)": 5, "ISO.CEILING(-4.3,-2)": -4})
def iso_ceiling(number: float, step: float = 1.0) -> float:
    """Rounded up to a multiple, whatever the signs."""
    return _towards(number, step, up=True)


@_multiple("FLOOR.PRECISE", tensors=_downwards, examples={"FLOOR.PRECISE(-3.2,-1)": -4, "FLOOR.PRECISE(3.2)": 3})
def floor_precise(number: float, step: float = 1.0) -> float:
    """Rounded down to a multiple, whatever the signs."""
    return _towards(number, step, up=False)


@_multiple(
    "MROUND",
    tensors=_nearest,
    booleans=False,
    examples={"MROUND(10,3)": 9, "MROUND(-10,-3)": -9, "MROUND(1.3,0.2)": 1.4, "MROUND(5,-2)": "#NUM!"},
)
def mround(number: float, step: float) -> float | ExcelError:
    """Rounded to the nearest multiple."""
    if step == 0 or number == 0:
        return 0.0
    if (number < 0) != (step < 0):
        return ExcelError.NUM
    return _times(float(math.floor(_multiples(number, step) + 0.5)), step)


@plain(
    "EVEN",
    tensors=_to_even,
    derivative=Derivative.ZERO,
    examples={"EVEN(1.5)": 2, "EVEN(3)": 4, "EVEN(2)": 2, "EVEN(-1)": -2},
)
def even(number: float) -> float:
    """Rounded away from zero to an even number."""
    return math.copysign(2.0 * math.ceil(abs(number) / 2.0), number)


@plain(
    "ODD",
    tensors=_to_odd,
    derivative=Derivative.ZERO,
    examples={"ODD(1.5)": 3, "ODD(3)": 3, "ODD(2)": 3, "ODD(-1)": -1, "ODD(-2)": -3, "ODD(0)": 1},
)
def odd(number: float) -> float:
    """Rounded away from zero to an odd number."""
    return math.copysign(2.0 * math.ceil((abs(number) - 1.0) / 2.0) + 1.0 if abs(number) > 1 else 1.0, number)


@plain(
    "QUOTIENT",
    tensors=_whole_part,
    derivative=Derivative.ZERO,
    booleans=False,
    examples={"QUOTIENT(5,2)": 2, "QUOTIENT(-10,3)": -3, "QUOTIENT(1,0)": "#DIV/0!"},
)
def quotient(number: float, divisor: float) -> float | ExcelError:
    """The whole part of a division."""
    return ExcelError.DIV0 if divisor == 0 else float(math.trunc(number / divisor))


_MOST_WHOLE = 2.0**53


def _whole_numbers(grids: tuple[Grid, ...]) -> list[int] | ExcelError:
    """The numbers, cut to whole ones, of GCD and its like; text is #VALUE!."""
    if error := next((found for grid in grids if (found := grid.error())), None):
        return error
    whole: list[int] = []
    for cell in (cell for grid in grids for cell in grid.cells() if cell is not None):
        if not is_number(cell):
            return ExcelError.VALUE
        if not 0 <= cell < _MOST_WHOLE:
            return ExcelError.NUM
        whole.append(math.trunc(cell))
    return whole


@plain("GCD", examples={"GCD(5,2)": 1, "GCD(24,36)": 12, "GCD(5,0)": 5, "GCD(-1)": "#NUM!"})
def gcd(*numbers: Grid) -> float | ExcelError:
    """Greatest common divisor."""
    found = _whole_numbers(numbers)
    return found if isinstance(found, ExcelError) else float(reduce(math.gcd, found, 0))


@plain("LCM", examples={"LCM(5,2)": 10, "LCM(24,36)": 72})
def lcm(*numbers: Grid) -> float | ExcelError:
    """Least common multiple."""
    found = _whole_numbers(numbers)
    if isinstance(found, ExcelError):
        return found
    result = math.lcm(*found)
    return float(result) if result < _MOST_WHOLE else ExcelError.NUM


# --- numerals ---------------------------------------------------------------------------------------------

_ROMAN = (
    *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")),
    *((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
)


@plain(
    "ROMAN",
    examples={
        "ROMAN(499,0)": "CDXCIX",
        "ROMAN(499,1)": "LDVLIV",
        "ROMAN(499,2)": "XDIX",
        "ROMAN(499,3)": "VDIV",
        "ROMAN(499,4)": "ID",
        "ROMAN(2013)": "MMXIII",
    },
)
def roman(number: float, form: Cell = 0.0) -> str | ExcelError:
    """A number in Roman numerals, in the classic form or one of four more concise ones."""
    if isinstance(form, (str, ExcelError)):
        return form if isinstance(form, ExcelError) else ExcelError.VALUE
    level = (0 if form else 4) if isinstance(form, bool) else math.trunc(form or 0.0)
    whole = math.trunc(number)
    if not 0 <= whole <= 3999 or not 0 <= level <= 4:
        return ExcelError.VALUE
    table = list(_ROMAN)
    if level >= 1:
        table += [(950, "LM"), (450, "LD"), (95, "VC"), (45, "VL")]
    if level >= 2:
        table += [(990, "XM"), (490, "XD"), (99, "IC"), (49, "IL")]
    if level >= 3:
        table += [(995, "VM"), (495, "VD")]
    if level >= 4:
        table += [(999, "IM"), (499, "ID")]
    found = []
    for value, letters in sorted(table, reverse=True):
        while whole >= value:
            found.append(letters)
            whole -= value
    return "".join(found)


@plain("ARABIC", examples={'ARABIC("LVII")': 57, 'ARABIC("mcmxii")': 1912, 'ARABIC("")': 0, 'ARABIC("abc")': "#VALUE!"})
def arabic(text: str) -> float | ExcelError:
    """The number that Roman numerals say."""
    bare = text.strip().upper()
    negative = bare.startswith("-")
    bare = bare.removeprefix("-")
    if len(bare) > 255 or not re.fullmatch("[MDCLXVI]*", bare):
        return ExcelError.VALUE
    single = {letters: value for value, letters in _ROMAN if len(letters) == 1}
    values = [single[letter] for letter in bare]
    total = sum(-one if one < max(values[place + 1 :], default=0) else one for place, one in enumerate(values))
    return float(-total if negative else total)


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@plain("BASE", examples={"BASE(7,2)": "111", "BASE(100,16)": "64", "BASE(15,2,10)": "0000001111"})
def base(number: float, radix: float, least: float = 0.0) -> str | ExcelError:
    """A number as a text in another base."""
    whole, size = math.trunc(number), math.trunc(radix)
    if not 0 <= number < _MOST_WHOLE or not 2 <= size <= 36 or not 0 <= least <= 255:
        return ExcelError.NUM
    found = ""
    while whole:
        whole, digit = divmod(whole, size)
        found = _DIGITS[digit] + found
    return (found or "0").rjust(math.trunc(least), "0")


@plain(
    "DECIMAL",
    examples={'DECIMAL("FF",16)': 255, 'DECIMAL("111",2)': 7, 'DECIMAL("zap",36)': 45745, 'DECIMAL("9",8)': "#NUM!"},
)
def decimal(text: str, radix: float) -> float | ExcelError:
    """The number that a text says in another base."""
    size, bare = math.trunc(radix), text.strip().upper()
    if not 2 <= size <= 36 or len(bare) > 255:
        return ExcelError.NUM
    if size == 16:
        bare = bare.removeprefix("0X")
    elif size == 2 and bare.endswith("B"):
        bare = bare[:-1]
    if any(letter not in _DIGITS[:size] for letter in bare):
        return ExcelError.NUM
    return float(int(bare, size)) if bare else 0.0
