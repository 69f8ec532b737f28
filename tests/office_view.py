"""What a person, or a screen reader, finds in LibreOffice's window in front. Runs under LibreOffice's own Python: PIPE.

Answers requests on its standard input, one a line, until it ends, each by a line of JSON; null where that cannot be
told now, as while the window is still being built. One process for all: to start one takes longer than to look.

["shown"]: the buttons and texts, a list of name, kind, middle on the screen, and whether it is enabled, from the top of
the window down. ["cell", row, column]: where a cell is on the screen, and whether a bar of ours is on top of the sheet.
"""

import json
import os
import sys

import uno
from com.sun.star.accessibility.AccessibleRole import LABEL, MENU_BAR, PUSH_BUTTON, STATIC
from com.sun.star.accessibility.AccessibleStateType import ENABLED

KINDS = {LABEL: "text", STATIC: "text", PUSH_BUTTON: "button"}


def shown(desktop):
    """Each look into an object takes its time: menus, which have thousands of entries, and cells are left out."""
    found, todo = [], [desktop.getCurrentFrame().getContainerWindow().AccessibleContext]
    while todo:
        item = todo.pop(0)
        role = item.AccessibleRole
        if role in KINDS and (name := item.AccessibleName):
            place, size = item.getLocationOnScreen(), item.getSize()
            if size.Width and size.Height:
                states = item.getAccessibleStateSet()
                enabled = states.contains(ENABLED) if hasattr(states, "contains") else bool(states & ENABLED)
                middle = [place.X + size.Width // 2, place.Y + size.Height // 2]
                found.append([name, KINDS[role], middle, enabled])
        if role != MENU_BAR and (count := item.AccessibleChildCount) < 100:
            children = [item.getAccessibleChild(number) for number in range(count)]
            todo += [child.AccessibleContext for child in children if child is not None]
    return sorted(found, key=lambda item: item[2][1])


def cell(desktop, row, column):
    document = desktop.getCurrentComponent()
    area = document.CurrentController.VisibleAreaOnScreen
    found = document.Sheets.getByIndex(0).getCellByPosition(column - 1, row - 1)
    visible = document.CurrentController.VisibleRange
    assert (visible.StartColumn, visible.StartRow) == (0, 0), visible
    per_pixel = 2540 / 96
    x = area.X + (found.Position.X + found.Size.Width / 4) / per_pixel
    y = area.Y + (found.Position.Y + found.Size.Height / 2) / per_pixel
    return {"place": [int(x), int(y)], "bar": document.CurrentController.hasInfobar("sgdsheet")}


def main(pipe):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        try:
            found = {"shown": shown, "cell": cell}[what](desktop, *arguments)
        except Exception:
            found = None
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # UNO may crash at Python's own end
