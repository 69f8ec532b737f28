"""New cell formats in a workbook's styles, appended so that old indexes stay right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sgdsheet.hosts.xlsx.edit import Document, Element, Key, attribute, written
from sgdsheet.hosts.xlsx.xml import Part

_FIRST_OWN_FORMAT = 164
"""Number formats below are built in."""

_BUILT_IN = {
    **{"0": 1, "0.00": 2, "#,##0": 3, "#,##0.00": 4, "0%": 9, "0.00%": 10, "0.00E+00": 11, "# ?/?": 12, "# ??/??": 13},
    **{"mm-dd-yy": 14, "d-mmm-yy": 15, "d-mmm": 16, "mmm-yy": 17, "h:mm AM/PM": 18, "h:mm:ss AM/PM": 19},
    **{"h:mm": 20, "h:mm:ss": 21, "m/d/yy h:mm": 22, "mm:ss": 45, "[h]:mm:ss": 46, "mmss.0": 47, "##0.0E+0": 48},
}
"""Number formats that every workbook has, with their numbers (ECMA-376, part 1, 18.8.30)."""

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


class DateFormats:
    """Cell formats with the number format of a date or time that was typed, appended where there is none yet."""

    def __init__(self, part: Part) -> None:
        self._document = Document(part)
        self._formats = self._document.root.child("cellXfs")
        self._known: dict[Key, int] = {}
        self._new: list[bytes] = []
        self._found: dict[tuple[int, str], int] = {}
        self._codes: dict[str, int] = {}
        self._new_codes: list[str] = []
        for index, child in enumerate(self._formats.children if self._formats is not None else ()):
            self._known.setdefault(child.key, index)

    def like(self, style: int, code: str) -> int:
        """The number of the format that is like another one, but with this number format if that has none."""
        if (style, code) not in self._found:
            self._found[style, code] = self._add(style, code)
        return self._found[style, code]

    def result(self) -> bytes:
        """The part with the new formats."""
        document, formats = self._document, self._formats
        if self._new and formats is not None:
            document.append(formats, b"".join(self._new))
            document.set(formats, "count", b"%d" % (len(formats.children) + len(self._new)))
        if self._new_codes:
            _add_number_formats(document, {code: self._codes[code] for code in self._new_codes})
        return document.result()

    def _add(self, style: int, code: str) -> int:
        formats = self._formats
        if formats is None or not 0 <= style < len(formats.children):
            return style
        old = formats.children[style]
        if _integer(old.attributes.get("numFmtId", "0")) != 0:
            return style
        added = {"numFmtId": self._number(code), "applyNumberFormat": 1}
        changed = replace(old, attributes={**old.attributes, **{name: str(value) for name, value in added.items()}})
        if changed.key not in self._known:
            self._known[changed.key] = len(formats.children) + len(self._new)
            self._new.append(written(old, formats.prefix, **added))
        return self._known[changed.key]

    def _number(self, code: str) -> int:
        """The number of a number format."""
        if code in _BUILT_IN:
            return _BUILT_IN[code]
        if not self._codes:
            self._codes = _number_formats(self._document)
        if code not in self._codes:
            self._codes[code] = max([_FIRST_OWN_FORMAT - 1, *self._codes.values()]) + 1
            self._new_codes.append(code)
        return self._codes[code]


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
    source = other.child("numFmts")
    known = _number_formats(document)
    new: dict[str, int] = {}
    ids: dict[int, int] = {}
    following = max([_FIRST_OWN_FORMAT - 1, *known.values()]) + 1
    for child in source.children if source is not None else ():
        code = child.attributes["formatCode"]
        if code not in known:
            known[code] = new[code] = following + len(new)
        ids[_integer(child.attributes["numFmtId"])] = known[code]
    _add_number_formats(document, new)
    return ids


def _number_formats(document: Document) -> dict[str, int]:
    """The workbook's own number formats, and their numbers."""
    formats = document.root.child("numFmts")
    return {
        child.attributes.get("formatCode", ""): _integer(child.attributes.get("numFmtId", ""))
        for child in (formats.children if formats is not None else ())
    }


def _add_number_formats(document: Document, codes: Mapping[str, int]) -> None:
    target, prefix = document.root.child("numFmts"), document.root.prefix
    new = b"".join(
        b'<%snumFmt numFmtId="%d" formatCode="%s"/>' % (prefix, number, attribute(code))
        for code, number in codes.items()
    )
    if new and target is not None:
        document.append(target, new)
        document.set(target, "count", b"%d" % (len(target.children) + len(codes)))
    elif new:
        all_new = b'<%snumFmts count="%d">%s</%snumFmts>' % (prefix, len(codes), new, prefix)
        document.insert(document.root.tag_end, all_new)


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else 0
