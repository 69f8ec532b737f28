"""The derivative of a recurrence: one linear recurrence more, from the last row to the first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsheet.compiler.backward.derivative_table import Pullback, values
from sgdsheet.compiler.backward.tape import Operand, Tape
from sgdsheet.compiler.ir.scan import Scan


def scanned(scan: Scan, tape: Tape, *operands: Any) -> tuple[Tensor, Pullback | None]:
    """The rule of a recurrence: its rows, and what pulls their gradient back to all that its formulas read."""
    given = list(values(operands))
    wanted = [isinstance(item, Operand) and item.wanted for item in operands]

    def solved(*tensors: Tensor) -> Tensor:
        with torch.inference_mode(False):  # its own derivatives are autograd's
            return scan.solve(tensors)

    rows = tape(solved, *given)

    def pulled(gradient: Tensor, found: Tensor, *tensors: Tensor) -> list[Tensor]:
        with torch.inference_mode(False):
            parts = scan.pull_back(tensors, found, gradient, wanted)
        return [
            torch.zeros_like(item) if part is None else part
            for item, part, each in zip(tensors, parts, wanted, strict=True)
            if each
        ]

    def back(gradient: Tensor) -> None:
        parts = iter(tape.several(pulled, gradient, rows, *given))
        for operand, each in zip(operands, wanted, strict=True):
            if each:
                part = next(parts)
                tape.give(operand, lambda part=part: part)  # type: ignore[misc]

    return rows, back
