"""The standard output for our own words only.

Libraries in C may write to it, as HiGHS does where it gives a model up, and `--json` promises one object and nothing
else there.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DESCRIPTOR = 1


@contextmanager
def for_ourselves() -> Iterator[None]:
    """A context in which `sys.stdout` is the only way to the standard output; what others write there is dropped."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or stream is not sys.__stdout__ or stream.fileno() != _DESCRIPTOR:
        yield  # somebody keeps what is written, such as a test
        return
    stream.flush()
    kept = os.dup(_DESCRIPTOR)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), _DESCRIPTOR)
    raw = io.FileIO(kept, "w", closefd=False)
    ours = io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=stream.line_buffering
    )
    sys.stdout = ours
    try:
        yield
    finally:
        sys.stdout = stream
        try:
            ours.flush()
        finally:
            os.dup2(kept, _DESCRIPTOR)
        os.close(kept)
