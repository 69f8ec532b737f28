"""Another process, which may hang or break: IronCalc calculates a file and says what the cells come to."""

from __future__ import annotations

import json
import sys

import ironcalc


def main() -> None:
    model = ironcalc.load_from_xlsx(sys.argv[1], "en", "UTC", "en")
    model.evaluate()
    found = []
    for sheet, row, column in _cells(model):
        value = model.get_cell_value(sheet, row, column)
        if model.get_cell_type(sheet, row, column) == ironcalc.CellType.ErrorValue:
            value = {"error": str(value)}
        found.append((sheet, row, column, value))
    print()
    print(json.dumps(found))


def _cells(model):  # type: ignore[no-untyped-def]
    for sheet in range(len(model.get_worksheets_properties())):
        first_row, last_row, first_column, last_column = model.get_sheet_dimensions(sheet)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                if not model.is_empty_cell(sheet, row, column):
                    yield sheet, row, column


if __name__ == "__main__":
    main()
