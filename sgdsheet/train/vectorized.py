"""Forms of a program for many starts at once: in float32, and as `torch.vmap` is fastest with it.

Good for exploring, not for the last digit: the form for vmap takes gradient 0 exactly on a ReLU's kink.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from sgdsheet.compiler.passes.shapes import known_shape


def in_float32(module: fx.GraphModule) -> fx.GraphModule:
    """A copy of the program that calculates in float32, with parameters of its own."""
    found = fx.GraphModule(module, copy.deepcopy(module.graph))
    for name, tensor in list(found.named_buffers()):
        if tensor.is_floating_point():
            setattr(found, name, tensor.float())
    for name, parameter in list(found.named_parameters()):
        setattr(found, name, nn.Parameter(parameter.detach().float()))
    for node in found.graph.nodes:
        node.args = _single(node.args)
        node.kwargs = _single(node.kwargs)
    found.recompile()
    return found


def for_vmap(module: fx.GraphModule) -> fx.GraphModule:
    """A copy of the program for many starts under `torch.vmap`: shared data as the second factor of each product.

    vmap multiplies a stack of weight matrices with shared data in one product if the data come second; the
    other way round it repeats the data for each start.
    """
    graph = copy.deepcopy(module.graph)
    found = fx.GraphModule(module, graph)
    for node in list(graph.nodes):
        with graph.inserting_before(node):
            replacement = _turned_product(found, node) or _plain_relu(node)
        if replacement is not None:
            node.replace_all_uses_with(replacement)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    graph.lint()
    found.recompile()
    return found


def _single(value: Any) -> Any:
    """float64 as an operand of a conversion, replaced."""
    return fx.node.map_aggregate(value, lambda item: torch.float32 if item is torch.float64 else item)


def _turned_product(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """data @ weights as (weights' @ data')': linear(x, W) = (W x')', matmul(x, W) = (W' x')'."""
    if node.target not in (torch.matmul, F.linear) or len(node.args) != 2:
        return None
    data, weights = node.args
    if not isinstance(data, fx.Node) or not isinstance(weights, fx.Node) or data.op != "get_attr":
        return None
    buffers = dict(module.named_buffers())
    name = str(data.target)
    if name not in buffers or buffers[name].dim() != 2 or (weights.op == "get_attr" and str(weights.target) in buffers):
        return None
    shape = known_shape(weights)
    if shape is None:
        return None
    turned = f"{name}_turned"
    if turned not in buffers:
        module.register_buffer(turned, buffers[name].t().contiguous())
    graph = node.graph
    second = graph.get_attr(turned)
    if node.target is F.linear:
        return graph.call_method("t", (graph.call_function(torch.matmul, (weights, second)),))
    if len(shape) == 1:
        return graph.call_function(torch.matmul, (weights, second))
    first = graph.call_method("t", (weights,))
    return graph.call_method("t", (graph.call_function(torch.matmul, (first, second)),))


def _plain_relu(node: fx.Node) -> fx.Node | None:
    """clamp_min(x, 0) as relu, whose backward is several times faster."""
    if node.target is torch.clamp_min and node.args[1] == 0.0:
        return node.graph.call_function(torch.relu, (node.args[0],))
    return None
