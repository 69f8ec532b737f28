"""Bring cell formats from one workbook's styles into another's, appended so that old indexes stay right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsheet.hosts.xlsx.edit import Document, Element, Key, attribute, written
from sgdsheet.hosts.xlsx.xml import Part

_FIRST_OWN_FORMAT = 164
"""Number formats below are built in."""

_LISTS = {"fonts": "fontId", "fills": "fillId", "borders": "borderId"}


def default_font(part: Part) -> dict[str, Any]:
    """The font of ordinary cells, as XlsxWriter's format properties."""
    fonts = Document(part).root.child("fonts")
    if fonts is None or not fonts.children:
        return {}
    values = {child.tag: child.attributes.get("val", "") for child in fonts.children[0].children}
    try:
        size = float(values.get("sz", ""))
    except ValueError:
        return {}
    if not values.get("name") or not 1 <= size <= 409:
        return {}
    return {
        "font_name": values["name"],
        "font_size": int(size) if size.is_integer() else size,
        "font_scheme": values.get("scheme", "none"),
    }


def merge_styles(part: Part, donor: Part) -> tuple[bytes, list[int]] | None:
    """The styles with the donor's cell formats added, and the new index of each of those.

    What is there already is used, not added again. None if the part lacks a list that formats need.
    """
    document, other = Document(part), Document(donor).root
    if any(document.root.child(tag) is None for tag in (*_LISTS, "cellXfs")):
        return None
    maps = {key: dict(enumerate(_merge(document, other, tag))) for tag, key in _LISTS.items()}
    maps["numFmtId"] = _merge_number_formats(document, other)
    places = _merge(document, other, "cellXfs", maps)
    return document.result(), places


def _merge(
    document: Document, other: Element, tag: str, maps: Mapping[str, Mapping[int, int]] | None = None
) -> list[int]:
    """Append the donor's entries of one list; their indexes there."""
    target, source = document.root.child(tag), other.child(tag)
    assert target is not None
    known: dict[Key, int] = {}
    for index, child in enumerate(target.children):
        known.setdefault(child.key, index)
    prefix, count, new, places = target.prefix, len(target.children), b"", []
    for child in source.children if source is not None else ():
        for name, ids in (maps or {}).items():
            old = _integer(child.attributes.get(name, ""))
            child.attributes[name] = str(ids.get(old, old))
        if child.key not in known:
            known[child.key] = count
            new += written(child, prefix)
            count += 1
        places.append(known[child.key])
    if new:
        document.append(target, new)
        document.set(target, "count", b"%d" % count)
    return places


def _merge_number_formats(document: Document, other: Element) -> dict[int, int]:
    """Add the donor's own number formats; which number each of them has now."""
    target, source = document.root.child("numFmts"), other.child("numFmts")
    known = {
        child.attributes.get("formatCode", ""): _integer(child.attributes.get("numFmtId", ""))
        for child in (target.children if target is not None else ())
    }
    following = max([_FIRST_OWN_FORMAT - 1, *known.values()]) + 1
    prefix, new, added, ids = document.root.prefix, b"", 0, {}
    for child in source.children if source is not None else ():
        code = child.attributes["formatCode"]
        if code not in known:
            known[code] = following + added
            new += b'<%snumFmt numFmtId="%d" formatCode="%s"/>' % (prefix, known[code], attribute(code))
            added += 1
        ids[_integer(child.attributes["numFmtId"])] = known[code]
    if new and target is not None:
        document.append(target, new)
        document.set(target, "count", b"%d" % (len(target.children) + added))
    elif new:
        all_new = b'<%snumFmts count="%d">%s</%snumFmts>' % (prefix, added, new, prefix)
        document.insert(document.root.tag_end, all_new)
    return ids


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else 0
