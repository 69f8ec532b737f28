"""The add-in as it is open in an Excel: its procedures, called through xlwings."""

from __future__ import annotations

from typing import Any

import xlwings as xw

ADDIN = "sgdsheet.xlam"


def run(app: xw.App, procedure: str, *arguments: Any) -> Any:
    """What a procedure of the add-in returns. Excel's or xlwings' own error if the add-in is not open."""
    _ = app.books[ADDIN]  # were it not open, Excel might look for a file of that name, and run what is in there
    return app.macro(f"{ADDIN}!{procedure}")(*arguments)
