"""The texts that the add-in is made of: the folder addin/ of the repository, which is packed into the wheel."""

from __future__ import annotations

from pathlib import Path

from sgdsheet.errors import FileError

_PACKED = Path(__file__).parent / "sources"
_CHECKOUT = Path(__file__).parents[3] / "addin"

DOCUMENTS = ("ThisWorkbook", "Sheet1")
"""The modules that belong to the workbook and to its sheet."""

MODULES = ("SgdBridge", "SgdRibbon", "SgdSheet", "SgdCells", "SgdWindows")
"""The modules that are used as they are."""


def source(name: str) -> str:
    """One text, such as `vba/SgdRibbon.bas`."""
    folder = _PACKED if _PACKED.is_dir() else _CHECKOUT
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError:
        raise FileError(f"sgdsheet lacks its file addin/{name}", remedy="Install sgdsheet again") from None
