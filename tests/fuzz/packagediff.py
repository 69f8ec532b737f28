"""What differs between two packages beyond what training may change: cells' values, and the log sheet."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

_VALUE = re.compile(rb"<v/>|<v(?:\s[^>]*)?>.*?</v>|<is>.*?</is>", re.DOTALL)
_KIND = re.compile(rb'(<c\b[^>]*?)\s+t="[^"]*"')
_NOTHING = re.compile(rb'<c r="[A-Z]+[0-9]+"\s*(?:/>|></c>)')  # a cell that had no value, or did not exist
_NO_CELLS = re.compile(rb'<row r="[0-9]+"\s*(?:/>|></row>)')
_EMPTY_ROW = re.compile(rb"(<row\b[^>]*[^>/])></row>")
_NO_ROWS = re.compile(rb"(<sheetData)\s*(?:/>|></sheetData>)")
_EMPTY = re.compile(rb"(<c\b[^>]*[^>/])></c>")


_CELL = re.compile(rb'<((?:\w+:)?)c\b[^>]*?\br="([A-Z]+[0-9]+)"[^>]*?(?:/>|>.*?</\1c>)', re.DOTALL)
_EXTENT = re.compile(rb' spans="[0-9:]*"|(?<=dimension) ref="[A-Z0-9:]*"')


def differences(before: bytes, after: bytes, *, written: frozenset[str] | None = None) -> list[str]:
    """Names of members that are not the same; of worksheets, everything but cells' values and kinds counts."""
    old, new = zipfile.ZipFile(io.BytesIO(before)), zipfile.ZipFile(io.BytesIO(after))
    with old, new:
        names = [info.filename for info in old.infolist()]
        found = [f"{name} is new" for name in new.namelist() if name not in names]
        if [name for name in names if name in new.namelist()] != names:
            found.append("members are missing or in another order")
        for info in old.infolist():
            if info.filename not in new.namelist():
                continue
            one, two = _content(old, info.filename), _content(new, info.filename)
            if one == two:
                other = new.getinfo(info.filename)
                if (info.date_time, info.compress_type, info.external_attr) != (
                    other.date_time,
                    other.compress_type,
                    other.external_attr,
                ):
                    found.append(f"{info.filename} has another date or method")
            elif b"fullCalcOnLoad" in two and _without_mark(one) == _without_mark(two):
                continue
            elif "worksheets/" not in info.filename.casefold() or _bare(one) != _bare(_old_cells(one, two)):
                found.append(f"{info.filename} differs")
    return found


def _content(package: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes; why it cannot be read, where it was damaged before: it is copied as it is."""
    try:
        return package.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}".encode()


def _without_mark(data: bytes) -> bytes:
    """The workbook part without what asks for calculation: that may be added where a cell could not be calculated."""
    return re.sub(rb"<(\w+:)?calcPr\s*/>", b"", re.sub(rb'\s*fullCalcOnLoad="[^"]*"', b"", data))


def _old_cells(before: bytes, after: bytes) -> bytes:
    """A worksheet without the cells that were not there before, which have the formats of their rows and columns."""
    known = {match[2] for match in _CELL.finditer(before)}
    return _CELL.sub(lambda match: match[0] if match[2] in known else b"", after)


def _bare(data: bytes) -> bytes:
    """A worksheet without the values of its cells, without the cells' kinds that go with them, without cells that have
    neither value nor format (an array may have filled them), and without how far it reaches."""
    data = _EXTENT.sub(b"", data)
    bare = _NOTHING.sub(b"", _EMPTY.sub(rb"\1/>", _KIND.sub(rb"\1", _VALUE.sub(b"", data))))
    return _NO_ROWS.sub(rb"\1/>", _NO_CELLS.sub(b"", _EMPTY_ROW.sub(rb"\1/>", bare)))
