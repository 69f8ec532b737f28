"""Formulas as Excel writes them into a file: what Excel 2007 did not know yet is spelled in other words.

A function that is newer has a prefix (`_xlfn.NORM.DIST`), a variable of LET and LAMBDA another one (`_xlpm.x`), and
`@A1:A3`, `A1#` and `Table1[@Age]` are written as functions and columns. The names are those of [MS-XLSX] 2.2.2; without
them Excel shows #NAME?.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from math import isfinite

from sgdsheet.errors import FileError, FormulaError, quoted
from sgdsheet.sheet.formula import parse, render
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.syntax import (
    Call,
    Name,
    Node,
    Number,
    Reference,
    SheetSpan,
    TableReference,
    Unary,
    transform,
    walk,
)
from sgdsheet.sheet.workbook import Workbook

IMPOSSIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML cannot hold."""
MAX_LENGTH = 8_192
"""Characters that Excel allows in a formula."""

NEWER_FUNCTIONS = frozenset(
    re.findall(
        r"\S+",
        """
    ACOT ACOTH AGGREGATE ANCHORARRAY ARABIC ARRAYTOTEXT BASE BETA.DIST BETA.INV BINOM.DIST BINOM.DIST.RANGE
    BINOM.INV BITAND BITLSHIFT BITOR BITRSHIFT BITXOR BYCOL BYROW CEILING.MATH CEILING.PRECISE CHISQ.DIST
    CHISQ.DIST.RT CHISQ.INV CHISQ.INV.RT CHISQ.TEST CHOOSECOLS CHOOSEROWS COMBINA CONCAT CONFIDENCE.NORM
    CONFIDENCE.T COPILOT COT COTH COVARIANCE.P COVARIANCE.S CSC CSCH DAYS DBCS DECIMAL DETECTLANGUAGE DROP ENCODEURL
    ERF.PRECISE ERFC.PRECISE EXPAND EXPON.DIST F.DIST F.DIST.RT F.INV F.INV.RT F.TEST FIELDVALUE FILTER FILTERXML
    FLOOR.MATH FLOOR.PRECISE FORECAST.ETS FORECAST.ETS.CONFINT FORECAST.ETS.SEASONALITY FORECAST.ETS.STAT
    FORECAST.LINEAR FORMULATEXT GAMMA GAMMA.DIST GAMMA.INV GAMMALN.PRECISE GAUSS GROUPBY HSTACK HYPGEOM.DIST IFNA
    IFS IMAGE IMCOSH IMCOT IMCSC IMCSCH IMSEC IMSECH IMSINH IMTAN ISFORMULA ISOMITTED ISOWEEKNUM LAMBDA LET
    LOGNORM.DIST LOGNORM.INV MAKEARRAY MAP MAXIFS MINIFS MODE.MULT MODE.SNGL MUNIT NEGBINOM.DIST NORM.DIST NORM.INV
    NORM.S.DIST NORM.S.INV NUMBERVALUE PDURATION PERCENTILE.EXC PERCENTILE.INC PERCENTOF PERCENTRANK.EXC
    PERCENTRANK.INC PERMUTATIONA PHI PIVOTBY POISSON.DIST PY QUARTILE.EXC QUARTILE.INC QUERYSTRING RANDARRAY
    RANK.AVG RANK.EQ REDUCE REGEXEXTRACT REGEXREPLACE REGEXTEST RRI SCAN SEC SECH SEQUENCE SHEET SHEETS SINGLE
    SKEW.P SORT SORTBY STDEV.P STDEV.S STOCKHISTORY SWITCH T.DIST T.DIST.2T T.DIST.RT T.INV T.INV.2T T.TEST TAKE
    TEXTAFTER TEXTBEFORE TEXTJOIN TEXTSPLIT TOCOL TOROW TRANSLATE TRIMRANGE UNICHAR UNICODE UNIQUE VALUETOTEXT VAR.P
    VAR.S VSTACK WEBSERVICE WEIBULL.DIST WRAPCOLS WRAPROWS XLOOKUP XMATCH XOR Z.TEST
    """,
    )
)
"""Functions that Excel 2007 did not know, but for those of its add-ins."""

_PREFIXES = dict.fromkeys(NEWER_FUNCTIONS, "_xlfn.") | dict.fromkeys(("FILTER", "SORT", "PY"), "_xlfn._xlws.")
_VARIABLE = "_xlpm."
_TOKENS = re.compile(
    r"""
    (?P<text>"(?:[^"]|"")*")
    |(?P<spill>(?:(?:'(?:[^']|'')*'|[^\W\d][\w.]*)!)?\$?[A-Za-z]{1,3}\$?[0-9]{1,7})\#(?![A-Za-z/])
    |(?P<sheet>'(?:[^']|'')*')
    |(?P<table>[^\W\d][\w.\\]*)?\[(?P<columns>(?:[^\[\]']|'.|\[(?:[^\[\]']|'.)*\])*)\]
    |(?P<number>(?<![\w.$])(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+)
    |(?P<cell>(?<![\w.\\$])\$?[A-Za-z]{1,3}\$?[0-9]{1,7}(?![\w.(\[!\\]))
    |(?P<across>(?<![\w.\\$:])\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?![\w.(\[!\\]))
    |(?P<name>(?<![\w.\\$\#])[^\W\d][\w.\\]*)(?P<behind>\s*[(!])?
    |(?P<single>@)
    """,
    re.VERBOSE,
)
_OTHER_FILE = re.compile(r"\[(?![0-9]+\])[^\]]*\]")


def in_file(text: str, cell: Cell, table: str | None = None, book: Workbook | None = None) -> str:
    """The formula (without `=`) as it stands in the file of a workbook for a cell, which may lie in a table.

    Raises FormulaError for what is no formula, and FileError for what a file cannot hold: a formula that refers to a
    sheet or a table that is not there would make Excel repair the file.
    """
    written, sheets, tables = _spelled(text.strip(), cell, table)
    if book is not None:
        _refuse_unknown(sheets, tables, cell, book)
    return written


@lru_cache(maxsize=200_000)  # a workbook that is not saved is kept again and again, with all its new formulas
def _spelled(text: str, cell: Cell, table: str | None) -> tuple[str, frozenset[str], frozenset[str]]:
    """The formula in a file's words, and the sheets and tables that it names."""
    if IMPOSSIBLE.search(text):
        raise FileError(
            "the formula has a control character in it, which no file can hold", cell=cell, remedy="Write CHAR(…)"
        )
    try:
        tree = parse(text, cell.row, cell.column)
    except FormulaError as error:
        raise FormulaError(error.cause, cell=cell, remedy="Type the formula anew") from None
    sheets, tables = _named_in(tree, cell)
    if any(match["single"] for match in _TOKENS.finditer(text)):
        text = render(transform(tree, _single), cell.row, cell.column)
    variables = _variables(tree)

    def spelled(match: re.Match[str]) -> str:
        kind, found = match.lastgroup, match.group()
        if kind in ("number", "cell", "across"):
            return found.upper()
        if kind == "spill":
            return f"_xlfn.ANCHORARRAY({found[:-1]})"
        if kind == "sheet":
            return _own_file(found, cell)
        if kind == "columns":
            return _columns(match, cell, table)
        if match["name"] is not None:
            return _named(match["name"], match["behind"] or "", variables)
        return found

    written = _TOKENS.sub(spelled, text)
    if len(written) > MAX_LENGTH:
        raise FileError(
            f"the formula is longer than {MAX_LENGTH:,} characters", cell=cell, remedy="Split it over several cells"
        )
    return written, sheets, tables


def _named(name: str, behind: str, variables: frozenset[str]) -> str:
    """A function, a variable, or a name of the workbook."""
    if behind.endswith("!"):
        return name + behind
    if name.casefold() in variables:
        return _VARIABLE + name + behind
    capitals = name.upper()
    if behind:
        return _PREFIXES.get(capitals, "") + (name if "_XL" in capitals else capitals) + behind
    return capitals if capitals in ("TRUE", "FALSE") else name


def _columns(match: re.Match[str], cell: Cell, table: str | None) -> str:
    """A reference to columns of a table; or to another workbook, which only its number can name."""
    name, inner = match["table"] or "", match["columns"].strip()
    if not name and _names_sheet(match):
        return _own_file(match.group(), cell)
    if not name:
        if table is None:
            raise FileError(
                f"“{match.group()}” says no table, and the cell lies in none", cell=cell, remedy="Say which table"
            )
        name = table
    if not inner.startswith("@"):
        return f"{name}[{match['columns']}]"
    column = inner[1:].strip()
    if not column:
        return f"{name}[#This Row]"
    return f"{name}[[#This Row],{column if column.startswith('[') else f'[{column}]'}]"


def _names_sheet(match: re.Match[str]) -> bool:
    """Whether what follows the brackets is the name of a sheet: `[1]Sheet1!A1`."""
    return re.match(r"[\w.]*!", match.string[match.end() :]) is not None


def _own_file(text: str, cell: Cell) -> str:
    if _OTHER_FILE.search(text):
        raise _no_link(cell)
    return text


def _no_link(cell: Cell) -> FileError:
    return FileError(
        "the formula refers to another workbook, to which this file has no link",
        cell=cell,
        remedy="Set the link in Excel, or copy the cells into this workbook",
    )


def _named_in(tree: Node, cell: Cell) -> tuple[frozenset[str], frozenset[str]]:
    """The sheets and the tables that a formula names."""
    sheets: set[str | None] = set()
    tables: set[str | None] = set()
    for node in walk(tree):
        if isinstance(node, Number) and not isfinite(node.value):
            raise FileError("the formula holds a number that is too large", cell=cell, remedy="Type the formula anew")
        if isinstance(node, Reference | Name):
            sheets.add(node.sheet)
        elif isinstance(node, SheetSpan):
            sheets |= {node.first, node.last}
        elif isinstance(node, TableReference):
            tables.add(node.table)
    return frozenset(filter(None, sheets)), frozenset(filter(None, tables))


def _refuse_unknown(sheets: Iterable[str], tables: Iterable[str], cell: Cell, book: Workbook) -> None:
    for table in tables:
        if book.table(table) is None:
            raise FileError(f"there is no table {quoted(table)}", cell=cell, remedy="Mend the formula")
    for sheet in sheets:
        if book.sheet(sheet) is None and book.link(sheet) is None:
            if sheet.startswith("["):
                raise _no_link(cell)
            raise FileError(f"there is no sheet {quoted(sheet)}", cell=cell, remedy="Mend the formula")


def _single(node: Node) -> Node | None:
    if isinstance(node, Unary) and node.operator == "@":
        return Call("SINGLE", (transform(node.operand, _single),))
    return None


def _variables(tree: Node) -> frozenset[str]:
    """The variables of LET and LAMBDA, in lower case."""
    found: list[Node] = []
    for node in walk(tree):
        if isinstance(node, Call) and node.name == "LET":
            found += node.arguments[:-1:2]
        elif isinstance(node, Call) and node.name == "LAMBDA":
            found += node.arguments[:-1]
    return frozenset(node.name.casefold() for node in found if isinstance(node, Name))
