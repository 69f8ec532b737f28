"""Tells the add-in's ribbon in Excel what the trainer is doing with a workbook. Without the add-in, nothing happens."""

from __future__ import annotations

import logging

import xlwings as xw

from sgdsheet.hosts.excel.busy import Trouble, restrain_xlwings, trouble_of
from sgdsheet.hosts.excel.installed_addin import run

log = logging.getLogger("sgdsheet.hosts")


def show_state(book: str, where: str, state: str) -> bool:
    """Hand a state to the Excel that has the workbook, to all if `where` is empty; False if one is busy."""
    if xw.engines.active is None:
        return True
    restrain_xlwings()
    known = xw.apps.keys()
    told = [_tell(xw.apps[pid], state, book) for pid in known if where in ("", str(pid))]
    return all(told)


def _tell(app: xw.App, state: str, book: str) -> bool:
    try:
        run(app, "SgdState", state, book)
    except Exception as error:
        if trouble_of(error) is Trouble.BUSY:
            return False
        log.debug("the ribbon was not told: %s", error)  # the add-in is not there
    return True
