"""A `Workbook` as an .xlsx file without saved results, so that whoever opens it has to calculate."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import address
from sgdsheet.sheet.workbook import ExcelError, Formula, Sheet, Value, Workbook
from tests.fuzz.grammar import prefixed

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def write(workbook: Workbook, path: Path, *, results: dict[str, dict[tuple[int, int], Value]] | None = None) -> None:
    """The workbook as a package; formulas have no saved value unless `results` has one."""
    strings: dict[str, int] = {}
    names = list(workbook.sheets)
    parts = {
        f"xl/worksheets/sheet{number}.xml": _sheet(workbook.sheets[name], strings, (results or {}).get(name, {}))
        for number, name in enumerate(names, 1)
    }
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{TYPES}.worksheet+xml"/>'
        for number in range(1, len(names) + 1)
    )
    tabs = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(names, 1)
    )
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{LINKS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(names) + 1)
    )
    parts |= {
        "[Content_Types].xml": (
            f'<Types xmlns="{PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
            f'<Override PartName="/xl/sharedStrings.xml" ContentType="{TYPES}.sharedStrings+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{TYPES}.styles+xml"/>{overrides}</Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{tabs}</sheets>{_names(workbook)}</workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships">{links}'
            f'<Relationship Id="rId{len(names) + 1}" Type="{LINKS}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="rId{len(names) + 2}" Type="{LINKS}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/sharedStrings.xml": (
            f'<sst xmlns="{MAIN}" count="{len(strings)}" uniqueCount="{len(strings)}">'
            + "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in strings)
            + "</sst>"
        ),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
            '<fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
            '<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs>'
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
        ),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in parts.items():
            package.writestr(name, HEAD + text)


def _names(workbook: Workbook) -> str:
    sheets = list(workbook.sheets)
    found = []
    for item in workbook.names:
        scope = f' localSheetId="{sheets.index(item.sheet)}"' if item.sheet is not None else ""
        found.append(f"<definedName name={quoteattr(item.name)}{scope}>{escape(item.text)}</definedName>")
    return f"<definedNames>{''.join(found)}</definedNames>" if found else ""


def _sheet(sheet: Sheet, strings: dict[str, int], results: dict[tuple[int, int], Value]) -> str:
    rows: dict[int, list[str]] = {}
    for row, column in sorted({**sheet.values, **sheet.formulas}):
        formula, value = sheet.formulas.get((row, column)), sheet.values.get((row, column))
        if formula is not None:
            value = results.get((row, column))
        rows.setdefault(row, []).append(_cell(row, column, formula, value, strings))
    data = "".join(f'<row r="{row}">{"".join(cells)}</row>' for row, cells in rows.items())
    return f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData></worksheet>'


def _cell(row: int, column: int, formula: Formula | None, value: Value | None, strings: dict[str, int]) -> str:
    kind, text = "", ""
    if isinstance(value, bool):
        kind, text = ' t="b"', str(int(value))
    elif isinstance(value, str):
        kind, text = (
            (' t="str"', escape(value)) if formula else (' t="s"', str(strings.setdefault(value, len(strings))))
        )
    elif isinstance(value, ExcelError):
        kind, text = ' t="e"', escape(str(value))
    elif value is not None:
        text = repr(value)
    written = ""
    if formula is not None:
        array = ""
        if formula.array is not None:
            top, left, bottom, right = formula.array
            array = f' t="array" ref="{address(top, left)}:{address(bottom, right)}"'
        written = f"<f{array}>{escape(prefixed(formula_text(formula, row, column)))}</f>"
    saved = f"<v>{text}</v>" if value is not None else ""
    return f'<c r="{address(row, column)}"{kind}>{written}{saved}</c>'
