"""Workbooks as Excel's Solver leaves them: formulas and hidden `solver_*` names, written by XlsxWriter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter

from sgdsheet.compiler.model import SheetModel, compile
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import Workbook

SHEET = "Model"
MAX, MIN, VALUE = 1, 2, 3
AT_MOST, EQUAL, AT_LEAST, INTEGER, BINARY, ALL_DIFFERENT = 1, 2, 3, 4, 5, 6

Cells = Mapping[str, Any]
"""A value or formula by cell, or rows of them by the upper left cell."""


def solver_names(
    loss: str, params: str, kind: int, constraints: Sequence[tuple[str, int, Any]], **more: Any
) -> dict[str, str]:
    """Solver's names; in references without a sheet every `$` is put in."""
    names = {"solver_opt": _absolute(loss), "solver_adj": _absolute(params), "solver_typ": str(kind)}
    names["solver_num"] = str(len(constraints))
    for number, (left, relation, right) in enumerate(constraints, 1):
        names[f"solver_lhs{number}"] = _absolute(left)
        names[f"solver_rel{number}"] = str(relation)
        names[f"solver_rhs{number}"] = _absolute(right) if isinstance(right, str) else repr(right)
    return names | {f"solver_{name}": str(value) for name, value in more.items()}


def _absolute(text: str) -> str:
    parts = []
    for part in text.split(","):
        try:
            area = parse_range(part, SHEET)
        except Exception:
            return text  # not a reference: as it is
        corners = area.a1.split(":")
        digits = [next(i for i, letter in enumerate(corner) if letter.isdigit()) for corner in corners]
        parts.append(f"{area.sheet}!" + ":".join(f"${c[:d]}${c[d:]}" for c, d in zip(corners, digits, strict=True)))
    return ",".join(parts)


def write(path: Path, cells: Cells, names: Mapping[str, str]) -> Path:
    """Write the workbook; formulas get no useful saved value."""
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(SHEET)
        for reference, content in cells.items():
            start = parse_range(reference, SHEET)
            rows = content if isinstance(content, list) else [[content]]
            for i, row in enumerate(rows):
                for j, item in enumerate(row if isinstance(row, list) else [row]):
                    if item is not None:
                        sheet.write(start.top - 1 + i, start.left - 1 + j, item)
        for name, text in names.items():
            book.define_name(f"{SHEET}!{name}", f"={text}")
            book.defined_names[-1][3] = True  # hidden, as Solver's are
    return path


def workbook(
    folder: Path,
    cells: Cells,
    loss: str,
    params: str,
    kind: int = MIN,
    constraints: Sequence[tuple[str, int, Any]] = (),
    **more: Any,
) -> Workbook:
    """A workbook, written to a file and read back."""
    path = write(folder / "solver.xlsx", cells, solver_names(loss, params, kind, constraints, **more))
    return FileHost(path).read()


def model(folder: Path, *arguments: Any, **more: Any) -> SheetModel:
    """The compiled model of such a workbook."""
    return compile(workbook(folder, *arguments, **more))


# --- the models ---------------------------------------------------------------------------------------------

PRODUCT_MIX: dict[str, Any] = {
    "cells": {  # 3 x1 + 5 x2: 36 at (2, 6)
        "B1": [["doors", "windows"]],
        "B2": [[0, 0]],
        "B3": [[3, 5]],
        "B5": [[1, 0, "=SUMPRODUCT(B5:C5,B$2:C$2)", 4]],
        "B6": [[0, 2, "=SUMPRODUCT(B6:C6,B$2:C$2)", 12]],
        "B7": [[3, 2, "=SUMPRODUCT(B7:C7,B$2:C$2)", 18]],
        "B9": "=SUMPRODUCT(B3:C3,B2:C2)",
    },
    "loss": "B9",
    "params": "B2:C2",
    "kind": MAX,
    "constraints": [("D5:D7", AT_MOST, "E5:E7")],
}

_SUPPLY = [400.0, 300.0, 350.0]
_DEMAND = [[180.0, 210.0, 160.0, 230.0, 200.0]]
_COSTS = [[4.0, 6.0, 8.0, 10.0, 5.0], [7.0, 3.0, 5.0, 6.0, 9.0], [6.0, 8.0, 4.0, 3.0, 7.0]]

TRANSPORT: dict[str, Any] = {
    "cells": {
        "B2": _COSTS,
        "B6": [[0.0] * 5 for _ in range(3)],
        "G6": [["=SUM(B6:F6)"], ["=SUM(B7:F7)"], ["=SUM(B8:F8)"]],
        "H6": _SUPPLY,
        "B9": [[f"=SUM({c}6:{c}8)" for c in "BCDEF"]],
        "B10": _DEMAND,
        "B12": "=SUMPRODUCT(B2:F4,B6:F8)",
    },
    "loss": "B12",
    "params": "B6:F8",
    "constraints": [("G6:G8", AT_MOST, "H6:H8"), ("B9:F9", AT_LEAST, "B10:F10")],
}

_COVARIANCE = [
    [0.10, 0.02, 0.01, 0.00],
    [0.02, 0.08, 0.03, 0.01],
    [0.01, 0.03, 0.12, 0.02],
    [0.00, 0.01, 0.02, 0.05],
]

PORTFOLIO: dict[str, Any] = {
    "cells": {
        "A2": [0.25] * 4,
        "B2": [0.12, 0.10, 0.15, 0.06],
        "D2": _COVARIANCE,
        "B7": "=SUM(A2:A5)",
        "B8": "=SUMPRODUCT(A2:A5,B2:B5)",
        "B9": "=SUMPRODUCT(MMULT(D2:G5,A2:A5),A2:A5)",
    },
    "loss": "B9",
    "params": "A2:A5",
    "constraints": [("B7", EQUAL, 1), ("B8", AT_LEAST, 0.11)],
}

ROSENBROCK: dict[str, Any] = {  # inside the disk of radius sqrt(2): (1, 1); of radius 1: see the test
    "cells": {"A1": [[-1.2, 1.0]], "A2": "=(1-A1)^2+100*(B1-A1^2)^2", "A3": "=A1^2+B1^2", "A4": 1},
    "loss": "A2",
    "params": "A1:B1",
    "constraints": [("A3", AT_MOST, "A4")],
    "neg": 2,
}

HS71: dict[str, Any] = {
    "cells": {
        "A1": [[1, 5, 5, 1]],
        "A2": "=A1*D1*(A1+B1+C1)+C1",
        "A3": "=PRODUCT(A1:D1)",
        "A4": "=SUMSQ(A1:D1)",
    },
    "loss": "A2",
    "params": "A1:D1",
    "constraints": [("A3", AT_LEAST, 25), ("A4", EQUAL, 40), ("A1:D1", AT_LEAST, 1), ("A1:D1", AT_MOST, 5)],
}

BOX: dict[str, Any] = {  # an open box from 12 square metres: 2 x 2 x 1
    "cells": {"A1": [[1, 1, 1]], "A2": "=A1*B1*C1", "A3": "=A1*B1+2*A1*C1+2*B1*C1"},
    "loss": "A2",
    "params": "A1:C1",
    "kind": MAX,
    "constraints": [("A3", AT_MOST, 12)],
}

GOAL: dict[str, Any] = {
    "cells": {"A1": 0.01, "A2": "=50*(1+A1)^10"},
    "loss": "A2",
    "params": "A1",
    "kind": VALUE,
    "constraints": [("A1", AT_MOST, 1)],
    "val": 100,
}
