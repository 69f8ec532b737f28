"""A model with kinks as a smooth problem: variables stand for MAX, MIN, ABS and the like, and constraints hold them.

See `compiler.structure.epigraph`. What is linear but for its kinks becomes a linear programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from sgdsheet.compiler.ir.weighted_gradients import weighted_gradients
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.structure.directions import Follows
from sgdsheet.compiler.structure.epigraph import Epigraph, without_kinks
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.solver_names import Constraint, Relation
from sgdsheet.sheet.references import Range
from sgdsheet.train.constrained.constraints import Booleans, Bounds, ConstraintModel, Residual
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point, objective_alone
from sgdsheet.train.constrained.problem_kind import ProblemKind

MOST_KINKS = 20_000
"""Numbers with kinks, at most."""

_DEEPEST = 6
"""Kinks within kinks that are followed, at most."""


def kinkless(model: SheetModel, constraints: ConstraintModel, kind: ProblemKind) -> KinklessModel | None:
    """The problem without its kinks; None where it has none, or where variables cannot stand for them.

    They can where an objective that is to be small never falls when a MAX in it grows: then it does not matter whether
    the problem is convex.
    """
    if not kind.kinked or kind.stepped or model.problem.direction is Direction.VALUE:
        return None
    if model.dtype is not torch.float64:
        return None
    limits = constraints.bounds.by_name({name: model.shared_parameters[name] for name in model.parameter_names})
    small = model.problem.direction is Direction.MINIMISE
    loss = model.lowered.module([model.loss_node])
    found = without_kinks(loss, model.parameter_names, [Follows.UP if small else Follows.DOWN], limits, most=MOST_KINKS)
    if found is None:
        return None
    held: Epigraph | None = None
    if constraints.program is not None:
        sides = [
            Follows.UNKNOWN if constraint.relation is Relation.EQUAL else Follows.UP
            for constraint, _ in constraints.kinds
        ]
        program = _in_parts(constraints.program, len(sides))
        held = without_kinks(program, model.parameter_names, sides, limits, most=MOST_KINKS)
        if held is None:
            return None
    return KinklessModel(model, constraints, found, held)


def _in_parts(module: fx.GraphModule, count: int) -> fx.GraphModule:
    """The program of the constraints with a tuple of its parts, and not all in a row."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    output = next(node for node in module.graph.nodes if node.op == "output").args[0]
    parts = output.args[0] if count > 1 else [output]
    graph.output(tuple(copies[part] for part in parts))
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


class KinklessModel(FlatModel):
    """A problem in which variables stand for kinks: more parameters (the first `own` are the sheet's), and more rows.

    The residuals are the inequalities of the sheet, then what the variables have to keep to, then the equalities. The
    `loss` and the `violation` of a point are those of the sheet itself.
    """

    most_rows = 2 * MOST_KINKS + 5_000

    def __init__(
        self, model: SheetModel, constraints: ConstraintModel, objective: Epigraph, held: Epigraph | None
    ) -> None:
        self.base = FlatModel(model, constraints)
        self.programs = [objective] if held is None else [objective, held]
        variables = [item for program in self.programs for item in program.variables]
        self.variables = [nn.Parameter(torch.zeros(item.shape, dtype=torch.float64)) for item in variables]
        sizes = [tensor.numel() for tensor in self.variables]
        labels = [
            _label(self.programs[number].variables[added.variable].area or Range.of_cell(model.problem.loss))
            for number, program in enumerate(self.programs)
            for added in program.added
            for _ in range(len(added.places))
        ]
        bounds = Bounds(
            *(
                torch.cat(
                    [
                        side,
                        *(
                            torch.full((size,), getattr(item, end), dtype=torch.float64)
                            for item, size in zip(variables, sizes, strict=True)
                        ),
                    ]
                )
                for side, end in ((constraints.bounds.lower, "low"), (constraints.bounds.upper, "high"))
            )
        )
        split = len(constraints.inequalities)
        extended = replace(
            constraints,
            bounds=bounds,
            inequalities=(*constraints.inequalities, *labels),
            magnitudes=torch.cat(
                [
                    constraints.magnitudes[:split],
                    torch.ones(len(labels), dtype=torch.float64),
                    constraints.magnitudes[split:],
                ]
            ),
        )
        super().__init__(model, extended)
        self.own = len(constraints.bounds.lower)
        self.tensors = [*self.base.tensors, *self.variables]
        self.linear = all(program.linear for program in self.programs)
        self._tied = [item for program in self.programs for item in program.added]
        self.set(self.settled(self.base.get()))

    # --- values -----------------------------------------------------------------------------------------

    def objective(self) -> Tensor:
        """The objective, with variables in the place of kinks."""
        return self._objective(self._outputs(0, self.variables))

    def residuals(self) -> Tensor:
        """The sheet's inequalities, what the variables have to keep to, the sheet's equalities [residuals]."""
        return self._rows(self._outputs(0, self.variables), self.variables)

    def with_variables(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The objective and the residuals [residuals], with a graph, for values [variables] in the place of kinks."""
        parts = values.split([tensor.numel() for tensor in self.variables])
        variables = [part.reshape(tensor.shape) for part, tensor in zip(parts, self.variables, strict=True)]
        outputs = self._outputs(0, variables)
        return self._objective(outputs), self._rows(outputs, variables)

    def _objective(self, outputs: Sequence[Tensor]) -> Tensor:
        loss: Tensor = outputs[0].reshape(())
        return self.model.as_objective(loss)

    def _rows(self, outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> Tensor:
        loose = list(outputs[1:])
        sides: list[Tensor] = []
        tight: list[Tensor] = []
        if len(self.programs) > 1:
            outputs = self._outputs(1, variables)
            kinds = self.base.constraints.kinds
            for (constraint, _), part in zip(kinds, outputs, strict=False):
                (tight if constraint.relation is Relation.EQUAL else sides).append(part)
            loose += outputs[len(kinds) :]
        parts = [*sides, *loose, *tight]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def _outputs(self, number: int, variables: Sequence[Tensor]) -> Sequence[Tensor]:
        first = len(self.programs[0].variables)
        chosen = variables[:first] if number == 0 else variables[first:]
        return self.programs[number].module(*self.base.tensors, *chosen)

    def at(self, x: Floats) -> Point:
        """Values at a point: the loss is the sheet's own, and the violation that of the sheet's constraints."""
        found = super().at(x)
        with torch.no_grad():
            objective = float(self.objective())
        return replace(
            found, objective=objective, violation=float(self.own_violations(found.residuals).max(initial=0.0))
        )

    def own_rows(self) -> Booleans:
        """Which residuals [residuals] are the sheet's own."""
        extra = sum(len(item.places) for item in self._tied)
        numbers = np.arange(self.count)
        return (numbers < self.split - extra) | (numbers >= self.split)

    @cached_property
    def owners(self) -> tuple[NDArray[np.int64], Floats]:
        """For each residual [residuals], the place of its variable among all parameters and its sign there.

        A residual of the sheet's own has no variable: the place is -1.
        """
        places, signs = np.full(self.count, -1), np.zeros(self.count)
        first = self.split - sum(len(item.places) for item in self._tied)
        held = scipy.sparse.coo_array(self._tied_columns(first))
        places[held.row], signs[held.row] = self.own + held.col, held.data
        return places, signs

    @property
    def depth(self) -> int:
        """How many kinks stand within each other at most."""
        return 1 if all(item.alone for item in self._tied) else min(len(self.variables), _DEEPEST)

    def own_violations(self, residuals: Floats) -> Floats:
        """How much each of the sheet's own constraints is violated, in the sheet's units."""
        return self.base.violations(residuals[self.own_rows()])

    def settled(self, x: Floats) -> Floats:
        """The point [all parameters] at the sheet's parameters [own], with each variable at its kink."""
        self.base.set(x[: self.own])
        with torch.no_grad():
            kinks = [item for program in self.programs for item in program.values(*self.base.tensors)]
        parts = [item.reshape(-1).double().numpy() for item in kinks]
        return np.concatenate([x[: self.own], *parts])

    def checked_gradients(self, start: Point) -> Floats:
        """The gradient [all parameters] at the start; raises TrainingError or DataError if the sheet has none there."""
        self.base.checked_gradients(self.base.at(start.x[: self.own]))
        return self.gradient(start.x, objective_alone)[1]

    # --- derivatives ------------------------------------------------------------------------------------

    def sparse_jacobian(self, x: Floats) -> scipy.sparse.csr_array:
        """The derivatives of all residuals [residuals, all parameters].

        Those of a row that depends on no other variable are known: 1 or -1 by its own. The others take a backward pass.
        """
        self.set(x)
        with torch.enable_grad():
            residuals = self.residuals()
        nested = [not item.alone for item in self._tied for _ in range(len(item.places))]
        split = self.split - len(nested)
        dense = np.concatenate([np.ones(split), nested, np.ones(self.count - self.split)]) > 0
        found = self.derivatives(residuals, np.flatnonzero(dense))
        if not nested:
            return found
        own = scipy.sparse.csr_array(self._own_columns(residuals)[~dense])
        known = scipy.sparse.hstack([own, self._tied_columns(split)[~dense]], format="csr")
        order = np.argsort(np.concatenate([np.flatnonzero(dense), np.flatnonzero(~dense)]))
        return scipy.sparse.vstack([found, known], format="csr")[order]

    def _own_columns(self, residuals: Tensor) -> Floats:
        """The derivatives by the sheet's parameters [residuals, own].

        A product of the Jacobian's transpose with a vector is linear in the vector, and its derivative is the Jacobian.
        """
        vector = torch.zeros_like(residuals, requires_grad=True)
        with torch.enable_grad():
            parts = weighted_gradients(residuals, self.base.tensors, vector, create_graph=True, materialize_grads=True)
            columns = [
                torch.autograd.grad(item, vector, retain_graph=True, materialize_grads=True)[0]
                if item.requires_grad
                else torch.zeros_like(residuals)
                for item in torch.cat([part.reshape(-1) for part in parts]).unbind()
            ]
        found: Floats = torch.stack(columns, dim=1).numpy()
        return found

    def _tied_columns(self, split: int) -> scipy.sparse.csr_array:
        """The derivatives by the variables [residuals, variables] of the rows that hold them."""
        starts = np.cumsum([0, *(tensor.numel() for tensor in self.variables)])
        rows, columns, signs, row, offset = [], [], [], split, 0
        for program in self.programs:
            for item in program.added:
                size = len(item.places)
                rows.append(np.arange(row, row + size))
                columns.append(starts[offset + item.variable] + item.places.numpy())
                signs.append(np.full(size, item.sign))
                row += size
            offset += len(program.variables)
        entries = (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns)))
        return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, shape=(self.count, int(starts[-1]))))


def _label(area: Range) -> Residual:
    """What messages would call the row of a variable; they speak of the sheet's constraints only."""
    return Residual(area.first, Constraint(area, Relation.AT_MOST, 0.0, "a kink"))
