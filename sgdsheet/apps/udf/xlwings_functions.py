"""The functions `SGD_…` for cells of Excel on Windows, called by xlwings' COM server. Made from the registry.

Each name of `udf.declarations` is a function of this module: whole ranges in, whole arrays out, which Excel spills.
What is wrong with one number is the text of an Excel error in its place (`#VALUE!`). What is wrong with a call is
one line of text, `#SGD! ` and the reason. The add-in's VBA wrapper turns both into true errors, so that no sum
passes over them, and shows the reason in the status bar; where a function is called without the wrapper, the reason
stands in the cell.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import xlwings as xw

from sgdsheet import __version__
from sgdsheet.apps.udf.calls import Grid, calculate
from sgdsheet.apps.udf.declarations import FAILURE, own_functions
from sgdsheet.apps.udf.gradient import Gradients, learning_rate, single_loss
from sgdsheet.apps.udf.prediction import Predictors
from sgdsheet.compiler.functions.registry import ArgumentKind, Function
from sgdsheet.errors import DataError, SgdSheetError, one_line
from sgdsheet.hosts import excel, file
from sgdsheet.sheet.references import Cell, Range, parse_range, split_areas
from sgdsheet.sheet.workbook import ExcelError, Value

Cells = list[list[Any]]
"""An array as xlwings has it."""

_ERRORS = {error.value: error for error in ExcelError}
_DAY_ZERO = datetime(1899, 12, 30)
_LOG = logging.getLogger(__name__)


def serial_number(*parts: Any, **others: Any) -> float:
    """A date as the number that Excel keeps for it; xlwings calls this with year, month, day, hour …"""
    others.pop("tzinfo", None)
    since = datetime(*parts[:7], **others) - _DAY_ZERO
    return since.days + (since.seconds + since.microseconds / 1e6) / 86_400


ARRAY_OPTIONS: dict[str, Any] = {"ndim": 2, "err_to_str": True, "dates": serial_number}
"""How xlwings reads the cells of an argument."""
REFERENCE_OPTIONS: dict[str, Any] = {"convert": xw.Range}

_gradients = Gradients()
_predictors = Predictors(file.load)


def to_grid(cells: Cells) -> Grid:
    """An argument as xlwings gives it: errors come as text, and some numbers as other types."""
    return [[_value(item) for item in row] for row in cells]


def _value(item: Any) -> Value | None:
    if item is None or isinstance(item, (bool, float)):
        return item
    if isinstance(item, str):
        return _ERRORS.get(item, item)
    if isinstance(item, (int, Decimal)):  # Decimal is a number in a currency format
        return float(item)
    raise DataError(f"an argument holds a {type(item).__name__}", remedy="Give it numbers")


def to_cells(grid: Grid) -> Cells:
    """A result as xlwings takes it."""
    return [[str(item) if isinstance(item, ExcelError) else item for item in row] for row in grid]


def answer(name: str, arguments: Sequence[Any]) -> Cells | str:
    """Call a function for a cell. Never raises: a failure is the text of its reason."""
    try:
        handler = _HANDLERS.get(name)
        return to_cells(handler(*arguments) if handler is not None else _calculated(name, arguments))
    except SgdSheetError as error:
        return FAILURE + one_line(str(error))
    except Exception as error:  # a person must not see a traceback in a cell
        _LOG.exception("%s failed", name)
        return FAILURE + one_line(f"{name} failed unexpectedly: {type(error).__name__}: {error}")


def _calculated(name: str, arguments: Sequence[Cells | None]) -> Grid:
    given = list(arguments)
    while given and given[-1] is None:
        given.pop()
    return calculate(name, [None if item is None else to_grid(item) for item in given])


def area_of(cells: xw.Range | None, what: str) -> Range:
    """The cells that a reference means."""
    if cells is None:
        raise DataError(f"{what} has to be a reference to cells", remedy="Point it to cells of the workbook")
    areas = split_areas(cells.address)
    if len(areas) != 1:
        raise DataError(f"{what} has several areas", remedy="Point it to one range")
    return parse_range(areas[0], cells.sheet.name)


def _open_book(loss: xw.Range | None, params: xw.Range | None) -> tuple[excel.ExcelHost, Cell, Range]:
    """The workbook of the two references, ready to be read in the middle of a recalculation."""
    target, area = area_of(loss, "the loss"), area_of(params, "the parameters")
    assert loss is not None
    assert params is not None
    cell = single_loss(target)
    book = loss.sheet.book
    if params.sheet.book.fullname != book.fullname:
        raise DataError("loss and parameters are in two workbooks", remedy="Keep them in one workbook")
    host = excel.connect(book.fullname, str(book.app.pid))
    host.recalculates = False  # Excel calls us because it is recalculating: to wait for the end would be for ever
    return host, cell, area


def _grad(loss: xw.Range | None, params: xw.Range | None) -> Grid:
    host, cell, area = _open_book(loss, params)
    return [list(row) for row in _gradients.gradient(host, cell, area)]


def _step(params: xw.Range | None, loss: xw.Range | None, lr: Cells | None = None) -> Grid:
    host, cell, area = _open_book(loss, params)
    rate = learning_rate(to_grid(lr) if lr is not None else None)
    return [list(row) for row in _gradients.step(host, area, cell, rate)]


def _predict(path: Cells, inputs: Cells) -> Grid:
    return _predictors.predict(to_grid(path)[0][0], to_grid(inputs))


_HANDLERS: dict[str, Callable[..., Grid]] = {
    "SGD_GRAD": _grad,
    "SGD_STEP": _step,
    "SGD_PREDICT": _predict,
    "SGD_VERSION": lambda: [[__version__]],
}


def function_for_excel(declared: Function) -> Callable[..., Cells | str]:
    """The function that xlwings calls, with the names, the converters and the help of its declaration."""

    def udf(*arguments: Any) -> Cells | str:
        return answer(declared.name, arguments)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    udf.__name__ = udf.__qualname__ = declared.name
    udf.__doc__ = declared.help
    udf.__annotations__ = {}  # xlwings would take them for converters
    udf.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(item.name, kind, default=None if item.optional else inspect.Parameter.empty)
            for item in declared.described
        ]
    )
    made = xw.ret("raw")(xw.func(category="sgdsheet")(udf))  # rows of plain values already, or a text
    for item in declared.described:
        options = REFERENCE_OPTIONS if item.kind is ArgumentKind.REFERENCE else ARRAY_OPTIONS
        made = xw.arg(item.name, doc=item.help, **options)(made)
    return made


globals().update({item.name: function_for_excel(item) for item in own_functions()})
