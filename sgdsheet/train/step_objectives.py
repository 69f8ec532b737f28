"""What a descent asks for: the value of what has to become small, and its gradient in the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from sgdsheet.compiler.backward.flat_program import FlatProgram

Loss = Callable[[], Tensor]
"""Calculates the loss, a scalar, from the parameters as they are."""


class Objective(Protocol):
    """What has to become small, as a function of the parameters as they are."""

    loss: Tensor
    """The loss that the last value was made of; the next one may take its place."""

    def __call__(self) -> Tensor:
        """The value, a scalar, with autograd's graph."""
        ...

    def value(self) -> Tensor:
        """The value, a scalar, for `backward`; the next one may take its place."""
        ...

    def backward(self, *, add: bool = False) -> None:
        """Leave the gradient of the last `value` in the parameters, or add it to what is there."""
        ...


class AutogradObjective:
    """An objective whose gradient autograd calculates, from the graph that the loss leaves."""

    def __init__(self, loss: Loss, as_objective: Callable[[Tensor], Tensor], parameters: Sequence[Tensor]) -> None:
        self._calculate, self._as_objective, self._parameters = loss, as_objective, parameters
        self.loss = self._value = torch.tensor(torch.nan)

    def __call__(self) -> Tensor:
        return self.value()

    def value(self) -> Tensor:
        self.loss = self._calculate()
        self._value = self._as_objective(self.loss)
        return self._value

    def backward(self, *, add: bool = False) -> None:
        if not add:
            for parameter in self._parameters:
                parameter.grad = None
        self._value.backward()


class FlatObjective:
    """An objective that a flat program calculates together with its gradient; `plain` gives the same with autograd."""

    def __init__(self, program: FlatProgram, plain: Callable[[], Objective], parameters: Sequence[Tensor]) -> None:
        self._program, self._plain = program, plain
        self._pairs = list(zip(parameters, program.gradients, strict=True))
        self.loss = program.loss
        self._used: Objective | None = None
        """What calculated the last value in the program's place."""

    def __call__(self) -> Tensor:
        return self._plain()()

    def value(self) -> Tensor:
        if not self._program.fits:  # somebody gave a parameter another tensor
            self._used = self._plain()
            value = self._used.value()
            self.loss = self._used.loss
            return value
        self._used, self.loss = None, self._program.loss
        self._program.forward()
        return self._program.objective

    def backward(self, *, add: bool = False) -> None:
        if self._used is not None:
            self._used.backward(add=add)
            return
        self._program.backward()
        for parameter, gradient in self._pairs:
            if not add:
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            elif gradient is not None:
                before = parameter.grad
                parameter.grad = gradient.clone() if before is None else before + gradient
