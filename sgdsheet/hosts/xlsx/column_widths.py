"""Give columns of a worksheet another width, and leave every other byte as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sgdsheet.hosts.xlsx.edit import ATTRIBUTE
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.references import MAX_COLUMN

_PER_CHARACTER = 7
"""Pixels of a character of the usual font."""

_SHEET_DATA = re.compile(rb"<((?:[\w.-]+:)?)sheetData\b")
_NEW = ((b"customWidth", b"1"),)


def with_widths(part: Part, widths: Mapping[int, int]) -> bytes:
    """A worksheet part whose columns have these widths in pixels. Raises FileError."""
    found = _SHEET_DATA.search(part.data)
    if found is None:
        raise part.error("has no sheetData element, before which columns are told")
    prefix, start = found[1], found.start()
    name = re.escape(prefix)
    group = re.compile(b"<" + name + rb"cols\b[^<>]*?(?:/>|>(.*?)</" + name + rb"cols\s*>)", re.DOTALL)
    column = re.compile(b"<" + name + rb"col\b([^<>]*?)(?:/>|>\s*</" + name + rb"col\s*>)", re.DOTALL)
    place = group.search(part.data, 0, start)
    inside = place[1] if place is not None else None
    columns = [_attributes(match) for match in column.findall(inside or b"")]
    content = b"".join(_written(prefix, item) for item in _changed(columns, widths))
    new = b"<%scols>%s</%scols>" % (prefix, content, prefix)
    begin, end = place.span() if place is not None else (start, start)
    return part.data[:begin] + new + part.data[end:]


def _attributes(tag: bytes) -> dict[bytes, bytes]:
    return {name: value[1:-1] for name, value in ATTRIBUTE.findall(tag)}


def _changed(columns: Iterable[dict[bytes, bytes]], widths: Mapping[int, int]) -> list[dict[bytes, bytes]]:
    """The runs of columns, in order, with the columns that are changed each by itself."""
    found: list[tuple[int, dict[bytes, bytes]]] = []
    known: dict[int, dict[bytes, bytes]] = {}
    for item in columns:
        first, last = _number(item.get(b"min")), min(_number(item.get(b"max")), MAX_COLUMN)
        inside = sorted(column for column in widths if first <= column <= last)
        known.update(dict.fromkeys(inside, item))
        position = first
        for column in (*inside, last + 1):
            if position < column:
                found.append((position, {**item, b"min": b"%d" % position, b"max": b"%d" % (column - 1)}))
            position = column + 1
    for column, pixels in widths.items():
        item = {name: value for name, value in known.get(column, {}).items() if name not in (b"bestFit", b"hidden")}
        width = f"{pixels / _PER_CHARACTER:.6g}".encode()
        own = {b"min": b"%d" % column, b"max": b"%d" % column, b"width": width}
        found.append((column, {**item, **own, **dict(_NEW)}))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _written(prefix: bytes, item: Mapping[bytes, bytes]) -> bytes:
    return b"<%scol%s/>" % (
        prefix,
        b"".join(b' %s="%s"' % (name, value.replace(b'"', b"&quot;")) for name, value in item.items()),
    )


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
