"""A workbook with a model and one chart of each kind that is read."""

from __future__ import annotations

from pathlib import Path

import xlsxwriter

X = [0.0, 1.0, 2.0, 3.0, 4.0]
Y = [1.0, 3.0, 5.0, 7.0, 9.0]
"""y = 2x + 1."""

LOSS = sum((0.5 * x - y) ** 2 for x, y in zip(X, Y, strict=True)) / 5
"""With the slope 0.5 and the constant 0, as the workbook has them."""


def charted(path: Path, *, charts: bool = True, formula: str = "=$E$1*A{0}+$E$2") -> Path:
    """A straight line through points; `E1:E2` are its parameters, `E4` is its mean squared error."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("line & co")
        sheet.write_row("A1", ["x", "y", "fit", "slope", 0.5, "steps"])
        sheet.write_row("D2", ["constant", 0.0])
        for row, (x, y) in enumerate(zip(X, Y, strict=True), 2):
            sheet.write_row(f"A{row}", [x, y])
            sheet.write_formula(f"C{row}", formula.format(row), None, 0.5 * x)
        sheet.write_formula("E4", "=SUMXMY2(C2:C6,B2:B6)/5", None, LOSS)
        sheet.write_column("G2", ["a", "b", "c", "d", "e"])
        quoted = "'line & co'!"
        for name, area in {"sgd_loss": "$E$4", "sgd_params": "$E$1:$E$2"}.items():
            book.define_name(f"{quoted}{name}", f"={quoted}{area}")
        if charts:
            _draw(book, sheet, quoted)
    return path


def _draw(book: xlsxwriter.Workbook, sheet: xlsxwriter.worksheet.Worksheet, quoted: str) -> None:
    x, y, fit, words = (f"={quoted}${letter}$2:${letter}$6" for letter in "ABCG")
    scatter = book.add_chart({"type": "scatter"})
    scatter.add_series({"name": f"={quoted}$B$1", "categories": x, "values": y, "marker": {"type": "circle"}})
    line = {"color": "#1F6B48", "width": 2}
    scatter.add_series({"name": "fit", "categories": x, "values": fit, "line": line, "marker": {"type": "none"}})
    scatter.set_title({"name": "A line & its points"})
    scatter.set_x_axis({"name": f"={quoted}$A$1", "min": -1, "max": 5})
    scatter.set_y_axis({"name": "y", "reverse": True})
    lines = book.add_chart({"type": "line"})
    lines.add_series({"categories": words, "values": fit})
    bars = book.add_chart({"type": "bar", "subtype": "stacked"})
    for values in (y, fit):
        bars.add_series({"categories": words, "values": values, "fill": {"color": "#A02A38"}})
    columns = book.add_chart({"type": "column", "subtype": "percent_stacked"})
    columns.add_series({"categories": words, "values": y})
    columns.set_y_axis({"log_base": 10})
    still = book.add_chart({"type": "column"})
    still.add_series({"values": y})
    pie = book.add_chart({"type": "pie"})
    pie.add_series({"categories": words, "values": y, "points": [{"fill": {"color": "#A02A38"}}]})
    ring = book.add_chart({"type": "doughnut"})
    for values in (y, fit):
        ring.add_series({"categories": words, "values": values})
    for place, chart in enumerate((scatter, lines, bars, columns, still, pie, ring)):
        sheet.insert_chart(10 + 16 * place, 0, chart)
