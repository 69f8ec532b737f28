"""sgdsheet: a spreadsheet's ordinary formulas as a PyTorch module, trained by gradient descent.

    import sgdsheet
    book  = sgdsheet.load("titanic.xlsx")
    model = sgdsheet.compile(book, sheet="nnet")        # a torch.nn.Module; model() is the loss
    for step in sgdsheet.Session(model, optimizer="adam", lr=0.01, steps=500): ...

The stages, in the order in which a workbook passes through them:

    hosts       read a workbook from where it lives, and write values back at the end
    sheet       the workbook as plain data: cells, formulas, names
    problem     what to minimise by changing which cells, and how
    compiler    formulas as blocks, blocks as torch operations, all of them as a torch.nn.Module
    data        samples in batches, from the sheet's rows or from a file
    train       optimizers, restarts, constraints, checkpoints, the log
    analysis    checking, diagnosis, the loss surface; plots: pictures of them
    live        training in an open spreadsheet
    apps        what a person calls: the command line, the add-ins, functions in cells

Importing this package does not import torch; the first use of `compile` or `Session` does.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
"""What type checkers take for true. `typing` itself takes longer to be imported than the rest of this module."""

if TYPE_CHECKING:
    from typing import Any

    from sgdsheet.analysis.diagnosis import Finding as Finding
    from sgdsheet.analysis.diagnosis import diagnose as diagnose
    from sgdsheet.analysis.diagnosis import explain_rise as explain_rise
    from sgdsheet.compiler.model import SheetModel as SheetModel
    from sgdsheet.compiler.model import compile as compile
    from sgdsheet.errors import SgdSheetError as SgdSheetError
    from sgdsheet.hosts.file import FileHost as FileHost
    from sgdsheet.hosts.file import load as load
    from sgdsheet.plots.animation import animate as animate
    from sgdsheet.plots.surface import surface as surface
    from sgdsheet.train.session import Session as Session

__version__ = "0.1.0"

_HOMES = {
    "Finding": "sgdsheet.analysis.diagnosis",
    "diagnose": "sgdsheet.analysis.diagnosis",
    "explain_rise": "sgdsheet.analysis.diagnosis",
    "SgdSheetError": "sgdsheet.errors",
    "FileHost": "sgdsheet.hosts.file",
    "load": "sgdsheet.hosts.file",
    "SheetModel": "sgdsheet.compiler.model",
    "compile": "sgdsheet.compiler.model",
    "animate": "sgdsheet.plots.animation",
    "surface": "sgdsheet.plots.surface",
    "Session": "sgdsheet.train.session",
}

__all__ = [
    "FileHost",
    "Finding",
    "Session",
    "SgdSheetError",
    "SheetModel",
    "__version__",
    "animate",
    "compile",
    "diagnose",
    "explain_rise",
    "load",
    "surface",
]


def __getattr__(name: str) -> Any:
    """Import on first use: `import sgdsheet` has to be instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sgdsheet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
