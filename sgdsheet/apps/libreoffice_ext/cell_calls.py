"""Function calls from LibreOffice's cells: plain JSON in, plain JSON out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sgdsheet import __version__
from sgdsheet.apps.udf.calls import Grid, calculate
from sgdsheet.apps.udf.gradient import Gradients, learning_rate, single_loss
from sgdsheet.apps.udf.prediction import Predictors
from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.hosts.file import load
from sgdsheet.hosts.libreoffice import Channel, LibreOfficeHost
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook


class CalculatingHost(LibreOfficeHost):
    """A workbook that is being calculated: read whole, it has formulas and constants, and no results yet."""

    def read(self) -> Workbook:
        workbook = super().read()
        for sheet in workbook.sheets.values():
            for position in [position for position, value in sheet.values.items() if value == ""]:
                del sheet.values[position]
        return workbook


class Calls:
    """Calculates functions; keeps what it compiled for the next recalculation."""

    def __init__(self, channel: Callable[[int], Channel]) -> None:
        self._channel = channel
        self._gradients = Gradients()
        self._predictors = Predictors(load)

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The reply to a call: rows of values, or what is wrong with it."""
        try:
            grid = self._calculate(message)
        except SgdSheetError as error:
            return {"ok": False, "error": _sentence(message["call"], str(error)), "value": "#VALUE!"}
        except Exception as error:  # one line for the person, whatever it is
            return {"ok": False, "error": f"sgdsheet failed: {type(error).__name__} ({error})", "value": "#VALUE!"}
        return {"ok": True, "value": [[_sent(value) for value in row] for row in grid]}

    def _calculate(self, message: dict[str, Any]) -> Grid:
        name, given = message["call"], message["arguments"]
        if name == "SGD_VERSION":
            return [[__version__]]
        if name == "SGD_GRAD":
            loss, params = (_area(argument) for argument in given)
            return _grid(self._gradients.gradient(self._host(message), single_loss(loss), params))
        if name == "SGD_STEP":
            params, loss = (_area(argument) for argument in given[:2])
            rate = learning_rate(_received(given[2]) if len(given) > 2 else None)
            return _grid(self._gradients.step(self._host(message), params, single_loss(loss), rate))
        arguments = [_received(argument) for argument in given]
        if name == "SGD_PREDICT":
            file, inputs = (argument or [[None]] for argument in arguments)
            return self._predictors.predict(file[0][0], inputs)
        return calculate(name, arguments)

    def _host(self, message: dict[str, Any]) -> LiveHost:
        return CalculatingHost(self._channel(message["id"]), message["book"])


def _sentence(name: str, error: str) -> str:
    """What is wrong, with the name of the function in front unless the sentence has it already."""
    return error if name in error else f"{name}: {error}"


def _grid(rows: Sequence[Sequence[float]]) -> Grid:
    return [list(row) for row in rows]


def _area(argument: Any) -> Range:
    if not isinstance(argument, dict):
        raise FormulaError("an argument is no reference", remedy="Give it cells, such as B2:B9")
    return Range(argument["sheet"], *argument["area"])


def _received(argument: Any) -> Grid | None:
    """Rows of values. Calc gives an empty cell as an empty text; which of both it was cannot be told."""
    if argument is None:
        return None
    rows = argument if isinstance(argument, list) else [[argument]]
    return [[_received_value(value) for value in row] for row in rows]


def _received_value(value: Any) -> Value | None:
    if isinstance(value, dict):
        return ExcelError(value["error"])
    return None if value == "" else value


def _sent(value: Any) -> Any:
    """A value as the office expects it: an error as an object with its name."""
    return {"error": value.value} if isinstance(value, ExcelError) else value
