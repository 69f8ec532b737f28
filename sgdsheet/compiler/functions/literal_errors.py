"""Errors that stand in a formula themselves, such as the #REF! of a range that was deleted: `VLOOKUP(A1,#REF!,2,0)`.

Excel gives the error back, whatever the function would make of an array with an error in it.
"""

from __future__ import annotations

from sgdsheet.compiler.functions.registry import Function
from sgdsheet.sheet.syntax import Call, ErrorConstant
from sgdsheet.sheet.workbook import ExcelError

_ASKING = "COUNT COUNTA ERROR.TYPE IFERROR IFNA ISBLANK ISERR ISERROR ISFORMULA ISLOGICAL ISNA ISNONTEXT ISNUMBER ISREF"
_KEEPING = "ARRAYTOTEXT EXPAND FILTER HSTACK REDUCE SCAN TEXTAFTER TEXTBEFORE TEXTSPLIT TOCOL TOROW VALUETOTEXT VSTACK"
_CHOOSING = "AGGREGATE CHOOSE IF IFS ISTEXT SWITCH TYPE WRAPCOLS WRAPROWS XLOOKUP"
_LENIENT = frozenset(f"{_ASKING} {_KEEPING} {_CHOOSING}".split())
"""Functions that ask for errors, keep them as cells, or do not look at all of their arguments."""

_LOOKED_AT = {"AGGREGATE": range(3), "XLOOKUP": range(3), "FILTER": range(2)}
"""The arguments of some of these whose errors come back nevertheless."""


def literal_error(found: Function, call: Call) -> ExcelError | None:
    """The error that a call gives because it is written in one of its arguments; None if there is none.

    Where a function has ranges and criteria, an error as a criterion is looked for like any other value.
    """
    if found.described:
        return None
    looked_at = _LOOKED_AT.get(call.name) or (() if call.name in _LENIENT else found.range_arguments)
    for position, part in enumerate(call.arguments):
        if isinstance(part, ErrorConstant) and (position in looked_at or not (looked_at or call.name in _LENIENT)):
            return part.value
    return None
