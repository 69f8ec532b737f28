"""What a person sees of a sheet. Runs under LibreOffice's Python, for tests that click.

office_view.py PIPE ROW COLUMN prints where the cell is on the screen, and whether a bar of ours is on top of the sheet.
"""

import json
import os
import sys

import uno


def main(pipe, row, column):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    office = resolver.resolve("uno:pipe,name=" + pipe + ";urp;StarOffice.ComponentContext")
    desktop = office.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", office)
    document = desktop.getCurrentComponent()
    area = document.CurrentController.VisibleAreaOnScreen
    cell = document.Sheets.getByIndex(0).getCellByPosition(int(column) - 1, int(row) - 1)
    visible = document.CurrentController.VisibleRange
    assert (visible.StartColumn, visible.StartRow) == (0, 0), visible
    per_pixel = 2540 / 96
    x = area.X + (cell.Position.X + cell.Size.Width / 4) / per_pixel
    y = area.Y + (cell.Position.Y + cell.Size.Height / 2) / per_pixel
    print(json.dumps({"place": [int(x), int(y)], "bar": document.CurrentController.hasInfobar("sgdsheet")}))
    sys.stdout.flush()
    os._exit(0)  # UNO may crash at Python's own end


main(*sys.argv[1:])
