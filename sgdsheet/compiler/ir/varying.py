"""The error for a formula that needs something fixed, and why it is not."""

from __future__ import annotations

from torch import fx

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Value
from sgdsheet.errors import FormulaError


def varying(builder: Builder, cause: str, *values: Value, remedy: str) -> FormulaError:
    """`cause` ends with “depends on”; it is completed by what the values depend on.

    `remedy` is for parameters. What depends on the arguments of the program alone, data, can be prepared beside them.
    """
    inputs = {node.name for node in builder.graph.nodes if node.op == "placeholder"}
    origins = _origins(values)
    if origins & (builder.reserved - inputs) or not origins & inputs:
        return FormulaError(f"{cause} a parameter", remedy=remedy)
    return FormulaError(f"{cause} a sample's data", remedy="Put its result into the data, as a column of its own")


def _origins(values: tuple[Value, ...]) -> set[str]:
    """The names of parameters, arguments and constants that values are calculated from."""
    waiting = [value.data for value in values if isinstance(value.data, fx.Node)]
    seen = set(waiting)
    while waiting:
        new = set(waiting.pop().all_input_nodes) - seen
        seen |= new
        waiting += new
    return {str(node.target) for node in seen if node.op in ("get_attr", "placeholder")}
