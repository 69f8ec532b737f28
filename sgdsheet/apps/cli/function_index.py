"""What there is to say about each function, read from `functions.json`: that takes no torch, as the declarations do.

The file is made of the declarations by `.venv/bin/python -m tests.test_function_descriptions`, and a test tells when it
is out of date.
"""

from __future__ import annotations

import difflib
import functools
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("functions.json")

Description = dict[str, Any]
"""A function in words, with the keys of `explanation.Description`."""


@functools.cache
def known() -> dict[str, Description]:
    """All functions of Excel and of ours by name, category by category; those that are not calculated come last."""
    found: list[Description] = json.loads(FILE.read_text(encoding="utf-8"))
    return {item["name"]: item for item in found}


def calculated() -> list[Description]:
    """The functions that formulas may call, category by category."""
    return [item for item in known().values() if item["supported"]]


def described(name: str) -> Description | None:
    """The description of a function, however its name is written; None if there is none of this name."""
    plain = name.upper().strip().removeprefix("=").partition("(")[0].removeprefix("_XLFN.").removeprefix("_XLWS.")
    return known().get(plain)


def nearest(name: str) -> list[str]:
    """Names that look like one that is unknown."""
    wanted = name.upper().strip().partition("(")[0]
    beginning = [item for item in known() if len(wanted) >= 2 and item.startswith(wanted)]
    return list(dict.fromkeys([*beginning[:5], *difflib.get_close_matches(wanted, known(), 5, 0.6)]))[:6]
