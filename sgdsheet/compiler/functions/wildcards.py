"""Texts with Excel's wildcards: `*` for any letters, `?` for one, and `~` before a letter that means itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Kind, Value

_PARTS = re.compile(r"~.|[*?]|[^*?~]+|~", re.DOTALL)


def wildcard_parts(text: str) -> Iterator[str]:
    """A text with wildcards in parts: `*`, `?`, and regular expressions for letters that mean themselves.

    `~` makes of any letter after it one that means itself, and is not looked for: “a~b” finds “ab”, and only “a~~b”
    finds “a~b”. At the end of the text it means itself.
    """
    for part in _PARTS.findall(text):
        yield part if part in ("*", "?") else re.escape(part[1:] if part[0] == "~" and part[1:] else part)


def has_wildcards(text: str) -> bool:
    return not set("*?~").isdisjoint(text)


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression for a whole text.

    The text between two * is looked for once, where it comes first (a lookahead is never tried again), so the
    time is that of a search, however many * there are.
    """
    runs = [""]
    for part in wildcard_parts(text):
        if part == "*":
            runs.append("")
        else:
            runs[-1] += "." if part == "?" else part
    first, *rest = runs
    between = [f"(?=(?P<run{i}>.*?{run}))(?P=run{i})" for i, run in enumerate(rest[:-1]) if run]
    last = [f".*{run}" for run in rest[-1:]]
    return re.compile("".join([first, *between, *last]), re.IGNORECASE | re.DOTALL)


def text_codes(cells: Value) -> torch.Tensor:
    """The codes of the texts among constant cells; 0 where there is no text."""
    return torch.where(cells.kind_tensor() == Kind.TEXT, cells.tensor, 0).long()


def matching(builder: Builder, cells: Value, numbers: Value, patterns: Sequence[re.Pattern[str]]) -> Value:
    """Which texts match a pattern; `numbers` has the position of each copy's pattern."""
    codes, places = torch.unique(text_codes(cells), return_inverse=True)
    texts = [builder.texts[code] if code < len(builder.texts) else "" for code in codes.tolist()]
    table = torch.tensor([[item.fullmatch(text) is not None for text in texts] for item in patterns])
    rows = Value(numbers.tensor.long(), numbers.axes, numbers.sizes)
    columns = Value(places, cells.axes, cells.sizes)
    is_text = Value(cells.kind_tensor() == Kind.TEXT, cells.axes, cells.sizes, Kind.BOOLEAN)
    found = builder.elementwise(lambda row, column: table[row, column], rows, columns, kind=Kind.BOOLEAN)
    return builder.elementwise(torch.logical_and, found, is_text, kind=Kind.BOOLEAN)
