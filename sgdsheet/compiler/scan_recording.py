"""What was recorded with placeholders for the rows above, as one operation for all rows (`ir/scan.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, fx

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.scan import Before, Scan, Term


class NotAlike(Exception):
    """Rows that cannot be calculated as one: some hold no number, or it is not known."""


class RiskyRows(NotAlike):
    """A row can be an error, so what reads the rows above has to look for errors."""


def moving(placeholders: Iterable[fx.Node]) -> dict[fx.Node, set[fx.Node]]:
    """The nodes that depend on placeholders, each with those that it depends on."""
    found: dict[fx.Node, set[fx.Node]] = {node: {node} for node in placeholders}
    waiting = list(found)
    while waiting:
        node = waiting.pop()
        for user in node.users:
            known = found.setdefault(user, set())
            if not found[node] <= known:
                known |= found[node]
                waiting.append(user)
    return found


def erase(builder: Builder, placeholders: Iterable[fx.Node]) -> None:
    """Erase what depends on placeholders, and these. What does not may be known elsewhere by now."""
    depending = moving(placeholders)
    for node in reversed([node for node in builder.graph.nodes if node in depending]):
        builder.graph.erase_node(node)


def recorded_scan(
    builder: Builder, placeholders: Mapping[Before, fx.Node], outputs: Sequence[object], rows: int, name: str
) -> tuple[Scan, list[fx.Node]]:
    """The operation that gives the `outputs`, columns of so many rows, and what else it reads.

    What depends on the placeholders is moved there. Raises NotAlike for a column that depends on none.
    """
    depending = moving(placeholders.values())
    if any(not isinstance(item, fx.Node) or item not in depending for item in outputs):
        raise NotAlike
    rest = list(dict.fromkeys(item for node in depending for item in node.all_input_nodes if item not in depending))
    order = list(placeholders)
    step = fx.Graph()
    copies = {placeholders[item]: step.placeholder(f"above_{item.column}_{item.lag}") for item in order}
    copies |= {node: step.placeholder(node.name) for node in rest}
    for node in builder.graph.nodes:
        if node in depending and node not in copies:
            copies[node] = step.node_copy(node, copies.__getitem__)
    step.output(tuple(copies[item] for item in outputs if isinstance(item, fx.Node)))
    places = {placeholders[item]: place for place, item in enumerate(order)}
    terms = tuple(
        Term(column, place)
        for column, item in enumerate(outputs)
        for place in sorted(places[source] for source in depending[item])  # type: ignore[index]
    )
    module = fx.GraphModule(torch.nn.Module(), step, "Rows")
    return Scan(rows, len(outputs), tuple(order), terms, module, f"rows_of_{name}"), rest


def constants(builder: Builder, given: Sequence[fx.Node | Tensor]) -> list[Tensor] | None:
    """The operation's arguments if all of them are constants."""
    found: list[Tensor] = []
    for item in given:
        known = isinstance(item, fx.Node) and item.op == "get_attr"
        tensor = builder.buffers.get(str(item.target)) if isinstance(item, fx.Node) and known else item
        if not isinstance(tensor, Tensor):
            return None
        found.append(tensor)
    return found
