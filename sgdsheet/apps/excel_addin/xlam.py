"""The .xlam file around the VBA project, part for part like the add-in template of xlwings. Same text, same bytes."""

from __future__ import annotations

import io
import zipfile
from xml.sax.saxutils import escape

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OPC = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_OLDEST = (1980, 1, 1, 0, 0, 0)
_MADE = "1980-01-01T00:00:00Z"

_CONTENT_TYPES = {
    "xl/workbook.xml": "application/vnd.ms-excel.addin.macroEnabled.main+xml",
    "xl/worksheets/sheet1.xml": f"{_SHEET_TYPE}.worksheet+xml",
    "xl/styles.xml": f"{_SHEET_TYPE}.styles+xml",
    "xl/sharedStrings.xml": f"{_SHEET_TYPE}.sharedStrings+xml",
    "xl/vbaProject.bin": "application/vnd.ms-office.vbaProject",
    "docProps/app.xml": "application/vnd.openxmlformats-officedocument.extended-properties+xml",
    "docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
}


def xlam(ribbon: str, vba_project: bytes, lines: list[str]) -> bytes:
    """The add-in; `lines` stand in its only sheet, which nobody sees."""
    parts: dict[str, bytes] = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relationships(
            (f"{_OFFICE}/relationships/officeDocument", "xl/workbook.xml"),
            (f"{_OPC}/relationships/metadata/core-properties", "docProps/core.xml"),
            (f"{_OFFICE}/relationships/extended-properties", "docProps/app.xml"),
            ("http://schemas.microsoft.com/office/2007/relationships/ui/extensibility", "customUI/customUI14.xml"),
        ),
        "xl/workbook.xml": _workbook(),
        "xl/_rels/workbook.xml.rels": _relationships(
            (f"{_OFFICE}/relationships/worksheet", "worksheets/sheet1.xml"),
            (f"{_OFFICE}/relationships/styles", "styles.xml"),
            (f"{_OFFICE}/relationships/sharedStrings", "sharedStrings.xml"),
            ("http://schemas.microsoft.com/office/2006/relationships/vbaProject", "vbaProject.bin"),
        ),
        "xl/worksheets/sheet1.xml": _sheet(len(lines)),
        "xl/sharedStrings.xml": _strings(lines),
        "xl/styles.xml": _styles(),
        "xl/vbaProject.bin": vba_project,
        "customUI/customUI14.xml": ribbon.encode("utf-8"),
        "docProps/app.xml": _xml(
            f'<Properties xmlns="{_OFFICE}/extended-properties"><Application>Microsoft Excel</Application>'
            "<DocSecurity>0</DocSecurity><ScaleCrop>false</ScaleCrop><LinksUpToDate>false</LinksUpToDate></Properties>"
        ),
        "docProps/core.xml": _xml(
            f'<cp:coreProperties xmlns:cp="{_OPC}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"'
            ' xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            "<dc:title>SGD</dc:title><dc:creator>sgdsheet</dc:creator>"
            "<dc:description>Gradient descent in your spreadsheet</dc:description>"
            "<cp:lastModifiedBy>sgdsheet</cp:lastModifiedBy>"
            f'<dcterms:created xsi:type="dcterms:W3CDTF">{_MADE}</dcterms:created>'
            f'<dcterms:modified xsi:type="dcterms:W3CDTF">{_MADE}</dcterms:modified></cp:coreProperties>'
        ),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name, _OLDEST)
            info.create_system = 0  # the same on every platform
            info.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(info, data)
            info.external_attr = 0  # which writestr has set; the directory is written last
    return stream.getvalue()


def _xml(text: str) -> bytes:
    return (_HEAD + text).encode("utf-8")


def _content_types() -> bytes:
    defaults = {"rels": "application/vnd.openxmlformats-package.relationships+xml", "xml": "application/xml"}
    return _xml(
        f'<Types xmlns="{_OPC}/content-types">'
        + "".join(f'<Default Extension="{key}" ContentType="{value}"/>' for key, value in defaults.items())
        + "".join(f'<Override PartName="/{key}" ContentType="{value}"/>' for key, value in _CONTENT_TYPES.items())
        + "</Types>"
    )


def _relationships(*targets: tuple[str, str]) -> bytes:
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return _xml(f'<Relationships xmlns="{_OPC}/relationships">{rows}</Relationships>')


def _workbook() -> bytes:
    return _xml(
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}/relationships"><workbookPr codeName="ThisWorkbook"/>'
        '<bookViews><workbookView visibility="hidden" xWindow="0" yWindow="0" windowWidth="16000" windowHeight="9000"/>'
        "</bookViews>"
        '<sheets><sheet name="sgdsheet" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )


def _sheet(count: int) -> bytes:
    rows = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>{row - 1}</v></c></row>' for row in range(1, count + 1))
    return _xml(
        f'<worksheet xmlns="{_MAIN}"><sheetPr codeName="Sheet1"/><dimension ref="A1:A{count}"/>'
        '<sheetViews><sheetView tabSelected="1" workbookViewId="0"/></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
        f"<sheetData>{rows}</sheetData>"
        '<pageMargins left="0.7" right="0.7" top="0.75" bottom="0.75" header="0.3" footer="0.3"/></worksheet>'
    )


def _strings(lines: list[str]) -> bytes:
    items = "".join(f"<si><t>{escape(line)}</t></si>" for line in lines)
    return _xml(f'<sst xmlns="{_MAIN}" count="{len(lines)}" uniqueCount="{len(lines)}">{items}</sst>')


def _styles() -> bytes:
    return _xml(
        f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/>'
        '</fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
