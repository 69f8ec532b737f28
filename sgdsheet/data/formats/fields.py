"""Finds the field that a name written by a person means."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache

from sgdsheet.data.formats.source import Source
from sgdsheet.errors import DataError, quoted


def field_called(source: Source, wanted: str, cell: object = None) -> str | None:
    """The field of a name; if none is called exactly so, case, spaces and a plural's s do not matter.

    DataError, with the cell of the name, if it may mean several fields.
    """
    found = next(filter(None, _candidates(tuple(source.fields), wanted.strip())), [])
    if len(found) > 1:
        raise DataError(
            f"{quoted(wanted)} may mean {' or '.join(map(quoted, found[:4]))} of {quoted(source.name)}",
            cell=cell,
            remedy="Write the name of the field exactly as the file has it",
        )
    return found[0] if found else None


def _candidates(names: tuple[str, ...], wanted: str) -> Iterator[list[str]]:
    """What a name may mean; the strictest reading first."""
    for alike in (str, str.casefold, _folded):
        yield _by_likeness(names, alike).get(alike(wanted), [])
    for singular_or_plural in (_folded(wanted).removesuffix("s"), _folded(wanted) + "s"):
        yield _by_likeness(names, _folded).get(singular_or_plural, [])


@lru_cache(maxsize=8)
def _by_likeness(names: tuple[str, ...], alike: Callable[[str], str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in names:
        found[alike(name)].append(name)
    return dict(found)


def _folded(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).casefold()
