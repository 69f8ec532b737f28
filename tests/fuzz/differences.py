"""The one table of known differences between the judges: where, why, and which side Excel takes.

A row is asked about the smallest part of a formula that is disagreed about. Excel's documentation and results that
Excel saved are the judge; what neither tells is marked `UNKNOWN`.
"""

# ruff: noqa: E501 - one case per line reads better

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import OverSamples, Takes
from sgdsheet.sheet.syntax import (
    ArrayConstant,
    Binary,
    Boolean,
    Call,
    Node,
    Number,
    Omitted,
    Text,
    Unary,
    children,
    walk,
)
from sgdsheet.sheet.workbook import ExcelError, Value
from tests.fuzz.engines import areas

if TYPE_CHECKING:
    from tests.fuzz.formulas import Finding

OFFICE, IRON = "LibreOffice", "IronCalc"


class Side(Enum):
    """Whose result is Excel's."""

    OURS = "ours"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Difference:
    """One reason for which an engine differs from us."""

    engine: str
    reason: str
    holds: Callable[[Finding], bool]
    excel: Side = Side.OURS


AGGREGATES = {
    *("SUM", "SUMSQ", "PRODUCT", "AVERAGE", "COUNT", "MAX", "MIN", "DEVSQ", "VAR", "VARP", "VAR.S", "VAR.P", "STDEV"),
    *("STDEVP", "STDEV.S", "STDEV.P", "SUMPRODUCT", "SUMIF", "SUMIFS", "AVERAGEIF", "AVERAGEIFS", "COUNTIF"),
    *("COUNTIFS", "SUMXMY2", "SUMX2MY2", "SUMX2PY2", "MMULT", "XOR", "AND", "OR"),
}
SPREADS = {"VAR", "VARP", "VAR.S", "VAR.P", "STDEV", "STDEVP", "STDEV.S", "STDEV.P", "DEVSQ"}
WITH_TEXTS = {"VARPA", "VARA", "STDEVPA", "STDEVA", "AVERAGEA", "MAXA", "MINA"}
PAIRS = {"SUMXMY2", "SUMX2MY2", "SUMX2PY2"}
LOOKUPS = {"MATCH", "VLOOKUP", "HLOOKUP", "XLOOKUP"}
IFS = {"SUMIF", "SUMIFS", "AVERAGEIF", "AVERAGEIFS", "COUNTIF", "COUNTIFS", "MAXIFS", "MINIFS"}
BOOLEANS = {"AND", "OR", "XOR", "NOT", "TRUE", "FALSE", "ISERR", "ISERROR", "ISNA"}
COMPARISONS = {"=", "<>", "<", ">", "<=", ">="}
LAZY = {"IF", "IFS", "SWITCH", "CHOOSE", "IFERROR", "IFNA"}


def name(finding: Finding) -> str:
    """The function or operator at the top of the part."""
    node = finding.node
    if isinstance(node, Call):
        return node.name
    return node.operator if isinstance(node, (Binary, Unary)) else ""


def names(finding: Finding) -> set[str]:
    """All functions in the part."""
    parts = [finding.node, *inner(finding)] if finding.node is not None else []
    return {part.name for part in parts if isinstance(part, Call)}


def read(finding: Finding) -> list[Value]:
    """All values that the part reads."""
    values = finding.sheet.values
    found: list[Value] = []
    for area in areas(finding.text, finding.cell):
        found += [
            values[row, column]
            for row in range(area.top, min(area.bottom, 60) + 1)
            for column in range(area.left, min(area.right, 60) + 1)
            if (row, column) in values and (row, column) not in finding.sheet.formulas
        ]
    return found


def constants(finding: Finding) -> list[Value]:
    """All constants that are written in the part."""
    parts = list(walk(finding.node)) if finding.node is not None else []
    return [part.value for part in parts if isinstance(part, (Number, Text, Boolean))]


def has_boolean(finding: Finding) -> bool:
    return any(isinstance(value, bool) for value in [*read(finding), *constants(finding)]) or any(
        boolean(part) for part in inner(finding)
    )


def category(finding: Finding) -> str:
    """The module that declares the function at the top of the part."""
    return REGISTRY[finding.node.name].category if isinstance(finding.node, Call) else ""


def numbers(finding: Finding) -> list[float]:
    """The numbers that the part reads and names."""
    return [value for value in [*read(finding), *constants(finding)] if type(value) is float]


STATISTICS = {
    "moments",
    "order",
    "regression",
    "statistics",
    "hypothesis_tests",
    "database",
    "range_numbers",
    "subtotals",
}
TOOLPAK = {
    "complex_numbers",
    "conversion",
    "engineering",
    "rounding",
    "dates",
    "annuities",
    "cash_flows",
    "information",
}
TEXTS = {"text", "formatting", "more_texts", "bytes_of_texts"}
DISTRIBUTIONS = {"distributions", "continuous", "quantiles", "discrete"}
OLD = {"", "mathematics", "logical", "matrices", "sums", "conditional", "lookup", "faults", "statistics"}
FIRST_OF_MARCH_1900 = 61


def has_text(finding: Finding) -> bool:
    joined = any(isinstance(part, Binary) and part.operator == "&" for part in inner(finding))
    return joined or any(isinstance(value, str) for value in [*read(finding), *constants(finding)])


def boolean(node: Node) -> bool:
    """Whether a part gives TRUE or FALSE by its nature."""
    comparison = isinstance(node, Binary) and node.operator in ("=", "<>", "<", ">", "<=", ">=")
    return comparison or (isinstance(node, Call) and node.name in BOOLEANS)


def inner(finding: Finding) -> list[Node]:
    """All parts below the top."""
    return [part for child in children(finding.node) for part in walk(child)] if finding.node is not None else []


def has_arrays(finding: Finding) -> bool:
    """Whether an array constant or a calculation with ranges stands in it."""
    return any(isinstance(part, ArrayConstant) for part in inner(finding)) or any(
        isinstance(part, (Binary, Unary, Call)) for part in inner(finding)
    )


def single(finding: Finding) -> bool:
    """An array formula of one cell."""
    area = finding.area
    return area is not None and area[:2] == area[2:]


def multi(finding: Finding) -> bool:
    """An array formula of several cells."""
    return finding.area is not None and not single(finding)


def reads_ranges(finding: Finding) -> bool:
    return any(area.size > 1 for area in areas(finding.text, finding.cell)) or any(
        isinstance(part, ArrayConstant) for part in inner(finding)
    )


def ranges(finding: Finding) -> bool:
    """Whether a reference to several cells stands in it."""
    return any(area.size > 1 for area in areas(finding.text, finding.cell))


def takes_single(finding: Finding) -> bool:
    """Whether it calls a function of a range that has single values beside it, as LARGE."""
    return isinstance(finding.node, Call) and bool(REGISTRY[finding.node.name].single_arguments)


def refused(finding: Finding) -> bool:
    """Whether only others have an error."""
    return not error(finding.ours) and (error(finding.libreoffice) or error(finding.ironcalc))


def close_texts(one: Value | None, two: Value | None) -> bool:
    """Whether the numbers in two texts are the same to nine digits, or next to nothing."""
    if not isinstance(one, str) or not isinstance(two, str):
        return False
    pairs = [[float(part) for part in re.findall(r"[0-9.]+(?:E[+-]?[0-9]+)?", text)] for text in (one, two)]
    return len(pairs[0]) == len(pairs[1]) and all(abs(a - b) <= 1e-9 * max(1.0, a) for a, b in zip(*pairs, strict=True))


def of_several_sizes(finding: Finding) -> bool:
    """Whether ranges and array constants of different sizes stand in it."""
    sizes = {(area.height, area.width) for area in areas(finding.text, finding.cell) if area.size > 1}
    sizes |= {(len(part.rows), len(part.rows[0])) for part in inner(finding) if isinstance(part, ArrayConstant)}
    return len(sizes) > 1


def lazy(finding: Finding) -> bool:
    """Whether branches stand in it that are not taken."""
    return any(
        isinstance(part, Call) and part.name in LAZY
        for part in ([finding.node, *inner(finding)] if finding.node else [])
    )


def approximate(finding: Finding) -> bool:
    """A lookup for the nearest key, in cells that are not sorted."""
    node = finding.node
    if not isinstance(node, Call) or node.name not in LOOKUPS:
        return False
    mode = node.arguments[{"MATCH": 2, "XLOOKUP": 4}.get(node.name, 3) :]
    return not mode or mode[0] not in (Number(0.0), Boolean(False), Omitted())


def error(value: Value | None) -> bool:
    return isinstance(value, ExcelError)


DIFFERENCES = (
    # --- LibreOffice --------------------------------------------------------------------------------------
    Difference(
        OFFICE,
        "TRUE and FALSE are numbers to LibreOffice: it counts them in ranges, compares them with numbers, joins them as 1",
        lambda item: has_boolean(item) and (name(item) in AGGREGATES | LOOKUPS | COMPARISONS | {"&", "SWITCH", "N"}),
    ),
    Difference(
        OFFICE,
        "LibreOffice calculates over what arrays of different sizes have in common; beyond it there is #N/A in Excel",
        lambda item: item.ours is ExcelError.NA and name(item) not in LOOKUPS and of_several_sizes(item),
    ),
    Difference(
        OFFICE,
        "0^0 is 1 in LibreOffice, #NUM! in Excel",
        lambda item: name(item) in ("^", "POWER") and error(item.ours) and item.libreoffice == 1.0,
    ),
    Difference(
        OFFICE,
        "empty or numeric text calculates differently in LibreOffice",
        lambda item: has_text(item) and error(item.ours) and name(item) not in LOOKUPS,
    ),
    Difference(
        OFFICE,
        "LibreOffice's SUMX… gives #VALUE! where a pair is no number; Excel leaves the pair out",
        lambda item: name(item) in PAIRS and error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "ROWS and COLUMNS of a calculation are #VALUE! in LibreOffice outside of array formulas",
        lambda item: name(item) in ("ROWS", "COLUMNS") and error(item.libreoffice),
    ),
    Difference(OFFICE, "SUMXMY2 takes a blank for 0 in LibreOffice", lambda item: name(item) == "SUMXMY2"),
    Difference(
        OFFICE,
        "the criterion TRUE is 1 to LibreOffice",
        lambda item: (
            name(item) in IFS
            and any(
                "TRUE" in str(value).upper() or "FALSE" in str(value).upper()
                for value in [*read(item), *constants(item)]
            )
        ),
    ),
    Difference(
        OFFICE,
        "empty text is a blank cell to LibreOffice",
        lambda item: (
            (item.ours == "" and item.libreoffice == 0.0)
            or ("" in read(item) and name(item) in ("COUNTA", *COMPARISONS, "&"))
        ),
    ),
    Difference(
        OFFICE,
        "numeric text given directly to STDEV and its like is an error in LibreOffice",
        lambda item: name(item) in SPREADS and has_text(item),
    ),
    Difference(
        OFFICE,
        "ATAN2(0,0) is 0 in LibreOffice, #DIV/0! in Excel",
        lambda item: name(item) == "ATAN2" and item.ours is ExcelError.DIV0,
    ),
    Difference(
        OFFICE,
        "LibreOffice has no sine of a very large number",
        lambda item: name(item) in ("SIN", "COS", "TAN") and error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "LibreOffice trims texts of cells",
        lambda item: (
            isinstance(item.libreoffice, str)
            and isinstance(item.ours, str)
            and item.ours.split() == item.libreoffice.split()
        ),
    ),
    Difference(
        OFFICE,
        "an approximate lookup in unsorted data: each engine bisects otherwise, Excel's documentation does not tell",
        approximate,
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "ROW() and COLUMN() in an array formula of several cells: LibreOffice counts on, IronCalc does not",
        lambda item: name(item) in ("ROW", "COLUMN") and multi(item) and not any(areas(item.text, item.cell)),
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "LibreOffice evaluates branches that are not taken",
        lambda item: lazy(item) and error(item.libreoffice) and not error(item.ours),
    ),
    Difference(
        OFFICE,
        "ISERR and its like look at one cell only in LibreOffice's array formulas",
        lambda item: name(item).startswith("IS") and multi(item),
    ),
    Difference(
        OFFICE, "LibreOffice's own errors (Err:502) have no ERROR.TYPE", lambda item: "ERROR.TYPE" in names(item)
    ),
    Difference(
        OFFICE,
        "a criterion that is an operator alone, or empty text, meets other cells in LibreOffice",
        lambda item: name(item) in IFS and has_text(item),
    ),
    Difference(
        OFFICE,
        "NOT and IFERROR look at one cell only in LibreOffice's array formulas",
        lambda item: item.array and name(item) in ("NOT", "IFERROR") and reads_ranges(item),
    ),
    Difference(
        OFFICE,
        "the remainder of a very large number: its last digits decide",
        lambda item: name(item) == "MOD" and not error(item.libreoffice) and not error(item.ours),
    ),
    Difference(
        OFFICE,
        "the sine of a very large number: its last digits decide",
        lambda item: name(item) in ("SIN", "COS", "TAN") and not error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "text given directly to SUM and its like is an error in LibreOffice",
        lambda item: name(item) in AGGREGATES and has_text(item) and error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "LibreOffice's SWITCH and IFS give an error of their own within another function",
        lambda item: lazy(item) and name(item) in BOOLEANS,
    ),
    Difference(
        OFFICE,
        "a power too small for a number is #NUM! in LibreOffice, 0 in Excel",
        lambda item: name(item) in ("^", "POWER") and item.ours == 0.0 and error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "an error among the values that SWITCH compares: LibreOffice passes it by, IronCalc gives it",
        lambda item: name(item) == "SWITCH" and error(item.ours) and not error(item.libreoffice),
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "XLOOKUP with an empty if_not_found gives #N/A in Excel, an empty text in LibreOffice",
        lambda item: "XLOOKUP" in names(item) and (",)" in item.text or ",," in item.text),
    ),
    *(
        Difference(
            engine,
            "an empty third argument of MATCH is 0 in Excel, as if it were not there in the others",
            lambda item: name(item) == "MATCH" and item.text.endswith(",)"),
        )
        for engine in (OFFICE, IRON)
    ),
    Difference(
        OFFICE,
        "an error as XLOOKUP's if_not_found is the result in LibreOffice, found or not; in Excel a second XLOOKUP may stand there",
        lambda item: name(item) == "XLOOKUP" and error(item.libreoffice) and not error(item.ours),
    ),
    Difference(
        OFFICE,
        "MMULT with a text, a blank or a boolean somewhere is #VALUE! as a whole; LibreOffice looks at each row by itself",
        lambda item: name(item) == "MMULT" and item.ours is ExcelError.VALUE and not error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "ROW and COLUMN of a range are arrays in array formulas only: LibreOffice gives all of them to SUM and COUNT",
        lambda item: not item.array and name(item) in AGGREGATES | {"COUNTA"} and bool(names(item) & {"ROW", "COLUMN"}),
    ),
    Difference(
        OFFICE,
        "ROWS of cells that a single calculation of an array formula takes alone: an error, or an array of one",
        lambda item: item.array and name(item) in ("ROWS", "COLUMNS") and error(item.ours),
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "the text TRUE calculates as 1 in LibreOffice's arrays, as #VALUE! in Excel",
        lambda item: (
            item.array
            and has_arrays(item)
            and any(isinstance(value, str) and value.upper() in ("TRUE", "FALSE") for value in read(item))
        ),
    ),
    Difference(
        OFFICE,
        "texts joined in an array with an error among them: LibreOffice puts the texts behind it into other cells",
        lambda item: name(item) == "&" and item.array and any(map(error, read(item))),
    ),
    Difference(
        OFFICE,
        "TRUE and FALSE are numbers to LibreOffice: statistics of ranges count them",
        lambda item: category(item) in STATISTICS and has_boolean(item),
    ),
    Difference(
        OFFICE,
        "TRUE and FALSE are numbers to LibreOffice: their texts are 1 and 0",
        lambda item: category(item) in TEXTS and has_boolean(item),
    ),
    *(
        Difference(
            engine,
            "the functions of the former Analysis ToolPak refuse TRUE and FALSE, texts that are no numbers, and ranges",
            lambda item: category(item) in TOOLPAK and error(item.ours),
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "the first days of 1900: Excel counts a 29 February, day 0 is in January 1900, and there is none before",
            lambda item: category(item) == "dates" and any(number < FIRST_OF_MARCH_1900 for number in numbers(item)),
        )
        for engine in (OFFICE, IRON)
    ),
    Difference(
        OFFICE,
        "GEOMEAN with a 0 is #NUM! in Excel, 0 in LibreOffice",
        lambda item: name(item) == "GEOMEAN" and item.ours is ExcelError.NUM and item.libreoffice == 0.0,
    ),
    *(
        Difference(
            engine,
            "which of several bad arguments of a newer function is told of first",
            lambda item: category(item) not in OLD and error(item.ours),
            Side.UNKNOWN,
        )
        for engine in (OFFICE, IRON)
    ),
    Difference(
        OFFICE,
        "functions of arrays that LibreOffice 7.4 does not know: an error of the arguments is told in place of #NAME?",
        lambda item: category(item) == "reshaping" and error(item.libreoffice),
    ),
    Difference(
        OFFICE,
        "LibreOffice takes cash flows column by column, and TRUE for 1; Excel row by row, numbers only",
        lambda item: (
            category(item) == "cash_flows"
            and (has_boolean(item) or any(area.height > 1 < area.width for area in areas(item.text, item.cell)))
        ),
    ),
    Difference(
        OFFICE,
        "LibreOffice finds no negative rates of return from the usual guess",
        lambda item: name(item) == "IRR" and error(item.libreoffice) and not error(item.ours),
    ),
    Difference(
        OFFICE,
        "a range where one value is wanted, beside an array constant or one that is taken whole: LibreOffice takes its "
        "first cell, Excel the one in the formula's own row",
        lambda item: not item.array and (name(item) in ("REPT", "HYPERLINK") or takes_single(item)) and ranges(item),
    ),
    Difference(
        OFFICE,
        "functions of the former Analysis ToolPak and a range outside of arrays: an error in LibreOffice",
        lambda item: category(item) in TOOLPAK and not item.array and error(item.libreoffice) and ranges(item),
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "a number that is not whole is truncated by DEC2HEX and its like; LibreOffice rounds it down",
        lambda item: name(item).startswith("DEC2") and any(number < 0 for number in numbers(item)),
    ),
    Difference(
        OFFICE,
        "the last digits of complex numbers, and of small numbers in them",
        lambda item: category(item) == "complex_numbers" and close_texts(item.ours, item.libreoffice),
    ),
    Difference(
        OFFICE,
        "a negative amount stands in brackets in DOLLAR, as in Excel in the USA",
        lambda item: name(item) == "DOLLAR",
    ),
    Difference(
        OFFICE,
        "CODE and CHAR know the letters of Windows in Excel, bytes in LibreOffice; control characters are no XML",
        lambda item: name(item) in ("CODE", "CHAR"),
    ),
    Difference(
        OFFICE,
        "VARPA and its like of one cell are 0 in Excel, an error in LibreOffice",
        lambda item: name(item) in ("VARPA", "STDEVPA") and item.ours == 0.0,
    ),
    Difference(
        OFFICE,
        "LENB counts the bytes of UTF-16 in LibreOffice, those of the Windows code page in Excel",
        lambda item: category(item) == "bytes_of_texts",
    ),
    Difference(
        OFFICE,
        "an empty text is found at the first letter, and an empty cell is the complex number 0; both errors in LibreOffice",
        lambda item: (
            (category(item) == "complex_numbers" or name(item) in ("FIND", "SEARCH", "FINDB", "SEARCHB"))
            and error(item.libreoffice)
            and not error(item.ours)
        ),
    ),
    Difference(
        OFFICE,
        "several bins of one value: which of them counts is not documented",
        lambda item: name(item) == "FREQUENCY",
        Side.UNKNOWN,
    ),
    Difference(
        OFFICE,
        "DAY of TRUE and FALSE, and of the first days of 1900",
        lambda item: name(item) == "DAY" and has_boolean(item),
    ),
    *(
        Difference(
            engine,
            "QUARTILE below 0 and above -1: it is truncated to 0, the documentation does not say whether before its test",
            lambda item: name(item).startswith("QUARTILE") and any(-1 < number < 0 for number in numbers(item)),
            Side.UNKNOWN,
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "TYPE of a range in a plain formula: 16, 64 or the type of one cell",
            lambda item: name(item) == "TYPE" and (reads_ranges(item) or has_arrays(item)),
            Side.UNKNOWN,
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "numbers in pairs from an array and a range of another shape, but as many cells",
            lambda item: category(item) in STATISTICS and of_several_sizes(item) and refused(item),
            Side.UNKNOWN,
        )
        for engine in (OFFICE, IRON)
    ),
    # --- IronCalc -----------------------------------------------------------------------------------------
    Difference(
        IRON,
        "IronCalc does not intersect ranges in a calculation with the formula's row or column",
        lambda item: (
            not item.array and item.ironcalc is ExcelError.VALUE and reads_ranges(item) and OFFICE not in item.against
        ),
    ),
    Difference(
        IRON,
        "IronCalc evaluates ROUNDUP, ATAN2 and others over arrays for the first element only",
        lambda item: (
            item.array
            and reads_ranges(item)
            and OFFICE not in item.against
            and isinstance(item.node, Call)
            and (
                REGISTRY[item.node.name].takes is Takes.SCALARS
                or REGISTRY[item.node.name].over_samples is OverSamples.ELEMENTWISE
            )
        ),
    ),
    Difference(
        IRON,
        "ranges of different shapes are #VALUE! in SUMIFS and its like, not so in IronCalc",
        lambda item: bool(names(item) & IFS) and item.ours is ExcelError.VALUE and error(item.libreoffice),
    ),
    Difference(
        IRON,
        "ROWS and COLUMNS of an array with errors in it: the errors are IronCalc's result",
        lambda item: name(item) in ("ROWS", "COLUMNS") and error(item.ironcalc) and reads_ranges(item),
    ),
    Difference(
        IRON, "a not-a-number inside of IronCalc (LN(-1)) has no ERROR.TYPE", lambda item: "ERROR.TYPE" in names(item)
    ),
    Difference(
        IRON,
        "IronCalc's IS functions find other errors in array constants and in calculations with ranges, also of one cell",
        lambda item: name(item).startswith("IS") and (reads_ranges(item) or (item.array and ":" in item.text)),
    ),
    Difference(
        IRON,
        "IronCalc compares TRUE and FALSE that are calculated, or in arrays, otherwise: (1=2)>=(1=2) is FALSE there",
        lambda item: (
            name(item) in COMPARISONS | {"SWITCH"}
            and OFFICE not in item.against
            and (any(map(boolean, inner(item))) or (item.array and has_boolean(item)))
        ),
    ),
    Difference(
        IRON,
        "IronCalc does not repeat a row or column over an array formula's cells: the others are #VALUE! there",
        lambda item: multi(item) and item.ironcalc is ExcelError.VALUE,
    ),
    Difference(
        IRON,
        "SHEET() counts the sheets of the file in IronCalc; we look at each sheet alone",
        lambda item: name(item) in ("SHEET", "SHEETS"),
    ),
    Difference(
        IRON,
        "IronCalc's newer distributions refuse TRUE and FALSE",
        lambda item: category(item) in DISTRIBUTIONS and has_boolean(item) and item.ironcalc is ExcelError.VALUE,
    ),
    Difference(
        IRON,
        "IronCalc's Bessel functions are exact to seven digits",
        lambda item: category(item) == "bessel" and not error(item.ours),
    ),
    Difference(
        IRON,
        "an empty text is the number 0 to HEX2DEC and its like, as is an empty cell",
        lambda item: name(item)[:4] in ("BIN2", "OCT2", "HEX2") and item.ironcalc is ExcelError.NUM,
    ),
    Difference(
        IRON,
        "IronCalc's VALUETOTEXT and ARRAYTOTEXT know neither arrays nor errors, nor quotes",
        lambda item: name(item) in ("VALUETOTEXT", "ARRAYTOTEXT"),
    ),
    Difference(
        IRON,
        "texts of TRUE and FALSE, and of arrays, in functions of texts",
        lambda item: category(item) in TEXTS and (has_boolean(item) or has_arrays(item)),
    ),
    Difference(
        IRON,
        "which error comes first in a lookup or a share",
        lambda item: name(item) in LOOKUPS | {"XMATCH", "PERCENTOF", "LOOKUP"} and error(item.ours),
        Side.UNKNOWN,
    ),
    Difference(
        IRON,
        "IronCalc finds any text in sorted numbers: the last one",
        lambda item: name(item) in LOOKUPS and error(item.ours) and not error(item.ironcalc),
    ),
    Difference(
        IRON, "IronCalc compares texts with numbers in criteria", lambda item: name(item) in IFS and has_text(item)
    ),
    Difference(
        IRON,
        "IronCalc writes 16 or 17 digits where Excel writes 15",
        lambda item: (
            isinstance(item.ours, str)
            and isinstance(item.ironcalc, str)
            and any(len(part) > 15 for part in re.findall(r"[0-9.]+", item.ironcalc))
        ),
    ),
    Difference(
        IRON,
        "a column or row below 1 is #VALUE! in Excel, #REF! in IronCalc",
        lambda item: name(item) in LOOKUPS and item.ours is ExcelError.VALUE and item.ironcalc is ExcelError.REF,
    ),
    Difference(
        IRON,
        "what has no result (LN(-1), an overflow) is a not-a-number inside of IronCalc, not an error",
        lambda item: item.ours is ExcelError.NUM and name(item) not in IFS | LOOKUPS,
    ),
    Difference(
        IRON,
        "IronCalc loses the brackets around & in a sum, and around comparisons in &",
        lambda item: "&" in item.text and isinstance(item.ironcalc, (str, bool)),
    ),
    Difference(
        IRON,
        "ROW() and COLUMN() in an array formula of several cells: LibreOffice counts on, IronCalc does not",
        lambda item: name(item) in ("ROW", "COLUMN") and multi(item) and not any(areas(item.text, item.cell)),
        Side.UNKNOWN,
    ),
    Difference(
        IRON,
        "IronCalc gives #VALUE! for arrays that stand across from each other in an array formula of one cell",
        lambda item: single(item) and item.ironcalc is ExcelError.VALUE and reads_ranges(item),
    ),
    Difference(IRON, "IronCalc loses the brackets before %", lambda item: name(item) == "%"),
    Difference(
        IRON,
        "IronCalc leaves out text given directly to SUMSQ, VAR, STDEV and their like",
        lambda item: name(item) in SPREADS | {"SUMSQ"} and has_text(item),
    ),
    Difference(
        IRON,
        "an error as SWITCH's value is the result in Excel",
        lambda item: name(item) == "SWITCH" and error(item.ours),
    ),
    Difference(
        IRON,
        "SUMPRODUCT of misfitting arrays is #VALUE!, whatever they hold",
        lambda item: name(item) == "SUMPRODUCT" and item.ours is ExcelError.VALUE and error(item.ironcalc),
    ),
    Difference(
        IRON, "an approximate lookup in unsorted data: IronCalc goes through it from the end", approximate, Side.UNKNOWN
    ),
    Difference(
        IRON,
        "an error as VLOOKUP's key is the result, whatever is wrong with the other arguments; IronCalc looks at these first",
        lambda item: name(item) in LOOKUPS and error(item.ours) and item.ironcalc is ExcelError.REF,
    ),
    Difference(
        IRON,
        "a number is less than TRUE and FALSE, also where these are calculated",
        lambda item: name(item) in COMPARISONS and any(map(boolean, inner(item))),
    ),
    Difference(
        IRON,
        "ROWS and COLUMNS of a calculation with single cells that is an error: that error, in LibreOffice as well",
        lambda item: name(item) in ("ROWS", "COLUMNS") and error(item.ours) and OFFICE not in item.against,
        Side.UNKNOWN,
    ),
    Difference(
        IRON,
        "IronCalc counts TRUE, FALSE and texts in array constants otherwise, also in AVERAGEA and its like",
        lambda item: category(item) in STATISTICS and (has_boolean(item) or has_text(item)),
    ),
    Difference(
        IRON,
        "IronCalc's skewness of two numbers, or of numbers that are all the same, is 0",
        lambda item: name(item) in ("SKEW", "SKEW.P", "KURT") and error(item.ours) and not error(item.ironcalc),
    ),
    Difference(
        IRON,
        "IronCalc does not intersect ranges in a calculation within a condition",
        lambda item: lazy(item) and not item.array and item.ironcalc is ExcelError.VALUE and reads_ranges(item),
    ),
    Difference(
        IRON,
        "IronCalc's INDEX of a single cell is #VALUE!",
        lambda item: name(item) == "INDEX" and item.ironcalc is ExcelError.VALUE,
    ),
    Difference(
        IRON,
        "the sine of a very large number: its last digits decide",
        lambda item: name(item) in ("SIN", "COS", "TAN") and not error(item.ironcalc),
    ),
    Difference(
        IRON,
        "AND and OR evaluate everything: an error behind a TRUE is the result in Excel",
        lambda item: name(item) in ("AND", "OR") and error(item.ours) and isinstance(item.ironcalc, bool),
    ),
    Difference(
        IRON, "IronCalc's % gives an error for TRUE and FALSE", lambda item: name(item) == "%" and error(item.ironcalc)
    ),
    Difference(
        IRON,
        "IronCalc wants ranges of several cells in SUMIF and its like",
        lambda item: (
            name(item) in IFS and error(item.ironcalc) and any(area.size == 1 for area in areas(item.text, item.cell))
        ),
    ),
    Difference(
        IRON,
        "IronCalc leaves out array constants and calculated arrays in COUNT and its like",
        lambda item: name(item) in AGGREGATES | {"COUNTA"} and has_arrays(item),
    ),
    Difference(
        IRON,
        "IronCalc leaves out TRUE and FALSE given directly to SUMSQ, VAR, STDEV and their like",
        lambda item: name(item) in SPREADS | {"SUMSQ"} and has_boolean(item),
    ),
    Difference(
        IRON,
        "IronCalc's SUMX… takes blanks, texts and booleans for 0, and single values for errors",
        lambda item: name(item) in PAIRS,
    ),
    Difference(
        IRON,
        "what has no result (ACOS(5), an overflow) is a not-a-number inside of IronCalc: IFERROR and ISERR pass it by",
        lambda item: (
            name(item) in ("ISERR", "ISERROR", "IFERROR")
            and (item.ironcalc is False or item.ironcalc is ExcelError.NUM)
            and any(isinstance(part, (Call, Binary)) for part in inner(item))
        ),
    ),
    Difference(
        IRON,
        "SUMIF sums as many cells as it tests, from the first one on; IronCalc those that are written",
        lambda item: (
            name(item) in ("SUMIF", "AVERAGEIF")
            and OFFICE not in item.against
            and len({(area.height, area.width) for area in areas(item.text, item.cell) if area.size > 1}) > 1
        ),
    ),
    Difference(
        IRON,
        "an empty value_if_error is 0 in Excel, and larger than all numbers in IronCalc",
        lambda item: name(item) in COMPARISONS and "IFERROR" in names(item) and ",)" in item.text,
    ),
    Difference(
        IRON,
        "IronCalc leaves out text given directly to XOR",
        lambda item: name(item) == "XOR" and has_text(item),
    ),
    Difference(IRON, "GAMMALN(1) is a little below 0 in IronCalc", lambda item: "GAMMALN" in names(item)),
    Difference(
        IRON,
        "MMULT with a text, a blank or a boolean somewhere is #VALUE!; IronCalc takes blanks for 0",
        lambda item: name(item) == "MMULT" and item.ours is ExcelError.VALUE and not error(item.ironcalc),
    ),
    Difference(
        IRON,
        "MMULT of cells with an error, and others that are no number: which error comes first",
        lambda item: name(item) == "MMULT" and error(item.ours) and error(item.ironcalc),
        Side.UNKNOWN,
    ),
    Difference(
        IRON,
        "an error as a criterion is the result; IronCalc counts the cells that hold it",
        lambda item: name(item) in IFS and error(item.ours) and item.ours in read(item),
    ),
    Difference(
        IRON,
        "IronCalc's NOT does not go through an array",
        lambda item: item.array and "NOT" in names(item) and reads_ranges(item),
    ),
    *(
        Difference(
            engine,
            "a text alone is #VALUE! in SUMPRODUCT, as Excel saved it",
            lambda item: (
                name(item) == "SUMPRODUCT" and item.ours is ExcelError.VALUE and has_text(item) and not ranges(item)
            ),
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "a text that is a number, written as an argument of VARPA and its like, counts in Excel as that number",
            lambda item: (
                name(item) in WITH_TEXTS
                and not error(item.ours)
                and any(isinstance(value, str) for value in constants(item))
            ),
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "INDEX with one number below 0 and another beyond the range: which of the two errors it is",
            lambda item: name(item) == "INDEX" and item.ours is ExcelError.REF and not refused(item),
            Side.UNKNOWN,
        )
        for engine in (OFFICE, IRON)
    ),
    *(
        Difference(
            engine,
            "NPV leaves out the texts, TRUE and FALSE of array constants in Excel",
            lambda item: name(item) == "NPV" and any(isinstance(value, (str, bool)) for value in constants(item)),
        )
        for engine in (OFFICE, IRON)
    ),
    Difference(
        IRON,
        "a range as the principal of FVSCHEDULE in an array formula: its first cell, or one for each",
        lambda item: item.array and name(item) == "FVSCHEDULE" and ranges(item),
        Side.UNKNOWN,
    ),
    Difference(
        IRON,
        "ROWS of cells that a single calculation of an array formula takes alone: an error, or an array of one",
        lambda item: item.array and name(item) in ("ROWS", "COLUMNS") and error(item.ours),
        Side.UNKNOWN,
    ),
)


def known(finding: Finding) -> str:
    """The reasons for all who disagree; empty if somebody's is not known, or we disagree with ourselves."""
    reasons = []
    for engine in finding.against:
        found = next((row for row in DIFFERENCES if row.engine == engine and row.holds(finding)), None)
        if found is None:
            return ""
        if found.excel is Side.UNKNOWN and "recorded" in finding.against:
            return ""
        reasons.append(f"{engine}: {found.reason}")
    return "; ".join(reasons)
