"""Edit a small XML part in place: what is not edited keeps its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sgdsheet.hosts.xlsx.xml import Part, new_parser, run_parser

_TAG = re.compile(rb"""<([^\s/>]+)[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")
_ATTRIBUTE = re.compile(rb"""\s([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")

Key = tuple[str, tuple[tuple[str, str], ...], tuple["Key", ...]]


@dataclass(slots=True)
class Element:
    """An element and its place in the part. Names are local names, `prefix` is what stands before its own."""

    tag: str
    attributes: dict[str, str]
    prefix: bytes
    start: int
    tag_end: int
    inner_end: int = 0
    end: int = 0
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        return next((child for child in self.children if child.tag == tag), None)

    @property
    def key(self) -> Key:
        """What the element says, wherever and however it is written."""
        attributes = tuple(sorted(self.attributes.items()))
        return self.tag, attributes, tuple(child.key for child in self.children)


class Document:
    """A part as a tree of elements, and the edits that were asked for. All new content must be ASCII."""

    def __init__(self, part: Part) -> None:
        head = part.data[:4]
        if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise part.error("is written in UTF-16, which can be read but not changed")
        self._part, self._data = part, part.data
        self._edits: list[tuple[int, int, bytes]] = []
        self._appended: dict[int, bytes] = {}
        self._parser = new_parser(part)
        self._stack = [Element("", {}, b"", 0, 0)]
        self._namespace = ""
        top = self._stack[0]
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        run_parser(self._parser, part)
        self.root = top.children[0]

    @property
    def strict(self) -> bool:
        """Whether the part uses the namespaces of “strict” Open XML."""
        return self._namespace.startswith("http://purl.oclc.org/")

    def source(self, element: Element) -> bytes:
        """The start tag of an element as it is written."""
        return self._data[element.start : element.tag_end]

    def append(self, parent: Element, content: bytes) -> None:
        """Add a last child."""
        if parent.tag_end != parent.end:  # not an empty-element tag
            self._edits.append((parent.inner_end, parent.inner_end, content))
        else:
            self._appended[parent.start] = self._appended.get(parent.start, b"") + content

    def insert(self, position: int, content: bytes) -> None:
        """Add content at a place that an element gave."""
        self._edits.append((position, position, content))

    def remove(self, element: Element) -> None:
        self._edits.append((element.start, element.end, b""))

    def set(self, element: Element, name: str, value: bytes) -> None:
        """Change an attribute; one that the element does not have stays away."""
        for match in _ATTRIBUTE.finditer(self.source(element)):
            if match[1] == name.encode():
                start, end = (element.start + place for place in match.span(2))
                self._edits.append((start + 1, end - 1, value))

    def result(self) -> bytes:
        """The part with all edits."""
        for start, content in self._appended.items():
            tag = _TAG.match(self._data, start)
            if tag is not None:
                self._edits.append((tag.end() - 2, tag.end(), b">" + content + b"</" + tag[1] + b">"))
        self._appended = {}
        pieces: list[bytes] = []
        position = 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):
            pieces += (self._data[position:start], new)
            position = end
        return b"".join((*pieces, self._data[position:]))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._data, start)
        if tag is None or len(self._stack) > 64:
            raise ValueError(f"no tag, or one nested too deeply, at byte {start}")
        namespace, _, local = name.rpartition(" ")
        self._namespace = self._namespace or namespace
        before, colon, _ = tag[1].rpartition(b":")
        names = sorted(attributes, key=lambda key: " " not in key)  # plain ones last, so that they win
        short = {key.rpartition(" ")[2]: attributes[key] for key in names}
        element = Element(local, short, before + colon, start, tag.end())
        self._stack[-1].children.append(element)
        self._stack.append(element)

    def _end(self, name: str) -> None:
        element, here = self._stack.pop(), self._parser.CurrentByteIndex
        if self._data[element.tag_end - 2 : element.tag_end] == b"/>":
            element.inner_end = element.end = element.tag_end
        else:
            element.inner_end, element.end = here, self._data.index(b">", here) + 1


def attribute(value: str) -> bytes:
    """Text as the content of an attribute in double quotes."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        value = value.replace(character, entity)
    return value.encode("ascii", "xmlcharrefreplace")


def written(element: Element, prefix: bytes, **changes: int) -> bytes:
    """An element written anew, with this prefix and some attributes changed."""
    values = {**element.attributes, **{name: str(value) for name, value in changes.items()}}
    attributes = b"".join(b' %s="%s"' % (name.encode(), attribute(value)) for name, value in values.items())
    tag = prefix + element.tag.encode()
    inner = b"".join(written(child, prefix) for child in element.children)
    return b"<%s%s>%s</%s>" % (tag, attributes, inner, tag) if inner else b"<%s%s/>" % (tag, attributes)
