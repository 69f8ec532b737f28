"""Complex numbers as texts: "3+4i"."""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable

from sgdsheet.compiler.functions.plain import Cell, Grid, plain
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ROUNDING = 1e-13
"""A part of a root or power so small, beside its size, is only rounding."""

_FORM = re.compile(rf"(?P<real>{_NUMBER})?(?:(?P<imaginary>{_NUMBER}|[+-])?(?P<unit>[ij]))?")


def _read(cell: Cell) -> tuple[complex, str] | ExcelError:
    """A complex number and its unit, which is empty where the text has none."""
    if isinstance(cell, ExcelError):
        return cell
    if isinstance(cell, bool):
        return ExcelError.VALUE
    if not isinstance(cell, str):
        return complex(cell or 0.0), ""
    match = _FORM.fullmatch(cell)
    if match is None or not cell:
        return ExcelError.NUM
    real, imaginary, unit = match["real"], match["imaginary"], match["unit"] or ""
    if unit and imaginary is None:
        if real is None:
            return 1j, unit
        imaginary, real = real, None  # all of it stands before the unit
    if real is not None and unit and imaginary is not None and imaginary[0] not in "+-":
        return ExcelError.NUM
    parts = {"+": 1.0, "-": -1.0}
    size = 0.0 if imaginary is None else parts.get(imaginary) or float(imaginary)
    return complex(float(real or 0.0), size if unit else 0.0), unit


def _digits(number: float) -> str:
    return re.sub(r"e([+-])0*(\d)", r"E\1\2", f"{number:.15g}")


def written(number: complex, unit: str = "i") -> str | ExcelError:
    """A complex number as a text, with 15 digits."""
    if not cmath.isfinite(number):
        return ExcelError.NUM
    real, imaginary = number.real, number.imag
    if imaginary == 0:
        return _digits(real + 0.0)
    size = "" if imaginary == 1 else "-" if imaginary == -1 else _digits(imaginary)
    if real == 0:
        return f"{size}{unit}"
    return f"{_digits(real)}{'' if imaginary < 0 else '+'}{size}{unit}"


def _all(cells: list[Cell]) -> tuple[list[complex], str] | ExcelError:
    """Several numbers that have one unit."""
    found, units = [], set()
    for cell in cells:
        known = _read(cell)
        if isinstance(known, ExcelError):
            return known
        found.append(known[0])
        units.add(known[1])
    units.discard("")
    return (found, units.pop() if units else "i") if len(units) < 2 else ExcelError.VALUE


def _calculated(calculate: Callable[[complex], complex], cell: Cell) -> Cell:
    known = _read(cell)
    if isinstance(known, ExcelError):
        return known
    try:
        return written(calculate(known[0]), known[1] or "i")
    except (ValueError, ZeroDivisionError, OverflowError):
        return ExcelError.NUM


def _polar(number: complex, size: float, power: float) -> complex:
    """A power of a complex number, whose size is known, by its angle."""
    if number == 0:
        return 0j
    angle = power * cmath.phase(number)
    parts = size * math.cos(angle), size * math.sin(angle)
    if any(0 < abs(part) < _ROUNDING * size for part in parts):
        raise FormulaError(
            "writes a rounding error into a text, which differs by program", remedy="Calculate with numbers"
        )
    return complex(*parts)


def _declare(
    name: str, help_text: str, calculate: Callable[[complex], complex], examples: dict[str, float | str | bool]
) -> None:
    def implementation(number: Cell) -> Cell:
        return _calculated(calculate, number)

    implementation.__doc__ = help_text
    plain(name, examples=examples)(implementation)


_declare("IMEXP", "Exponential of a complex number.", cmath.exp, {'IMEXP("0")': "1"})
_declare("IMLN", "Natural logarithm of a complex number.", cmath.log, {'IMLN("1")': "0", 'IMLN("0")': "#NUM!"})
_declare("IMLOG10", "Logarithm to base 10 of a complex number.", cmath.log10, {'IMLOG10("100")': "2"})
_declare(
    "IMLOG2", "Logarithm to base 2 of a complex number.", lambda z: cmath.log(z) / math.log(2), {'IMLOG2("2")': "1"}
)
_declare("IMSIN", "Sine of a complex number.", cmath.sin, {'IMSIN("0")': "0"})
_declare("IMCOS", "Cosine of a complex number.", cmath.cos, {'IMCOS("0")': "1"})
_declare("IMTAN", "Tangent of a complex number.", cmath.tan, {'IMTAN("0")': "0"})
_declare("IMSINH", "Hyperbolic sine of a complex number.", cmath.sinh, {'IMSINH("0")': "0"})
_declare("IMCOSH", "Hyperbolic cosine of a complex number.", cmath.cosh, {'IMCOSH("0")': "1"})
_declare("IMSEC", "Secant of a complex number.", lambda z: 1 / cmath.cos(z), {'IMSEC("0")': "1"})
_declare("IMSECH", "Hyperbolic secant of a complex number.", lambda z: 1 / cmath.cosh(z), {'IMSECH("0")': "1"})
_declare("IMCSC", "Cosecant of a complex number.", lambda z: 1 / cmath.sin(z), {'IMCSC("0")': "#NUM!"})
_declare("IMCSCH", "Hyperbolic cosecant of a complex number.", lambda z: 1 / cmath.sinh(z), {'IMCSCH("0")': "#NUM!"})
_declare("IMCOT", "Cotangent of a complex number.", lambda z: cmath.cos(z) / cmath.sin(z), {'IMCOT("0")': "#NUM!"})
_declare(
    "IMSQRT",
    "Square root of a complex number.",
    lambda z: _polar(z, math.sqrt(abs(z)), 0.5),
    {'IMSQRT("1+i")': "1.09868411346781+0.455089860562227i", 'IMSQRT("4")': "2"},
)
_declare("IMCONJUGATE", "Conjugate of a complex number.", lambda z: z.conjugate(), {'IMCONJUGATE("3+4i")': "3-4i"})


@plain(
    "COMPLEX",
    booleans=False,
    examples={"COMPLEX(3,4)": "3+4i", 'COMPLEX(3,4,"j")': "3+4j", "COMPLEX(0,1)": "i", "COMPLEX(1,0)": "1"},
)
def complex_(real: float, imaginary: float, unit: str = "i") -> str | ExcelError:
    """A complex number from its parts."""
    return written(complex(real, imaginary), unit) if unit in ("i", "j") else ExcelError.VALUE


def _part(cell: Cell, part: Callable[[complex], float]) -> float | ExcelError:
    known = _read(cell)
    if isinstance(known, ExcelError):
        return known
    return part(known[0])


@plain("IMREAL", examples={'IMREAL("6-9i")': 6, "IMREAL(5)": 5, 'IMREAL("x")': "#NUM!"})
def imreal(number: Cell) -> float | ExcelError:
    """The real part of a complex number."""
    return _part(number, lambda z: z.real)


@plain("IMAGINARY", examples={'IMAGINARY("3+4i")': 4, 'IMAGINARY("0-j")': -1, 'IMAGINARY("4i")': 4, "IMAGINARY(4)": 0})
def imaginary_part(number: Cell) -> float | ExcelError:
    """The imaginary part of a complex number."""
    return _part(number, lambda z: z.imag)


@plain("IMABS", examples={'IMABS("5+12i")': 13})
def imabs(number: Cell) -> float | ExcelError:
    """The absolute value of a complex number."""
    return _part(number, abs)


@plain("IMARGUMENT", examples={'IMARGUMENT("3+4i")': 0.927295218001612, 'IMARGUMENT("0")': "#DIV/0!"})
def imargument(number: Cell) -> float | ExcelError:
    """The angle of a complex number in radians."""
    known = _read(number)
    if isinstance(known, ExcelError):
        return known
    return ExcelError.DIV0 if known[0] == 0 else cmath.phase(known[0])


def _cells(grids: tuple[Grid, ...]) -> list[Cell]:
    return [cell for grid in grids for cell in grid.cells() if cell is not None]


@plain("IMSUM", examples={'IMSUM("3+4i","5-3i")': "8+i"})
def imsum(*numbers: Grid) -> Cell:
    """Sum of complex numbers."""
    known = _all(_cells(numbers))
    return known if isinstance(known, ExcelError) else written(sum(known[0]), known[1])


@plain("IMPRODUCT", examples={'IMPRODUCT("3+4i","5-3i")': "27+11i", 'IMPRODUCT("1+2i",30)': "30+60i"})
def improduct(*numbers: Grid) -> Cell:
    """Product of complex numbers."""
    known = _all(_cells(numbers))
    return known if isinstance(known, ExcelError) else written(math.prod(known[0]), known[1])


@plain("IMSUB", examples={'IMSUB("13+4i","5+3i")': "8+i"})
def imsub(one: Cell, other: Cell) -> Cell:
    """Difference of two complex numbers."""
    known = _all([one, other])
    return known if isinstance(known, ExcelError) else written(known[0][0] - known[0][1], known[1])


@plain("IMDIV", examples={'IMDIV("-238+240i","10+24i")': "5+12i", 'IMDIV("1","0")': "#NUM!"})
def imdiv(one: Cell, other: Cell) -> Cell:
    """Quotient of two complex numbers."""
    known = _all([one, other])
    if isinstance(known, ExcelError):
        return known
    above, below = known[0]
    if below == 0:
        return ExcelError.NUM
    size = below.real * below.real + below.imag * below.imag
    real, imaginary = (
        above.real * below.real + above.imag * below.imag,
        above.imag * below.real - above.real * below.imag,
    )
    return written(complex(real / size, imaginary / size), known[1])


@plain("IMPOWER", examples={'IMPOWER("2+3i",3)': "-46+9.00000000000001i", 'IMPOWER("0",0)': "#NUM!"})
def impower(number: Cell, power: Cell) -> Cell:
    """Power of a complex number, by its size and angle."""
    exponent = _read(power)
    if isinstance(exponent, ExcelError):
        return exponent
    if exponent[0].imag != 0:
        return ExcelError.NUM
    known, exact = _read(number), exponent[0].real
    if isinstance(known, ExcelError):
        return known
    if known[0] == 0:
        return written(0j, known[1] or "i") if exact > 0 else ExcelError.NUM
    try:
        return written(_polar(known[0], math.pow(abs(known[0]), exact), exact), known[1] or "i")
    except OverflowError:
        return ExcelError.NUM
