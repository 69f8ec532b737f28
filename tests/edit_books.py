"""Small workbooks with everything that stands around cells: tables, merged cells, formats, rules, links, comments."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime
from pathlib import Path
from random import Random

import openpyxl
import xlsxwriter
from openpyxl.comments import Comment
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font, PatternFill
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table

_FORMULA = re.compile(rb'(<c r="([A-Z]+)([0-9]+)"[^>]*>)<f>([^<]*)</f>')


def drawn(path: Path, chance: Random) -> Path:
    """A book as XlsxWriter makes it, whose formulas have their results; a column of them is shared."""
    rows = chance.randint(4, 12)
    with xlsxwriter.Workbook(path) as book:
        bold, date = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
        fill = book.add_format({"bg_color": "#FFEEAA"})
        page, other = book.add_worksheet("Data"), book.add_worksheet("my other's")
        page.set_column("K:L", 12, fill)
        page.set_row(rows + 3, 20, bold)
        page.write_row("A1", ["name", "x", "y", "product"], bold)
        for row in range(1, rows + 1):
            x, y = round(chance.uniform(-9, 9), 2), float(row)
            page.write_row(row, 0, [f"row {row} <&> “é”", x, y])
            page.write_formula(row, 3, f"=B{row + 1}*C{row + 1}", None, x * y)
            page.write_formula(row, 4, f"=D{row + 1}+$B$2", None, 0)
        page.write_datetime("H1", datetime(2026, 11, 29), date)
        page.write_array_formula("J2:J4", "{=B2:B4*2}", None, 0)
        page.merge_range("F10:G11", "merged", bold)
        other.add_table("B2:D5", {"name": "Tab", "data": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]})
        other.write_formula("G3", "=SUM(Tab[Column1])+Data!D2", None, 0)
        page.conditional_format("B2:B9", {"type": "3_color_scale"})
        page.conditional_format("C2:C9", {"type": "cell", "criteria": ">", "value": 3, "format": fill})
        page.data_validation("B2:B9", {"validate": "decimal", "criteria": "between", "minimum": -9, "maximum": 9})
        page.write_url("A20", "https://example.org/?a=1&b=2", string="a link")
        page.write_comment("B3", "a comment")
        page.freeze_panes(1, 1)
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=Data!$B$2:$B$5"})
        page.insert_chart("N2", chart)
        book.define_name("rate", "=Data!$B$2")
        book.define_name("Data!sgd_params", "=Data!$B$2:$B$3")
    return shared(path, "E")


def shared(path: Path, column: str) -> Path:
    """The book with the formulas of a column of its first sheet written once, as Excel does."""
    with zipfile.ZipFile(path) as package:
        parts = {info: package.read(info) for info in package.infolist()}

    def share(data: bytes) -> bytes:
        cells = [match for match in _FORMULA.finditer(data) if match[2] == column.encode()]
        first, last = cells[0], cells[-1]
        area = b"%s%s:%s%s" % (first[2], first[3], last[2], last[3])

        def written(match: re.Match[bytes]) -> bytes:
            if match[2] != column.encode():
                return match[0]
            if match[3] == first[3]:
                return match[1] + b'<f t="shared" ref="%s" si="0">%s</f>' % (area, match[4])
            return match[1] + b'<f t="shared" si="0"/>'

        return _FORMULA.sub(written, data)

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for info, data in parts.items():
            package.writestr(info, share(data) if info.filename == "xl/worksheets/sheet1.xml" else data)
    return path


def loaded(path: Path, chance: Random) -> Path:
    """A book as openpyxl makes it: formulas without results."""
    book = openpyxl.Workbook()
    page, other = book.worksheets[0], book.create_sheet("Other")
    page.title = "Data"
    for row in range(1, chance.randint(4, 12)):
        page.append([f"text {row}", chance.randint(-9, 9), row, f"=B{row}*C{row}", True, None, f'=Other!A{row}&"x"'])
    page["B2"].font, page["B3"].fill = Font(bold=True), PatternFill("solid", fgColor="FFEEAA")
    page.merge_cells("F10:H12")
    page.column_dimensions["K"].width = 22
    page.freeze_panes = "B2"
    italic = DifferentialStyle(font=Font(italic=True))
    page.conditional_formatting.add("B1:B9", Rule("cellIs", dxf=italic, operator="lessThan", formula=["0"]))
    rule = DataValidation(type="list", formula1='"a,b"')
    page.add_data_validation(rule)
    rule.add("L1:L5")
    page["A3"].hyperlink = "https://example.org/"
    page["A2"].comment = Comment("a comment", "somebody")
    for values in (["u", "v"], [1, 2], [3, 4]):
        other.append(values)
    other.add_table(Table(displayName="Tab", ref="A1:B3"))
    book.save(path)
    return path
