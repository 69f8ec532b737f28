"""Sheet-scoped defined names in the workbook part: given, changed, taken away."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.hosts.book_file import Names
from sgdsheet.hosts.xlsx.edit import Document, Element, attribute
from sgdsheet.hosts.xlsx.xlsx_reader import Outline
from sgdsheet.hosts.xlsx.xml import escape_formula

BEFORE_NAMES = ("sheets", "functionGroups", "externalReferences")
"""The elements of a workbook that stand before its names, and always there: the sheets."""


def with_names(outline: Outline, names: Names) -> bytes:
    """The workbook part with these names instead of what they stood for before; all else stays byte for byte.

    Excel sorts names without regard to case: a new one goes before the first that comes after it.
    """
    book = Document(outline.part)
    numbers = {entry.name: index for index, entry in enumerate(outline.sheets)}
    known = book.root.child("definedNames")
    rows = list(known.children) if known is not None else []
    new: list[tuple[tuple[str, int], bytes]] = []
    gone: list[Element] = []
    for (sheet, name), areas in names.items():
        scope, folded = numbers[sheet], name.casefold()
        same = [row for row in rows if _key(row) == (folded, scope)]
        text = escape_formula(",".join(area.absolute for area in areas))
        if not areas:
            gone += same
        elif same and not same[0].is_empty:
            book.replace(same[0].tag_end, same[0].inner_end, text)
            gone += same[1:]
        else:
            gone += same
            prefix = book.root.prefix
            line = b'<%sdefinedName name="%s" localSheetId="%d">%s</%sdefinedName>'
            new.append(((folded, scope), line % (prefix, attribute(name), scope, text, prefix)))
    if known is not None and not new and len(gone) == len(rows):
        book.remove(known)
        return book.result()
    for row in gone:
        book.remove(row)
    _insert(book, known, sorted(new))
    return book.result()


def _insert(book: Document, known: Element | None, new: Sequence[tuple[tuple[str, int], bytes]]) -> None:
    """Put new names among those that are there."""
    if known is None or known.is_empty:
        lines = b"".join(line for _, line in new)
        if known is not None:
            book.append(known, lines)
        elif new:
            prefix = book.root.prefix
            place = max(item.end for item in book.root.children if item.tag in BEFORE_NAMES)
            book.insert(place, b"<%sdefinedNames>%s</%sdefinedNames>" % (prefix, lines, prefix))
        return
    for key, line in new:
        after = next((row.start for row in known.children if _key(row) > key), known.inner_end)
        book.insert(after, line)


def _key(row: Element) -> tuple[str, int]:
    scope = row.attributes.get("localSheetId", "")
    return row.attributes.get("name", "").casefold(), int(scope) if scope.isdecimal() else -1
