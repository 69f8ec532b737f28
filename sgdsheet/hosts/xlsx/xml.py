"""XML of an untrusted package: parsing without document types, and SpreadsheetML's conventions for text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, column_number

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

REPAIR = "Open it in Excel or LibreOffice, save it again, and try with that file"
NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",  # “strict” workbooks
)

_MAX_DEPTH = 64
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NEEDS_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})", re.ASCII)
_COLUMNS: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Part:
    """One decompressed part of a package."""

    book: str
    name: str
    data: bytes

    def error(self, cause: str, *, cell: object = None) -> FileError:
        return FileError(f"“{self.book}” cannot be used: {self.name} {cause}", cell=cell, remedy=REPAIR)


@dataclass(slots=True)
class Node:
    """An element of a small part; names are local names, without a namespace."""

    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def all(self, *path: str) -> list[Node]:
        """The elements that a path of child names leads to."""
        found = [self]
        for tag in path:
            found = [child for node in found for child in node.children if child.tag == tag]
        return found


def new_parser(part: Part) -> XMLParserType:
    """A namespace-aware parser that refuses document types, and so all entity declarations."""

    def refuse(*_: object) -> None:
        raise part.error("has a document type declaration, which workbooks never need")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    return parser


def run_parser(parser: XMLParserType, part: Part) -> None:
    """Parse the whole part. Errors of the handlers about its content become errors that name the part."""
    try:
        parser.Parse(part.data, True)
    except expat.ExpatError as error:
        raise part.error(f"is not valid XML ({error})") from None
    except (ValueError, LookupError, FormulaError) as error:
        raise part.error(f"cannot be read ({error})") from None


def _parse(
    part: Part,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    """Parse the whole part with these handlers."""
    parser = new_parser(part)
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    run_parser(parser, part)


def read_tree(part: Part, *, without: frozenset[str] = frozenset()) -> Node:
    """A small part as a tree, without the elements of some names. Text is kept only for elements without children."""
    stack = [Node("", {})]
    pieces: list[str] = []
    ignored = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal ignored
        if ignored or (len(stack) > 1 and _local(tag) in without):
            ignored += 1
            return
        if len(stack) > _MAX_DEPTH:
            raise part.error("is nested too deeply")
        # Sorted so that a plain attribute wins over one of the same name from another namespace.
        names = sorted(attributes, key=lambda name: " " not in name)
        node = Node(_local(tag), {_local(name): attributes[name] for name in names})
        stack[-1].children.append(node)
        stack.append(node)
        pieces.clear()

    def end(tag: str) -> None:
        nonlocal ignored
        if ignored:
            ignored -= 1
            return
        stack.pop().text = "".join(pieces)
        pieces.clear()

    def text(piece: str) -> None:
        if not ignored:
            pieces.append(piece)

    _parse(part, start, end, text)
    return stack[0].children[0]


def read_strings(part: Part) -> list[str]:
    """The shared strings: runs joined, phonetic guides left out."""
    strings: list[str] = []
    runs: list[str] = []
    pieces: list[str] = []
    phonetic = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal phonetic
        pieces.clear()
        name = _local(tag)
        if name == "si":
            runs.clear()
        elif name == "rPh":
            phonetic = True

    def end(tag: str) -> None:
        nonlocal phonetic
        name = _local(tag)
        if name == "t" and not phonetic:
            runs.extend(pieces)
        elif name == "si":
            strings.append(unescape("".join(runs)))
        elif name == "rPh":
            phonetic = False
        pieces.clear()

    _parse(part, start, end, pieces.append)
    return strings


def expect_worksheet(part: Part, tag: str) -> Callable[[str], str]:
    """Check the root element of a worksheet; returns how the parser spells the names of its namespace."""
    namespace, _, name = tag.rpartition(" ")
    if name != "worksheet" or namespace not in NAMESPACES:
        raise part.error(f"is not a worksheet (its root is {name!r})")
    return lambda local: f"{namespace} {local}"


def row_number(text: str | None, previous: int) -> int:
    """Row of a `<row>`; one without a number follows the previous one."""
    number = previous + 1 if text is None else int(text)
    if not 1 <= number <= MAX_ROW:
        raise ValueError(f"row {number} lies outside the grid")
    return number


def cell_column(reference: str, row: str) -> int:
    """Column of a cell from its reference and its row's number as text."""
    if reference.endswith(row):
        column = _COLUMNS.get(reference[: -len(row)])
        if column is not None:
            return column
    match = _REFERENCE.fullmatch(reference)
    if match is None or match[2] != row:
        raise ValueError(f"cell {reference!r} in row {row}")
    column = column_number(match[1])
    if column > MAX_COLUMN:
        raise ValueError(f"cell {reference} lies outside the grid")
    _COLUMNS[match[1]] = column
    return column


def plain_column(letters: str) -> int:
    """The number of a column. Raises ValueError if it lies outside the grid."""
    column = _COLUMNS.get(letters)
    if column is None:
        column = column_number(letters)
        if column > MAX_COLUMN:
            raise ValueError(f"column {letters} lies outside the grid")
        _COLUMNS[letters] = column
    return column


def unescape(text: str) -> str:
    """Undo the `_xHHHH_` escapes for characters that XML cannot hold."""
    if "_x" not in text:
        return text
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # The escapes are UTF-16 units: two of them may make one character, and one alone is no character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def escape(text: str) -> bytes:
    """Text as element content, pure ASCII so that it fits every encoding a part may declare."""
    return escape_formula(_NEEDS_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text))


def escape_formula(text: str) -> bytes:
    """A formula as element content: formulas are read as they stand there, without the escapes of other texts."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        text = text.replace(character, entity)
    return text.encode("ascii", "xmlcharrefreplace")


def truth(text: str | None) -> bool:
    """An XML boolean; absent is false."""
    return text is not None and text.strip() in ("1", "true")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
