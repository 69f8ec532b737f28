"""Messages between our own programs: one JSON object each, as bytes, or as one line of a stream of bytes.

Never pickles. Runs under LibreOffice's Python, too (3.8 or later), so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, Dict, NoReturn  # noqa: UP035

Message = Dict[str, Any]  # noqa: UP006  (Python 3.8 knows no dict[str, Any])

LONGEST_LINE = 1 << 30
"""Bytes of a line at most: a workbook of ten million formulas takes fewer."""


def encode(message: Message) -> bytes:
    """A message as ASCII without a line break. Raises ValueError for what JSON does not have, such as NaN."""
    try:
        return json.dumps(message, allow_nan=False, ensure_ascii=True).encode("ascii")
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not to be said in JSON: {error}") from None


def decode(data: bytes) -> Message:
    """The message in these bytes. Raises ValueError if there is none: no JSON, NaN, nested too deeply, no object."""
    try:
        message = json.loads(data, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


def encode_line(message: Message) -> bytes:
    """A message as one line, with its end. Raises ValueError as `encode` does."""
    return encode(message) + b"\n"


def read_messages(stream: IO[bytes], longest: int = LONGEST_LINE) -> Iterator[Message]:
    """The messages of a stream, one a line, until it ends; each as soon as its line is complete.

    Raises ValueError for a line that is no message, or is longer than `longest` bytes: nothing after it can be trusted.
    """
    while line := stream.readline(longest + 1):
        if len(line) > longest:
            raise ValueError(f"a line of more than {longest:,} bytes")
        yield decode(line)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
