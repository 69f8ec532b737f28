"""Edit an XML part in place: what is not edited keeps its bytes.

Expat tells where in the part each element starts; the edits are cut into the bytes at those places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sgdsheet.hosts.xlsx.xml import Part, new_parser, run_parser

_TAG = re.compile(rb"""<([^\s/>]+)[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")
ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
"""An attribute in a start tag: its name, and its value in quotes."""

_ENTITIES = (
    *(("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")),
    *(("\t", "&#9;"), ("\n", "&#10;"), ("\r", "&#13;")),  # written plainly, they are read as spaces
)

Key = tuple[str, tuple[tuple[str, str], ...], tuple["Key", ...]]


@dataclass(slots=True)
class Span:
    """The place of an element in the bytes of its part.

    `name` is written as in the part, with its prefix; `tag_end` is where the start tag ends, `inner_end` where the end
    tag starts. An element without contents, `<a/>`, has neither.
    """

    name: bytes
    start: int
    tag_end: int
    is_empty: bool
    inner_end: int = 0
    end: int = 0

    @property
    def prefix(self) -> bytes:
        """What stands before the element's own name: `x:` in `<x:row>`."""
        before, colon, _ = self.name.rpartition(b":")
        return before + colon


class PartEditor:
    """Walks through a part, and puts edits into its bytes. All new content must be ASCII. Raises FileError."""

    def __init__(self, part: Part) -> None:
        head = part.data[:4]
        if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise part.error("is written in UTF-16, which can be read but not changed")
        self._part, self._data = part, part.data
        self._edits: list[tuple[int, int, bytes]] = []
        self._appended: dict[int, tuple[Span, list[bytes]]] = {}
        self._parser = new_parser(part)

    def replace(self, start: int, end: int, content: bytes) -> None:
        """Put other bytes in the place of those from `start` to `end`."""
        self._edits.append((start, end, content))

    def insert(self, position: int, content: bytes) -> None:
        """Add bytes at a place, after those that were added there before."""
        self._edits.append((position, position, content))

    def append(self, parent: Span, content: bytes, at: int | None = None) -> None:
        """Add a last child, at the end of the contents or `at` a place within them."""
        if parent.is_empty:
            self._appended.setdefault(parent.start, (parent, []))[1].append(content)
        else:
            self.insert(parent.inner_end if at is None else at, content)

    def source(self, span: Span) -> bytes:
        """The start tag of an element as it is written."""
        return self._data[span.start : span.tag_end]

    def edits(self) -> list[tuple[int, int, bytes]]:
        """All edits in their order: start, end, and what takes the place of the bytes between."""
        for parent, contents in self._appended.values():
            closing = b"</" + parent.name + b">"
            self.replace(parent.tag_end - 2, parent.tag_end, b"".join((b">", *contents, closing)))
        self._appended = {}
        return sorted(self._edits, key=lambda edit: edit[:2])

    def result(self) -> bytes:
        """The part with all edits."""
        return with_edits(self._data, self.edits())

    def _walk(self) -> None:
        run_parser(self._parser, self._part)

    def _here(self) -> Span:
        """The element whose start tag the parser is at."""
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._data, start)
        if tag is None:
            raise ValueError(f"no tag at byte {start}")
        return Span(tag[1], start, tag.end(), self._data.endswith(b"/>", start, tag.end()))

    def _close(self, span: Span) -> None:
        """Note where an element ends, whose end the parser is at."""
        if span.is_empty:
            span.inner_end = span.end = span.tag_end
        else:
            span.inner_end = self._parser.CurrentByteIndex
            span.end = self._data.index(b">", span.inner_end) + 1


def with_edits(data: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Bytes with edits, which are in their order."""
    pieces: list[bytes] = []
    position = 0
    for start, end, new in edits:
        pieces += (data[position:start], new)
        position = end
    return b"".join((*pieces, data[position:]))


@dataclass(slots=True)
class Element(Span):
    """An element of a small part, and its place there. `tag` and the attributes' names are local names."""

    tag: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        return next((child for child in self.children if child.tag == tag), None)

    @property
    def key(self) -> Key:
        """What the element says, wherever and however it is written."""
        attributes = tuple(sorted(self.attributes.items()))
        return self.tag, attributes, tuple(child.key for child in self.children)


class Document(PartEditor):
    """A small part as a tree of elements, to look around in while it is edited."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self._stack = [Element(b"", 0, 0, is_empty=False)]
        self._namespace = ""
        top = self._stack[0]
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        self._walk()
        self.root = top.children[0]

    @property
    def strict(self) -> bool:
        """Whether the part uses the namespaces of “strict” Open XML."""
        return self._namespace.startswith("http://purl.oclc.org/")

    def remove(self, element: Element) -> None:
        self.replace(element.start, element.end, b"")

    def set(self, element: Element, name: str, value: bytes) -> None:
        """Change an attribute; one that the element does not have stays away."""
        for match in ATTRIBUTE.finditer(self.source(element)):
            if match[1] == name.encode():
                start, end = (element.start + place for place in match.span(2))
                self.replace(start + 1, end - 1, value)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) > 64:
            raise ValueError(f"elements are nested too deeply at byte {self._parser.CurrentByteIndex}")
        namespace, _, local = name.rpartition(" ")
        self._namespace = self._namespace or namespace
        names = sorted(attributes, key=lambda key: " " not in key)  # plain ones last, so that they win
        short = {key.rpartition(" ")[2]: attributes[key] for key in names}
        span = self._here()
        element = Element(span.name, span.start, span.tag_end, span.is_empty, tag=local, attributes=short)
        self._stack[-1].children.append(element)
        self._stack.append(element)

    def _end(self, name: str) -> None:
        self._close(self._stack.pop())


def attribute(value: str) -> bytes:
    """Text as the content of an attribute in double quotes."""
    for character, entity in _ENTITIES:
        value = value.replace(character, entity)
    return value.encode("ascii", "xmlcharrefreplace")


def written(element: Element, prefix: bytes, **changes: int) -> bytes:
    """An element written anew, with this prefix and some attributes changed."""
    values = {**element.attributes, **{name: str(value) for name, value in changes.items()}}
    attributes = b"".join(b' %s="%s"' % (name.encode(), attribute(value)) for name, value in values.items())
    tag = prefix + element.tag.encode()
    inner = b"".join(written(child, prefix) for child in element.children)
    return b"<%s%s>%s</%s>" % (tag, attributes, inner, tag) if inner else b"<%s%s/>" % (tag, attributes)
