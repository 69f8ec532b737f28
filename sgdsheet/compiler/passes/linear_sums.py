"""Sums of products that are written out, `=A1*$F$1+B1*$F$2+C1*$F$3`, as one product with a matrix.

A sheet often has the inputs in columns and multiplies each with its weight: torch then runs through all rows once per
product and once per sum, forward and backward. Constant columns are put side by side once, when the program is made.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import fx, nn

from sgdsheet.compiler.passes.packing import sum_terms
from sgdsheet.compiler.passes.shapes import set_shape, shape_of

_LEAST = 3
"""Products that are worth a matrix."""
_FROZEN = "frozen"


def note_frozen(module: fx.GraphModule) -> None:
    """Note that the module's constants stay as they are, so that a program may hold others made of them."""
    buffers = dict(module.named_buffers())
    for node in module.graph.nodes:
        if node.op == "get_attr" and node.target in buffers:
            node.meta[_FROZEN] = True


class _Product(NamedTuple):
    """A column [rows] or [rows, 1] times a weight [] or, for several sums at once, [sums]."""

    term: fx.Node
    column: fx.Node
    weight: fx.Node


def product_of_matrix(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """Write the products of a sum as one, if their columns are constants or those of one matrix."""
    users = list(node.users)
    if node.target is not operator.add or (len(users) == 1 and users[0].target is operator.add):
        return None
    terms = sum_terms(node)
    products = [found for term in terms if (found := _product(term, shape_of(node))) is not None]
    for kind in (_is_frozen, _is_column):
        chosen = [item for item in products if kind(item.column)]
        if kind is _is_column and chosen:
            matrix = chosen[0].column.args[0]
            chosen = [item for item in chosen if item.column.args[0] is matrix]
        if len(chosen) >= _LEAST:
            return _rewritten(graph, node, terms, chosen)
    return None


def _product(term: fx.Node, shape: torch.Size) -> _Product | None:
    """The term as a column times a weight; None for any other."""
    if term.target is not operator.mul or shape_of(term) != shape or len(term.users) != 1 or not 1 <= len(shape) <= 2:
        return None
    for column, weight in (term.args, term.args[::-1]):
        if not isinstance(column, fx.Node) or not isinstance(weight, fx.Node):
            return None
        sums = list(shape[1:])
        if list(shape_of(column)) == [shape[0], *[1] * len(sums)] and list(shape_of(weight)) == sums and shape[0] > 1:
            return _Product(term, column, weight)
    return None


def _is_frozen(column: fx.Node) -> bool:
    return bool(column.meta.get(_FROZEN)) and shape_of(column).numel() > 1


def _is_column(column: fx.Node) -> bool:
    """Whether it is a column of a matrix."""
    return _is_select(column) and column.args[1:2] == (1,) and len(shape_of(_source(column))) == 2


def _is_select(node: fx.Node) -> bool:
    return node.op == "call_method" and node.target == "select"


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return source


def _rewritten(graph: fx.Graph, node: fx.Node, terms: Sequence[fx.Node], products: list[_Product]) -> fx.Node | None:
    products.sort(key=lambda item: _place(item.column if _is_column(item.column) else item.weight))
    shape = shape_of(node)
    if _is_column(products[0].column):
        matrix = _run(graph, [item.column for item in products])
    else:
        matrix = _beside(graph, [item.column for item in products])
    if matrix is None:
        return None
    weights = [item.weight for item in products]
    whole = _run(graph, weights) if all(map(_is_select, weights)) else None
    if whole is None:
        whole = set_shape(graph.call_function(torch.stack, (weights,)), (len(weights), *shape[1:]))
    turned = whole.op != "call_function" and len(shape) == 2 and _turned(weights)
    result = set_shape(graph.call_function(F.linear if turned else torch.matmul, (matrix, whole)), shape)
    gone = {item.term for item in products}
    for term in terms:
        if term not in gone:
            result = set_shape(graph.call_function(operator.add, (result, term)), shape)
    return result


def _place(node: fx.Node) -> int:
    """Which slice of a tensor it is."""
    place = node.args[2] if _is_select(node) else 0
    return place if isinstance(place, int) else 0


def _turned(weights: Sequence[fx.Node]) -> bool:
    """Whether the weights are columns, and the matrix of them is that of `F.linear`."""
    return _is_select(weights[0]) and weights[0].args[1:2] == (1,)


def _run(graph: fx.Graph, slices: Sequence[fx.Node]) -> fx.Node | None:
    """Slices of one tensor that lie side by side, as a part of it; None for others."""
    source, dim, first = slices[0].args
    assert isinstance(source, fx.Node)
    assert isinstance(dim, int)
    assert isinstance(first, int)
    if [item.args for item in slices] != [(source, dim, first + place) for place in range(len(slices))]:
        return None
    shape = list(shape_of(source))
    if len(slices) == shape[dim]:
        return source
    shape[dim] = len(slices)
    return set_shape(graph.call_method("narrow", (source, dim, first, len(slices))), shape)


def _beside(graph: fx.Graph, columns: Sequence[fx.Node]) -> fx.Node | None:
    """Constant columns side by side, as a constant of the graph's module."""
    module = graph.owning_module
    if not isinstance(module, nn.Module):
        return None
    tensors = [module.get_buffer(str(column.target)).reshape(-1) for column in columns]
    if len({tensor.dtype for tensor in tensors}) > 1:
        return None
    name, number = f"{columns[0].target}_and_others", 1
    while hasattr(module, name):
        number += 1
        name = f"{columns[0].target}_and_others_{number}"
    whole = torch.stack(tensors, 1)
    module.register_buffer(name, whole)
    node = set_shape(graph.get_attr(name), whole.shape)
    node.meta[_FROZEN] = True
    return node
