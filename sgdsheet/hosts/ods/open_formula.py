"""Formulas of OpenDocument files in Excel's notation: `of:=SUM([.A1:.B2];2)` is `SUM(A1:B2,2)`.

The notation is OpenFormula's (OpenDocument 1.3, part 4). What follows the brackets and the names of functions is as
LibreOffice writes it on the screen, and `hosts.libreoffice.notation` translates that.
"""

from __future__ import annotations

import re

from sgdsheet.errors import FileError
from sgdsheet.hosts.libreoffice.notation import to_excel
from sgdsheet.hosts.ods.content import EXCELS_PREFIX
from sgdsheet.sheet.references import Cell

_TOKENS = re.compile(
    r"""
    (?P<text>"(?:[^"]|"")*")
    |\[(?P<reference>(?:'(?:[^']|'')*'|[^\]'"])*)\]
    |(?P<function>[A-Za-z_][\w.]*)(?=\s*\()
    """,
    re.VERBOSE,
)
_OWN_SHEET = re.compile(r"'(?:[^']|'')*'|(?<![^:])\.")
"""A quoted name, or the point of a reference to the formula's own sheet: `.A1` and `:.B2`."""
_ONLY_EXCEL = re.compile(
    r"""
    (?P<text>"(?:[^"]|"")*")
    |(?P<sheet>'(?:[^']|'')*')
    |(?P<na>\#N/A)
    |\#[A-Z/0!?]+
    |_xlfn\.(?:SINGLE|ANCHORARRAY)\(
    |[\w.]*\[[^\]]*\]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PREFIX = re.compile(r"(?:COM\.MICROSOFT|LEGACY|ORG\.LIBREOFFICE|ORG\.OPENOFFICE)\.(?=\w)", re.IGNORECASE)
_FUNCTIONS = {
    "COM.MICROSOFT.CEILING": "CEILING.XCL",
    "COM.MICROSOFT.FLOOR": "FLOOR.XCL",
    "B": "BINOM.DIST.RANGE",
    "CHISQDIST": "CHISQ.DIST",
    "CHISQINV": "CHISQ.INV",
    "FDIST": "F.DIST",
    "FINV": "F.INV",
}
"""Functions whose name in a file is not the one on LibreOffice's screen, or means another function there."""
_EXCELS = f"{EXCELS_PREFIX}:"
_SYNTAX = re.compile(r"[A-Za-z]\w*:(?==)")


def formula_in_excel(text: str) -> str:
    """The formula of a cell, or of a name, as Excel writes it; without `=` in front."""
    if text.startswith(_EXCELS):
        return text.partition(":")[2].removeprefix("=")
    text = _SYNTAX.sub("", text, count=1) if _SYNTAX.match(text) else text
    return to_excel(_TOKENS.sub(_on_screen, text))


def formula_in_file(text: str, cell: Cell) -> str:
    """A formula as Excel writes it into its own files, for an OpenDocument file, behind `msoxl:`.

    LibreOffice understands that, but for tables, references to a spilled array, and errors that are written out; #N/A
    is also a function. Raises FileError for what it does not.
    """

    def possible(match: re.Match[str]) -> str:
        if match["na"]:
            return "NA()"
        if match["text"] is None and match["sheet"] is None:
            raise FileError(
                f"“{match.group()}” cannot stand in a formula of an .ods file",
                cell=cell,
                remedy="Write the cells out, or save the workbook as an .xlsx",
            )
        return match.group()

    return _ONLY_EXCEL.sub(possible, text)


def areas_in_excel(text: str) -> str:
    """The cells that a named range stands for: `$'my sheet'.$A$1:.$B$2` is `'my sheet'!$A$1:$B$2`."""
    return to_excel(_own_sheet(text))


def _on_screen(match: re.Match[str]) -> str:
    if match["reference"] is not None:
        return _own_sheet(match["reference"])
    if match["function"] is not None:
        name = match["function"]
        return _FUNCTIONS.get(name.upper()) or _PREFIX.sub("", name)
    return match.group()


def _own_sheet(text: str) -> str:
    if text.lstrip("$").startswith("#REF!."):  # the sheet is gone
        return "#REF!"
    return _OWN_SHEET.sub(lambda match: "" if match.group() == "." else match.group(), text)
