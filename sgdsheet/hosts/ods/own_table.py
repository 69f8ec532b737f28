"""The sheets of ours in an .ods file: the rows of a log, a report or a live command, without charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sgdsheet.analysis.reporting.page import Page, laid_out
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.book_file import TrainingLog
from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.xlsx.edit import attribute
from sgdsheet.hosts.xlsx.own_sheet import MARK
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.logbook import COLUMNS, number

_SPACES = (("table", odf.TABLE), ("office", odf.OFFICE), ("text", odf.TEXT))


def own_table(content: TrainingLog | Page | ReportSheet, name: str) -> bytes:
    """A whole sheet, which says itself what its prefixes stand for."""
    rows = _rows(content)
    width = max(map(len, rows), default=1)
    spaces = b"".join(b' xmlns:%s="%s"' % (prefix.encode(), space.encode()) for prefix, space in _SPACES)
    place = "$'" + name.replace("'", "''") + "'.$A$1"
    mark = (
        b"<table:named-expressions>"
        b'<table:named-range table:name="%s" table:base-cell-address="%s" table:cell-range-address="%s"/>'
        b"</table:named-expressions>"
    ) % (MARK.encode(), attribute(place), attribute(place))
    head = b'<table:table%s table:name="%s">' % (spaces, attribute(name))
    widths = b'<table:table-column table:number-columns-repeated="%d"/>' % max(width, 1)
    return b"".join((head, widths, *map(_row, rows), mark, b"</table:table>"))


def _rows(content: TrainingLog | Page | ReportSheet) -> Sequence[Sequence[Value | None]]:
    if isinstance(content, ReportSheet):
        return content.rows
    return laid_out(content).rows if isinstance(content, Page) else _log_rows(content)


def _log_rows(log: TrainingLog) -> list[list[Value | None]]:
    columns = [column for column in COLUMNS if any(number(record, column.field) is not None for record in log.records)]
    rows: list[list[Value | None]] = [[log.title], [], [column.label for column in columns]]
    rows += ([number(record, column.field) for column in columns] for record in log.records)
    rows.append([])
    rows += ([note] for note in log.notes)
    return rows


def _row(values: Iterable[Value | None]) -> bytes:
    cells = b"".join(map(_cell, values)) or b"<table:table-cell/>"
    return b"<table:table-row>%s</table:table-row>" % cells


def _cell(value: Value | None) -> bytes:
    if value is None:
        return b"<table:table-cell/>"
    text = attribute(odf.shown(value))
    kind = odf.value_type(value).encode() + b'"'
    if kind == b'float"':
        kind += b' office:value="%s"' % text
    elif kind == b'boolean"':
        kind += b' office:boolean-value="%s"' % text.lower()
    return b'<table:table-cell office:value-type="%s><text:p>%s</text:p></table:table-cell>' % (kind, text)
