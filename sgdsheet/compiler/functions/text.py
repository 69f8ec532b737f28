"""Texts."""

from __future__ import annotations

import math
import re
from urllib.parse import quote

from sgdsheet.compiler.functions.plain import Cell, Grid, plain
from sgdsheet.compiler.functions.wildcards import has_wildcards, wildcard_parts
from sgdsheet.compiler.ir.numerals import number_text, text_number
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import Calendar
from sgdsheet.sheet.number_format import rounded_text
from sgdsheet.sheet.workbook import ExcelError

LONGEST = 32_767
"""Characters that a cell can hold; a longer text is #VALUE!."""


def units(text: str) -> list[str]:
    """The characters as Excel counts them: one beyond U+FFFF counts as two, and what would cut it is refused."""
    if any(ord(letter) > 0xFFFF for letter in text):
        raise FormulaError("counts the characters of a text with emoji or rare letters", remedy="Leave them out")
    return list(text)


def as_text(cell: Cell) -> str:
    """What `&` makes of a cell that is no error."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    return cell if isinstance(cell, str) else number_text(float(cell))  # type: ignore[arg-type]


@plain("LEN", examples={'LEN("Phoenix, AZ")': 11, 'LEN("")': 0})
def len_(text: str) -> float:
    """How many characters a text has."""
    return float(len(text) + sum(ord(letter) > 0xFFFF for letter in text))


@plain("LEFT", examples={'LEFT("Sale Price",4)': "Sale", 'LEFT("Sweden")': "S", 'LEFT("ab",-1)': "#VALUE!"})
def left(text: str, count: float = 1.0) -> str | ExcelError:
    """The first characters of a text."""
    return ExcelError.VALUE if count < 0 else "".join(units(text)[: int(count)])


@plain("RIGHT", examples={'RIGHT("Sale Price",5)': "Price", 'RIGHT("Stock Number")': "r", 'RIGHT("ab",0)': ""})
def right(text: str, count: float = 1.0) -> str | ExcelError:
    """The last characters of a text."""
    if count < 0:
        return ExcelError.VALUE
    letters = units(text)
    return "".join(letters[max(0, len(letters) - int(count)) :])


@plain(
    "MID", examples={'MID("Fluid Flow",1,5)': "Fluid", 'MID("Fluid Flow",7,20)': "Flow", 'MID("Fluid Flow",20,5)': ""}
)
def mid(text: str, start: float, count: float) -> str | ExcelError:
    """Characters from the middle of a text."""
    if start < 1 or count < 0:
        return ExcelError.VALUE
    return "".join(units(text)[int(start) - 1 : int(start) - 1 + int(count)])


@plain("UPPER", examples={'UPPER("total")': "TOTAL"})
def upper(text: str) -> str:
    """A text in capitals."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in text)


@plain("LOWER", examples={'LOWER("E. E. Cummings")': "e. e. cummings"})
def lower(text: str) -> str:
    """A text in small letters."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


@plain("PROPER", examples={'PROPER("this is a TITLE")': "This Is A Title", 'PROPER("2-way street")': "2-Way Street"})
def proper(text: str) -> str:
    """A text with a capital at the beginning of each word."""
    found, inside = [], False
    for letter in text:
        found.append(lower(letter) if inside else upper(letter))
        inside = letter.isalpha()
    return "".join(found)


@plain("TRIM", examples={'TRIM(" First Quarter  Earnings ")': "First Quarter Earnings"})
def trim(text: str) -> str:
    """A text without spaces at its ends, and with single ones inside."""
    return re.sub(" +", " ", text.strip(" "))


@plain("CLEAN", examples={'CLEAN(CHAR(9)&"Monthly report"&CHAR(10))': "Monthly report"})
def clean(text: str) -> str:
    """A text without the control characters 0 to 31."""
    return "".join(letter for letter in text if ord(letter) > 31)


@plain("EXACT", examples={'EXACT("word","word")': True, 'EXACT("Word","word")': False})
def exact(one: str, other: str) -> bool:
    """Whether two texts are the same, capitals included."""
    return one == other


@plain("REPT", examples={'REPT("*-",3)': "*-*-*-", 'REPT("ab",0)': ""})
def rept(text: str, times: float) -> str | ExcelError:
    """A text repeated."""
    return ExcelError.VALUE if times < 0 or len(text) * int(times) > LONGEST else text * int(times)


@plain(
    "CONCATENATE", examples={'CONCATENATE("Stream population for ",2," species")': "Stream population for 2 species"}
)
def concatenate(*texts: str) -> str | ExcelError:
    """Texts one after the other."""
    return _not_too_long("".join(texts))


def _not_too_long(text: str) -> str | ExcelError:
    return ExcelError.VALUE if len(text) > LONGEST else text


@plain(
    "CONCAT",
    skips_blanks=True,
    examples={'CONCAT("a",{"b",1;TRUE,"c"})': "ab1TRUEc", "CONCAT(B1:B2,C1)": "malefemale1"},
)
def concat(*texts: Grid) -> str | ExcelError:
    """The texts of ranges, row by row, one after the other."""
    error = next((found for grid in texts if (found := grid.error())), None)
    return error or _not_too_long("".join(as_text(cell) for grid in texts for cell in grid.cells()))


@plain(
    "TEXTJOIN",
    examples={
        'TEXTJOIN(", ",TRUE,{"US Dollar","","Yen"})': "US Dollar, Yen",
        'TEXTJOIN("-",FALSE,{"a","","b"})': "a--b",
        'TEXTJOIN({",",";"},TRUE,{"a","b","c"})': "a,b;c",
    },
)
def textjoin(delimiters: Grid, ignore_empty: bool, *texts: Grid) -> str | ExcelError:
    """The texts of ranges with a text between them."""
    error = next((found for grid in (delimiters, *texts) if (found := grid.error())), None)
    if error:
        return error
    between = [as_text(cell) for cell in delimiters.cells()]
    parts = [as_text(cell) for grid in texts for cell in grid.cells()]
    parts = [part for part in parts if part or not ignore_empty]
    joined = "".join(
        part + (between[place % len(between)] if place < len(parts) - 1 else "") for place, part in enumerate(parts)
    )
    return _not_too_long(joined)


@plain(
    "FIND",
    examples={'FIND("M","Miriam McGovern")': 1, 'FIND("m","Miriam McGovern")': 6, 'FIND("M","Miriam McGovern",3)': 8},
)
def find(wanted: str, text: str, start: float = 1.0) -> float | ExcelError:
    """Where a text stands in another, capitals included."""
    units(text)
    _refuse_nothing(wanted, text)
    place = text.find(wanted, int(start) - 1) if 1 <= int(start) <= len(text) + (not wanted) else -1
    return ExcelError.VALUE if place < 0 else float(place + 1)


def _refuse_nothing(wanted: str, text: str) -> None:
    """Where nothing stands in nothing, programs disagree."""
    if not wanted and not text:
        raise FormulaError("looks for an empty text in an empty one", remedy="Look for something")


@plain(
    "SEARCH",
    examples={'SEARCH("e","Statements",6)': 7, 'SEARCH("margin","Profit Margin")': 8, 'SEARCH("t?te","a State")': 4},
)
def search(wanted: str, text: str, start: float = 1.0) -> float | ExcelError:
    """Where a text stands in another, in any case; `?` and `*` are wildcards."""
    units(text)
    _refuse_nothing(wanted, text)
    if not 1 <= int(start) <= len(text) + (not wanted):
        return ExcelError.VALUE
    if not has_wildcards(wanted):
        place = lower(text).find(lower(wanted), int(start) - 1)
    else:
        match = re.compile(_wild(wanted), re.IGNORECASE | re.DOTALL).search(text, int(start) - 1)
        place = match.start() if match else -1
    return ExcelError.VALUE if place < 0 else float(place + 1)


def _wild(text: str) -> str:
    """A regular expression for a text with wildcards."""
    if text.count("*") > 5:
        raise FormulaError("searches for a text with many wildcards", remedy="Use at most five")
    return "".join({"*": ".*?", "?": "."}.get(part, part) for part in wildcard_parts(text))


@plain(
    "SUBSTITUTE",
    examples={
        'SUBSTITUTE("Sales Data","Sales","Cost")': "Cost Data",
        'SUBSTITUTE("Quarter 1, 2011","1","2",3)': "Quarter 1, 2012",
    },
)
def substitute(text: str, old: str, new: str, which: float | None = None) -> str | ExcelError:
    """A text with another in the place of a part of it, everywhere or at one occurrence."""
    if which is None:
        return _not_too_long(text.replace(old, new)) if old else text
    if which < 1:
        return ExcelError.VALUE
    parts = text.split(old) if old else [text]
    at = int(which)
    if at >= len(parts):
        return text
    return _not_too_long(old.join(parts[:at]) + new + old.join(parts[at:]))


@plain("REPLACE", examples={'REPLACE("abcdefghijk",6,5,"*")': "abcde*k", 'REPLACE("2009",3,2,"10")': "2010"})
def replace(text: str, start: float, count: float, new: str) -> str | ExcelError:
    """A text with another in the place of some of its characters."""
    if start < 1 or count < 0:
        return ExcelError.VALUE
    letters, first = units(text), int(start) - 1
    return _not_too_long("".join(letters[:first]) + new + "".join(letters[first + int(count) :]))


@plain("CHAR", examples={"CHAR(65)": "A", "CHAR(33)": "!", "CHAR(0)": "#VALUE!"})
def char(code: float) -> str | ExcelError:
    """The character with a code of Windows-1252."""
    number = int(code)
    if not 1 <= number <= 255:
        return ExcelError.VALUE
    try:
        return bytes([number]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(number)


@plain("CODE", examples={'CODE("A")': 65, 'CODE("!")': 33, 'CODE("")': "#VALUE!"})
def code(text: str) -> float | ExcelError:
    """The code of the first character, in Windows-1252."""
    if not text:
        return ExcelError.VALUE
    try:
        return float(text[0].encode("cp1252")[0])
    except UnicodeEncodeError:
        return 63.0


@plain("UNICHAR", examples={"UNICHAR(66)": "B", "UNICHAR(0)": "#VALUE!"})
def unichar(code_point: float) -> str | ExcelError:
    """The character with a number of Unicode."""
    number = int(code_point)
    if number < 1 or number > 0x10FFFF:
        return ExcelError.VALUE
    return ExcelError.NA if 0xD800 <= number <= 0xDFFF or number & 0xFFFE == 0xFFFE else chr(number)


@plain("UNICODE", examples={'UNICODE("B")': 66, 'UNICODE(" ")': 32})
def unicode(text: str) -> float | ExcelError:
    """The number that Unicode has for the first character."""
    return float(ord(text[0])) if text else ExcelError.VALUE


@plain(
    "VALUE",
    examples={'VALUE("$1,000")': 1000, 'VALUE("12%")': 0.12, 'VALUE("x")': "#VALUE!", "VALUE(7)": 7},
)
def value(item: Cell, *, calendar: Calendar) -> float | ExcelError:
    """The number that a text stands for."""
    if isinstance(item, ExcelError):
        return item
    if isinstance(item, bool):
        return ExcelError.VALUE
    if isinstance(item, str):
        found = text_number(item, calendar=calendar)
        return ExcelError.VALUE if found is None else found
    return item or 0.0


@plain("T", first_cells=True, examples={'T("Rainfall")': "Rainfall", "T(19)": "", "T(TRUE)": ""})
def t(item: Cell) -> str | ExcelError:
    """A text as it is, and nothing for everything else; of a range, its first cell."""
    return item if isinstance(item, (str, ExcelError)) else ""


@plain(
    "NUMBERVALUE",
    examples={'NUMBERVALUE("2.500,27",",",".")': 2500.27, 'NUMBERVALUE("3.5%")': 0.035, 'NUMBERVALUE("")': 0},
)
def numbervalue(text: str, decimal: str = ".", group: str = ",") -> float | ExcelError:
    """The number that a text stands for, with given signs for decimals and thousands."""
    if not decimal or not group:
        return ExcelError.VALUE
    bare = re.sub(r"\s", "", text)
    whole, point, rest = bare.partition(decimal[0])
    if group[0] in rest:
        return ExcelError.VALUE
    bare = whole.replace(group[0], "") + ("." if point else "") + rest
    percents = len(bare) - len(bare.rstrip("%"))
    bare = bare.rstrip("%")
    if not bare:
        return 0.0
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", bare):
        return ExcelError.VALUE
    return float(bare) / math.pow(100, percents)


@plain(
    "FIXED",
    examples={"FIXED(1234.567,1)": "1,234.6", "FIXED(1234.567,-1)": "1,230", "FIXED(-1234.567,-1,TRUE)": "-1230"},
)
def fixed_(number: float, decimals: float = 2.0, no_commas: bool = False) -> str | ExcelError:
    """A number as a text with so many decimals."""
    digits = _whole(decimals)
    if digits > 127:
        return ExcelError.VALUE
    return rounded_text(number, digits, not no_commas)


def _whole(decimals: float) -> int:
    """How many decimals are wanted: programs differ in how they round a fraction of one."""
    if decimals != int(decimals):
        raise FormulaError("shows a number with a fraction of a decimal", remedy="Use a whole number of decimals")
    return int(decimals)


@plain(
    "DOLLAR",
    examples={"DOLLAR(1234.567)": "$1,234.57", "DOLLAR(-1234.567,-2)": "($1,200)", "DOLLAR(-0.123,4)": "($0.1230)"},
)
def dollar(number: float, decimals: float = 2.0) -> str | ExcelError:
    """A number as a text of dollars."""
    if _whole(decimals) > 127:
        return ExcelError.VALUE
    text = rounded_text(abs(number), _whole(decimals), True)
    return f"(${text})" if number < 0 and text.strip("0.,") else f"${text}"


@plain(
    "TEXTBEFORE",
    left_out_is_default=True,
    examples={'TEXTBEFORE("Red riding hood\'s, red hood","hood")': "Red riding ", 'TEXTBEFORE("a-b-c","-",-1)': "a-b"},
)
def textbefore(
    text: str,
    delimiter: Grid,
    instance: float = 1.0,
    any_case: float = 0.0,
    to_end: float = 0.0,
    missing: Cell = ExcelError.NA,
) -> Cell:
    """What stands before a text."""
    return _beside(text, delimiter, instance, bool(any_case), bool(to_end), missing, before=True)


@plain(
    "TEXTAFTER",
    left_out_is_default=True,
    examples={'TEXTAFTER("Red riding hood","Red")': " riding hood", 'TEXTAFTER("a-b-c","-",2)': "c"},
)
def textafter(
    text: str,
    delimiter: Grid,
    instance: float = 1.0,
    any_case: float = 0.0,
    to_end: float = 0.0,
    missing: Cell = ExcelError.NA,
) -> Cell:
    """What stands behind a text."""
    return _beside(text, delimiter, instance, bool(any_case), bool(to_end), missing, before=False)


def _beside(
    text: str, delimiter: Grid, instance: float, any_case: bool, to_end: bool, missing: Cell, *, before: bool
) -> Cell:
    if error := delimiter.error():
        return error
    if instance != math.trunc(instance):
        raise FormulaError("looks for a part of an occurrence", remedy="Use a whole number")
    wanted = [as_text(cell) for cell in delimiter.cells()]
    if instance == 0 or abs(instance) > max(len(text), 1) or not all(wanted):
        return ExcelError.VALUE
    marks = "|".join(map(re.escape, sorted(wanted, key=len, reverse=True)))
    spans = [match.span() for match in re.finditer(marks, text, re.IGNORECASE if any_case else 0)]
    place = math.trunc(instance) - 1 if instance > 0 else len(spans) + math.trunc(instance)
    if 0 <= place < len(spans):
        return text[: spans[place][0]] if before else text[spans[place][1] :]
    if to_end and place in (len(spans), -1):
        return text if before == (instance > 0) else ""
    return missing


@plain(
    "TEXTSPLIT",
    left_out_is_default=True,
    examples={'INDEX(TEXTSPLIT("Dakota Lennon Sanchez"," "),2)': "Lennon", 'ROWS(TEXTSPLIT("a,b;c,d",",",";"))': 2},
)
def textsplit(
    text: str,
    columns: Grid,
    rows: Grid | None = None,
    ignore_empty: bool = False,
    any_case: float = 0.0,
    pad: Cell = ExcelError.NA,
) -> list[list[Cell]] | ExcelError:
    """The parts of a text between other texts, in columns and rows."""
    for given in (columns, rows):
        wrong = next((cell for cell in given.cells() if isinstance(cell, ExcelError)), None) if given else None
        if wrong is not None:
            return wrong
    flags = re.IGNORECASE if any_case else 0
    lines = _split(text, rows, flags) if rows is not None else [text]
    parts = [_split(line, columns, flags) for line in lines]
    if ignore_empty:
        parts = [kept for line in parts if (kept := [part for part in line if part])]
    if not parts:
        return ExcelError.CALC
    width = max(map(len, parts))
    return [[*line, *[pad] * (width - len(line))] for line in parts]


def _split(text: str, delimiters: Grid, flags: int) -> list[str]:
    marks = sorted((as_text(cell) for cell in delimiters.cells() if as_text(cell)), key=len, reverse=True)
    return re.split("|".join(map(re.escape, marks)), text, flags=flags) if marks else [text]


@plain("ENCODEURL", examples={'ENCODEURL("a b&c")': "a%20b%26c"})
def encodeurl(text: str) -> str:
    """A text as it may stand in an address on the web."""
    return quote(text, safe="-_.~")


@plain("VALUETOTEXT", examples={'VALUETOTEXT("a",1)': '"a"', "VALUETOTEXT(TRUE)": "TRUE"})
def valuetotext(item: Cell, strict: float = 0.0) -> str:
    """A value as a text; strictly with quotation marks around texts."""
    if isinstance(item, ExcelError):
        return str(item)
    return f'"{item}"' if isinstance(item, str) and strict else as_text(item)
