"""Put values into the content of an OpenDocument spreadsheet and leave every other byte as it is.

Cells and rows that are alike stand in the file once, with a number. Where one of them changes, they are written apart:
those before it, the one, and those behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sgdsheet.hosts.book_file import Names
from sgdsheet.hosts.cell_edit import Change, Changes, Cleared, Constant, FormulaEdit, value_of
from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.xlsx.edit import ATTRIBUTE, PartEditor, Span, attribute
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

_VALUES = (odf.TYPE, odf.VALUE, odf.DATE, odf.TIME, odf.BOOLEAN, odf.STRING, odf.EXTENDED_TYPE)
_FORMULAS = (odf.FORMULA, odf.EXCELS_DECLARED, odf.MATRIX_ROWS, odf.MATRIX_COLUMNS)


def patch_content(
    part: Part,
    changes: Changes,
    names: Names,
    report: bytes | None = None,
    old_report: str | None = None,
) -> bytes:
    """The content with these changes by sheet, and with these names.

    Formulas that are not edited stay. `report` is a whole sheet to put behind the others, or in the place of the sheet
    `old_report`.
    """
    patcher = _Patcher(part, changes, names, report, old_report)
    patcher.run()
    return patcher.result()


@dataclass(slots=True)
class _CellSpan:
    """A cell in the bytes, or `count` cells side by side; `paragraphs` are its own text."""

    span: Span
    column: int
    count: int
    attributes: dict[str, str]
    paragraphs: list[Span] = field(default_factory=list)
    depth: int = 0


@dataclass(slots=True)
class _RowSpan:
    """A row in the bytes, or `count` rows one below the other."""

    span: Span
    row: int
    count: int
    cells: list[_CellSpan] = field(default_factory=list)


class _Patcher(PartEditor):
    def __init__(
        self,
        part: Part,
        changes: Changes,
        names: Names,
        report: bytes | None,
        old_report: str | None,
    ) -> None:
        super().__init__(part)
        self._changes = {name: _by_row(values) for name, values in changes.items() if values}
        self._names: dict[str, dict[str, tuple[str, Sequence[Range]]]] = {}
        for (sheet, name), areas in names.items():
            self._names.setdefault(sheet, {})[name.casefold()] = name, areas
        self._report, self._old_report = report, old_report
        self._prefixes: dict[str, list[bytes]] = {odf.DECLARED: [b"xmlns"]}
        self._tables = 0
        self._wanted: dict[int, dict[int, Change]] = {}
        self._sheet_span: Span | None = None
        self._sheet_name = ""
        self._row_number = 1
        self._row: _RowSpan | None = None
        self._cell: _CellSpan | None = None
        self._paragraph: Span | None = None
        self._last_row: Span | None = None
        self._names_span: Span | None = None  # the list of the sheet's names
        self._name_span: Span | None = None  # a name that goes

    def run(self) -> None:
        self._parser.StartNamespaceDeclHandler = self._declared
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        self._walk()

    def _declared(self, prefix: str | None, uri: str) -> None:
        self._prefixes.setdefault(uri, []).append((prefix or "").encode())

    # --- elements ---

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        cell = self._cell
        if cell is not None:
            cell.depth += 1
            if cell.depth == 1 and tag == odf.PARAGRAPH:
                self._paragraph = self._here()
        elif tag == odf.SHEET:
            self._tables += 1
            if self._tables == 1:
                self._sheet_span, self._sheet_name = self._here(), attributes.get(odf.NAME, "")
                self._wanted, self._row_number = self._changes.pop(self._sheet_name, {}), 1
                self._names_span = None
        elif self._tables != 1:
            return
        elif tag == odf.NAMES:
            self._names_span = self._here()
        elif tag in (odf.NAMED_RANGE, odf.NAMED_EXPRESSION):
            if attributes.get(odf.NAME, "").casefold() in self._names.get(self._sheet_name, {}):
                self._name_span = self._here()
        elif not self._wanted:
            return
        elif tag == odf.ROW:
            count = int(attributes.get(odf.ROWS_REPEATED, "1"))
            span = self._here()
            self._row = _RowSpan(span, self._row_number, count)
            self._row_number += count
        elif tag in (odf.CELL, odf.COVERED) and self._row is not None:
            cells = self._row.cells
            column = cells[-1].column + cells[-1].count if cells else 1
            count = int(attributes.get(odf.COLUMNS_REPEATED, "1"))
            self._cell = _CellSpan(self._here(), column, count, attributes)

    def _end(self, tag: str) -> None:
        cell = self._cell
        if cell is not None and cell.depth:
            cell.depth -= 1
            if cell.depth == 0 and self._paragraph is not None:
                self._close(self._paragraph)
                cell.paragraphs.append(self._paragraph)
                self._paragraph = None
        elif cell is not None:
            self._close(cell.span)
            if self._row is not None:
                self._row.cells.append(cell)
            self._cell = None
        elif tag == odf.ROW and self._row is not None and self._tables == 1:
            self._close(self._row.span)
            self._end_row(self._row)
            self._last_row, self._row = self._row.span, None
        elif tag == odf.SHEET:
            self._tables -= 1
            if self._tables == 0:
                self._end_sheet()
        elif tag == odf.NAMES and self._names_span is not None and self._tables == 1:
            self._close(self._names_span)
        elif tag in (odf.NAMED_RANGE, odf.NAMED_EXPRESSION) and self._name_span is not None:
            self._close(self._name_span)
            self.replace(self._name_span.start, self._name_span.end, b"")
            self._name_span = None
        elif tag == odf.SPREADSHEET and self._report is not None and self._sheet_span is not None:
            self.insert(self._sheet_span.end, self._report)

    def _end_sheet(self) -> None:
        assert self._sheet_span is not None
        if self._wanted:
            if self._last_row is None:
                raise self._part.error("has a sheet without rows")
            self.insert(self._last_row.end, b"".join(self._new_rows(self._last_row)))
        self._close(self._sheet_span)
        self._wanted, self._last_row = {}, None
        self._add_names(self._sheet_span, self._names.pop(self._sheet_name, {}))
        if self._report is not None and self._sheet_name == self._old_report:
            self.replace(self._sheet_span.start, self._sheet_span.end, self._report)
            self._report = None

    def _add_names(self, sheet: Span, names: Mapping[str, tuple[str, Sequence[Range]]]) -> None:
        """Put names into the list of the sheet's own."""
        prefix = self._prefix(odf.TABLE)
        content = b"".join(self._named(name, areas, prefix) for name, areas in names.values() if areas)
        if content and self._names_span is not None:
            self.append(self._names_span, content)
        elif content:
            listed = b"<%snamed-expressions>%s</%snamed-expressions>" % (prefix, content, prefix)
            self.append(sheet, listed)

    def _named(self, name: str, areas: Sequence[Range], prefix: bytes) -> bytes:
        first = attribute(odf.place(areas[0]._replace(bottom=areas[0].top, right=areas[0].left)))
        head = b'%sname="%s" %sbase-cell-address="%s"' % (prefix, attribute(name), prefix, first)
        if len(areas) == 1:
            cells = attribute(odf.place(areas[0]))
            return b'<%snamed-range %s %scell-range-address="%s"/>' % (prefix, head, prefix, cells)
        union = attribute("~".join(f"[{odf.place(area)}]" for area in areas))
        return b'<%snamed-expression %s %sexpression="%s"/>' % (prefix, head, prefix, union)

    # --- rows and cells ---

    def _end_row(self, row: _RowSpan) -> None:
        """Edit a row; where it stands for several, write them apart."""
        last = row.row + row.count - 1
        numbers = sorted(number for number in self._wanted if row.row <= number <= last)
        if not numbers:
            return
        if row.count == 1:
            for start, end, content in self._cell_edits(row, self._wanted.pop(numbers[0])):
                self.replace(start, end, content)
            return
        pieces, position = [], row.row
        for number in numbers:
            if number > position:
                pieces.append(self._copy(row, number - position, []))
            pieces.append(self._copy(row, 1, self._cell_edits(row, self._wanted.pop(number))))
            position = number + 1
        if position <= last:
            pieces.append(self._copy(row, last - position + 1, []))
        self.replace(row.span.start, row.span.end, b"".join(pieces))

    def _copy(self, row: _RowSpan, count: int, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
        """The row, standing for so many, with edits."""
        pieces, position = [self._repeated(self.source(row.span), odf.ROWS_REPEATED, count)], row.span.tag_end
        for start, end, content in sorted(edits, key=lambda edit: edit[:2]):
            if start < position:  # `<row/>` was opened: its tag is replaced as a whole
                pieces[-1] = self._repeated(content, odf.ROWS_REPEATED, count)
                position = end
                continue
            pieces += (self._data[position:start], content)
            position = end
        return b"".join((*pieces, self._data[position : row.span.end]))

    def _cell_edits(self, row: _RowSpan, values: Mapping[int, Change]) -> list[tuple[int, int, bytes]]:
        edits = []
        waiting = dict(sorted(values.items()))
        for cell in row.cells:
            inside = [column for column in waiting if cell.column <= column < cell.column + cell.count]
            if inside:
                content = self._apart(cell, {column: waiting.pop(column) for column in inside})
                edits.append((cell.span.start, cell.span.end, content))
        if waiting:
            end = row.cells[-1].column + row.cells[-1].count if row.cells else 1
            content = self._new_cells(row.span, waiting, end)
            if row.span.is_empty:
                opening = self.source(row.span).removesuffix(b"/>").rstrip() + b">"
                edits.append((row.span.start, row.span.end, opening + content + b"</" + row.span.name + b">"))
            else:
                place = row.cells[-1].span.end if row.cells else row.span.inner_end
                edits.append((place, place, content))
        return edits

    def _apart(self, cell: _CellSpan, values: Mapping[int, Change]) -> bytes:
        """A cell with its new value; of several cells alike, those before it, it, and those behind it."""
        pieces, position, last = [], cell.column, cell.column + cell.count - 1

        def unchanged(count: int) -> bytes:
            tag = self._repeated(self.source(cell.span), odf.COLUMNS_REPEATED, count)
            return tag + self._data[cell.span.tag_end : cell.span.end]

        for column, new in values.items():
            if column > position:
                pieces.append(unchanged(column - position))
            pieces.append(self._with_value(cell, new))
            position = column + 1
        if position <= last:
            pieces.append(unchanged(last - position + 1))
        return b"".join(pieces)

    def _with_value(self, cell: _CellSpan, new: Change) -> bytes:
        span, value = cell.span, value_of(new)
        edited = isinstance(new, Constant | FormulaEdit | Cleared)
        gone = (*_VALUES, odf.COLUMNS_REPEATED, *(_FORMULAS if edited else ()))
        tag = self._without(self.source(span), gone)
        tag = tag.removesuffix(b"/>" if span.is_empty else b">").rstrip() + self._formula(new)
        if value is not None:
            tag += self._typed(new) or self._value_attributes(
                value, cell.attributes.get(odf.TYPE, ""), extended=odf.EXTENDED_TYPE in cell.attributes
            )
        text = b"" if value is None else self._paragraphs(odf.shown(value))
        if span.is_empty:
            return tag + (b">" + text + b"</" + span.name + b">" if text else b"/>")
        pieces, position = [tag + b">"], span.tag_end
        for paragraph in cell.paragraphs:
            pieces += (self._data[position : paragraph.start], text)
            position, text = paragraph.end, b""
        return b"".join((*pieces, self._data[position : span.inner_end], text, self._data[span.inner_end : span.end]))

    def _value_attributes(self, value: Value, old: str = "", *, extended: bool) -> bytes:
        office = self._prefix(odf.OFFICE)
        kind = odf.value_type(value)
        is_error = isinstance(value, ExcelError)
        if kind == "float" and old in odf.NUMBERS:
            kind = old
        found = b' %svalue-type="%s"' % (office, kind.encode())
        if isinstance(value, bool):
            found += b' %sboolean-value="%s"' % (office, b"true" if value else b"false")
        elif isinstance(value, (str, ExcelError)):
            text = "" if is_error else str(value)
            found += b' %sstring-value="%s"' % (office, attribute(text))
        else:
            found += b' %svalue="%s"' % (office, odf.number(value).encode())
        if extended or (is_error and self._prefixes.get(odf.EXTENSION)):
            kind = "error" if is_error else kind
            found += b' %svalue-type="%s"' % (self._prefix(odf.EXTENSION), kind.encode())
        return found

    def _formula(self, change: Change) -> bytes:
        """The attributes of a formula that is put into a cell: in Excel's notation, as Excel writes it there."""
        if not isinstance(change, FormulaEdit):
            return b""
        text = attribute(f"{odf.EXCELS_PREFIX}:={change.text}")
        space = b' xmlns:%s="%s"' % (odf.EXCELS_PREFIX.encode(), odf.EXCELS.encode())
        return b'%s %sformula="%s"' % (space, self._prefix(odf.TABLE), text)

    def _typed(self, change: Change) -> bytes:
        """The attributes of a date, time or percentage that was typed; a cell without a format shows it as such."""
        found = odf.typed(change.value, change.number_format) if isinstance(change, Constant) else None
        if found is None:
            return b""
        kind, name, text = found
        office, local = self._prefix(odf.OFFICE), name.rpartition(" ")[2].encode()
        return b' %svalue-type="%s" %s%s="%s"' % (office, kind.encode(), office, local, text.encode())

    def _paragraphs(self, text: str) -> bytes:
        prefix = self._prefix(odf.TEXT)
        found = []
        for line in text.split("\n"):
            body = attribute(line).replace(b"&#9;", b"<%stab/>" % prefix)
            while b"  " in body:  # several spaces would be read as one
                body = body.replace(b"  ", b" <%ss/>" % prefix)
            found.append(b"<%sp>%s</%sp>" % (prefix, body, prefix))
        return b"".join(found)

    def _new_rows(self, near: Span) -> Iterable[bytes]:
        """The rows below the last one that stands in the file."""
        tag = near.prefix + b"table-row"
        position = self._row_number
        for number, values in sorted(self._wanted.items()):
            if number > position:
                gap = self._repeated(b"<%s>" % tag, odf.ROWS_REPEATED, number - position)
                yield gap + b"<%stable-cell/></%s>" % (near.prefix, tag)
            yield b"<%s>%s</%s>" % (tag, self._new_cells(near, values, 1), tag)
            position = number + 1

    def _new_cells(self, near: Span, values: Mapping[int, Change], position: int) -> bytes:
        """Cells behind the last one that stands in a row; `position` is the first free column."""
        pieces, tag = [], near.prefix + b"table-cell"
        for column, new in values.items():
            value, attributes, text = value_of(new), self._formula(new), b""
            if value is None and not attributes:
                continue
            if column > position:
                pieces.append(self._repeated(b"<%s/>" % tag, odf.COLUMNS_REPEATED, column - position))
            if value is not None:
                attributes += self._typed(new) or self._value_attributes(value, extended=False)
                text = self._paragraphs(odf.shown(value))
            pieces.append(b"<%s%s>%s</%s>" % (tag, attributes, text, tag))
            position = column + 1
        return b"".join(pieces)

    # --- tags ---

    def _prefix(self, namespace: str) -> bytes:
        found = self._prefixes.get(namespace)
        if not found:
            raise self._part.error(f"does not use the names of {namespace}")
        return found[0] + b":" if found[0] else b""

    def _without(self, tag: bytes, names: Sequence[str]) -> bytes:
        """A start tag without some attributes."""
        gone = {
            prefix + b":" + name.rpartition(" ")[2].encode()
            for name in names
            for prefix in self._prefixes.get(name.rpartition(" ")[0], ())
        }
        return ATTRIBUTE.sub(lambda match: b"" if match[1] in gone else match[0], tag)

    def _repeated(self, tag: bytes, name: str, count: int) -> bytes:
        """A start tag that stands for so many."""
        tag = self._without(tag, (name,))
        if count == 1:
            return tag
        namespace, _, local = name.rpartition(" ")
        end = len(tag) - (2 if tag.endswith(b"/>") else 1)
        return tag[:end].rstrip() + b' %s%s="%d"' % (self._prefix(namespace), local.encode(), count) + tag[end:]


def _by_row(values: Mapping[Position, Change]) -> dict[int, dict[int, Change]]:
    found: dict[int, dict[int, Change]] = {}
    for (row, column), change in sorted(values.items(), key=lambda item: item[0]):
        found.setdefault(row, {})[column] = change
    return found
