"""The functions as Calc wants them: a method for each, whose parameters are values or references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgdsheet.apps.libreoffice_ext.typelib import Method

_REFERENCE = "com.sun.star.table.XCellRange"
_VALUE = "any"
_CALLER = ("document", "com.sun.star.beans.XPropertySet")
"""An argument that Calc itself gives to a method which declares it: the workbook whose cell calls the function."""

_ROWS = "[][]any"
"""What every function returns: a single value is one row of one. Calc takes nothing else from Python."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, and what the function wizard says about it."""

    name: str
    help: str
    reference: bool
    optional: bool


@dataclass(frozen=True, slots=True)
class CalcFunction:
    """One function: `SGD_RELU` in cells, `sgdRelu` in the type library.

    Calc writes it into files as `ORG.SGDSHEET.FUNCTIONS.SGDRELU`.
    """

    name: str
    method: str
    help: str
    parameters: Sequence[Parameter]

    def as_method(self) -> Method:
        """The function as a method in the type library.

        Where a person leaves out a value at the end, the method gets None for it.
        """
        kinds = [(each.name, _REFERENCE if each.reference else _VALUE) for each in self.parameters]
        caller = [_CALLER] if any(each.reference for each in self.parameters) else []
        return Method(self.method, _ROWS, caller + kinds)


def calc_functions(declared: Iterable[Mapping[str, Any]]) -> list[CalcFunction]:
    """The functions for Calc, from `sgdsheet.apps.udf.declarations`, as those of the Excel add-in are."""
    return [
        CalcFunction(
            name=each["name"],
            method=each["method"],
            help=each["help"],
            parameters=[
                Parameter(given["name"], given["help"], given["kind"] == "reference", given["optional"])
                for given in each["arguments"]
            ],
        )
        for each in declared
    ]
