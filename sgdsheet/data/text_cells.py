"""Cells of a sample that are text, such as the name of the class that a model predicts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Range


def texts_of(value: Value, area: Range, columns: int, builder: Builder) -> dict[int, Sequence[str]]:
    """The texts that the numbers of a value stand for, by column.

    `area` is what the value is of, laid out in so many columns. Raises FormulaError for text among numbers.
    """
    if not value.has(Kind.TEXT):
        return {}
    sizes = [size for size in (area.height, area.width) if size > 1]
    is_text = (value.kind_tensor() == Kind.TEXT).expand(sizes).reshape(-1, columns)
    mixed = torch.nonzero(is_text.any(dim=0) & ~is_text.all(dim=0)).flatten().tolist()
    if mixed:
        raise FormulaError(
            "the cell is text for some samples and a number for others",
            cell=area.first._replace(column=area.left + mixed[0]),
            remedy="Let it be the one or the other",
        )
    return {place: builder.texts for place, all_text in enumerate(is_text.all(dim=0).tolist()) if all_text}
