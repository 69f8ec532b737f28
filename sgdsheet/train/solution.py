"""What a run leaves to those who look at its result: the model where it ended, and whether that is a minimum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.constrained.constraints import ConstraintModel
from sgdsheet.train.convergence import Verdict


@dataclass(frozen=True)
class Solution:
    """The parameters as they are now, and where they came from.

    `module` calculates the loss over the training rows, from parameters of these `names`; `start` are the parameters
    before the run, shaped like their ranges. `judge` finds out whether this is a minimum. With `partial`, a step
    saw some of the samples only, or not all of them are in the sheet. `method` is what people call the optimizer.
    """

    model: SheetModel
    module: fx.GraphModule
    names: Sequence[str]
    parameters: Sequence[Tensor]
    start: Sequence[Tensor]
    constraints: ConstraintModel | None
    judge: Callable[[], Verdict]
    method: str
    loss_start: float
    loss: float
    steps: int
    seconds: float
    ending: str
    partial: bool = False

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the parameters are at a minimum."""
        return self.judge()

    @property
    def values(self) -> NDArray[np.float64]:
        """The parameters as they are [parameters], in the order of their cells."""
        return flat(self.parameters)

    @property
    def before(self) -> NDArray[np.float64]:
        """The parameters before the run [parameters]."""
        return flat(self.start)


def flat(tensors: Sequence[Tensor]) -> NDArray[np.float64]:
    """Tensors as one vector of numbers."""
    parts = [tensor.detach().reshape(-1).double().cpu().numpy() for tensor in tensors]
    return np.concatenate(parts) if parts else np.zeros(0)
