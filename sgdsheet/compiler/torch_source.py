"""A compiled sheet as stand-alone PyTorch source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.ir.scan import Scan
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import build_program
from sgdsheet.errors import one_line
from sgdsheet.problem.definition import Direction
from sgdsheet.system.atomic import replacing, write_atomically
from sgdsheet.system.outputs import MODULE, NUMBERS, ready

_INLINE = 2_000
"""Numbers up to which data and parameters are written into the source."""

_MARK = "Written by sgdsheet"
"""The words in the file of numbers by which it is known as ours, so that the next export may replace it."""

_HEADER = '''"""{title}, as PyTorch.

{summary}

Written by sgdsheet. Needs only torch:

    python {file}            # prints the loss and the norm of its gradient
"""
'''


@dataclass(frozen=True, slots=True)
class Exported:
    """The source text, and the tensors that belong beside it (empty if they are inline)."""

    source: str
    tensors: dict[str, Tensor]


def export_source(model: SheetModel, file_name: str = "model.py") -> Exported:
    """The model as Python source that imports torch only and gives the same loss and gradient."""
    module, blocks = _row_by_row(model)
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    tensors = {name: tensor.detach() for name, tensor in {**parameters, **buffers}.items()}
    inline = sum(tensor.numel() for tensor in tensors.values()) <= _INLINE
    lines = [_header(model, file_name), *([] if inline else ["from pathlib import Path", ""])]
    lines += ["import torch", "", "", "class SheetModel(torch.nn.Module):"]
    lines += [f'    """The value of {_quotable(model.problem.loss)} as a function of the parameter cells."""', ""]
    lines += ["    def __init__(self):", "        super().__init__()"]
    if not inline:
        beside = Path(file_name).with_suffix(".pt").name
        lines.append(f"        saved = torch.load(Path(__file__).with_name({beside!r}), weights_only=True)")
    for name, tensor in parameters.items():
        value = _literal(tensor) if inline else f'saved["{name}"]'
        lines.append(f"        self.{name} = torch.nn.Parameter({value})")
    for name, constant in buffers.items():
        value = _literal(constant) if inline else f'saved["{name}"]'
        lines.append(f'        self.register_buffer("{name}", {value})')
    lines += ["", *_forward(module, blocks), "", "", *_main(model)]
    return Exported("\n".join(lines) + "\n", {} if inline else tensors)


def save_export(model: SheetModel, output: Path) -> list[Path]:
    """Write the source, and beside it a .pt file if the data are large. Returns the files written."""
    exported = export_source(model, output.name)
    source = exported.source.encode("utf-8")
    target = ready(output, MODULE)
    if not exported.tensors:
        write_atomically(target, source)
        return [output]
    beside, numbers = output.with_suffix(".pt"), BytesIO()
    torch.save({_MARK: True, **exported.tensors}, numbers)
    with replacing(target) as one, replacing(ready(beside, NUMBERS)) as other:  # both or neither
        one.write_bytes(source)
        other.write_bytes(numbers.getvalue())
    return [output, beside]


def _header(model: SheetModel, file_name: str) -> str:
    problem = model.problem
    areas = ", ".join(str(area) for area in problem.parameters)
    count = problem.parameter_count
    plural = "parameter" if count == 1 else "parameters"
    summary = f"The loss is the cell {problem.loss}; its {count} {plural} are the cells {areas}."
    if problem.origin is not None:
        summary += " The samples are those that the sheet shows, and the loss is theirs."
    title = f"Sheet {problem.sheet} of {model.workbook.name}"
    return _HEADER.format(title=_quotable(title), summary=_quotable(summary), file=_quotable(file_name))


def _quotable(text: object) -> str:
    """Text from a workbook as it may stand in a docstring, which it must not end."""
    return one_line(str(text)).replace("\\", "\\\\").replace('"', '\\"')


def _literal(tensor: Tensor) -> str:
    values = tensor.detach().cpu()
    return f"torch.tensor({values.tolist()!r}, dtype={values.dtype})".replace("inf", 'float("inf")').replace(
        "nan", 'float("nan")'
    )


def _row_by_row(model: SheetModel) -> tuple[fx.GraphModule, Sequence[Block]]:
    """The model's program and its blocks. A recurrence is written row by row: what solves it as a whole is our own."""
    if not any(isinstance(node.target, Scan) for node in model.program.graph.nodes):
        return model.program, model.blocks
    plan, parameters = model.plan.taken_apart(), model.problem.parameters
    program = build_program(model.workbook, parameters, plan, dtype=model.dtype, shared=model.shared_parameters)
    return simplify(program.module(program.value_of(model.problem.loss).data)), plan.blocks


def _forward(module: fx.GraphModule, blocks: Sequence[Block]) -> list[str]:
    """The recorded program, each block under a comment with its cells and formula."""
    code = module.graph.python_code("self").src
    code = re.sub(r";  [\w \t=]+ = None", "", code)
    code = code.replace("torch._C._nn.linear", "torch.nn.functional.linear")
    code = re.sub(r"torch\._C\._(special|linalg)\.\1_", r"torch.\1.", code)
    code = re.sub(r"(?<![\w.])(nan|inf)\b", r"torch.\1", code)
    comments = {block.name: f"# {one_line(str(block.range))}  ={one_line(block.text)}" for block in blocks}
    lines, current = [], ""
    for line in code.strip("\n").splitlines():
        if not line.strip():
            continue
        indent = "    "
        assigned = re.match(r"\s+(\w+) = ", line)
        block = _block_of(assigned[1], comments) if assigned else None
        if block is not None and block != current and "self." not in line:
            lines.append(f"{indent}    {comments[block]}")
            current = block
        lines.append(indent + line)
    return lines


def _block_of(name: str, comments: dict[str, str]) -> str | None:
    return name if name in comments else next((b for b in comments if re.fullmatch(rf"{re.escape(b)}_\d+", name)), None)


def _main(model: SheetModel) -> list[str]:
    lines = ['if __name__ == "__main__":', "    model = SheetModel()", "    loss = model()"]
    if model.problem.direction is Direction.MAXIMISE:
        lines.append("    # The sheet asks for a maximum: minimise -loss.")
    if model.problem.direction is Direction.VALUE:
        lines.append(f"    # The sheet asks for the value {model.problem.target!r}: minimise (loss - value) ** 2.")
    return [
        *lines,
        "    loss.backward()",
        "    norm = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()",
        '    print(f"loss {loss.item()!r}, norm of the gradient {norm.item()!r}")',
    ]
