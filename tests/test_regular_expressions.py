"""Regular expressions: what PCRE2 and Python read alike is calculated, the rest is refused, and nothing hangs."""

from __future__ import annotations

import re
import time

import pytest

from sgdsheet.compiler.functions.regular_expressions import regexextract, regexreplace, regextest
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal


def tried(text: str, pattern: str) -> object:
    """What a test gives, or the beginning of the reason why it is refused."""
    try:
        return regextest(text, pattern)
    except FormulaError as error:
        return error.cause.partition(" “")[0].partition(" that")[0]


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("user@example.org", r"^[\w.+-]+@[\w-]+\.[A-Za-z]{2,}$", True),
        ("2024-02-30", r"\d{4}-\d\d-\d\d", True),
        ("abc", r"(?<x>b)", True),
        ("abc", r"a(?!b)", False),
        ("abc", r"(?<=a)b", True),
        ("ABC", "(?i)b", True),
        ("ABC", "b", False),
        ("aa", r"(a)\1", True),
        ("tab\there", r"\t", True),
        ("größe", "ö", True),
        ("", "^$", True),
        ("a]b", r"[]]", True),
    ],
)
def test_what_both_read_alike(text: str, pattern: str, expected: bool) -> None:
    assert regextest(text, pattern) is expected


@pytest.mark.parametrize("pattern", ["(", "a)", "[a", "*a", "[z-a]", r"(a)\2"])
def test_what_is_no_pattern_is_an_error_or_refused(pattern: str) -> None:
    assert tried("abc", pattern) in (ExcelError.VALUE, "searches the pattern")


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"\h+", r"\R", r"\Kb", r"\Qa\E", r"\p{L}", r"\X", r"\z", r"\Z", "[[:alpha:]]", "a++", "(?>a)", "(?|a|b)"),
        *("(?R)", "(?1)", r"\g{1}", r"\k<n>", "(?P<n>a)", "(?#x)", "a(?i)b", "(*ACCEPT)", "a{,3}", "(?<=a|bc)d", "a{b"),
    ],
)
def test_what_may_differ_is_refused(pattern: str) -> None:
    with refusal(FormulaError, cell=None, cause="may mean something else"):
        regextest("abcd", pattern)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(a?){30}b", ".*.*.*.*.*x", "(.*,){11}P", "((a|b)c?)*d"]
)
def test_nothing_hangs(pattern: str) -> None:
    start = time.process_time()
    for text in ("a" * 20, "a" * 60, "a," * 16_000):
        assert tried(text, pattern) in (True, False, "searches in a way")
    assert time.process_time() - start < 20


def test_letters_beyond_ascii() -> None:
    for pattern, any_case in ((r"\w", 0.0), ("ö", 1.0)):
        with refusal(FormulaError, cell=None, cause="beyond ASCII"):
            regextest("größe", pattern, any_case)


def test_extract_and_replace() -> None:
    assert regexextract("a1b22", r"\d+", 1.0) == [["1", "22"]]
    assert regexextract("a1b22", r"([a-z])(\d)", 2.0) == [["a", "1"]]
    assert regexextract("abc", r"\d") is ExcelError.NA
    assert regexextract("abc", "b", 3.0) is ExcelError.VALUE
    assert regexreplace("abc", "(?<x>b)", "[${x}$0$1$$]") == "a[bbb$]c"
    assert regexreplace("abc", "b", "$1") is ExcelError.VALUE
    assert regexreplace("aaa", "a", "b", 5.0) == "aaa"
    for replacement in (r"\1", "$x", "$"):
        with refusal(FormulaError, cell=None, cause="may mean something else"):
            regexreplace("abc", "b", replacement)


def test_python_warns_of_nothing_that_is_accepted() -> None:
    with pytest.warns(FutureWarning):
        re.compile("[[a]")  # which is refused
    with refusal(FormulaError, cell=None, cause="may mean something else"):
        regextest("a", "[[a]")
