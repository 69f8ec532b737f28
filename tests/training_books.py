"""Workbooks to train: written by XlsxWriter and read back from the file, as a person's would be."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xlsxwriter
from numpy.typing import NDArray

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.train.session import Session
from tests.shared_data import DATA

ROOT = Path(__file__).parent.parent

HOME = "Model"

Cells = Mapping[str, Any]
"""By range: a value, rows of values, `=formula` with `{r}` for the row that it stands in (written into every
cell of the range), or `{=formula}` over the range. A range on another sheet is written `Other!A1`."""


def write(path: Path, cells: Cells, names: Mapping[str, str], tables: Mapping[str, list[str]] | None = None) -> Path:
    """Write a workbook without saved values of formulas; names are HOME's, `tables` are headers by range."""
    with xlsxwriter.Workbook(str(path)) as book:
        sheets = {HOME: book.add_worksheet(HOME)}
        for reference, content in cells.items():
            area = parse_range(reference, HOME)
            if area.sheet not in sheets:
                sheets[area.sheet] = book.add_worksheet(area.sheet)
            corner = (area.top - 1, area.left - 1)
            if isinstance(content, str) and content.startswith("{="):
                end = (area.bottom - 1, area.right - 1)
                sheets[area.sheet].write_array_formula(*corner, *end, content, None, "")
                continue
            rows = _rows(content, area.height, area.width)
            for i, row in enumerate(rows):
                for j, item in enumerate(row):
                    place = (corner[0] + i, corner[1] + j)
                    if isinstance(item, str) and item.startswith("="):
                        sheets[area.sheet].write_formula(*place, item.replace("{r}", str(area.top + i)), None, "")
                    elif item is not None:
                        sheets[area.sheet].write(*place, item)
        for number, (reference, headers) in enumerate((tables or {}).items()):
            area = parse_range(reference, HOME)
            columns = [{"header": header} for header in headers]
            sheets[area.sheet].add_table(
                area.top - 1, area.left - 1, area.bottom - 1, area.right - 1,
                {"name": f"Table{number + 1}", "columns": columns},
            )  # fmt: skip
        for name, text in names.items():
            book.define_name(f"{HOME}!{name}", f"={absolute(text)}")
    return path


def _rows(content: Any, height: int, width: int) -> list[list[Any]]:
    if not isinstance(content, list):
        return [[content] * width for _ in range(height)]
    return [row if isinstance(row, list) else [row] for row in content]


def absolute(text: str) -> str:
    """`A1:B2,D3` as `Model!$A$1:$B$2,Model!$D$3`."""
    parts = []
    for area in (parse_range(part, HOME) for part in text.split(",")):
        corners = area.a1.split(":")
        digits = [next(i for i, letter in enumerate(corner) if letter.isdigit()) for corner in corners]
        dollars = [f"${corner[:d]}${corner[d:]}" for corner, d in zip(corners, digits, strict=True)]
        parts.append(f"{area.sheet}!" + ":".join(dollars))
    return ",".join(parts)


def workbook(folder: Path, cells: Cells, names: Mapping[str, str], **more: Any) -> Workbook:
    """A workbook from a real file."""
    return FileHost(write(folder / "book.xlsx", cells, names, **more)).read()


def model(folder: Path, cells: Cells, names: Mapping[str, str], **more: Any) -> SheetModel:
    return sgdsheet.compile(workbook(folder, cells, names, **more))


def losses(trained: SheetModel, **options: Any) -> list[float]:
    """The loss before each step."""
    return [step.loss for step in Session(trained, **options)]


def values(trained: SheetModel) -> list[float]:
    """The parameters, cell by cell."""
    return list(trained.parameter_cells().values())


def put(trained: SheetModel, numbers: Sequence[Any]) -> None:
    """Set the parameter ranges."""
    with torch.no_grad():
        for (_, tensor), new in zip(trained.ranges(), numbers, strict=True):
            tensor.copy_(torch.as_tensor(new, dtype=tensor.dtype).reshape(tensor.shape))


# --- sheets ---------------------------------------------------------------------------------------------


FOURTH_POWER = "=(A1^2-9)^2"


def fourth_power(folder: Path, start: float) -> SheetModel:
    """(x² - 9)²."""
    return model(folder, {"A1": start, "A2": FOURTH_POWER}, {"sgd_loss": "A2", "sgd_params": "A1"})


def polynomial(
    folder: Path,
    x: Sequence[float],
    y: Sequence[float],
    init: Sequence[float],
    *,
    error: str = "=(E{r}-D{r})^2",
    pooled: str = "=AVERAGE(F4:F{last})",
    valid: Sequence[bool] = (),
    extra: Mapping[str, str] | None = None,
) -> SheetModel:
    """A polynomial in x: coefficients in row 1 from K on, x in C, y in D, prediction in E, error in F."""
    degree, last = len(init) - 1, len(x) + 3
    end = parse_range("K1", HOME)._replace(right=10 + len(init))
    row = f"$K$1:${end.a1.split(':')[-1].rstrip('1')}$1"
    powers = "{" + ",".join(str(power) for power in range(degree, -1, -1)) + "}"
    cells: dict[str, Any] = {
        "K1": [list(init)],
        f"C4:C{last}": [[float(item)] for item in x],
        f"D4:D{last}": [[float(item)] for item in y],
        f"E4:E{last}": f"=SUMPRODUCT({row},C{{r}}^{powers})",
        f"F4:F{last}": error,
        "B1": pooled.replace("{last}", str(last)),
    }
    names = {"sgd_loss": "B1", "sgd_params": row.replace("$", ""), "sgd_data": f"C4:F{last}", **(extra or {})}
    if valid:
        cells[f"G4:G{last}"] = [[bool(item)] for item in valid]
        names["sgd_valid"] = f"G4:G{last}"
    return model(folder, cells, names)


def line(folder: Path, x: Sequence[float], y: Sequence[float], start: tuple[float, float], **more: Any) -> SheetModel:
    """y = slope x + intercept, mean squared error."""
    return polynomial(folder, x, y, start, **more)


# --- Titanic --------------------------------------------------------------------------------------------


def titanic_features() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 12 columns of the well-known notebook, not yet divided by their maxima, and who survived."""
    with (DATA / "titanic.csv").open(newline="", encoding="utf-8") as stream:
        people = list(csv.DictReader(stream))
    modes = {}
    for column in ("Age", "Embarked"):
        counts = Counter(person[column] for person in people if person[column])
        modes[column] = counts.most_common(1)[0][0]
    rows = []
    for person in people:
        filled = {**person, **{key: person[key] or mode for key, mode in modes.items()}}
        rows.append(
            [
                float(filled["Age"]),
                float(filled["SibSp"]),
                float(filled["Parch"]),
                math.log1p(float(filled["Fare"])),
            ]
            + [float(filled["Sex"] == item) for item in ("male", "female")]
            + [float(filled["Pclass"] == item) for item in "123"]
            + [float(filled["Embarked"] == item) for item in "CQS"]
        )
    return np.array(rows), np.array([float(person["Survived"]) for person in people])
