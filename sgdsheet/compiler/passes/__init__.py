"""What rewrites the recorded program: an ordered list of named passes over its `torch.fx` graph.

After each of them the graph calculates the same values and gradients as before, only with fewer or faster operations.
What a sheet looks like for a pass to do something stands in `tests/test_passes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import fx

from sgdsheet.compiler.passes.packing import pack
from sgdsheet.compiler.passes.rewrites import log_sum_exp, mean_squared_error, stacked_products, sum_of_columns
from sgdsheet.compiler.passes.shapes import note_shapes
from sgdsheet.compiler.passes.windows import find_correlations, max_pooling, replace, write_convolutions

Rewrite = Callable[[fx.Graph, fx.Node], fx.Node | None]
"""Looks at one node; a node for its place, or None."""


class Pass(NamedTuple):
    """One way to rewrite a graph. The shapes of its nodes are noted before (`shapes`) and after it."""

    name: str
    run: Callable[[fx.Graph], None]


def each_node(rewrite: Rewrite) -> Callable[[fx.Graph], None]:
    """Offer every node to a rewrite, in the order of calculation."""

    def run(graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            with graph.inserting_before(node):
                replacement = rewrite(graph, node)
            if replacement is not None:
                replace(graph, node, replacement)

    return run


PASSES = (
    Pass("correlations: windows times a kernel", find_correlations),
    Pass("packing: the same calculation many times over", pack),
    Pass("convolutions in torch's operation", write_convolutions),
    Pass("sum or mean of squared differences", each_node(mean_squared_error)),
    Pass("sum of a matrix's columns", each_node(sum_of_columns)),
    Pass("products of a matrix with several vectors", each_node(stacked_products)),
    Pass("logarithm of a sum of exponentials", each_node(log_sum_exp)),
    Pass("largest of windows", each_node(max_pooling)),
)
"""In this order: packing joins correlations; a sum of columns may be the sum in a logarithm of a sum."""


def simplify(
    module: fx.GraphModule, passes: Sequence[Pass] = PASSES, *, examples: Sequence[torch.Tensor] = ()
) -> fx.GraphModule:
    """Run the passes, drop what is no longer needed, and leave every node's shape with it.

    `examples` are arguments of the module, of any values: the shapes are seen by calling it once.
    """
    note_shapes(module, examples)
    for each in passes:
        each.run(module.graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module
