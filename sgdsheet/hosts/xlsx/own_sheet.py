"""Put a sheet of ours into a package: new parts, and insertions into the few parts that list them.

A sheet such as `SGD log` is ours if it has a name `sgd_log` of its own and is still called so, maybe with a number.
Ours is replaced; one that was renamed is kept, and so is a sheet of a person's own that is called `SGD log`.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sgdsheet.hosts.xlsx.edit import Document, attribute
from sgdsheet.hosts.xlsx.name_list import BEFORE_NAMES
from sgdsheet.hosts.xlsx.package import Package, relationships_part
from sgdsheet.hosts.xlsx.part_lists import CONTENT_TYPES, content_types, unlink
from sgdsheet.hosts.xlsx.styles import default_font, merge_styles
from sgdsheet.hosts.xlsx.xlsx_reader import Outline, SheetEntry
from sgdsheet.hosts.xlsx.xml import escape, escape_formula, read_strings
from sgdsheet.sheet.references import quote_sheet

MARK = "sgd_log"
"""The name that every sheet of ours has."""

_STYLE = re.compile(rb'(<(?:c|col|row) [^<>]*?) (s|style)="([0-9]+)"')
_SHARED = re.compile(rb' t="s"><v>([0-9]+)</v>')
_FORMULA = re.compile(rb"<([^\s:/>]+:)?f[\s/>]")
_RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"
_TRANSITIONAL = re.compile(rb"http://schemas\.openxmlformats\.org/(officeDocument|(?:spreadsheet|drawing)ml)/2006/")
_OFFICE = "application/vnd.openxmlformats-officedocument"
_TYPES = {
    "worksheets": f"{_OFFICE}.spreadsheetml.worksheet+xml",
    "drawings": f"{_OFFICE}.drawing+xml",
    "charts": f"{_OFFICE}.drawingml.chart+xml",
}
_SHEET = "xl/worksheets/sheet1.xml"
"""Where XlsxWriter writes the sheet."""
_STRINGS = "xl/sharedStrings.xml"

Changes = dict[str, bytes | None]
"""New contents of parts; None removes one."""

Draw = Callable[[str, Mapping[str, Any]], bytes]
"""Makes a workbook of one sheet, from the sheet's name and the font of ordinary cells (as XlsxWriter's properties)."""

_LEFT_OUT = (
    (b'<c:lang val="en-US"/>', b'<c:roundedCorners val="0"/>', b"<c:chart>"),
    (b"</c:title>", b'<c:autoTitleDeleted val="0"/>', b"<c:plotArea>"),
    (b"<c:layout/>", b'<c:overlay val="0"/>', b"</c:title>"),
    (b"<c:layout/>", b'<c:overlay val="0"/>', b"</c:legend>"),
    (b'<c:scatterStyle val="lineMarker"/>', b'<c:varyColors val="0"/>', b"<c:ser>"),
    (b"</c:yVal>", b'<c:smooth val="0"/>', b"</c:ser>"),
    (b"</c:scaling>", b'<c:delete val="0"/>', b"<c:axPos "),
)


def add_sheet(package: Package, outline: Outline, title: str, draw: Draw) -> Changes:
    """What to change in the package so that it has a sheet of ours with this title, such as `SGD log`."""
    ours = _our_sheet(outline, title)
    name = ours.name if ours else _free_name(outline, title)
    sheet = ours.part if ours else None
    book, links = Document(outline.part), Document(package.part(relationships_part(outline.part.name)))
    changes = _removal(package, outline, links, sheet) if sheet else {}
    styles = outline.related("styles")
    look = package.part(styles) if styles and styles in package else None
    donor = Package(name, draw(name, default_font(look) if look else {}))
    merged = merge_styles(look, donor.part("xl/styles.xml")) if look else None
    if merged is not None and look is not None:
        changes[look.name] = merged[0]
    places = _places(package, donor, outline, changes, sheet)
    changes.update(_transplanted(donor, places, merged[1] if merged else (), strict=book.strict))
    if sheet is None:
        _register(book, links, outline, name, places[_SHEET])
    changes[outline.part.name] = book.result()
    changes[relationships_part(outline.part.name)] = links.result()
    types = {new: _TYPES[posixpath.basename(posixpath.dirname(old))] for old, new in places.items()}
    changes[CONTENT_TYPES] = content_types(package, changes, types)
    return _real(package, changes)


def _real(package: Package, changes: Changes) -> Changes:
    """The changes without those that change nothing."""
    return {
        name: content
        for name, content in changes.items()
        if name not in package or content is None or package.part(name).data != content
    }


def explicit(chart: bytes) -> bytes:
    """A chart part of XlsxWriter's with what it leaves out.

    It writes as Excel 2007 did. Readers take what is missing as Excel 2007 meant it only if the package says
    that it comes from there (docProps/app.xml); else lines are smoothed and axes are gone.
    """
    for before, missing, after in _LEFT_OUT:
        chart = chart.replace(before + after, before + missing + after)
    return chart.replace(b'"General" sourceLinked="1"', b'"General" sourceLinked="0"')


def _our_sheet(outline: Outline, title: str) -> SheetEntry | None:
    ours = re.compile(f"{re.escape(title)}( [0-9]+)?", re.IGNORECASE)
    for node in outline.root.all("definedNames", "definedName"):
        if node.attributes.get("name", "").casefold() == MARK:
            index = node.attributes.get("localSheetId", "")
            if index.isdecimal() and int(index) < len(outline.sheets):
                entry = outline.sheets[int(index)]
                if entry.part is not None and ours.fullmatch(entry.name):
                    return entry
    return None


def _free_name(outline: Outline, title: str) -> str:
    taken = {entry.name.casefold() for entry in outline.sheets}
    name, count = title, 1
    while name.casefold() in taken:
        count += 1
        name = f"{title} {count}"
    return name


def _removal(package: Package, outline: Outline, links: Document, sheet: str) -> Changes:
    """What goes when the sheet goes: it, its drawings, their charts, …, and their relationships."""
    dead = _reached(package, sheet) - _reached(package, "", without=sheet)
    dead |= {name for part in dead if (name := relationships_part(part)) in package}
    chain = outline.related("calcChain")
    if chain and _FORMULA.search(package.part(sheet).data):
        dead.add(chain)  # it lists formulas that are gone; Excel makes a new one
        unlink(links, outline, chain)
    return dict.fromkeys(dead)


def _reached(package: Package, start: str, without: str = "") -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        part = waiting.pop()
        if part not in found and part.casefold() != (without or " ").casefold():
            found.add(part)
            waiting += [item.target for item in package.relationships(part) if item.target in package]
    return found - {""}


def _places(
    package: Package, donor: Package, outline: Outline, removed: Iterable[str], sheet: str | None
) -> dict[str, str]:
    """Where each of the donor's parts goes; parts that are about to be removed make room."""
    folder, gone = posixpath.dirname(outline.part.name), {part.casefold() for part in removed}
    places: dict[str, str] = {}

    def free(name: str) -> bool:
        taken = [part for part in (name, relationships_part(name)) if part in package]
        return name not in places.values() and all(part.casefold() in gone for part in taken)

    for part in sorted(_reached(donor, _SHEET)):
        if part == _SHEET and sheet is not None:
            places[part] = sheet
            continue
        pattern = re.sub(r"^xl/(.*?)[0-9]+\.xml$", r"\1{}.xml", part)
        names = (posixpath.join(folder, pattern.format(count)) for count in itertools.count(1))
        places[part] = next(name for name in names if free(name))
    return places


def _transplanted(
    donor: Package, places: Mapping[str, str], cell_styles: Sequence[int], *, strict: bool
) -> dict[str, bytes]:
    """The donor's parts as they stand in the new package."""
    parts = {}
    for old, new in places.items():
        data = donor.part(old).data
        if old == _SHEET:
            strings = read_strings(donor.part(_STRINGS)) if _STRINGS in donor else []
            data = _worksheet(data, strings, cell_styles)
        parts[new] = explicit(data)
        if items := donor.relationships(old):
            folder = posixpath.dirname(new)
            targets = {item.id: posixpath.relpath(places[item.target], folder) for item in items}
            parts[relationships_part(new)] = _relationships((item.id, item.kind, targets[item.id]) for item in items)
    if strict:
        return {name: _TRANSITIONAL.sub(rb"http://purl.oclc.org/ooxml/\1/", data) for name, data in parts.items()}
    return parts


def _worksheet(data: bytes, strings: Sequence[str], cell_styles: Sequence[int]) -> bytes:
    """The donor's sheet with its strings in the cells, and with the package's cell formats, if it has any."""

    def inline(match: re.Match[bytes]) -> bytes:
        return b' t="inlineStr"><is><t xml:space="preserve">%s</t></is>' % escape(strings[int(match[1])])

    def styled(match: re.Match[bytes]) -> bytes:
        return match[1] + (b' %s="%d"' % (match[2], cell_styles[int(match[3])]) if cell_styles else b"")

    data = data.replace(b' tabSelected="1"', b"", 1)  # two selected tabs would be edited together
    return _SHARED.sub(inline, _STYLE.sub(styled, data))


def _relationships(items: Iterable[tuple[str, str, str]]) -> bytes:
    lines = b"".join(
        b'<Relationship Id="%s" Type="%s/%s" Target="%s"/>'
        % (name.encode(), _RELATIONSHIPS.encode(), kind.encode(), attribute(target))
        for name, kind, target in items
    )
    head = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    package = b"http://schemas.openxmlformats.org/package/2006/relationships"
    return b'%s<Relationships xmlns="%s">%s</Relationships>' % (head, package, lines)


def _register(book: Document, links: Document, outline: Outline, name: str, part: str) -> None:
    """Tell the workbook of the new sheet, which comes last so that no other changes its number."""
    sheets, rows = book.root.child("sheets"), links.root.children
    if sheets is None:
        raise outline.part.error("has no list of sheets")
    base = (_STRICT if book.strict else _RELATIONSHIPS).encode()
    taken = {row.attributes.get("Id", "") for row in rows}
    ids = (f"rId{count}" for count in itertools.count(len(rows) + 1))
    link = next(item for item in ids if item not in taken).encode()
    target = attribute(posixpath.relpath(part, posixpath.dirname(outline.part.name)))
    line = b'<%sRelationship Id="%s" Type="%s/worksheet" Target="%s"/>'
    links.append(links.root, line % (links.root.prefix, link, base, target))
    numbers = [item.attributes.get("sheetId", "") for item in sheets.children]
    number = max((int(text) for text in numbers if text.isdecimal()), default=0) + 1
    known = b'xmlns:r="%s"' % base
    declared = b"" if known in book.source(book.root) else b" " + known
    line = b'<%ssheet%s name="%s" sheetId="%d" r:id="%s"/>'
    book.append(sheets, line % (sheets.prefix, declared, attribute(name), number, link))
    _mark(book, len(outline.sheets), name)


def _mark(book: Document, index: int, name: str) -> None:
    """A hidden name that belongs to the sheet, by which it is known as ours."""
    prefix, names = book.root.prefix, book.root.child("definedNames")
    line = b'<%sdefinedName name="%s" localSheetId="%d" hidden="1">%s</%sdefinedName>'
    mark = line % (prefix, MARK.encode(), index, escape_formula(f"{quote_sheet(name)}!$A$1"), prefix)
    if names is not None:
        book.append(names, mark)
    else:
        place = max(item.end for item in book.root.children if item.tag in BEFORE_NAMES)
        book.insert(place, b"<%sdefinedNames>%s</%sdefinedNames>" % (prefix, mark, prefix))
