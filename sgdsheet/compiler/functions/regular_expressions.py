"""Regular expressions. Excel's are PCRE2's, ours are Python's: what both read alike is calculated, the rest is refused.

A search that could take too many steps is refused, too: PCRE2 gives up, Python would not.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sgdsheet.compiler.functions.plain import Rows, plain
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_CLASS_PART = r"\\[dDwWsSbtnrfv\\\]\[^.\-/$(){}*+?|]|\\x[0-9A-Fa-f]{2}|[^\\\[\]]"
_TOKEN = re.compile(
    rf"""
    (?P<escape>\\[dDwWsSbBtnrfv] | \\[^A-Za-z0-9] | \\x[0-9A-Fa-f]{{2}} | \\[1-9](?![0-9]))
  | (?P<group>\((?:\?(?:: | = | ! | <= | <! | <(?P<name>[A-Za-z_][A-Za-z0-9_]*)>))?(?![?*]))
  | (?P<close>\))
  | (?P<class>\[\^?\]?(?:{_CLASS_PART})*\])
  | (?P<repeat>(?:[*+?] | \{{[0-9]{{1,4}}(?:,[0-9]{{0,4}})?\}})\??(?![+*?]))
  | (?P<other>[^\\()\[\]{{}}*+?])
    """,
    re.VERBOSE,
)
_MOST_STEPS = 150_000_000
"""A bound on the steps of a search, which few searches come near."""

_SHORT = 15
"""Letters of a text up to which a repeated group may hold a repetition or a choice: the time doubles with each."""

_LETTERS = re.compile(r"\\[dDwWsSbB]")


@lru_cache(maxsize=1024)
def _pattern(text: str, any_case: bool, is_ascii: bool) -> tuple[re.Pattern[str], int, int] | None:
    """The pattern in Python's spelling, how many of its repetitions have no end, and whether some are within another.

    That is 1 within a repetition without end, 2 within one that is counted. None if it is no pattern.

    FormulaError for what is read otherwise, or perhaps.
    """
    prefix = re.match(r"\(\?i\)", text)
    body = text[prefix.end() :] if prefix else text
    parts: list[str] = []
    place, endless, nested = 0, 0, 0
    opened: list[bool] = []  # whether the groups that are open hold a repetition or a choice
    closed = False
    while place < len(body):
        match = _TOKEN.match(body, place)
        if match is None:
            raise _refused(text)
        kind, part = match.lastgroup if match.lastgroup != "name" else "group", match[0]
        if kind == "group":
            opened.append(False)
            part = f"(?P<{match['name']}>" if match["name"] else part
        elif kind == "close":
            if not opened:
                return None
            closed = opened.pop()
        elif kind == "class" and ("[:" in part or "[." in part or "[=" in part):
            raise _refused(text)
        repeats = kind == "repeat" and not re.fullmatch(r"\{[0-9]+\}\??", part)
        if kind == "repeat":
            endless += _has_no_end(part)
            if part[0] != "?" and parts and parts[-1] == ")" and closed:
                nested = max(nested, 1 if part[0] in "*+" else 2)
        if repeats or part == "|":
            opened = [True] * len(opened)
        parts.append(part)
        place = match.end()
    if not is_ascii and (_LETTERS.search(body) or any_case or prefix):
        raise FormulaError("searches letters beyond ASCII by their class or case", remedy="Name the letters themselves")
    flags = (re.ASCII if is_ascii else 0) | (re.IGNORECASE if any_case or prefix else 0)
    try:
        return re.compile("".join(parts), flags), endless, nested
    except re.error as error:
        if "look-behind" in str(error):
            raise _refused(text) from None
        return None


def _has_no_end(repeat: str) -> bool:
    return repeat[0] in "*+" or ",}" in repeat


def _refused(pattern: str) -> FormulaError:
    return FormulaError(
        f"searches the pattern “{pattern[:40]}”, which may mean something else elsewhere", remedy="Write it more simply"
    )


def _compiled(text: str, pattern: str, case: float) -> re.Pattern[str] | ExcelError:
    """The pattern for a text."""
    if int(case) not in (0, 1):
        return ExcelError.VALUE
    found = _pattern(pattern, int(case) == 1, text.isascii() and pattern.isascii())
    if found is None:
        return ExcelError.VALUE
    compiled, endless, nested = found
    longest = {0: len(text), 1: _SHORT, 2: 0}[nested]
    if len(text) ** (endless + 1) > _MOST_STEPS or len(text) > longest:
        cause = "searches in a way that may take very long"
        raise FormulaError(cause, remedy="Use fewer repetitions, or shorter texts")
    return compiled


_NOTE = (
    "Patterns are those that PCRE2 and Python read alike: classes, groups, repetitions, looking ahead and behind; "
    "others, and searches that may take very long, are refused."
)


@plain(
    "REGEXTEST",
    left_out_is_default=True,
    note=_NOTE,
    examples={
        'REGEXTEST("alfalfa","a")': True,
        'REGEXTEST("alfalfa","[0-9]")': False,
        'REGEXTEST("ALFA","a",1)': True,
        'REGEXTEST("a","(")': "#VALUE!",
    },
)
def regextest(text: str, pattern: str, any_case: float = 0.0) -> bool | ExcelError:
    """Whether some part of a text matches a pattern."""
    found = _compiled(text, pattern, any_case)
    return found if isinstance(found, ExcelError) else found.search(text) is not None


@plain(
    "REGEXEXTRACT",
    left_out_is_default=True,
    note=_NOTE,
    examples={
        'REGEXEXTRACT("DylanWilliams","[A-Z][a-z]+")': "Dylan",
        'TEXTJOIN("-",TRUE,REGEXEXTRACT("DylanWilliams","[A-Z][a-z]+",1))': "Dylan-Williams",
        'TEXTJOIN("-",TRUE,REGEXEXTRACT("(378) 555-4195","([0-9]+)-([0-9]+)",2))': "555-4195",
        'REGEXEXTRACT("abc","[0-9]")': "#N/A",
    },
)
def regexextract(text: str, pattern: str, mode: float = 0.0, any_case: float = 0.0) -> str | Rows | ExcelError:
    """The first part of a text that matches a pattern, all of them (mode 1), or the groups of the first (mode 2)."""
    found = _compiled(text, pattern, any_case)
    if isinstance(found, ExcelError):
        return found
    if int(mode) not in (0, 1, 2):
        return ExcelError.VALUE
    first = found.search(text)
    if first is None:
        return ExcelError.NA
    if int(mode) == 0:
        return first[0]
    if int(mode) == 1:
        return [[match[0] for match in found.finditer(text)]]
    if found.groups == 0:
        return first[0]
    return [[group if group is not None else "" for group in first.groups()]]


_REFERENCE = re.compile(r"\$(?:\$|([0-9]{1,2})|\{([0-9]{1,2}|[A-Za-z_][A-Za-z0-9_]*)\})")


@plain(
    "REGEXREPLACE",
    left_out_is_default=True,
    note=_NOTE,
    examples={
        'REGEXREPLACE("(378) 555-4195","[0-9]+-","***-")': "(378) ***-4195",
        'REGEXREPLACE("SoniaBrown","([A-Z][a-z]+)([A-Z][a-z]+)","$2, $1")': "Brown, Sonia",
        'REGEXREPLACE("a1b2c3","[0-9]","#",2)': "a1b#c3",
        'REGEXREPLACE("a1b2c3","[0-9]","#",-1)': "a1b2c#",
    },
)
def regexreplace(
    text: str, pattern: str, replacement: str, occurrence: float = 0.0, any_case: float = 0.0
) -> str | ExcelError:
    """A text with other words for the parts that match a pattern, or for one of them (negative: from the end)."""
    found = _compiled(text, pattern, any_case)
    if isinstance(found, ExcelError):
        return found
    if "\\" in replacement or "$" in _REFERENCE.sub("", replacement):
        raise FormulaError(
            "replaces by a text with $ or \\ that may mean something else", remedy="Write $$ for a dollar"
        )
    matches, which = list(found.finditer(text)), int(occurrence)
    if which:
        place = which - 1 if which > 0 else len(matches) + which
        matches = matches[place : place + 1] if 0 <= place < len(matches) else []
    parts, end = [], 0
    for match in matches:
        inserted = _inserted(match, replacement)
        if inserted is None:
            return ExcelError.VALUE
        parts += [text[end : match.start()], inserted]
        end = match.end()
    return "".join([*parts, text[end:]])


def _inserted(match: re.Match[str], replacement: str) -> str | None:
    """The replacement with the groups of a match in it; None if there is no such group."""
    try:
        return _REFERENCE.sub(lambda each: _group(match, each), replacement)
    except (IndexError, KeyError):
        return None


def _group(match: re.Match[str], reference: re.Match[str]) -> str:
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    return match[int(name) if name.isdigit() else name] or ""
