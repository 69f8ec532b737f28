"""What the name of a source says: which data, and which of their samples."""

from __future__ import annotations

import re

_WHERE = re.compile(r"\s+where\s+\S.*?\s+is\s+\S.*", re.I | re.S)


def split_origin(origin: str) -> tuple[str, str]:
    """`mnist where label is 3 or 7` is `mnist`, and ` where label is 3 or 7`; the second is empty if all are wanted."""
    found = _WHERE.search(origin.strip())
    name = origin.strip()
    return (name, "") if found is None else (name[: found.start()], name[found.start() :])
