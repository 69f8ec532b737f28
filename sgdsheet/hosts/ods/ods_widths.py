"""Give columns of an OpenDocument spreadsheet another width, and leave every other byte as it is."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.xlsx.edit import ATTRIBUTE, PartEditor, Span
from sgdsheet.hosts.xlsx.xml import Part

_STYLES = f"{odf.OFFICE} automatic-styles"
_COLUMN = f"{odf.TABLE} table-column"
_SPACES = (
    b' xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
    b' xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"'
)


def with_widths(part: Part, widths: Mapping[str, Mapping[int, int]]) -> bytes:
    """The content with columns of these widths in pixels, by sheet and column. Raises FileError."""
    editor = _Editor(part, widths)
    editor.run()
    return editor.result()


class _Editor(PartEditor):
    """Writes the columns apart that stand in the file together, and gives them styles of their own."""

    def __init__(self, part: Part, widths: Mapping[str, Mapping[int, int]]) -> None:
        super().__init__(part)
        self._widths = widths
        self._wanted: Mapping[int, int] = {}
        self._tables, self._next = 0, 1
        self._styles: Span | None = None
        self._has_styles = False
        self._open: tuple[Span, int, int] | None = None
        self._used = {pixels for own in widths.values() for pixels in own.values()}

    def run(self) -> None:
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        self._walk()
        if not self._has_styles:
            raise self._part.error("has no styles of its own")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == _STYLES:
            self._styles = self._here()
        elif tag == odf.SHEET:
            self._tables += 1
            if self._tables == 1:
                self._wanted, self._next = self._widths.get(attributes.get(odf.NAME, ""), {}), 1
        elif tag == _COLUMN and self._tables == 1:
            count = max(1, int(attributes.get(odf.COLUMNS_REPEATED, "1")))
            self._open = self._here(), self._next, count
            self._next += count

    def _end(self, tag: str) -> None:
        if tag == _STYLES and self._styles is not None:
            self._close(self._styles)
            self.append(self._styles, b"".join(map(self._style, sorted(self._used))))
            self._has_styles = True
        elif tag == odf.SHEET:
            self._tables -= 1
        elif tag == _COLUMN and self._open is not None:
            span, first, count = self._open
            self._close(span)
            self._open = None
            inside = sorted(column for column in self._wanted if first <= column < first + count)
            if inside:
                self.replace(span.start, span.end, self._apart(span, first, count, inside))

    def _apart(self, span: Span, first: int, count: int, inside: list[int]) -> bytes:
        pieces, position = [], first
        for column in inside:
            if column > position:
                pieces.append(self._column(span, column - position, None))
            pieces.append(self._column(span, 1, self._wanted[column]))
            position = column + 1
        if position < first + count:
            pieces.append(self._column(span, first + count - position, None))
        return b"".join(pieces)

    def _column(self, span: Span, count: int, pixels: int | None) -> bytes:
        """A column element for so many columns, with a width if it is a new one."""
        prefix = span.prefix
        gone = {prefix + b"number-columns-repeated"}
        if pixels is not None:
            gone |= {prefix + b"style-name", prefix + b"visibility"}
        tag = ATTRIBUTE.sub(lambda match: b"" if match[1] in gone else match[0], self.source(span))
        tag = tag.removesuffix(b"/>" if span.is_empty else b">").rstrip()
        if pixels is not None:
            tag += b' %sstyle-name="%s"' % (prefix, _name(pixels))
        if count > 1:
            tag += b' %snumber-columns-repeated="%d"' % (prefix, count)
        return tag + b"/>"

    def _style(self, pixels: int) -> bytes:
        return (
            b'<style:style%s style:name="%s" style:family="table-column">'
            b'<style:table-column-properties style:column-width="%.4fin"/></style:style>'
        ) % (_SPACES, _name(pixels), pixels / 96)


def _name(pixels: int) -> bytes:
    return b"sgd%d" % pixels
