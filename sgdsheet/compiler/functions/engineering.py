"""Engineering: bases of whole numbers, bits, steps."""

from __future__ import annotations

import math
import re

from sgdsheet.compiler.functions.plain import Cell, plain
from sgdsheet.compiler.ir.numerals import number_text, text_number
from sgdsheet.sheet.workbook import ExcelError

_PLACES = 10
"""Digits of a number in another base; the highest bit of ten digits is the sign."""

_BASES = {"BIN": 2, "OCT": 8, "HEX": 16}
_NAMES = {"BIN": "binary", "OCT": "octal", "HEX": "hexadecimal", "DEC": "decimal"}


def _read(item: Cell, base: int) -> int | ExcelError:
    """The number that ten digits of a base say, in two's complement."""
    if isinstance(item, (bool, ExcelError)):
        return item if isinstance(item, ExcelError) else ExcelError.VALUE
    text = "" if item is None else item if isinstance(item, str) else number_text(item)
    digits = "01234567" if base == 8 else "01" if base == 2 else "0123456789ABCDEFabcdef"
    if len(text) > _PLACES or any(letter not in digits for letter in text):
        return ExcelError.NUM
    number = int(text, base) if text else 0
    limit = int(math.pow(base, _PLACES)) if base != 2 else 1 << _PLACES
    return number - limit if number >= limit // 2 else number


def _write(number: int, base: int, places: int | None) -> str | ExcelError:
    """A number in ten digits of a base at most, in two's complement; `places` pads a positive one."""
    limit = int(math.pow(base, _PLACES)) if base != 2 else 1 << _PLACES
    if not -limit // 2 <= number < limit // 2:
        return ExcelError.NUM
    written = {2: "b", 8: "o", 16: "X"}[base]
    if number < 0:
        return f"{number + limit:{written}}"
    found = f"{number:{written}}"
    if places is None:
        return found
    return found.rjust(places, "0") if len(found) <= places else ExcelError.NUM


def _places(item: Cell) -> int | ExcelError:
    """The least number of digits, 1 to 10, as an argument says it."""
    if isinstance(item, str):
        parsed = text_number(item)
        item = ExcelError.VALUE if parsed is None else parsed
    if isinstance(item, (bool, ExcelError)):
        return item if isinstance(item, ExcelError) else ExcelError.VALUE
    width = math.trunc(item or 0.0)
    return width if 1 <= width <= _PLACES else ExcelError.NUM


_NOT_GIVEN: Cell = math.nan


def _converted(item: Cell, source: str, target: str, places: Cell) -> Cell:
    digits = None if places is _NOT_GIVEN else _places(places)
    if isinstance(digits, ExcelError):
        return digits
    if source == "DEC":
        if isinstance(item, (bool, ExcelError)):
            return item if isinstance(item, ExcelError) else ExcelError.VALUE
        if isinstance(item, str):
            if not re.fullmatch(r"\s*[+-]?\d+(\.\d*)?\s*", item):
                return ExcelError.VALUE
            item = float(item)
        number: int | ExcelError = math.trunc(item or 0.0)
    else:
        number = _read(item, _BASES[source])
    if isinstance(number, ExcelError):
        return number
    return float(number) if target == "DEC" else _write(number, _BASES[target], digits)


def _declare_conversion(source: str, target: str, examples: dict[str, float | str | bool]) -> None:
    def to_decimal(item: Cell) -> Cell:
        return _converted(item, source, target, _NOT_GIVEN)

    def with_places(item: Cell, places: Cell = _NOT_GIVEN) -> Cell:
        return _converted(item, source, target, places)

    implementation = to_decimal if target == "DEC" else with_places
    implementation.__doc__ = f"A {_NAMES[source]} number as a {_NAMES[target]} one."
    plain(f"{source}2{target}", examples=examples)(implementation)


_declare_conversion("BIN", "DEC", {'BIN2DEC("1100100")': 100, "BIN2DEC(1111111111)": -1})
_declare_conversion(
    "BIN", "HEX", {'BIN2HEX("11111011",4)': "00FB", 'BIN2HEX("1110")': "E", "BIN2HEX(1111111111)": "FFFFFFFFFF"}
)
_declare_conversion("BIN", "OCT", {'BIN2OCT("1001",3)': "011", "BIN2OCT(1100100)": "144"})
_declare_conversion("DEC", "BIN", {"DEC2BIN(9,4)": "1001", "DEC2BIN(-100)": "1110011100", "DEC2BIN(512)": "#NUM!"})
_declare_conversion("DEC", "HEX", {"DEC2HEX(100,4)": "0064", "DEC2HEX(-54)": "FFFFFFFFCA", "DEC2HEX(64,1)": "#NUM!"})
_declare_conversion("DEC", "OCT", {"DEC2OCT(58,3)": "072", "DEC2OCT(-100)": "7777777634"})
_declare_conversion("HEX", "BIN", {'HEX2BIN("F",8)': "00001111", 'HEX2BIN("FFFFFFFFFF")': "1111111111"})
_declare_conversion(
    "HEX", "DEC", {'HEX2DEC("A5")': 165, 'HEX2DEC("FFFFFFFF5B")': -165, 'HEX2DEC("3DA408B9")': 1034160313}
)
_declare_conversion("HEX", "OCT", {'HEX2OCT("F",3)': "017", 'HEX2OCT("FFFFFFFF00")': "7777777400"})
_declare_conversion("OCT", "BIN", {"OCT2BIN(3,3)": "011", 'OCT2BIN("7777777000")': "1000000000"})
_declare_conversion("OCT", "DEC", {"OCT2DEC(54)": 44, 'OCT2DEC("7777777533")': -165})
_declare_conversion("OCT", "HEX", {"OCT2HEX(100,4)": "0040", 'OCT2HEX("7777777533")': "FFFFFFFF5B"})

# --- bits -------------------------------------------------------------------------------------------------

_MOST = 2.0**48


def _bits(*numbers: float) -> list[int] | None:
    """Whole numbers of at most 48 bits; None if one is none."""
    return [int(item) for item in numbers] if all(0 <= item < _MOST and item == int(item) for item in numbers) else None


@plain("BITAND", examples={"BITAND(13,25)": 9, "BITAND(-1,1)": "#NUM!"})
def bitand(one: float, other: float) -> float | ExcelError:
    """The bits that two numbers have in common."""
    pair = _bits(one, other)
    return ExcelError.NUM if pair is None else float(pair[0] & pair[1])


@plain("BITOR", examples={"BITOR(23,10)": 31})
def bitor(one: float, other: float) -> float | ExcelError:
    """The bits that either of two numbers has."""
    pair = _bits(one, other)
    return ExcelError.NUM if pair is None else float(pair[0] | pair[1])


@plain("BITXOR", examples={"BITXOR(5,3)": 6})
def bitxor(one: float, other: float) -> float | ExcelError:
    """The bits that one of two numbers has."""
    pair = _bits(one, other)
    return ExcelError.NUM if pair is None else float(pair[0] ^ pair[1])


def _moved(number: float, places: float) -> float | ExcelError:
    bits, by = _bits(number), math.trunc(places)
    if bits is None or abs(by) > 53:
        return ExcelError.NUM
    found = bits[0] << by if by >= 0 else bits[0] >> -by
    return float(found) if found < _MOST else ExcelError.NUM


@plain("BITLSHIFT", examples={"BITLSHIFT(4,2)": 16})
def bitlshift(number: float, places: float) -> float | ExcelError:
    """A number with its bits moved to the left."""
    return _moved(number, places)


@plain("BITRSHIFT", examples={"BITRSHIFT(13,2)": 3})
def bitrshift(number: float, places: float) -> float | ExcelError:
    """A number with its bits moved to the right."""
    return _moved(number, -places)


# --- steps ------------------------------------------------------------------------------------------------


@plain("DELTA", booleans=False, examples={"DELTA(5,4)": 0, "DELTA(5,5)": 1, "DELTA(0)": 1})
def delta(one: float, other: float = 0.0) -> float:
    """1 where two numbers are equal, else 0."""
    return float(one == other)


@plain("GESTEP", booleans=False, examples={"GESTEP(5,4)": 1, "GESTEP(-4,-5)": 1, "GESTEP(-1)": 0})
def gestep(number: float, step: float = 0.0) -> float:
    """1 where a number reaches a step, else 0."""
    return float(number >= step)
