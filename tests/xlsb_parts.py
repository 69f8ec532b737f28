"""A hand-made .xlsb: records of Excel's binary workbook format, as [MS-XLSB] describes them."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.xlsx_parts import RELATIONSHIPS, relationships, zipped

_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.bin" ContentType="application/vnd.ms-excel.worksheet"/></Types>'
)
ADD, MULTIPLY = b"\x03", b"\x05"


def record(kind: int, data: bytes = b"") -> bytes:
    """A record: its kind and its size in groups of seven bits, the lowest first, then its data."""
    return _groups(kind) + _groups(len(data)) + data


def _groups(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _groups(high) if high else bytes([low])


def text(content: str) -> bytes:
    """A string with its length before it."""
    return struct.pack("<I", len(content)) + content.encode("utf-16-le")


def reference(row: int, column: int) -> bytes:
    """A relative reference in a formula, as a token; row and column from 0."""
    return struct.pack("<BIH", 0x44, row, column | 0xC000)


def real(column: int, value: float) -> bytes:
    """A cell with a number."""
    return record(5, struct.pack("<IId", column, 0, value))


def formula(column: int, value: float, *tokens: bytes) -> bytes:
    """A cell with a formula in reverse Polish notation, and its saved value."""
    code = b"".join(tokens)
    head = struct.pack("<IIdH", column, 0, value, 0)
    return record(9, head + struct.pack("<I", len(code)) + code + struct.pack("<I", 0))


def xlsb(path: Path, *rows: tuple[bytes, ...]) -> Path:
    """A workbook with one sheet S of these rows of cells."""
    lines = b"".join(
        record(0, struct.pack("<IIHHBI", place, 0, 300, 0, 0, 0)) + b"".join(cells) for place, cells in enumerate(rows)
    )
    sheet = record(129) + record(145) + lines + record(146) + record(130)
    tabs = record(156, struct.pack("<II", 0, 1) + text("rId1") + text("S"))
    book = record(131) + record(143) + tabs + record(144) + record(132)
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": relationships(("officeDocument", "xl/workbook.bin"), base=RELATIONSHIPS),
        "xl/workbook.bin": book,
        "xl/_rels/workbook.bin.rels": relationships(("worksheet", "worksheets/sheet1.bin"), base=RELATIONSHIPS),
        "xl/worksheets/sheet1.bin": sheet,
    }
    path.write_bytes(zipped(parts))
    return path
