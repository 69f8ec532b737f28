"""How a test says which refusal it expects: by the error's class and fields, not by its sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import pytest

from sgdsheet.errors import SgdSheetError

E = TypeVar("E", bound=SgdSheetError)

ANYWHERE: Final = object()
"""Whichever cell the error names, if any."""


@contextmanager
def refusal(
    kind: type[E], *, cell: object = None, cause: str = "", remedy: str = ""
) -> Iterator[pytest.ExceptionInfo[E]]:
    """What stands inside raises this error, at this cell (`Sheet1!A1`; None: at no cell).

    `cause` and `remedy` are regular expressions, searched for in the field of that name, as `match` of `pytest.raises`
    is in the whole message.
    """
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    if cell is not ANYWHERE:
        assert error.cell == (None if cell is None else str(cell))
    assert re.search(cause, error.cause), f"the cause is {error.cause!r}, not {cause!r}"
    assert re.search(remedy, error.remedy), f"the remedy is {error.remedy!r}, not {remedy!r}"
