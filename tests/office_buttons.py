"""Where the toolbar's buttons are on the screen. Run under LibreOffice's own Python: PIPE NAME…; prints JSON."""

import json
import os
import sys

import uno


def buttons(window, names):
    """The middle of each button, found as a screen reader finds it. Menu entries have no place while closed."""
    found, todo = {}, [window.AccessibleContext]
    while todo and len(found) < len(names):
        item = todo.pop(0)
        if item.AccessibleName in names and item.AccessibleChildCount == 0:
            place, size = item.getLocationOnScreen(), item.getSize()
            if size.Width and size.Height:
                found[item.AccessibleName] = [place.X + size.Width // 2, place.Y + size.Height // 2]
        if item.AccessibleChildCount < 100:  # not the cells
            children = [item.getAccessibleChild(number) for number in range(item.AccessibleChildCount)]
            todo += [child.AccessibleContext for child in children if child is not None]
    return found


def main(pipe, *names):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    print(json.dumps(buttons(desktop.getCurrentFrame().getContainerWindow(), names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # UNO may crash at Python's own end
