"""What the add-in has to know of the installed xlwings: its version, and how VBA reaches its Python server.

Nothing of xlwings' own VBA is embedded. Its public functions could be called by a formula in any workbook, it asks
the workbook's own sheets and folder which Python to run, and it passes the workbook's name through a shell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from sgdsheet.errors import SgdSheetError

_FILE = "xlwings/xlwings_custom_addin.bas"
_INSTALL = 'Run: pip install "sgdsheet[excel]"'

# Our own call of the server is written for an xlwings whose VBA has these lines, each of them just once.
_EXPECTED = (
    r"""tail = " -B -c ""import sys, os;" & LicenseKeyEnvString & "import xlwings.utils;"""
    r'''xlwings.utils.prepare_sys_path(\""" & PYTHONPATH & "\"");import xlwings; xlwings.serve('$(CLSID)')"""''',
    'PYTHON_WIN = "cmd.exe " & ConsoleSwitch & " /K " & Chr(34) & Chr(34) & PYTHON_WIN & Chr(34)',
    "XLPyCommand = PYTHON_WIN & tail & Chr(34)",
    "If 0 <> XLPyDLLActivateAuto(XLPy, XLPyCommand, 1) Then Err.Raise 1000, Description:=XLPy",
    'If LoadLibrary(ParentFolder(PYTHON_WIN) + "\\" + XLPyDLLName) = 0 Then  \' Standard installation',
    'If LoadLibrary(ParentFolder(ParentFolder(PYTHON_WIN)) + "\\" + XLPyDLLName) = 0 Then  \' Virtualenv',
)
_DECLARATION = re.compile(
    r"^ *(?:Private )?Declare PtrSafe Function XLPyDLLActivateAuto"
    r' Lib "xlwings(?P<bits>32|64)-(?P<version>[0-9.]+)\.dll"'
    r' \(ByRef Result As Variant, Optional ByVal Config As String = "", Optional ByVal mode As Long = 1\) As Long$',
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The version of xlwings, and its declarations of the function that starts the server."""

    version: str
    declare64: str
    declare32: str


def installed_bridge() -> Bridge:
    """What the installed xlwings offers. SgdSheetError if there is none, or one that is different."""
    try:
        found = distribution("xlwings")
        text = found.read_text(f"../{_FILE}")
    except PackageNotFoundError:
        raise SgdSheetError("xlwings is not installed", remedy=_INSTALL) from None
    if text is None:
        raise SgdSheetError(f"xlwings {found.version} lacks its file {_FILE}", remedy=_INSTALL)
    return read_bridge(text, found.version)


def read_bridge(text: str, version: str) -> Bridge:
    """Read the declarations, and refuse a text that differs where ours rests on it."""
    text = text.replace("\r\n", "\n")
    declarations = {match["bits"]: match for match in _DECLARATION.finditer(text)}
    good = all(text.count(line) == 1 for line in _EXPECTED) and set(declarations) == {"32", "64"}
    if not good or any(match["version"] != version for match in declarations.values()):
        raise SgdSheetError(
            f"xlwings {version} is one that this sgdsheet does not know: its Python server is started in another way",
            remedy='Run: pip install --upgrade sgdsheet "xlwings==0.37.*"',
        )
    private = {bits: "Private " + match[0].strip().removeprefix("Private ") for bits, match in declarations.items()}
    return Bridge(version, private["64"], private["32"])
