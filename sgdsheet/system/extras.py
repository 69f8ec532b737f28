"""Packages that only some features need, imported when the feature is used."""

from __future__ import annotations

import importlib
from typing import Any

from sgdsheet.errors import SgdSheetError


def optional(module: str, extra: str) -> Any:
    """Import a module of an optional package; SgdSheetError names the extra to install if it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = (error.name or package).partition(".")[0]
        cause = f"{missing} is not installed" if missing == package else f"{package} does not work ({error})"
        raise SgdSheetError(cause, remedy=f'Run: pip install "sgdsheet[{extra}]"') from None
