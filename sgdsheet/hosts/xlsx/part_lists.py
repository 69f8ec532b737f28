"""The lists of a package that say which parts there are: content types and relationships."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsheet.hosts.xlsx.edit import Document, attribute
from sgdsheet.hosts.xlsx.package import Package, relationships_part
from sgdsheet.hosts.xlsx.xlsx_reader import Outline

CONTENT_TYPES = "[Content_Types].xml"
_RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"


def content_types(package: Package, changes: Mapping[str, bytes | None], types: Mapping[str, str]) -> bytes:
    """The list of content types without the removed parts, and with new ones, whose types are given."""
    document = Document(package.part(CONTENT_TYPES))
    wanted = dict(types)
    defaults = {item.attributes.get("Extension", "").casefold() for item in document.root.children}
    if "rels" not in defaults:
        wanted |= {part: _RELS_TYPE for part in map(relationships_part, types) if part in changes}
    removed = {f"/{name}".casefold() for name, content in changes.items() if content is None}
    new = {f"/{name}".casefold(): content_type for name, content_type in wanted.items()}
    listed = set()
    for item in document.root.children:
        name = item.attributes.get("PartName", "").casefold()
        if new.get(name) == item.attributes.get("ContentType"):
            listed.add(name)
        elif name in removed or name in new:
            document.remove(item)
    for part, content_type in wanted.items():
        if f"/{part}".casefold() not in listed:
            line = b'<%sOverride PartName="/%s" ContentType="%s"/>'
            prefix = document.root.prefix
            document.append(document.root, line % (prefix, attribute(part), content_type.encode()))
    return document.result()


def unlink(links: Document, outline: Outline, part: str) -> None:
    """Take a part out of the workbook's relationships."""
    ids = {item.id for item in outline.relationships if item.target == part}
    for element in links.root.children:
        if element.attributes.get("Id") in ids:
            links.remove(element)


def without_part(package: Package, outline: Outline, part: str) -> dict[str, bytes | None]:
    """What to change so that the workbook does without a part that is of no use any more."""
    list_name = relationships_part(outline.part.name)
    links = Document(package.part(list_name))
    unlink(links, outline, part)
    changes: dict[str, bytes | None] = {part: None, list_name: links.result()}
    changes[CONTENT_TYPES] = content_types(package, changes, {})
    return changes
