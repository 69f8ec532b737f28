"""What a screen reader finds in the window in front: buttons and texts. Run under LibreOffice's own Python: PIPE.

Prints JSON, a list of name, kind, middle on the screen, and whether it is enabled, from the top of the window down.
"""

import json
import os
import sys

import uno
from com.sun.star.accessibility.AccessibleRole import LABEL, PUSH_BUTTON, STATIC
from com.sun.star.accessibility.AccessibleStateType import ENABLED

KINDS = {LABEL: "text", STATIC: "text", PUSH_BUTTON: "button"}


def shown(window):
    """Menu entries have no place while they are closed, and are left out."""
    found, todo = [], [window.AccessibleContext]
    while todo:
        item = todo.pop(0)
        if item.AccessibleName and item.AccessibleRole in KINDS:
            place, size = item.getLocationOnScreen(), item.getSize()
            if size.Width and size.Height:
                states = item.getAccessibleStateSet()
                enabled = states.contains(ENABLED) if hasattr(states, "contains") else bool(states & ENABLED)
                middle = [place.X + size.Width // 2, place.Y + size.Height // 2]
                found.append([item.AccessibleName, KINDS[item.AccessibleRole], middle, enabled])
        if item.AccessibleChildCount < 100:  # not the cells
            children = [item.getAccessibleChild(number) for number in range(item.AccessibleChildCount)]
            todo += [child.AccessibleContext for child in children if child is not None]
    return sorted(found, key=lambda item: item[2][1])


def main(pipe):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    print(json.dumps(shown(desktop.getCurrentFrame().getContainerWindow())))


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # UNO may crash at Python's own end
