"""SGD_PREDICT: the model of another workbook, on inputs of one's own.

The model file is an .xlsx workbook that sgdsheet trained: it holds formulas and numbers, no code, so that a
workbook from a stranger that names a file can at worst show numbers of it. `sgd_output` names the cells with
the prediction; its inputs are the cells of `sgd_input`, or of the one `sgd_input_<field>` that the prediction reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sgdsheet.apps.udf.calls import Grid
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.errors import DataError, FileError, ProblemError, quoted
from sgdsheet.sheet.defined_names import areas_of, name_text
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Workbook

_ENDINGS = (".xlsx", ".xlsm")
_NETWORK = re.compile(r"[\\/]{2}|[a-z][a-z0-9+.-]+:[\\/]{2}", re.IGNORECASE)
_CHUNK = 1024
_MOST_KEPT = 8


@dataclass(frozen=True, slots=True)
class Predictor:
    """The formulas between the inputs and the predictions of a workbook."""

    inputs: Range
    outputs: Range
    program: Callable[[Tensor], Tensor]

    def predict(self, grid: Grid) -> Grid:
        """One row of predictions per row of inputs; for a range like the model's own inputs, one like its outputs."""
        shape = (len(grid), len(grid[0]))
        alone = shape == (self.inputs.height, self.inputs.width)
        if not alone and shape[1] != self.inputs.size:
            raise DataError(
                f"the inputs are {shape[0]}x{shape[1]} cells, and the model reads {self.inputs}",
                remedy=f"Give it {self.inputs.height}x{self.inputs.width} cells, or {self.inputs.size} in each row",
            )
        numbers = torch.tensor([_number(value) for row in grid for value in row], dtype=torch.float64)
        own = [size for size in (self.inputs.height, self.inputs.width) if size > 1]
        batch = numbers.reshape(1 if alone else shape[0], *own)
        with torch.no_grad():
            run = torch.func.vmap(self.program, chunk_size=_CHUNK)
            found = run(batch).reshape(-1, self.outputs.width if alone else self.outputs.size)
        return [[_shown(number) for number in row] for row in found.tolist()]


def _number(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise DataError(f"an input is {quoted(str(value))} and not a number", remedy="Give it numbers")


def _shown(number: float) -> float | ExcelError:
    finite = number - number == 0
    return number if finite else ExcelError.NUM


def compile_predictor(workbook: Workbook) -> Predictor:
    """Compile what a workbook names `sgd_output`."""
    found = [name for name in workbook.sheets if name_text(workbook, name, "sgd_output") is not None]
    if len(found) != 1:
        raise ProblemError(
            f"the workbook {workbook.name} has {'several sheets' if found else 'no sheet'} with the name sgd_output",
            remedy="Give the name sgd_output to the cells with the prediction",
        )
    outputs = _named(workbook, found[0], "sgd_output")
    inputs, plan = _inputs(workbook, found[0], outputs)
    program = build_program(workbook, [], plan, inputs={"inputs": inputs}, dtype=torch.float64)
    return Predictor(inputs, outputs, _module(program, outputs))


def _module(program: Program, outputs: Range) -> Callable[[Tensor], Tensor]:
    value = program.regions.read(outputs)
    if value.constant:
        raise ProblemError("the prediction does not depend on the inputs", cell=outputs, remedy="Name other cells")
    if value.has(Kind.TEXT):
        raise ProblemError("the prediction is text", cell=outputs, remedy="Name cells that hold numbers")
    builder = program.builder
    stored: Value = builder.stored(value)
    whole = builder.expanded(stored, "rc", (outputs.height, outputs.width)) if stored.axes != "rc" else stored
    return program.module(whole.data)


def _inputs(workbook: Workbook, sheet: str, outputs: Range) -> tuple[Range, Plan]:
    """The cells that are replaced, and the formulas between them and the outputs."""
    names = [item.name.casefold() for item in workbook.names]
    wanted = [name for name in dict.fromkeys(names) if name == "sgd_input" or name.startswith("sgd_input_")]
    read, planner = [], planner_of(workbook, ())
    for name in ["sgd_input"] if "sgd_input" in wanted else wanted:
        if name_text(workbook, sheet, name) is None:
            continue
        area = _named(workbook, sheet, name)
        plan = planner.among([area]).plan([outputs])
        if plan.live:
            read.append((area, plan))
    if len(read) != 1:
        raise ProblemError(
            f"the predictions {outputs} read {'several of the' if read else 'none of the'} cells named sgd_input…",
            remedy="Give the name sgd_input to the cells with the inputs of the prediction",
        )
    return read[0]


def _named(workbook: Workbook, sheet: str, name: str) -> Range:
    text = name_text(workbook, sheet, name)
    areas = areas_of(workbook, text or "", sheet, f"the name {name} on sheet {sheet}")
    if len(areas) > 1:
        raise ProblemError(f"the name {name} has several areas", cell=areas[1], remedy="Point it to one range")
    return areas[0]


def checked_path(text: object) -> Path:
    """The file that a cell names: a full path on this machine. A look at a network path would send a log-in."""
    if not isinstance(text, str) or not text.strip():
        raise FileError("no model file is named", remedy="Give the full path of an .xlsx workbook")
    if _NETWORK.match(text.strip()):
        raise FileError(f"{quoted(text)} is not on this machine", remedy="Copy the workbook to this machine")
    path = Path(text.strip()).expanduser()
    if path.suffix.lower() not in _ENDINGS:
        raise FileError(f"{quoted(text)} is no model file", remedy="A model file is an .xlsx workbook")
    if not path.is_absolute():
        raise FileError(f"{quoted(text)} is not a full path", remedy="Write it with its folder")
    return path


@dataclass(slots=True)
class Predictors:
    """The compiled models of files, until the files change. `load` reads a workbook."""

    load: Callable[[Path], Workbook]
    compilations: int = 0
    _kept: dict[tuple[Path, int, int], Predictor] = field(default_factory=dict)

    def predict(self, text: object, inputs: Grid) -> Grid:
        """What the model in a file predicts."""
        path = checked_path(text)
        try:
            state = path.stat()
        except OSError as error:
            raise FileError(f"there is no file {quoted(str(path))}", remedy="Check the path") from error
        key = (path, state.st_mtime_ns, state.st_size)
        predictor = self._kept.pop(key, None)
        if predictor is None:
            self.compilations += 1
            predictor = compile_predictor(self.load(path))
        self._kept[key] = predictor
        for old in _oldest(list(self._kept), _MOST_KEPT):
            del self._kept[old]
        return predictor.predict(inputs)


def _oldest(keys: Sequence[tuple[Path, int, int]], most: int) -> Sequence[tuple[Path, int, int]]:
    return keys[: max(0, len(keys) - most)]
