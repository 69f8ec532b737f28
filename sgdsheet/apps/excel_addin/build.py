"""The add-in from its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgdsheet import __version__
from sgdsheet.apps.excel_addin.generated import functions, ribbon, tables
from sgdsheet.apps.excel_addin.project import Module, vba_project
from sgdsheet.apps.excel_addin.texts import DOCUMENTS, MODULES, source
from sgdsheet.apps.excel_addin.xlam import xlam
from sgdsheet.apps.excel_addin.xlwings_bridge import installed_bridge

PROJECT_NAME = "sgdsheet"


def vba_modules(declarations: Sequence[Mapping[str, Any]], examples: Mapping[str, str]) -> list[Module]:
    """All modules of the add-in, for the installed xlwings."""
    bridge = installed_bridge()
    return [
        *(Module(name, source(f"vba/{name}.cls"), document=True) for name in DOCUMENTS),
        *(Module(name, source(f"vba/{name}.bas")) for name in MODULES),
        Module("SgdTables", tables(bridge, examples)),
        Module("SgdFunctions", functions(bridge, declarations)),
    ]


def build(declarations: Sequence[Mapping[str, Any]], examples: Mapping[str, str]) -> bytes:
    """The bytes of `sgdsheet.xlam`. `declarations` as in `apps.udf.declarations`; `examples` have descriptions."""
    modules = vba_modules(declarations, examples)
    lines = [f"sgdsheet {__version__}", "Made by: sgdsheet addin build"]
    return xlam(ribbon(examples), vba_project(PROJECT_NAME, modules), lines)
