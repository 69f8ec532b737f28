"""Workbooks with what a person may have put beside a model: charts, tables, rules, arrays, hidden sheets."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import xlsxwriter
from openpyxl.chart import LineChart
from openpyxl.chart import Reference as ChartReference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import ColorScaleRule
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.formula import ArrayFormula
from openpyxl.worksheet.table import Table

from tests.cli_books import NAMES, SHEET, X, fill, line_cells
from tests.xlsx_parts import book_file, sheet

REPORT = {  # what depends on the parameters and is not on the way to the loss, on another sheet
    "A1": f"=SQRT({SHEET}!E4)",
    "A2": f'=IF({SHEET}!E1>1,"steep","flat")',
    "A3": f"={SHEET}!E1>1",
    "A4": f"=1/({SHEET}!E1-{SHEET}!E1)",
    "A5": f"=A1*2+SUM({SHEET}!C2:C6)",
    "A6": f"=MAX({SHEET}!D2:D6)",
    "A7": '=IFERROR(A4,"none")',
}


def picture() -> BytesIO:
    """A red square as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">2I5B", 8, 8, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xe0\x20\x20" * 8) * 8)
    return BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def by_xlsxwriter(path: Path) -> Path:
    """Charts, sparklines, a table, formats, validation, a picture, comments, hidden sheets, hidden names."""
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"created": datetime(2020, 1, 2, tzinfo=timezone.utc)})
        model, report = book.add_worksheet(SHEET), book.add_worksheet("Report")
        hidden, secret = book.add_worksheet("Hidden"), book.add_worksheet("Secret")
        report.activate()
        fill(model, line_cells())
        fill(report, REPORT)
        fill(hidden, {"A1": f"={SHEET}!$E$1*100", "B1": "a <b> & “c”"})
        fill(secret, {"A1": f"=Hidden!A1+{SHEET}!E4"})
        hidden.hide()
        secret.very_hidden()
        bold = book.add_format({"bold": True, "num_format": "0.000"})
        model.write_number("E1", 0.5, bold)
        model.write_comment("E1", "The slope", {"author": "Ada"})
        model.write_rich_string("G1", bold, "two", " styles")
        model.conditional_format("D2:D6", {"type": "data_bar"})
        model.conditional_format("C2:C6", {"type": "cell", "criteria": ">", "value": 5, "format": bold})
        model.data_validation("E2", {"validate": "decimal", "criteria": "between", "minimum": -9, "maximum": 9})
        model.insert_image("J1", "red.png", {"image_data": picture()})
        model.insert_textbox("J10", "A text box")
        model.add_sparkline("G2", {"range": f"{SHEET}!D2:D6"})
        chart = book.add_chart({"type": "scatter"})
        chart.add_series({"categories": f"={SHEET}!$A$2:$A$6", "values": f"={SHEET}!$C$2:$C$6"})
        model.insert_chart("J20", chart)
        columns = [{"header": "x"}, {"header": "line", "formula": f"=Lines[[#This Row],[x]]*{SHEET}!$E$1+{SHEET}!$E$2"}]
        report.add_table("C1:D6", {"name": "Lines", "columns": columns, "data": [[x] for x in X]})
        report.write("F1", "=SUM(Lines[line])")
        report.write_dynamic_array_formula("G1:G5", f"={SHEET}!A2:A6*{SHEET}!E1")
        report.write_array_formula("H1:H3", f"{{={SHEET}!A2:A4*{SHEET}!E2}}")
        report.write("I1", f"=SUMPRODUCT({SHEET}!A2:A6,{SHEET}!C2:C6)")
        report.freeze_panes(1, 0)
        for name, text in NAMES.items():
            book.define_name(f"{SHEET}!{name}", f"={text}")
        book.define_name("Slope", f"={SHEET}!$E$1")
        book.define_name("Secret!private", "=Secret!$A$1")
        book.defined_names[-1][3] = True
        report.write("I2", "=Slope*2")
    return path


def by_openpyxl(path: Path) -> Path:
    """The same kind of things as another library writes them, without saved values of formulas."""
    book = openpyxl.Workbook()
    model: Any = book.active
    model.title = SHEET
    for cell, content in line_cells().items():
        model[cell] = content[0] if isinstance(content, tuple) else content
    report = book.create_sheet("Report")
    for cell, content in REPORT.items():
        report[cell] = content
    report["C1"] = ArrayFormula("C1:C5", f"={SHEET}!A2:A6*{SHEET}!E1+{SHEET}!E2")
    book.create_sheet("Hidden")["A1"] = f"={SHEET}!E4+Report!A5"
    book["Hidden"].sheet_state = "hidden"
    model["E1"].comment = Comment("The slope", "Ada")
    validation = DataValidation(type="decimal", operator="greaterThan", formula1="-9")
    validation.add("E2")
    model.add_data_validation(validation)
    model.conditional_formatting.add(
        "D2:D6", ColorScaleRule(start_type="min", start_color="FFFFFF", end_type="max", end_color="FF0000")
    )
    model.merge_cells("G1:H2")
    model.add_table(Table(displayName="Points", ref="A1:B6"))
    chart = LineChart()
    chart.add_data(ChartReference(model, min_col=3, min_row=2, max_row=6))
    model.add_chart(chart, "J2")
    for name, text in NAMES.items():
        model.defined_names[name] = DefinedName(name, attr_text=text, hidden=True)
    book.save(path)
    return path


def by_hand(path: Path) -> Path:
    """Shared formulas, a flagged dynamic array, cells of all types, attributes that nobody reads."""
    rows = ['<row r="1" spans="1:5"><c r="A1" t="inlineStr"><is><t>x</t></is></c><c r="E1" s="0"><v>0.5</v></c></row>']
    for row, (x, y) in enumerate([(0, 1.1), (1, 2.9), (2, 5.2)], 2):
        area = ' ref="C2:C4"' if row == 2 else ""
        text = "$E$1*A2+$E$2" if row == 2 else ""
        blank = '<c r="E2"/>' if row == 2 else ""
        rows.append(
            f'<row r="{row}" foo="bar"><c r="A{row}"><v>{x}</v></c><c r="B{row}" t="n"><v>{y}</v></c>'
            f'<c r="C{row}"><f t="shared"{area} si="0">{text}</f><v>{0.5 * x}</v></c>'
            f'<c r="D{row}"><f>(C{row}-B{row})^2</f><v>{(0.5 * x - y) ** 2}</v></c>{blank}'
            f'<c r="G{row}" t="str"><f>C{row}*2</f><v>old</v></c></row>'
        )
    rows.append(
        '<row r="5"><c r="C5" cm="1"><f t="array" ref="C5:D5">A3:B3*E1</f><v>1</v></c><c r="D5"><v>1</v></c>'
        '<c r="E5"><f>SUM(D2:D4)</f></c><c r="F5" t="e"><f>1/(E5-E5)</f><v>#N/A</v></c></row>'
        '<row r="6"><c r="A6" t="b"><f>E1&gt;1</f><v>0</v></c><c r="B6" t="b"><v>1</v></c></row>'
    )
    names = "".join(
        f'<definedName name="{name}" localSheetId="0" hidden="1">S1!{area}</definedName>'
        for name, area in (("sgd_loss", "$E$5"), ("sgd_params", "$E$1:$E$2"))
    )
    metadata = (
        '<metadata xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
        ' xmlns:xda="http://schemas.microsoft.com/office/spreadsheetml/2017/dynamicarray">'
        '<metadataTypes count="1"><metadataType name="XLDAPR" minSupportedVersion="120000"/></metadataTypes>'
        '<futureMetadata name="XLDAPR" count="1"><bk><extLst>'
        '<ext uri="{bdbb8cdc-fa1e-496e-a857-3c3f30c029c3}">'
        '<xda:dynamicArrayProperties fDynamic="1" fCollapsed="0"/></ext></extLst></bk></futureMetadata>'
        '<cellMetadata count="1"><bk><rc t="1" v="0"/></bk></cellMetadata></metadata>'
    )
    text = sheet("".join(rows), after="<!-- the end -->")
    book = f"<definedNames>{names}</definedNames>"
    return book_file(path.parent, text, book=book, metadata=metadata, name=path.name)


GALLERY: dict[str, Callable[[Path], Path]] = {
    "xlsxwriter": by_xlsxwriter,
    "openpyxl": by_openpyxl,
    "hand": by_hand,
}
