"""The add-in of this checkout, for the tests: its modules, its ribbon, its file."""

from __future__ import annotations

import warnings
from functools import cache

from sgdsheet.apps import examples
from sgdsheet.apps.excel_addin import build as building
from sgdsheet.apps.excel_addin.generated import ribbon
from sgdsheet.apps.excel_addin.project import Module
from sgdsheet.apps.udf.declarations import declarations

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # oletools uses names of pyparsing that are to go
    from oletools.olevba import VBA_Parser as VBA_Parser
    from oletools.olevba import decompress_stream as decompress_stream


@cache
def modules() -> dict[str, Module]:
    return {module.name: module for module in building.vba_modules(declarations(), examples.names())}


@cache
def ribbon_xml() -> str:
    return ribbon(examples.names())


@cache
def addin() -> bytes:
    return building.build(declarations(), examples.names())
