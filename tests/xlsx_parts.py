"""Hand-made workbooks for the tests of the file host: every byte of a part is under the test's control."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_RELATIONSHIPS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
RELATIONSHIPS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


_SAVED = re.compile(rb"(<f\b[^>]*?(?:/>|>[^<]*</f>))<v>[^<]*</v>")


def without_values(path: Path, target: Path) -> None:
    """A copy without the saved values of formulas."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, _SAVED.sub(rb"\1", data) if name.startswith("xl/worksheets/sheet") else data)


def sheet(rows: str = "", before: str = "", after: str = "", namespace: str = MAIN) -> str:
    """A worksheet part around the rows."""
    data = f"<sheetData>{rows}</sheetData>"
    return f'<worksheet xmlns="{namespace}">{before}{data}{after}</worksheet>'


def relationships(*items: tuple[str, str], base: str = RELATIONSHIPS) -> str:
    """A .rels part from (type, target) pairs; their ids are rId1, rId2, …"""
    lines = (
        f'<Relationship Id="rId{index}" Type="{base}/{kind}" Target="{target}"/>'
        for index, (kind, target) in enumerate(items, start=1)
    )
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{package}">{"".join(lines)}</Relationships>'


def parts(
    *sheets: str | bytes,
    book: str = "",
    before: str = "",
    strings: str | None = None,
    metadata: str | None = None,
    namespace: str = MAIN,
    base: str = RELATIONSHIPS,
) -> dict[str, str | bytes]:
    """All parts of a workbook; the sheets are called S1, S2, …"""
    tabs = "".join(f'<sheet name="S{i}" sheetId="{i}" r:id="rId{i}"/>' for i in range(1, len(sheets) + 1))
    links = [("worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(sheets) + 1)]
    content = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{TYPES}.worksheet+xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    found: dict[str, str | bytes] = {
        "[Content_Types].xml": (
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Default Extension="rels" ContentType="{RELATIONSHIPS_TYPE}"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>{content}</Types>'
        ),
        "_rels/.rels": relationships(("officeDocument", "xl/workbook.xml"), base=base),
        "xl/workbook.xml": (
            f'<workbook xmlns="{namespace}" xmlns:r="{base}">{before}<sheets>{tabs}</sheets>{book}</workbook>'
        ),
    }
    for index, text in enumerate(sheets, start=1):
        found[f"xl/worksheets/sheet{index}.xml"] = text
    if strings is not None:
        links.append(("sharedStrings", "sharedStrings.xml"))
        found["xl/sharedStrings.xml"] = f'<sst xmlns="{namespace}">{strings}</sst>'
    if metadata is not None:
        links.append(("sheetMetadata", "metadata.xml"))
        found["xl/metadata.xml"] = metadata
    found["xl/_rels/workbook.xml.rels"] = relationships(*links, base=base)
    return found


def zipped(content: Mapping[str, str | bytes]) -> bytes:
    """The parts as a zip archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def book_file(folder: Path, *sheets: str | bytes, name: str = "book.xlsx", **options: Any) -> Path:
    """A hand-made workbook on disk."""
    path = folder / name
    path.write_bytes(zipped(parts(*sheets, **options)))
    return path


def member(path: Path, name: str = "xl/worksheets/sheet1.xml") -> bytes:
    """A decompressed member of a package."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def with_part(path: Path, name: str, content: bytes) -> Path:
    """A file with another content of one part."""
    with zipfile.ZipFile(path) as package:
        contents = {part: package.read(part) for part in package.namelist()}
    assert name in contents
    path.write_bytes(zipped({**contents, name: content}))
    return path


def openpyxl_book(path: Path, *, values: bool = False) -> Any:
    """The workbook as openpyxl reads it; its warnings are about features that do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(path, data_only=values)
