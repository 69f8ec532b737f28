"""IF with a condition on the parameters: whether its two branches meet where the condition changes.

Both branches and both sides of the comparison are written as polynomials of common parts. The branches meet if their
difference vanishes where the two sides are equal, and they meet smoothly if its derivative does so as well.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, fx

_MOST_TERMS = 24
"""Terms of a polynomial, at most: longer formulas are not taken apart."""

_HIGHEST_POWER = 4

_ROUNDING = 1e-12
"""Coefficients below this share of the largest are rounding errors."""

_ABOVE = frozenset({torch.gt, torch.ge, operator.gt, operator.ge})
_BELOW = frozenset({torch.lt, torch.le, operator.lt, operator.le})
_ABSOLUTE = frozenset({torch.abs, "abs", operator.abs})

_ZERO, _ONE = torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)

Monomial = tuple[tuple[fx.Node, int], ...]
Polynomial = dict[Monomial, Tensor]
"""Coefficients of products of powers of nodes; they may differ from number to number of a tensor."""


class Meeting(Enum):
    """How the branches of a choice meet: one is always the larger (or smaller) one, with a kink, or smoothly."""

    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    KINKED = "kinked"
    SMOOTH = "smooth"


@dataclass(frozen=True, slots=True)
class Met:
    """How two branches meet. `away_from_zero` is an ABS whose kink does not count, as the one in Huber's loss: there is
    nothing else in the branches, and around 0 only squares of it."""

    meeting: Meeting
    away_from_zero: fx.Node | None = None


class _TooLong(Exception):
    """A formula that is no polynomial of few terms."""


def meeting(node: fx.Node, constants: Mapping[str, Tensor]) -> Met | None:
    """How the branches of a recorded `where` meet; None if nothing is proved: it may jump.

    `constants` are the program's constants by name.
    """
    if len(node.args) != 3:
        return None
    condition, chosen, other = node.args
    if not isinstance(condition, fx.Node) or condition.target not in _ABOVE | _BELOW:
        return None
    left, right = condition.args[:2]
    if condition.target in _BELOW:
        left, right = right, left  # chosen where left > right
    stops = [item for item in (left, right) if isinstance(item, fx.Node)]
    inner = [item.args[0] for item in stops if item.target in _ABSOLUTE and isinstance(item.args[0], fx.Node)]
    for atoms in ({*stops, *inner}, set(inner), set()):
        try:
            found = _Comparison(constants, frozenset(atoms), stops).compared(left, right, chosen, other)
        except _TooLong:
            continue
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Border:
    """Where the sides of a comparison, nodes or numbers, are equal."""

    left: Any
    right: Any

    def towards(self, other: Border, constants: Mapping[str, Tensor]) -> tuple[int, int] | None:
        """How another border lies: 1 if its sides are the same way round, or -1; and 0 if it is the same border, 1 if
        it is where the left side of this one is larger, -1 if where it is smaller. None if that is not proved."""
        if (self.left, self.right) == (other.left, other.right):
            return 1, 0
        for atoms in (_nodes(self.left, self.right, other.left, other.right), frozenset[fx.Node]()):
            comparison = _Comparison(constants, atoms, [])
            try:
                one, two = comparison.surface(self.left, self.right), comparison.surface(other.left, other.right)
                factor = _factor(one, two)
                if factor is not None and _factor(two, one) is not None:  # nowhere is one of them always 0
                    return (1 if factor > 0 else -1), 0
                found = _parallel(one, two)
                if found is not None:
                    return found
            except (_TooLong, RuntimeError):  # thresholds of tensors that do not fit each other, too
                continue
        return None

    def agree(self, value: Any, others: Sequence[Any], constants: Mapping[str, Tensor]) -> bool:
        """Whether a value is proved to be that of one of the others on the border."""
        if any(value is item for item in others):
            return True
        for atoms in (_nodes(self.left, self.right), frozenset[fx.Node]()):
            comparison = _Comparison(constants, atoms, [])
            try:
                surface, there = comparison.surface(self.left, self.right), comparison.polynomial(value)
                atom = _linear_atom(surface)
                if atom is None:
                    continue
                for item in others:
                    difference = _minus(there, comparison.polynomial(item))
                    if _vanishes(_substituted(difference, atom, surface), difference):
                        return True
            except _TooLong:
                continue
        return False


def _nodes(*items: Any) -> frozenset[fx.Node]:
    return frozenset(item for item in items if isinstance(item, fx.Node))


@dataclass(frozen=True, slots=True)
class _Comparison:
    constants: Mapping[str, Tensor]
    atoms: frozenset[fx.Node]
    sides: list[fx.Node]

    def surface(self, left: Any, right: Any) -> Polynomial:
        """What is 0 where the two sides are equal."""
        return self._canonical(_minus(self.polynomial(left), self.polynomial(right)))

    def compared(self, left: Any, right: Any, chosen: Any, other: Any) -> Met | None:
        surface = self.surface(left, right)
        first, second = self._canonical(self.polynomial(chosen)), self._canonical(self.polynomial(other))
        difference = _minus(first, second)
        if not difference:
            return Met(Meeting.SMOOTH)
        factor = _factor(difference, surface)
        if factor is not None:
            return Met(Meeting.MAXIMUM if factor > 0 else Meeting.MINIMUM)
        atom = _linear_atom(surface)
        if atom is None or not _vanishes(_substituted(difference, atom, surface), difference):
            return None
        slope = _derivative(difference, atom)
        if not _vanishes(_substituted(slope, atom, surface), slope):
            return Met(Meeting.KINKED)
        return Met(Meeting.SMOOTH, self._away_from_zero(atom, surface, first, second))

    def _away_from_zero(
        self, atom: fx.Node, surface: Polynomial, first: Polynomial, second: Polynomial
    ) -> fx.Node | None:
        """The ABS that has a kink in neither branch: beyond a threshold above 0 it has none, below only squares."""
        threshold = surface.get(())
        if atom.target not in _ABSOLUTE or threshold is None or set(surface) != {(), ((atom, 1),)}:
            return None
        level = -threshold / surface[((atom, 1),)]
        inside = second if bool((surface[((atom, 1),)] > 0).all()) else first
        even = all(power % 2 == 0 for monomial in inside for _, power in monomial)
        alone = all(node is atom for part in (first, second) for monomial in part for node, _ in monomial)
        return atom if bool((level > 0).all()) and even and alone else None

    def _canonical(self, item: Polynomial) -> Polynomial:
        """Even powers of x as powers of ABS(x), where the sides of the comparison have that."""
        found: Polynomial = {}
        for monomial, coefficient in item.items():
            changed = tuple((self._absolute(node) if power % 2 == 0 else node, power) for node, power in monomial)
            _add(found, _sorted(changed), coefficient)
        return found

    def _absolute(self, node: fx.Node) -> fx.Node:
        """The side of the comparison that is the absolute value of a node, or the node itself."""
        return next((side for side in self.sides if side.target in _ABSOLUTE and side.args[0] is node), node)

    def polynomial(self, item: Any) -> Polynomial:
        """An expression as a polynomial of the atoms, and of what is no sum or product."""
        if isinstance(item, (int, float)):
            return {(): torch.tensor(float(item), dtype=torch.float64)}
        if isinstance(item, Tensor):
            return {(): item.double()}
        if not isinstance(item, fx.Node):
            raise _TooLong
        if item.op == "get_attr" and str(item.target) in self.constants:
            return {(): self.constants[str(item.target)].double()}
        if item.target in _ABSOLUTE and isinstance(item.args[0], fx.Node):
            same = self._absolute(item.args[0])
            return {((item if same is item.args[0] else same, 1),): _ONE}
        if item in self.atoms:
            return {((item, 1),): _ONE}
        found = self._operation(item)
        if found is None:
            return {((item, 1),): _ONE}
        if len(found) > _MOST_TERMS:
            raise _TooLong
        return found

    def _operation(self, node: fx.Node) -> Polynomial | None:
        target, arguments = node.target, node.args
        if target in (operator.add, torch.add):
            return _plus(self.polynomial(arguments[0]), self.polynomial(arguments[1]))
        if target in (operator.sub, torch.sub):
            return _minus(self.polynomial(arguments[0]), self.polynomial(arguments[1]))
        if target in (operator.neg, torch.neg):
            return _minus({}, self.polynomial(arguments[0]))
        if target in (operator.mul, torch.mul):
            return _times(self.polynomial(arguments[0]), self.polynomial(arguments[1]))
        if target is operator.truediv:
            below = self.polynomial(arguments[1])
            if set(below) == {()} and bool((below[()] != 0).all()):
                return _times(self.polynomial(arguments[0]), {(): 1 / below[()]})
        if target is operator.pow and arguments[1] in (2, 3):
            base = self.polynomial(arguments[0])
            square = _times(base, base)
            return square if arguments[1] == 2 else _times(square, base)
        return None


# --- polynomials --------------------------------------------------------------------------------------------


def _sorted(monomial: Monomial) -> Monomial:
    powers: dict[fx.Node, int] = {}
    for node, power in monomial:
        powers[node] = powers.get(node, 0) + power
    if any(power > _HIGHEST_POWER for power in powers.values()):
        raise _TooLong
    return tuple(sorted(powers.items(), key=lambda pair: pair[0].name))


def _add(total: Polynomial, monomial: Monomial, coefficient: Tensor) -> None:
    try:
        found = total[monomial] + coefficient if monomial in total else coefficient
    except RuntimeError:  # numbers of tensors that do not fit each other
        raise _TooLong from None
    if bool((found == 0).all()):
        total.pop(monomial, None)
    else:
        total[monomial] = found


def _plus(one: Polynomial, two: Polynomial, sign: float = 1.0) -> Polynomial:
    found = dict(one)
    for monomial, coefficient in two.items():
        _add(found, monomial, sign * coefficient)
    return found


def _minus(one: Polynomial, two: Polynomial) -> Polynomial:
    found = _plus(one, two, -1.0)
    largest = max((float(part.abs().max()) for part in (*one.values(), *two.values())), default=0.0)
    return {key: part for key, part in found.items() if float(part.abs().max()) > _ROUNDING * largest}


def _times(one: Polynomial, two: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for left, first in one.items():
        for right, second in two.items():
            try:
                product = first * second
            except RuntimeError:
                raise _TooLong from None
            _add(found, _sorted(left + right), product)
    return found


def _factor(item: Polynomial, of: Polynomial) -> float | None:
    """A number with the sign of k, if the one polynomial is k times the other, with one sign of k everywhere.

    Coefficients may be 0 in some places: in k (a weight of 0), and in single terms (a regressor that is 0).
    """
    if set(item) != set(of) or not of:
        return None
    products, squares = (sum((part[key] * of[key] for key in of), torch.zeros(())) for part in (item, of))
    if not bool((squares > 0).all()):
        return None
    ratio = products / squares
    if not (bool((ratio >= 0).all()) or bool((ratio <= 0).all())):
        return None
    if not _vanishes(_plus(item, _times(of, {(): ratio}), -1.0), item):
        return None
    return float(ratio.flatten()[ratio.abs().argmax()])


def _parallel(one: Polynomial, two: Polynomial) -> tuple[int, int] | None:
    """The sign of k, if the second polynomial is k times the first one but for a constant; and the sign of the first
    one where the second is 0. None if that is not the same everywhere."""
    moving, others = ({key: part for key, part in item.items() if key} for item in (one, two))
    if _factor(moving, others) is None or _factor(others, moving) is None:
        return None
    products, squares = (sum((others[key] * item[key] for key in moving), _ZERO) for item in (moving, others))
    ratio = squares / products
    distance = one.get((), _ZERO) - two.get((), _ZERO) / ratio
    if not (bool((distance > 0).all()) or bool((distance < 0).all())):
        return None
    return (1 if float(ratio.flatten()[0]) > 0 else -1), (1 if float(distance.flatten()[0]) > 0 else -1)


def _linear_atom(surface: Polynomial) -> fx.Node | None:
    """A node that the surface's equation can be solved for: it occurs once, by itself, with a coefficient."""
    for monomial, coefficient in surface.items():
        if len(monomial) == 1 and monomial[0][1] == 1 and bool((coefficient != 0).all()):
            node = monomial[0][0]
            if all(part is monomial or all(other is not node for other, _ in part) for part in surface):
                return node
    return None


def _substituted(item: Polynomial, atom: fx.Node, surface: Polynomial) -> Polynomial:
    """The polynomial where the surface is 0, which is solved for an atom."""
    coefficient = surface[((atom, 1),)]
    rest = {key: part for key, part in surface.items() if key != ((atom, 1),)}
    value = _times(rest, {(): -1 / coefficient})
    found: Polynomial = {}
    for monomial, part in item.items():
        term: Polynomial = {tuple(pair for pair in monomial if pair[0] is not atom): part}
        for node, power in monomial:
            for _ in range(power if node is atom else 0):
                term = _times(term, value)
        found = _plus(found, term)
    return found


def _derivative(item: Polynomial, atom: fx.Node) -> Polynomial:
    found: Polynomial = {}
    for monomial, part in item.items():
        powers = dict(monomial)
        power = powers.pop(atom, 0)
        if power:
            lowered = (*powers.items(), *(((atom, power - 1),) if power > 1 else ()))
            _add(found, _sorted(lowered), power * part)
    return found


def _vanishes(item: Polynomial, beside: Polynomial) -> bool:
    largest = max((float(part.abs().max()) for part in beside.values()), default=0.0)
    return all(float(part.abs().max()) <= _ROUNDING * max(largest, 1e-300) for part in item.values())
