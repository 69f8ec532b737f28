"""The examples of every function beside what LibreOffice and IronCalc make of them.

Where an engine contradicts an example, Excel's documentation is on the example's side: the reasons are in DIFFER.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import EXAMPLE_CELLS
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Formula, Value, Workbook
from tests.fuzz import engines
from tests.sheets import HOME, book

COLUMN = 26

# Names without a dot that a file has with the prefix of what came after Excel 2007, as far as an engine reads it.
LATER = {
    *("ACOT", "ACOTH", "ARABIC", "BASE", "BITAND", "BITLSHIFT", "BITOR", "BITRSHIFT", "BITXOR", "COMBINA", "CONCAT"),
    *("COT", "COTH", "CSC", "CSCH", "DAYS", "DECIMAL", "ENCODEURL", "GAMMA", "GAUSS", "IFNA", "IFS", "ISOWEEKNUM"),
    *("MAXIFS", "MINIFS", "MUNIT", "NUMBERVALUE", "PDURATION", "PERMUTATIONA", "PHI", "RRI", "SEC", "SECH", "SHEETS"),
    *("SWITCH", "TEXTJOIN", "UNICHAR", "UNICODE", "XOR", "IMCOT", "IMCSC", "IMCSCH", "IMSEC", "IMSECH", "IMSINH"),
    *("IMCOSH", "IMTAN", "FORMULATEXT", "ISFORMULA", "SHEET"),
}
UNPREFIXED = {"ERROR.TYPE", "ISO.CEILING", "NETWORKDAYS.INTL", "WORKDAY.INTL"}

DIFFER: dict[str, tuple[str, ...]] = {
    "libreoffice: logical values and texts in array constants are numbers": ("AVERAGE", "CONCAT"),
    "ironcalc: of arrays, texts, logical values or all but one cell are left out": (
        *("AVERAGE", "COUNT", "NPV", "VARA", "VARPA", "STDEVA", "STDEVPA", "XLOOKUP"),
    ),
    "ironcalc: takes no arrays for tables and criteria": (
        *(
            "DAVERAGE",
            "DCOUNT",
            "DCOUNTA",
            "DGET",
            "DMAX",
            "DMIN",
            "DPRODUCT",
            "DSTDEV",
            "DSTDEVP",
            "DSUM",
            "DVAR",
            "DVARP",
        ),
    ),
    "both: 29 February 1900 is no day": ("DAY",),
    "libreoffice: another error for the same": (
        *("COT", "COTH", "CSC", "CSCH", "LARGE", "MODE.SNGL", "MROUND", "RANK", "RANK.EQ"),
    ),
    "ironcalc: another error for the same": ("CORREL", "PEARSON", "DECIMAL"),
    "libreoffice: gives a value where Excel has an error": (
        *("CHAR", "CODE", "EFFECT", "GAMMADIST", "GEOMEAN", "MONTH", "UNICHAR"),
    ),
    "both: the examples stand in another cell": ("FORMULATEXT", "ISFORMULA"),
    "ironcalc: has no narrow katakana": ("ASC",),
    "ironcalc: takes no references to its own sheet": ("SHEET",),
    "libreoffice: depreciates otherwise before the first period, and down to large salvages": ("DDB", "AMORDEGRC"),
    "libreoffice: other days in a duration": ("DURATION", "MDURATION"),
    "libreoffice: has not all arguments": ("ACCRINT",),
    "libreoffice: has no bonds with an odd first period": ("ODDFPRICE", "ODDFYIELD"),
    "libreoffice: another opinion of a share of 0": ("BETA.INV", "BETAINV", "F.INV"),
    "ironcalc: 0 to the power of 0 is 1": ("IMPOWER",),
    "ironcalc: infinity is no error": ("IMCOT", "IMCSC", "IMCSCH", "IMLN"),
    "libreoffice: years before 1900, dates and percents in texts": ("DATE", "DATEVALUE", "NUMBERVALUE"),
    "libreoffice: dollars as its own country writes them": ("DOLLAR",),
    "libreoffice: rounds where Excel cuts off": ("PERCENTRANK",),
    "libreoffice: an older pound": ("CONVERT",),
    "ironcalc: another zero of the Celsius scale": ("CONVERT",),
    "both: “” is no number, the documentation says 0": ("NUMBERVALUE",),
    "both: #NUM! for a rate of -1, which divides by 0": ("NPV",),
    "both: stop at a tiny rate in the place of 0": ("RATE",),
    "libreoffice: nothing out of nothing is no way": ("COMBINA",),
    "libreoffice: TRUE is a number": ("TYPE", "ISEVEN", "ISODD"),
    "both: a text is no day off, the documentation has one": ("NETWORKDAYS.INTL",),
    "ironcalc: numbers in texts and unusual formats stay as they are": ("TEXT",),
    "libreoffice: nothing but payments has no rate": ("MIRR",),
    "libreoffice: observations and expectations have one shape": ("CHISQ.TEST",),
}


def exempt(engine: str) -> set[str]:
    """The functions of which an engine has another opinion."""
    return {name for reason, names in DIFFER.items() if reason.startswith((engine, "both")) for name in names}


EXAMPLES = [
    (name, text, expected)
    for name, found in REGISTRY.items()
    for text, expected in found.examples.items()
    if not found.described
]


def prefixed(match: re.Match[str]) -> str:
    name = match[1]
    later = ("." in name and name not in UNPREFIXED) or name in LATER
    return f"_xlfn.{name}(" if later else match[0]


def workbook() -> Workbook:
    """All examples, each an array formula in a cell of its own."""
    made = book({area.partition(":")[0]: list(column) for area, column in EXAMPLE_CELLS.items()})
    for row, (_, text, _) in enumerate(EXAMPLES, 10):
        written = re.sub(r"(?<![\w.])([A-Z][A-Z0-9.]*)\(", prefixed, text)
        made.sheets[HOME].formulas[row, COLUMN] = Formula(written, row, COLUMN, (row, COLUMN, row, COLUMN))
    return made


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, engines.Values]:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not there")
    folder = tmp_path_factory.mktemp("engines")
    made = workbook()
    return {
        "libreoffice": engines.libreoffice(office, made, folder),
        "ironcalc": engines.ironcalc(Path(folder) / "office.xlsx", [HOME]),
    }


def agrees(expected: float | str | bool, value: Value) -> bool:
    if value is engines.WITHOUT_KIND:
        return isinstance(expected, str) and expected.startswith("#")
    if isinstance(value, ExcelError):
        return str(value) == expected
    if isinstance(expected, str) or isinstance(value, str):
        return str(value).casefold() == str(expected).casefold()
    decimals = len(repr(expected).partition(".")[2])
    few = 0.51 * 10.0**-decimals if 5 <= decimals <= 12 and "e" not in repr(expected) else 0.0
    return math.isclose(value, expected, rel_tol=1e-8, abs_tol=max(few, 1e-12))


def contradicted(engine: str, found: engines.Values) -> Iterator[str]:
    for row, (name, text, expected) in enumerate(EXAMPLES, 10):
        value = found.get(Cell(HOME, row, COLUMN))
        if value is None or value is ExcelError.NAME or name in exempt(engine):
            continue
        if not agrees(expected, value):
            yield f"{text} is {expected} here, {value} to {engine}"


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc"])
def test_the_engines_agree_with_the_examples(opinions: dict[str, engines.Values], engine: str) -> None:
    found = opinions[engine]
    assert len(found) > 0.7 * len(EXAMPLES)
    assert not list(contradicted(engine, found))


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc"])
def test_no_exception_is_without_a_reason(opinions: dict[str, engines.Values], engine: str) -> None:
    """Each function in the table is contradicted by the engine."""
    found = opinions[engine]
    wrong = {
        name
        for row, (name, _, expected) in enumerate(EXAMPLES, 10)
        if (value := found.get(Cell(HOME, row, COLUMN))) is not None and not agrees(expected, value)
    }
    assert exempt(engine) <= wrong | {
        name for reason, names in DIFFER.items() if reason.startswith("both") for name in names
    }
