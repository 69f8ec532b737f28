"""The network of the Titanic over few of its people: an open workbook that is small enough to read and write often."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from sgdsheet.apps.examples import titanic
from sgdsheet.apps.examples.style import Book

PEOPLE = 500


def some_of_the_titanic(path: Path) -> Path:
    """`titanic.xlsx` with fewer people, and only its sheets “linear” and “nnet”."""
    return Path(shutil.copy(_built(), path))


@cache
def _built() -> Path:
    path = Path(mkdtemp()) / "titanic.xlsx"
    people = titanic.people()[:PEOPLE]
    with Book(path, "The Titanic") as book:
        titanic._linear(book, people)
        titanic._nnet(book, people)
    return path
