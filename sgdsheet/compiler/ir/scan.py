"""Recurrences as one operation: columns whose rows depend on the rows above, calculated for all rows at once.

The rows y[t] = f(t, y[t-1], y[t-2], …) are the solution of as many equations. Newton's method solves them together:
each iteration evaluates f for all rows as one tensor operation, and a linear recurrence of its derivatives, which is a
triangular system of a few bands, gives the step. Of a linear recurrence the first step is the solution. The gradient
is one such system more, from the last row to the first.

Source: Lim, Zhu, Selfridge and Kasim, “Parallelizing non-linear sequential models over the sequence length” (DEER),
ICLR 2024.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.ir.weighted_gradients import weighted_gradients

_MOST_STEPS = 12
"""Newton steps for all rows at once, after which they are solved from the top."""

_FAR = 1e-3
"""Share of the rows' size by which they may be wrong for the next Newton steps to be trusted."""

_ROUNDING = 8.0
"""Rounding errors, in the last digits of what is added up, that an evaluation of a formula may have."""

_MOST_BANDS = 80
"""Bands below the diagonal up to which LAPACK's form for them is fast and small."""


class Before(NamedTuple):
    """A column some rows above: its place among the columns, and how many rows."""

    column: int
    lag: int


class Term(NamedTuple):
    """What an equation says of one column above: the column that it is the equation of, and where it reads."""

    column: int
    read: int
    """The place among the scan's `before`."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A recurrence over n rows of m columns, as an operation of a `torch.fx` graph.

    Called with the first values of each column, [lag] each, and then with what else the formulas read. The result is
    [n, m]. `step` gives the m columns, [n] each, from the columns above (`before`, [n] each) and the rest.
    """

    rows: int
    columns: int
    before: tuple[Before, ...]
    terms: tuple[Term, ...]
    step: fx.GraphModule
    name: str

    @property
    def __name__(self) -> str:  # fx writes it into the program's code
        return self.name

    @property
    def longest(self) -> list[int]:
        """How many rows above its first one each column is read."""
        return [max((item.lag for item in self.before if item.column == j), default=0) for j in range(self.columns)]

    def __call__(self, *tensors: Tensor) -> Tensor:
        result: Tensor = _Solved.apply(self, *tensors)  # type: ignore[no-untyped-call]
        return result

    # --- forwards -----------------------------------------------------------------------------------------

    def above(self, values: Tensor, firsts: Sequence[Tensor]) -> list[Tensor]:
        """For each of `before`, the column [n] that many rows above."""
        whole = [
            torch.cat([first, values[:, column]]) if len(first) else values[:, column]
            for column, first in enumerate(firsts)
        ]
        return [whole[item.column].narrow(0, len(firsts[item.column]) - item.lag, self.rows) for item in self.before]

    def evaluate(self, above: Sequence[Tensor], rest: Sequence[Tensor]) -> Tensor:
        """All rows of all columns, [n, m], from what stands above them."""
        found = [column.expand(self.rows) for column in self.step(*above, *rest)]
        dtype = above[0].dtype
        return torch.stack([column.to(dtype) for column in found], dim=1)

    def solve(self, tensors: Sequence[Tensor]) -> Tensor:
        """The rows [n, m]."""
        firsts, rest = tensors[: self.columns], tensors[self.columns :]
        values = self._guess(firsts)
        before, derivatives = torch.inf, None
        for _ in range(_MOST_STEPS):
            above = self.above(values, firsts)
            if derivatives is not None:
                found = self.evaluate(above, rest)
                errors, sizes = self._distance(found, values, self._parts(above, derivatives))
                worst = float((errors / sizes).max())
                if worst <= self._rounding(values) or before <= worst <= 100 * self._rounding(values):
                    return found
                if not worst < before and worst > _FAR:
                    break  # not near enough to a solution
                before = worst
            found, derivatives = self.linearised(above, rest)
            values = self._newton(found, derivatives, above)
        return self._from_the_top(firsts, rest)

    def _rounding(self, values: Tensor) -> float:
        return _ROUNDING * torch.finfo(values.dtype).eps

    def _guess(self, firsts: Sequence[Tensor]) -> Tensor:
        """Rows [n, m] that all are like the last one above the first; zeros in a column that is not read there."""
        last = [first[-1] if len(first) else first.new_zeros(()) for first in firsts]
        return torch.stack(last).expand(self.rows, self.columns)

    def _newton(self, found: Tensor, derivatives: Tensor, above: Sequence[Tensor]) -> Tensor:
        """The rows after a Newton step; where that leads nowhere, what the formulas give."""
        constant = found - self._gathered(self._unknown(self._parts(above, derivatives)))
        solved = self._solved(derivatives, constant, transposed=False)
        return torch.where(solved.isfinite(), solved, found)

    def _from_the_top(self, firsts: Sequence[Tensor], rest: Sequence[Tensor]) -> Tensor:
        """The rows in windows below those that are right already, each of which Newton's method solves.

        Of a window at least the first row is right after one evaluation, so this ends after n of them. A window gets
        longer where it was solved, and shorter where it was not.
        """
        values, length, right = self._guess(firsts).clone(), 16, 0
        numbers = torch.arange(self.rows, device=values.device)[:, None]
        while True:
            above = self.above(values, firsts)
            found, derivatives = self.linearised(above, rest)
            errors, sizes = self._distance(found, values, self._parts(above, derivatives))
            wrong = (errors > self._rounding(values) * sizes).any(dim=1).nonzero()
            if not len(wrong):
                return found
            start, before = int(wrong[0]), right
            right = start
            length = min(2 * length, self.rows) if start - before >= length // 2 else max(length // 2, 1)
            moved = self._newton(found, derivatives, above)
            moved[start] = found[start]
            last = min(start + length, self.rows) - 1
            values = torch.where(numbers < start, values, torch.where(numbers <= last, moved, moved[last]))

    def solve_together(self, tensors: Sequence[Tensor]) -> Tensor:
        """The rows for many sets of tensors, [sets, n, m]: each Newton step is taken for all of them."""
        firsts, rest = tensors[: self.columns], tensors[self.columns :]
        values = torch.vmap(self._guess)(tuple(firsts))
        step = torch.vmap(self._newton_step)
        for _ in range(_MOST_STEPS):
            found, moved, errors, sizes = step(values, tuple(firsts), tuple(rest))
            if bool((errors <= self._rounding(values) * sizes).all()):
                return found
            values = moved
        return torch.stack([self.solve([item[place] for item in tensors]) for place in range(len(values))])

    def _newton_step(
        self, values: Tensor, firsts: Sequence[Tensor], rest: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the formulas make of rows, the rows after a Newton step, and how far those before it are from a solution
        (see `_distance`)."""
        above = self.above(values, firsts)
        found, derivatives, _ = self._derivatives_again(above, rest)
        return (
            found,
            self._newton(found, derivatives, above),
            *self._distance(found, values, self._parts(above, derivatives)),
        )

    def linearised(self, above: Sequence[Tensor], rest: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """All rows [n, m], and the derivative of each term in each row, [n, terms]."""
        with torch.enable_grad():
            leaves = [column.detach().requires_grad_() for column in above]
            values = self.evaluate(leaves, rest)
            derivatives = self._derivatives(values, leaves)
        return values.detach(), derivatives

    def _derivatives(self, values: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """The derivative of each term in each row, [n, terms]: a row depends on what stands above that row alone."""
        found: dict[Term, Tensor] = {}
        for column in range(self.columns):
            terms = [term for term in self.terms if term.column == column]
            if terms and values.requires_grad:
                read = [leaves[term.read] for term in terms]
                alone = values if self.columns == 1 else values[:, column]
                pulled_back = torch.autograd.grad(alone.sum(), read, retain_graph=True, allow_unused=True)
                found |= {term: item for term, item in zip(terms, pulled_back, strict=True) if item is not None}
        zero = values.new_zeros(self.rows)
        return torch.stack([found.get(term, zero) for term in self.terms], dim=1)

    def _parts(self, above: Sequence[Tensor], derivatives: Tensor) -> Tensor:
        """What each term adds to its row, [n, terms]."""
        return torch.stack([above[term.read] for term in self.terms], dim=1) * derivatives

    def _unknown(self, parts: Tensor) -> Tensor:
        """The terms without those of the first rows, which read what stands above the columns."""
        rows = torch.arange(self.rows, device=parts.device)[:, None]
        lags = torch.tensor([self.before[term.read].lag for term in self.terms], device=parts.device)
        return torch.where(rows >= lags, parts, 0.0)

    def _gathered(self, parts: Tensor) -> Tensor:
        """The sum of the terms of each column: [n, terms] becomes [n, m]."""
        if self.columns == 1:
            return parts.sum(dim=1, keepdim=True)
        total = parts.new_zeros(self.rows, self.columns)
        return total.index_add(1, torch.tensor([term.column for term in self.terms], device=parts.device), parts)

    def _distance(self, found: Tensor, values: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        """How far the rows are from being a solution, and the size of what is added up in them, [n, m] each."""
        same = (found == values) | (found.isnan() & values.isnan())
        errors = torch.where(same, 0.0, (found - values).abs().nan_to_num(nan=torch.inf))
        added = (found - self._gathered(parts)).abs() + self._gathered(parts.abs())
        sizes = torch.maximum(torch.maximum(found.abs(), values.abs()), added)
        return errors, sizes.nan_to_num(nan=1.0, posinf=1.0).clamp_min(torch.finfo(sizes.dtype).tiny)

    # --- backwards ----------------------------------------------------------------------------------------

    def pull_back(
        self, tensors: Sequence[Tensor], values: Tensor, gradient: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradients of what the scan was called with, as far as they are `wanted`, from that of its result."""
        firsts, rest = tensors[: self.columns], tensors[self.columns :]
        moving = [place for place, each in enumerate(wanted[self.columns :]) if each]
        with torch.enable_grad():
            leaves = [column.detach().requires_grad_() for column in self.above(values, firsts)]
            given = list(rest)
            for place in moving:
                given[place] = rest[place].detach().requires_grad_()
            found = self.evaluate(leaves, given)
            adjoint = self._solved(self._derivatives(found, leaves), gradient, transposed=True)
            sources = [*leaves, *(given[place] for place in moving)]
            pulled: Sequence[Tensor | None] = [None] * len(sources)
            if found.requires_grad:  # unless the formulas go in steps
                pulled = weighted_gradients(found, sources, adjoint, allow_unused=True)
        return self._sorted(firsts, rest, moving, pulled)

    def pull_back_again(self, tensors: Sequence[Tensor], values: Tensor, gradient: Tensor) -> list[Tensor | None]:
        """The gradients of `pull_back` in a slower way, which can be differentiated and mapped again."""
        firsts, rest = tensors[: self.columns], tensors[self.columns :]
        above = self.above(values, firsts)
        moving = [place for place, item in enumerate(rest) if item.is_floating_point()]
        _, derivatives, pull = self._derivatives_again(above, rest, moving)
        adjoint: Tensor = _BandSolve.apply(self, derivatives, gradient, True)  # type: ignore[no-untyped-call]
        return self._sorted(firsts, rest, moving, pull(adjoint))

    def _derivatives_again(
        self, above: Sequence[Tensor], rest: Sequence[Tensor], moving: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor, Any]:
        """All rows [n, m], the derivative of each term in each row [n, terms], and what pulls gradients back to
        `above` and to the `moving` ones of the rest."""
        count = len(above)

        def evaluated(*given: Tensor) -> Tensor:
            whole = list(rest)
            for place, item in zip(moving, given[count:], strict=True):
                whole[place] = item
            return self.evaluate(given[:count], whole)

        found, pull = torch.func.vjp(evaluated, *above, *(rest[place] for place in moving))[:2]
        derivatives: dict[Term, Tensor] = {}
        for column in range(self.columns):
            alone = torch.zeros_like(found)
            alone[:, column] = 1.0
            pulled_back = pull(alone)
            derivatives |= {term: pulled_back[term.read] for term in self.terms if term.column == column}
        return found, torch.stack([derivatives[term] for term in self.terms], dim=1), pull

    def _sorted(
        self,
        firsts: Sequence[Tensor],
        rest: Sequence[Tensor],
        moving: Sequence[int],
        pulled: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        """The gradients in the order of the scan's arguments: what stands above the first row is a part of `above`."""
        gradients: list[Tensor | None] = []
        for column, first in enumerate(firsts):
            total = torch.zeros_like(first)
            for item, moved in zip(self.before, pulled, strict=False):
                if item.column == column and moved is not None:
                    lag, start = min(item.lag, self.rows), len(first) - item.lag
                    total = total + torch.nn.functional.pad(moved[:lag], (start, len(first) - start - lag))
            gradients.append(total)
        found = dict(zip(moving, pulled[len(self.before) :], strict=True))
        return gradients + [found.get(place) for place in range(len(rest))]

    # --- the linear system --------------------------------------------------------------------------------

    def _solved(self, derivatives: Tensor, right: Tensor, *, transposed: bool) -> Tensor:
        """The solution of the linear system as a tensor that has no gradient."""
        if torch._C._are_functorch_transforms_active() or right.requires_grad:
            found: Tensor = _BandSolve.apply(self, derivatives, right, transposed)  # type: ignore[no-untyped-call]
            return found
        return _BandSolve.forward(self, derivatives, right, transposed)

    def solve_bands(self, derivatives: NDArray[Any], right: NDArray[Any], *, transposed: bool) -> NDArray[Any]:
        """Solve y[t, i] - Σ derivatives[t, term] · y[t - lag, j] = right[t, i], or the transposed system.

        The result is y, [n, m]; `derivatives` are [n, terms], `right` is [n, m].
        """
        n, m = right.shape
        distances = [
            self.before[term.read].lag * m + term.column - self.before[term.read].column for term in self.terms
        ]
        if max(distances) > _MOST_BANDS:
            return self._solve_sparse(derivatives, right, distances, transposed=transposed)
        bands = np.zeros((max(distances) + 1, n * m), order="F")
        for place, (term, distance) in enumerate(zip(self.terms, distances, strict=True)):
            column, lag = self.before[term.read]
            if lag < n:
                bands[distance, column::m][: n - lag] = -derivatives[lag:, place]
        solve = scipy.linalg.blas.dtbsv
        found = solve(max(distances), bands, right.reshape(-1), trans=int(transposed), lower=1, diag=1)
        return np.asarray(found).reshape(n, m)

    def _solve_sparse(
        self, derivatives: NDArray[Any], right: NDArray[Any], distances: Sequence[int], *, transposed: bool
    ) -> NDArray[Any]:
        """Solve the system of `solve_bands` with one entry for each term: for long seasons."""
        n, m = right.shape
        diagonals, offsets = [np.ones(n * m)], [0]
        for place, (term, distance) in enumerate(zip(self.terms, distances, strict=True)):
            column, lag = self.before[term.read]
            diagonal = np.zeros(n * m - distance)
            diagonal[column::m][: max(n - lag, 0)] = -derivatives[lag:, place]
            diagonals.append(diagonal)
            offsets.append(-distance)
        matrix = scipy.sparse.diags_array(diagonals, offsets=offsets, format="csc")
        factors = scipy.sparse.linalg.splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0)
        return np.asarray(factors.solve(right.reshape(-1), trans="T" if transposed else "N")).reshape(n, m)


class _OfScan(torch.autograd.Function):
    """What keeps a scan, what it was called with, and its rows for the gradient."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.scan = inputs[0]
        ctx.save_for_backward(*inputs[1:], output)


class _Solved(_OfScan):
    """The rows of a scan as a differentiable function of what it was called with."""

    @staticmethod
    def forward(scan: Scan, *tensors: Tensor) -> Tensor:
        return scan.solve(tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, values = ctx.saved_tensors
        scan: Scan = ctx.scan
        if torch.is_grad_enabled():  # a second derivative may be wanted
            return (None, *scan.pull_back_again(tensors, values, gradients[0]))
        return (None, *scan.pull_back(tensors, values, gradients[0], ctx.needs_input_grad[1:]))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], scan: Scan, *tensors: Tensor) -> tuple[Tensor, int]:
        together = tuple(
            item.expand(info.batch_size, *item.shape) if dim is None else item.movedim(dim, 0)
            for item, dim in zip(tensors, in_dims[1:], strict=True)
        )
        return _SolvedTogether.apply(scan, *together), 0  # type: ignore[no-untyped-call]


class _SolvedTogether(_OfScan):
    """The rows of a scan for many sets of what it is called with: each tensor has one more dimension, the first."""

    @staticmethod
    def forward(scan: Scan, *tensors: Tensor) -> Tensor:
        return scan.solve_together(tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, values = ctx.saved_tensors
        scan: Scan = ctx.scan
        moving = [place for place, item in enumerate(tensors) if item.is_floating_point()]

        def pulled(gradient: Tensor, values: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            found = scan.pull_back_again(tensors, values, gradient)
            return tuple(item for place in moving if (item := found[place]) is not None)

        found = torch.vmap(pulled)(gradients[0], values, *tensors)
        places = dict(zip(moving, found, strict=True))
        return (None, *(places.get(place) for place in range(len(tensors))))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], scan: Scan, *tensors: Tensor) -> tuple[Tensor, int]:
        return _one_by_one(
            info.batch_size,
            in_dims[1:],
            tensors,
            lambda *each: _SolvedTogether.apply(scan, *each),  # type: ignore[no-untyped-call]
        )


class _BandSolve(torch.autograd.Function):
    """The solution of a scan's linear system, differentiable in its coefficients and its right side."""

    @staticmethod
    def forward(scan: Scan, derivatives: Tensor, right: Tensor, transposed: bool) -> Tensor:
        arrays = (item.detach().cpu().double().numpy() for item in (derivatives, right))
        with np.errstate(all="ignore"):
            found = scan.solve_bands(*arrays, transposed=transposed)
        return torch.from_numpy(np.ascontiguousarray(found)).to(right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.scan, derivatives, _, ctx.transposed = inputs
        ctx.save_for_backward(derivatives, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        derivatives, solution = ctx.saved_tensors
        scan: Scan = ctx.scan
        other: Tensor = _BandSolve.apply(scan, derivatives, gradients[0], not ctx.transposed)  # type: ignore[no-untyped-call]
        # Forwards, a term multiplies what stands above; backwards, what stands in its own row.
        rows, reads = (other, solution) if not ctx.transposed else (solution, other)
        zeros = [reads.new_zeros(length) for length in scan.longest]
        above = scan.above(reads, zeros)
        products = [rows[:, term.column] * above[term.read] for term in scan.terms]
        return None, torch.stack(products, dim=1), other, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], scan: Scan, derivatives: Tensor, right: Tensor, transposed: bool
    ) -> tuple[Tensor, int]:
        return _one_by_one(
            info.batch_size,
            in_dims[1:3],
            (derivatives, right),
            lambda *each: _BandSolve.apply(scan, *each, transposed),  # type: ignore[no-untyped-call]
        )


def _one_by_one(count: int, dims: Sequence[int | None], tensors: Sequence[Tensor], call: Any) -> tuple[Tensor, int]:
    """What `torch.vmap` gives, one after the other."""
    picked = [
        [item if dim is None else item.select(dim, place) for item, dim in zip(tensors, dims, strict=True)]
        for place in range(count)
    ]
    return torch.stack([call(*each) for each in picked]), 0


for _kind in (_Solved, _SolvedTogether, _BandSolve):  # torch asks for it in each call, and takes long to find it
    _forward: Any = _kind.forward
    _forward.__signature__ = inspect.signature(_forward)
