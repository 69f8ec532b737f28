"""What rewrites the recorded program: an ordered list of named passes over its `torch.fx` graph.

After each of them the graph calculates the same values and gradients as before, only with fewer or faster operations.
Each has a sheet on which it works and some that only look alike; `tests/test_passes.py` tries them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import fx

from sgdsheet.compiler.passes.layers import activation_after_pooling, convolution_with_bias, scaled_kernels
from sgdsheet.compiler.passes.linear_sums import note_frozen, product_of_matrix
from sgdsheet.compiler.passes.packing import pack
from sgdsheet.compiler.passes.rewrites import log_sum_exp, mean_squared_error, stacked_products, sum_of_columns
from sgdsheet.compiler.passes.shapes import note_shapes
from sgdsheet.compiler.passes.windows import find_correlations, max_pooling, replace, write_convolutions
from sgdsheet.system.long_work import checkpoint

Rewrite = Callable[[fx.Graph, fx.Node], fx.Node | None]
"""Looks at one node; a node for its place, or None."""


class Example(NamedTuple):
    """A sheet for the tests: its cells by A1 reference (see `tests/sheets.py`), of which some are parameters."""

    cells: Mapping[str, Any]
    parameters: str


class Pass(NamedTuple):
    """One way to rewrite a graph. The shapes of its nodes are noted before (`shapes`) and after it."""

    name: str
    run: Callable[[fx.Graph], None]
    works: Example
    """A sheet in whose program it finds something. The loss is Z1."""
    near: tuple[Example, ...]
    """Sheets that only look alike, and whose program it leaves alone."""


def each_node(rewrite: Rewrite) -> Callable[[fx.Graph], None]:
    """Offer every node to a rewrite, in the order of calculation."""

    def run(graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            checkpoint()
            with graph.inserting_before(node):
                replacement = rewrite(graph, node)
            if replacement is not None:
                replace(graph, node, replacement)

    return run


def without_leftovers(run: Callable[[fx.Graph], None]) -> Callable[[fx.Graph], None]:
    """A pass that first drops what nothing reads any more, for one that asks who reads a node."""

    def cleaned(graph: fx.Graph) -> None:
        graph.eliminate_dead_code()
        run(graph)

    return cleaned


# --- the list ---------------------------------------------------------------------------------------------

ROWS = [[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]
THREES = [[0.5, 1.0, 2.5], [2.0, 0.25, 0.75], [1.75, 1.5, 3.0]]
GRID = [[0.1, 0.7, -0.3, 0.2], [0.5, -0.2, 0.9, 0.4], [-0.6, 0.3, 0.8, -0.1], [0.25, 0.65, 0.15, 0.35]]

ONE_KERNEL = {"A1:D4": GRID, "A6:B7": [[0.5, -1], [2, 0.3]], "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)"}
TWO_KERNELS = {**ONE_KERNEL, "C6:D7": [[1, 0.2], [-0.4, 0.7]], "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)"}
TWO_CHANNELS = {
    **TWO_KERNELS,
    "A10:D13": [row[::-1] for row in GRID],
    "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)+SUMPRODUCT(A10:B11,$C$6:$D$7)",
    "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)+SUMPRODUCT(A10:B11,$A$6:$B$7)",
}

BIASED = {
    **TWO_KERNELS,
    "A15:B15": [[0.3, -0.6]],
    "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)+$A$15",
    "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)+$B$15",
}
POOLED = {
    "A1:D4": GRID,
    "F6:I9": "=MAX(A1,0)",
    "F1": "=MAX(F6:G7)",
    "G1": "=MAX(H6:I7)",
    "F2": "=MAX(F8:G9)",
    "G2": "=MAX(H8:I9)",
}

PASSES = (
    Pass(
        "correlations: windows times a kernel",
        find_correlations,
        works=Example({**ONE_KERNEL, "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
        near=(
            Example({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2,A2:B3)", "Z1": "=SUMSQ(F1:H2)"}, "A1:D4"),
            Example({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2+$A$6:$B$7)", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
        ),
    ),
    Pass(
        "packing: the same calculation many times over",
        pack,
        works=Example({**TWO_CHANNELS, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7,A10:D13"),
        near=(
            Example({**ONE_KERNEL, "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
            Example({"A1:B3": ROWS, "D1:D3": "=EXP(A1)", "F1:F3": "=EXP(B1)", "Z1": "=SUM(D1:D3)*SUM(F1:F3)"}, "A1:B3"),
        ),
    ),
    Pass(
        "the scale of a convolution in its kernels",
        without_leftovers(each_node(scaled_kernels)),
        works=Example(
            {**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)/255", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"
        ),
        near=(
            Example(
                {**ONE_KERNEL, "J1": 255, "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)/$J$1", "Z1": "=SUMSQ(F1:H3)"},
                "A1:D4,A6:B7,J1",
            ),
            Example({**ONE_KERNEL, "F1:H3": "=1/SUMPRODUCT(A1:B2,$A$6:$B$7)", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
            Example({**ONE_KERNEL, "Z1": "=SUMSQ(F1:H3)+SUM(F1:H3)/255"}, "A1:D4,A6:B7"),
        ),
    ),
    Pass(
        "convolutions in torch's operation",
        write_convolutions,
        works=Example({**TWO_KERNELS, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7"),
        near=(Example({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2^2)", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4"),),
    ),
    Pass(
        "the bias of a convolution in torch's operation",
        without_leftovers(each_node(convolution_with_bias)),
        works=Example({**BIASED, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7,A15:B15"),
        near=(
            Example({**TWO_KERNELS, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7"),
            Example(
                {
                    **TWO_KERNELS,
                    "A15:C17": THREES,
                    "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)+A15",
                    "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)+A15",
                    "Z1": "=SUMSQ(F1:K3)",
                },
                "A1:D4,A6:D7,A15:C17",
            ),
        ),
    ),
    Pass(
        "sums of products as one product with a matrix",
        each_node(product_of_matrix),
        works=Example(
            {
                "A1:C3": THREES,
                "F1:F4": [[1.5], [-2], [0.5], [3]],
                "D1:D3": "=A1*$F$1+$F$2*B1+C1*$F$3+$F$4",
                "Z1": "=SUMSQ(D1:D3)",
            },
            "F1:F4",
        ),
        near=(
            Example(
                {"A1:C3": THREES, "F1:F3": [[1.5], [-2], [0.5]], "D1:D3": "=A1*$F$1+B1*$F$2", "Z1": "=SUMSQ(D1:D3)"},
                "F1:F3",
            ),
            Example(
                {"A1:C3": THREES, "F1:F3": [[1.5], [-2], [0.5]], "D1:D3": "=A1*F1+B1*F1+C1*F1", "Z1": "=SUMSQ(D1:D3)"},
                "F1:F3",
            ),
            Example(
                {
                    "A1:C3": THREES,
                    "F1:F3": [[1.5], [-2], [0.5]],
                    "D1:D3": "=A1^$F$1+B1^$F$2+C1^$F$3",
                    "Z1": "=SUM(D1:D3)",
                },
                "F1:F3",
            ),
        ),
    ),
    Pass(
        "sum or mean of squared differences",
        each_node(mean_squared_error),
        works=Example({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
        near=(
            Example({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^3", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
            Example({"A1:B3": ROWS, "C1:C3": "=(A1+B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
            Example({"A1:B3": ROWS, "C1:C3": "=(A1-$B$1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3,B1"),
            Example({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=MAX(C1:C3)"}, "A1:A3"),
        ),
    ),
    Pass(
        "sum of a matrix's columns",
        each_node(sum_of_columns),
        works=Example({"A1:B3": ROWS, "C1:C3": "=A1+B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
        near=(
            Example({"A1:C3": [[*row, 3] for row in ROWS], "D1:D3": "=A1+B1", "Z1": "=SUMSQ(D1:D3)+C1+C2+C3"}, "A1:C3"),
            Example({"A1:B3": ROWS, "C1:C3": "=A1+A1", "Z1": "=SUMSQ(C1:C3)+SUM(B1:B3)"}, "A1:B3"),
            Example({"A1:B3": ROWS, "C1:C3": "=A1-B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
        ),
    ),
    Pass(
        "products of a matrix with several vectors",
        each_node(stacked_products),
        works=Example(
            {
                "A1:B3": ROWS,
                "X1:Y2": [[1, 2], [3, 4]],
                "C1:C3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
                "D1:D4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)",
                "Z1": "=SUMPRODUCT(C1:D3,C1:D3)",
            },
            "X1:Y2",
        ),
        near=(
            Example(
                {
                    "A1:B3": ROWS,
                    "X1:Y3": [[1, 2], [3, 4], [5, 6]],
                    "E1:E4": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
                    "F1:F3": "=SUMPRODUCT($A1:$B1,$X$3:$Y$3)",
                    "Z1": "=SUMPRODUCT(E1:F3,E1:F3)+X2+Y2",
                },
                "X1:Y3",
            ),
            Example(
                {
                    "A1:B3": ROWS,
                    "X1:Y2": [[1, 2], [3, 4]],
                    "E1:E4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)",
                    "F1:F3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
                    "Z1": "=SUMPRODUCT(E1:F3,E1:F3)",
                },
                "X1:Y2",
            ),
        ),
    ),
    Pass(
        "logarithm of a sum of exponentials",
        each_node(log_sum_exp),
        works=Example({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
        near=(
            Example({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3))+1)"}, "A1:B3"),
            Example({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(A1:B3^2))"}, "A1:B3"),
            Example({"A1:B3": ROWS, "Z1": "=LOG10(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
        ),
    ),
    Pass(
        "largest of windows",
        each_node(max_pooling),
        works=Example(
            {
                "A1:D4": GRID,
                "F1": "=MAX(A1:B2)",
                "G1": "=MAX(C1:D2)",
                "F2": "=MAX(A3:B4)",
                "G2": "=MAX(C3:D4)",
                "Z1": "=SUMSQ(F1:G2)",
            },
            "A1:D4",
        ),
        near=(
            Example(
                {
                    "A1:D4": GRID,
                    "F1": "=MIN(A1:B2)",
                    "G1": "=MIN(C1:D2)",
                    "F2": "=MIN(A3:B4)",
                    "G2": "=MIN(C3:D4)",
                    "Z1": "=SUMSQ(F1:G2)",
                },
                "A1:D4",
            ),
            Example({"A1:D4": GRID, "F1:F3": "=MAX(A1:B2)", "Z1": "=SUMSQ(F1:F3)"}, "A1:B4"),
        ),
    ),
    Pass(
        "an activation after the largest of windows",
        without_leftovers(each_node(activation_after_pooling)),
        works=Example({**POOLED, "Z1": "=SUMSQ(F1:G2)"}, "A1:D4"),
        near=(
            Example({**POOLED, "F6:I9": "=EXP(A1)", "Z1": "=SUMSQ(F1:G2)"}, "A1:D4"),
            Example({**POOLED, "Z1": "=SUMSQ(F1:G2)+SUM(F6:I9)"}, "A1:D4"),
        ),
    ),
)
"""The passes in their order: packing joins correlations, so it comes after them; a sum of columns may be the sum in a
logarithm of a sum."""


def simplify(
    module: fx.GraphModule,
    passes: Sequence[Pass] = PASSES,
    *,
    examples: Sequence[torch.Tensor] = (),
    frozen: bool = False,
) -> fx.GraphModule:
    """Run the passes, drop what is no longer needed, and leave every node's shape with it.

    `examples` are arguments of the module, of any values: the shapes are seen by calling it once. `frozen` constants
    stay as they are: other constants may be made of them.
    """
    note_shapes(module, examples)
    if frozen:
        note_frozen(module)
    for each in passes:
        checkpoint()
        each.run(module.graph)
    module.graph.eliminate_dead_code()
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in module.named_buffers() if frozen and name not in used]:
        delattr(module, name)
    module.recompile()
    return module
