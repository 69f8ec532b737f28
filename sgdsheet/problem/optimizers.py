"""Optimizers by name: one row each.

The rows name classes of `torch.optim` or of `train/algorithms/`: this table can be read without importing torch. Each
class's page in torch's manual names its paper, and so does the docstring of each class of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Family(Enum):
    """How an optimizer works, which decides what drives it."""

    GRADIENT = "one gradient per step"
    LINE_SEARCH = "several losses and gradients per step"
    LOSSES = "several losses per step, and no gradient"
    POPULATION = "many points at once, and no gradient"


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer: its name on the sheet, its class, its default learning rate, one line of help."""

    name: str
    class_name: str
    """The name of the class, in `torch.optim` or in a module of `train/algorithms/`; empty for a search of points."""
    learning_rate: float
    help: str
    family: Family = Family.GRADIENT
    options: Mapping[str, Any] = field(default_factory=dict)
    momentum: bool = False
    """Whether the setting “momentum” applies."""
    weight_decay: bool = True
    accumulates: bool = False
    """Whether gradients pile up because nobody sets them to zero."""
    run_options: tuple[str, ...] = ()
    """The facts of the run, `steps`, `seed` or `bounds`, that the class takes as options."""

    def momentum_options(self, momentum: float | None) -> dict[str, Any]:
        """What the setting “momentum” adds to the options. Nesterov's kind of none is plain gradient descent."""
        if not self.momentum or momentum is None:
            return {}
        return {"momentum": momentum, **({"nesterov": False} if "nesterov" in self.options and not momentum else {})}


_ROWS = (
    Optimizer("sgd", "SGD", 0.01, "Plain gradient descent, with momentum if set", momentum=True),
    Optimizer(
        "momentum", "SGD", 0.01, "Gradient descent that keeps its speed (0.9)", options={"momentum": 0.9}, momentum=True
    ),
    Optimizer(
        "nesterov",
        "SGD",
        0.01,
        "Momentum that looks ahead",
        options={"momentum": 0.9, "nesterov": True},
        momentum=True,
    ),
    Optimizer("adagrad", "Adagrad", 0.01, "Smaller steps for parameters that have moved much"),
    Optimizer("adadelta", "Adadelta", 1.0, "Adagrad that forgets"),
    Optimizer("rmsprop", "RMSprop", 0.01, "Steps scaled by the recent size of the gradient", momentum=True),
    Optimizer("adam", "Adam", 0.01, "Momentum and scaling together; a good first choice for networks"),
    Optimizer("adamw", "AdamW", 0.01, "Adam with proper weight decay"),
    Optimizer("adamax", "Adamax", 0.002, "Adam scaled by the largest recent gradient"),
    Optimizer("nadam", "NAdam", 0.002, "Adam with Nesterov's momentum"),
    Optimizer("radam", "RAdam", 0.001, "Adam with a careful start"),
    Optimizer("rprop", "Rprop", 0.01, "Only the gradient's sign counts; for full batches", weight_decay=False),
    Optimizer("asgd", "ASGD", 0.01, "Gradient descent that averages its path"),
    Optimizer(
        "lbfgs",
        "GuardedLBFGS",
        1.0,
        "Newton's method from gradients, with a line search; best for smooth losses and full batches",
        Family.LINE_SEARCH,
        {"line_search_fn": "strong_wolfe", "history_size": 20, "max_iter": 1, "max_eval": 25,
         "tolerance_grad": 0.0, "tolerance_change": 0.0},
        weight_decay=False,
    ),
    Optimizer(
        "accumulate",
        "SGD",
        0.01,
        "For teaching: gradient descent that forgets to set the gradient to zero",
        momentum=True,
        accumulates=True,
    ),
    Optimizer(
        "wiggle",
        "Wiggle",
        0.1,
        "For teaching: try each parameter a little up and down, keep what helps",
        Family.LOSSES,
        weight_decay=False,
    ),
    Optimizer(
        "annealing",
        "Annealing",
        0.1,
        "Simulated annealing: random moves, a rise is kept with probability e^(-rise/temperature)",
        Family.LOSSES,
        weight_decay=False,
        run_options=("steps", "seed", "bounds"),
    ),
    Optimizer(
        "evolutionary",
        "",
        1.0,
        "Differential evolution: a population of points, for many minima, steps and look-ups; give bounds",
        Family.POPULATION,
        weight_decay=False,
    ),
)  # fmt: skip

OPTIMIZERS: dict[str, Optimizer] = {row.name: row for row in _ROWS}
AUTO = "auto"


def normalised(name: str) -> str:
    """`L-BFGS`, `l_bfgs` and `LBFGS` are one."""
    return "".join(character for character in name.casefold() if character.isalnum())
