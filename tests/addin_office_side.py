"""Runs under LibreOffice's Python: opens a macro workbook and calls procedures in it. Steps come and go as JSON.

A step is ["call", "Module.Procedure", arguments] or ["cell", sheet, address] or ["formula", sheet, address, text]
or ["wait", seconds].
"""

import json
import os
import sys
import time
from contextlib import suppress

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException
from com.sun.star.lang import DisposedException


def connected(pipe):
    context = uno.getComponentContext()
    resolver = context.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", context)
    for _ in range(300):
        try:
            return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException:
            time.sleep(0.1)
    raise SystemExit("the office does not start")


def option(name, value):
    result = PropertyValue()
    result.Name, result.Value = name, value
    return result


def main(pipe, url):
    context = connected(pipe)
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    always_macros = 4
    options = (
        option("Hidden", False),
        option("MacroExecutionMode", always_macros),
        option("FilterName", "Calc MS Excel 2007 VBA XML"),
    )
    document = desktop.loadComponentFromURL(url, "_blank", 0, options)
    scripts = document.getScriptProvider()
    results = []
    for step in json.load(sys.stdin):
        if step[0] == "call":
            address = f"vnd.sun.star.script:sgdsheet.{step[1]}?language=Basic&location=document"
            results.append(scripts.getScript(address).invoke(tuple(step[2]), (), ())[0])
            continue
        if step[0] == "wait":
            time.sleep(step[1])
            results.append(None)
            continue
        cell = document.Sheets.getByName(step[1]).getCellRangeByName(step[2])
        if step[0] == "formula":
            cell.Formula = step[3]
        results.append(cell.String)
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    document.close(True)
    with suppress(DisposedException):  # it may be gone before it has answered
        desktop.terminate()


main(*sys.argv[1:])
os._exit(0)  # UNO may crash at Python's own end
