"""What a model's source holds and which cells show it, as plain data."""

from __future__ import annotations

from typing import Any

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.binding import bind
from sgdsheet.data.formats import Source
from sgdsheet.data.splits import open_part
from sgdsheet.errors import SgdSheetError


def described(model: SheetModel) -> dict[str, Any] | None:
    """The source of a model; None if its data are in the sheet. What is wrong with it is the entry `error`."""
    if model.problem.origin is None:
        return None
    found: dict[str, Any] = {"name": model.problem.origin, "samples": None, "fields": [], "cells": [], "error": None}
    try:
        source = open_part(model, "train")
        found |= {"samples": source.count, "parts": list(source.parts()), "fields": _fields(source)}
        found["cells"] = [
            {"range": str(area), "field": piece.field, "read": piece.read}
            for binding in bind(model.planner, model.problem, source)
            for piece, area in binding.columns()
        ]
    except SgdSheetError as error:
        found["error"] = str(error)
    return found


def _fields(source: Source) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": values.dtype.name if values.dtype.kind in "buif" else "text",
            "shape": list(values.shape[1:]),
        }
        for name, values in source.fields.items()
    ]
