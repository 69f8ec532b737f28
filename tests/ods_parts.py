"""Hand-made .ods files for tests: every byte of the content is under the test's control."""

from __future__ import annotations

import zipfile
from pathlib import Path

_NAMES = "urn:oasis:names:tc:opendocument:xmlns"
ROOT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content '
    + " ".join(f'xmlns:{name}="{_NAMES}:{name}:1.0"' for name in ("office", "table", "text"))
    + ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    + ' xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"><office:body><office:spreadsheet>'
)
END = "</office:spreadsheet></office:body></office:document-content>"
MIME = "application/vnd.oasis.opendocument.spreadsheet"


def content(rows: str, *, before: str = "", names: str = "", after: str = "", more: str = "") -> str:
    """The content with one sheet S1 of these rows; `names` belong to the sheet, `after` and `more` come behind it."""
    return f'{ROOT}{before}<table:table table:name="S1">{rows}{names}</table:table>{more}{after}{END}'


MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">'
    f'<manifest:file-entry manifest:full-path="/" manifest:version="1.3" manifest:media-type="{MIME}"/>'
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
)


def ods(path: Path, text: str, **parts: str) -> Path:
    """A file with this content. LibreOffice writes the type first, and does not compress it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", MIME, zipfile.ZIP_STORED)
        package.writestr("content.xml", text)
        for name, part in {"META-INF__manifest_xml": MANIFEST, **parts}.items():
            package.writestr(name.replace("__", "/").replace("_xml", ".xml"), part)
    return path


def content_of(path: Path) -> str:
    with zipfile.ZipFile(path) as package:
        return package.read("content.xml").decode()


def row(*cells: str, times: int = 1) -> str:
    repeated = f' table:number-rows-repeated="{times}"' if times > 1 else ""
    return f"<table:table-row{repeated}>{''.join(cells)}</table:table-row>"


def number(value: float | str, formula: str = "", more: str = "") -> str:
    """A cell with a number, as LibreOffice writes it."""
    start = f' table:formula="{formula}"' if formula else ""
    return (
        f'<table:table-cell{start} office:value-type="float" office:value="{value}" calcext:value-type="float"{more}>'
        f"<text:p>{value}</text:p></table:table-cell>"
    )


def empty(times: int = 1) -> str:
    return f'<table:table-cell table:number-columns-repeated="{times}"/>' if times > 1 else "<table:table-cell/>"
