"""Units for the parameters of a constrained problem, in which no gradient is large only because a unit is small.

The derivatives of objective and constraints, a row for each, are balanced by factors for rows and columns until the
largest of every row and column is 1 (Ruiz, “A scaling algorithm to equilibrate both rows and columns norms in
matrices”, RAL-TR-2001-034). The units of the parameters are the factors of the columns.
"""

from __future__ import annotations

import numpy as np
import torch

from sgdsheet.train.constrained.curvature_scales import MOST_PARAMETERS, diagonal
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, objective_alone

_WORTH = 100.0
"""Ratio of the largest to the smallest unit from which a problem is solved in units of its own."""

_MOST_ROWS = 500
"""Constraints whose derivatives are balanced, at most."""

_ROUNDS = 40


def in_balanced_units(flat: FlatModel) -> FlatModel:
    """The problem in units that suit it at its present parameters; itself where those of the cells do."""
    units = _units(flat, flat.get())
    return flat if units is None else FlatModel(flat.model, flat.constraints, flat.units * units)


def _units(flat: FlatModel, x: Floats) -> Floats | None:
    if not 2 <= len(x) <= MOST_PARAMETERS or flat.count > _MOST_ROWS:
        return None
    rows = np.abs(np.concatenate([_bends(flat, x)[None], flat.jacobian(x)]))
    rows = rows[np.isfinite(rows).all(axis=1)]
    missing = ~rows.any(axis=0) if len(rows) else np.ones(len(x), np.bool_)
    if missing.any():
        slopes = np.abs(flat.gradient(x, objective_alone)[1])
        rows = np.concatenate([rows, np.where(np.isfinite(slopes), slopes, 0.0)[None]])
    rows = rows[rows.any(axis=1)]
    known = rows.any(axis=0) if len(rows) else np.zeros(len(x), np.bool_)
    if known.sum() < 2:
        return None
    found = np.ones(len(x))
    found[known] = _balanced(rows[:, known])
    found[~known] = np.exp(np.log(found[known]).mean())
    if found.max() / found.min() < _WORTH:
        return None
    sizes = np.abs(x / found)
    typical = np.exp(np.log(sizes[sizes > 0]).mean()) if (sizes > 0).any() else 1.0
    units = np.asarray(2.0 ** np.round(np.log2(found * typical)), dtype=np.float64)
    return units if np.isfinite(units).all() and (units > 0).all() else None


def _bends(flat: FlatModel, x: Floats) -> Floats:
    """The roots of the second derivatives [parameters] of the objective; 0 where they are not known.

    Like first derivatives, they double when a unit does.
    """
    flat.set(x)
    with torch.enable_grad():
        try:
            parts = torch.autograd.grad(flat.objective(), flat.tensors, create_graph=True, materialize_grads=True)
            bends = diagonal(torch.cat([part.reshape(-1) for part in parts]), flat.tensors)
        except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
            return np.zeros(len(x))
    found: Floats = np.asarray(np.sqrt(bends.detach().double().abs().cpu().numpy()) * flat.units, dtype=np.float64)
    return found if np.isfinite(found).all() else np.zeros(len(x))


def _balanced(rows: Floats) -> Floats:
    """The factors of the columns [columns] of absolute values [rows, columns], none of which is all 0."""
    found = np.ones(rows.shape[1])
    rows = rows.copy()
    for _ in range(_ROUNDS):
        rows /= np.sqrt(rows.max(axis=1, keepdims=True))
        factors = 1 / np.sqrt(rows.max(axis=0))
        rows *= factors
        found *= factors
    return found
