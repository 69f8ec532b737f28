"""Texts counted in bytes, and the widths of East Asian letters.

Where no East Asian language is Excel's own a letter is one byte, so that these functions are those without the B. With
one, wide letters are two bytes: texts that hold such letters are refused.
"""

from __future__ import annotations

import unicodedata

from sgdsheet.compiler.functions import text as texts
from sgdsheet.compiler.functions.plain import plain
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError


def _narrow(*given: str) -> None:
    """Refuse letters that are one byte or two, depending on the language."""
    if any(unicodedata.east_asian_width(letter) in "WFA" for item in given for letter in item if ord(letter) > 127):
        raise FormulaError(
            "counts the bytes of East Asian letters, which depend on the language of the program",
            remedy="Use the function without the B",
        )


@plain("LENB", examples={'LENB("Phoenix, AZ")': 11})
def lenb(text: str) -> float:
    """How many bytes a text has."""
    _narrow(text)
    return texts.len_(text)


@plain("LEFTB", examples={'LEFTB("Sale Price",4)': "Sale"})
def leftb(text: str, count: float = 1.0) -> str | ExcelError:
    """The first bytes of a text."""
    _narrow(text)
    return texts.left(text, count)


@plain("RIGHTB", examples={'RIGHTB("Sale Price",5)': "Price"})
def rightb(text: str, count: float = 1.0) -> str | ExcelError:
    """The last bytes of a text."""
    _narrow(text)
    return texts.right(text, count)


@plain("MIDB", examples={'MIDB("Fluid Flow",1,5)': "Fluid"})
def midb(text: str, start: float, count: float) -> str | ExcelError:
    """Bytes from the middle of a text."""
    _narrow(text)
    return texts.mid(text, start, count)


@plain("FINDB", examples={'FINDB("M","Miriam McGovern",3)': 8})
def findb(wanted: str, text: str, start: float = 1.0) -> float | ExcelError:
    """The byte at which a text stands in another, capitals counting."""
    _narrow(wanted, text)
    return texts.find(wanted, text, start)


@plain("SEARCHB", examples={'SEARCHB("n","printer")': 4})
def searchb(wanted: str, text: str, start: float = 1.0) -> float | ExcelError:
    """The byte at which a text stands in another, with wildcards."""
    _narrow(wanted, text)
    return texts.search(wanted, text, start)


@plain("REPLACEB", examples={'REPLACEB("abcdefghijk",6,5,"*")': "abcde*k"})
def replaceb(text: str, start: float, count: float, instead: str) -> str | ExcelError:
    """A text with some bytes replaced."""
    _narrow(text, instead)
    return texts.replace(text, start, count, instead)
