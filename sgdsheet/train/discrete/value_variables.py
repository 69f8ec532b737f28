"""Look-ups, products and other functions of one or two whole numbers as a linear model with more variables.

Whatever formulas calculate from one whole number of a few values, or from two, is a table. A variable that is 1 where a
parameter has a value, and 0 elsewhere, makes a table of one linear; one for each pair of values, whose sums over either
are those variables, a table of two. So the travelling salesman, quadratic assignment, products of binaries and fixed
charges become linear models, which HiGHS solves with a proof. The rest of the formulas has to be linear or quadratic in
these numbers. Adams and Johnson, “Improved linear programming-based lower bounds for the quadratic assignment
problem”, DIMACS Series 16 (1994); McCormick, “Computability of global solutions to factorable nonconvex programs”,
Mathematical Programming 10 (1976), for a binary times a bounded number, where it is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from sgdsheet.compiler.passes.shapes import known_shape, note_shapes, shape_of
from sgdsheet.compiler.structure.function_analysis import FunctionAnalysis, Limits
from sgdsheet.compiler.structure.influences import influences
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats
from sgdsheet.train.discrete.highs import IntegerProgram
from sgdsheet.train.discrete.integer_linear import with_distance
from sgdsheet.train.discrete.points import box_of

_MOST_VALUES = 64
"""Values of a whole number of which each gets a variable, at most."""

_MOST_ENTRIES, _MOST_NUMBERS = 200_000, 500_000_000
"""Entries of tables that are calculated, and numbers that are read for them, at most."""

_MOST_INFLUENCES = 100_000_000
"""Numbers of a program times parameters up to which it is found out which depends on which: a byte of memory each."""

_MOST_COLUMNS, _MOST_QUADRATIC = 40_000, 60
"""Variables of the linear model, and quadratic rows, at most."""

_MOST_DERIVATIVES = 1_500
"""Numbers by which a quadratic function is differentiated twice, at most."""

_PROBES = 12
"""Points at which the linear model is compared with the sheet."""

_AGREES = 1e-7
"""How much they may differ, relative to their numbers."""

Table = NDArray[np.float64]


class _NotLinear(Exception):
    """The model cannot be written as a linear one in this way."""


def tabulated_programme(flat: FlatModel, discrete: Discrete) -> IntegerProgram | None:
    """The model as a linear programme with variables for the values of whole numbers; None where that cannot be done.

    The parameters stay as they are.
    """
    kept = flat.get()
    try:
        with torch.no_grad():
            return _Tables(flat, discrete, kept).programme()
    except _NotLinear:
        return None
    finally:
        flat.set(kept)


@dataclass(slots=True)
class _Row:
    """A linear function: `constant` + `linear` [parameters] · x, and the coefficients of variables for values.

    `singles` has a coefficient for each value of a parameter, `pairs` for each two values of two, the first of which
    comes first among the parameters; `mixed` for a value, by the parameter and the place of the value, times another
    parameter.
    """

    constant: float
    linear: Floats
    singles: dict[int, Table] = field(default_factory=dict)
    pairs: dict[tuple[int, int], Table] = field(default_factory=dict)
    mixed: dict[tuple[int, int, int], float] = field(default_factory=lambda: defaultdict(float))

    def add_single(self, place: int, table: Table) -> None:
        self.singles[place] = self.singles.get(place, 0.0) + table

    def add_pair(self, one: int, two: int, table: Table) -> None:
        if one > two:
            one, two, table = two, one, table.T
        self.pairs[one, two] = self.pairs.get((one, two), 0.0) + table


@dataclass(slots=True)
class _Tables:
    flat: FlatModel
    discrete: Discrete
    start: Floats
    values: dict[int, Floats] = field(init=False)
    """The values of each whole number that has few of them, by the place of the parameter."""
    barred: list[tuple[int, int]] = field(default_factory=list)
    """Values, by the parameter and the place of the value, with which something is an error."""
    barred_pairs: dict[tuple[int, int], NDArray[np.bool_]] = field(default_factory=dict)
    groups: dict[int, int] = field(init=False)
    """The number of the permutation that a parameter belongs to."""

    def __post_init__(self) -> None:
        box = box_of(self.flat, self.discrete, self.start)
        few = box.whole & (~box.derived | box.permuted) & (box.upper - box.lower < _MOST_VALUES)
        self.values = {int(place): np.arange(box.lower[place], box.upper[place] + 1) for place in np.flatnonzero(few)}
        self.groups = {int(place): n for n, group in enumerate(self.discrete.permutations) for place in group}

    def programme(self) -> IntegerProgram:
        model, flat = self.flat.model, self.flat
        (loss,) = self._rows(model.lowered.module([model.loss_node]))
        rows = self._rows(flat.constraints.program) if flat.constraints.program is not None else []
        if not any(row.singles or row.pairs or row.mixed for row in [loss, *rows]):
            raise _NotLinear
        built = _Columns(self, [loss, *rows])
        self._compare(built)
        return built.programme()

    # --- rows ---------------------------------------------------------------------------------------------

    def _rows(self, module: fx.GraphModule) -> list[_Row]:
        """The outputs of a program, number by number."""
        module = _without_guards(module)
        note_shapes(module)
        size = sum(shape.numel() for node in module.graph.nodes if (shape := known_shape(node)) is not None)
        if size * len(self.start) > _MOST_INFLUENCES:
            raise _NotLinear
        names = self.flat.model.parameter_names
        bounds = self.flat.constraints.bounds
        limits = bounds.by_name({name: self.flat.model.shared_parameters[name] for name in names})
        analysis = FunctionAnalysis(module, limits)
        depends = influences(module, names)
        tables = self._cut(module, analysis, depends)
        rest, variables = _without(module, tables)
        outputs = next(node for node in rest.graph.nodes if node.op == "output").args[0]
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        if not all(isinstance(item, fx.Node) for item in outputs):
            raise _NotLinear
        try:
            note_shapes(rest)
        except (RuntimeError, TypeError):  # truth values, or places, in a table
            raise _NotLinear from None
        rough = FunctionAnalysis(rest, _ranged(limits, variables))
        degrees = [3 if (degree := rough.of(item).degree) is None else degree for item in outputs]
        if max(degrees, default=0) > 2:
            raise _NotLinear
        found = self._forms(rest, list(variables.values()), quadratic=max(degrees, default=0) == 2)
        sources = self._tabulated(module, tables, depends)
        return [self._row(form, sources) for form in found]

    def _cut(self, module: fx.GraphModule, analysis: FunctionAnalysis, depends: dict[fx.Node, Tensor]) -> list[fx.Node]:
        """The last nodes of which each number depends on one or two whole numbers of few values."""
        finite = torch.zeros(len(self.start), dtype=torch.bool)
        finite[list(self.values)] = True

        def has_table(node: fx.Node) -> bool:
            if node not in depends or known_shape(node) is None or not node.op.startswith("call"):
                return False
            if analysis.of(node).linear:
                return False
            rows = _numbers(depends[node])
            return not rows[~finite].any() and int(rows.sum(0).max()) <= 2

        with_table = {node for node in module.graph.nodes if has_table(node)}
        return [node for node in module.graph.nodes if node in with_table and not set(node.users) <= with_table]

    def _tabulated(
        self, module: fx.GraphModule, nodes: list[fx.Node], depends: dict[fx.Node, Tensor]
    ) -> list[tuple[tuple[int, ...], Table]]:
        """For each number of the nodes the parameters that it depends on, and its value for each of their values."""
        owners = [tuple(torch.nonzero(row).flatten().tolist()) for node in nodes for row in _numbers(depends[node]).T]
        grids = {key: np.prod([len(self.values[place]) for place in key], dtype=int) for key in {*owners} if key}
        total = int(sum(grids.values()))
        if total > _MOST_ENTRIES or total * self.flat.model.numbers_read() > _MOST_NUMBERS:
            raise _NotLinear
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(module.graph, copies)
        graph.output(tuple(copies[node] for node in nodes))
        graph.eliminate_dead_code()
        partial = fx.GraphModule(module, graph)
        base = self.flat.clipped(np.where(np.isfinite(self.start), self.start, 0.0))
        for place, values in self.values.items():
            base[place] = values[0]
        found: list[tuple[tuple[int, ...], Table]] = [(key, np.zeros(0)) for key in owners]
        for key, size in grids.items():
            points = np.tile(base, (size, 1))
            for place, column in zip(
                key, np.meshgrid(*(self.values[place] for place in key), indexing="ij"), strict=True
            ):
                points[:, place] = column.reshape(-1)
            chosen = [number for number, owner in enumerate(owners) if owner == key]
            shape = [len(self.values[place]) for place in key]
            for number, column in zip(chosen, self._evaluated(partial, points)[:, chosen].T, strict=True):
                found[number] = key, column.reshape(shape)
        for number, key in enumerate(owners):
            if not key:  # it depends on nothing, whatever its node does
                found[number] = key, self._evaluated(partial, base[None])[0, [number]]
        return found

    def _evaluated(self, module: fx.GraphModule, points: Floats) -> Table:
        """All numbers of a program's outputs [points, numbers] at points [points, parameters]."""
        own = dict(module.named_parameters())
        stacked, at = {}, 0
        for name, tensor in zip(self.flat.model.parameter_names, self.flat.tensors, strict=True):
            if name in own:
                part = torch.from_numpy(points[:, at : at + tensor.numel()].copy())
                stacked[name] = part.reshape(len(points), *tensor.shape).to(tensor.dtype)
            at += tensor.numel()

        def flat(values: dict[str, Tensor]) -> Tensor:
            outputs = torch.func.functional_call(module, values, ())
            return torch.cat([item.double().reshape(-1) for item in outputs])

        try:
            return np.asarray(torch.vmap(flat)(stacked).numpy())
        except (RuntimeError, ValueError, NotImplementedError, IndexError):  # an operation that vmap does not know
            raise _NotLinear from None

    def _forms(
        self, rest: fx.GraphModule, variables: list[nn.Parameter], *, quadratic: bool
    ) -> list[tuple[float, Floats, Floats | None]]:
        """Each output as constant, gradient and second derivatives by parameters and table numbers, all at 0."""
        parameters = [*self.flat.tensors, *variables]
        self.flat.set(np.zeros(len(self.start)))
        count = sum(item.numel() for item in parameters)
        found: list[tuple[float, Floats, Floats | None]] = []
        with torch.enable_grad():
            outputs = rest()
            parts = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            numbers = torch.cat([item.double().reshape(-1) for item in parts])
            if quadratic and (count > _MOST_DERIVATIVES or len(numbers) > _MOST_QUADRATIC):
                raise _NotLinear
            for item in numbers.unbind():
                if not item.requires_grad:
                    found.append((float(item.detach()), np.zeros(count), None))
                    continue
                gradient = torch.autograd.grad(
                    item, parameters, create_graph=quadratic, retain_graph=True, materialize_grads=True
                )
                slope = torch.cat([part.reshape(-1) for part in gradient])
                curvature = _curvature(slope, parameters) if quadratic else None
                found.append((float(item.detach()), slope.detach().double().numpy(), curvature))
        return found

    def _row(self, form: tuple[float, Floats, Floats | None], sources: list[tuple[tuple[int, ...], Table]]) -> _Row:
        constant, slope, curvature = form
        count = len(self.start)
        if not (np.isfinite(constant) and np.isfinite(slope).all()):
            raise _NotLinear
        made = _Row(constant, slope[:count].copy())
        for factor, (key, table) in zip(slope[count:], sources, strict=True):
            if factor != 0 or not np.isfinite(table).all():
                self._add(made, key, factor * self._without_errors(key, table))
        if curvature is not None:
            if not np.isfinite(curvature).all():
                raise _NotLinear
            for one, two in np.argwhere(np.triu(curvature) != 0).tolist():
                factor = curvature[one, two] * (0.5 if one == two else 1.0)
                self._add_product(made, factor, self._factor(one, sources), self._factor(two, sources))
        return made

    def _without_errors(self, key: tuple[int, ...], table: Table) -> Table:
        """A table with 0 for errors; that these are not chosen is noted."""
        bad = ~np.isfinite(table)
        if not bad.any():
            return table
        if len(key) == 1:
            self.barred.extend((key[0], int(place)) for place in np.flatnonzero(bad))
        elif len(key) == 2:
            known = self.barred_pairs.get((key[0], key[1]))
            self.barred_pairs[key[0], key[1]] = bad if known is None else known | bad
        else:
            raise _NotLinear
        return np.where(bad, 0.0, table)

    def _add(self, row: _Row, key: tuple[int, ...], table: Table) -> None:
        if not key:
            row.constant += float(table[0])
        elif len(key) == 1:
            row.add_single(key[0], table)
        else:
            row.add_pair(key[0], key[1], table)

    def _factor(self, place: int, sources: list[tuple[tuple[int, ...], Table]]) -> tuple[int, Table | None]:
        """A parameter with the numbers that its values stand for in a product; None if it is the parameter itself."""
        count = len(self.start)
        if place < count:
            return place, self.values.get(place)
        key, table = sources[place - count]
        if len(key) != 1:
            raise _NotLinear
        return key[0], self._without_errors(key, table)

    def _add_product(
        self, row: _Row, factor: float, one: tuple[int, Table | None], two: tuple[int, Table | None]
    ) -> None:
        (first, left), (second, right) = one, two
        if left is None or right is None:
            if left is None and right is None:
                raise _NotLinear  # two numbers that may be any
            (place, table), other = ((first, left), second) if left is not None else ((second, right), first)
            assert table is not None
            if not (np.isfinite(self.flat.lower[other]) and np.isfinite(self.flat.upper[other])):
                raise _NotLinear
            for number in np.flatnonzero(table).tolist():
                row.mixed[place, number, other] += factor * float(table[number])
        elif first == second:
            row.add_single(first, factor * left * right)
        else:
            row.add_pair(first, second, factor * np.outer(left, right))

    def _compare(self, built: _Columns) -> None:
        """Compare the linear model with the sheet at some points. Raises where they differ."""
        random = np.random.default_rng(0)
        flat = self.flat
        lower = np.where(np.isfinite(flat.lower), flat.lower, -1.0)
        upper = np.where(np.isfinite(flat.upper), flat.upper, lower + 2.0)
        compared = 0
        for _ in range(_PROBES):
            x = lower + (upper - lower) * random.random(len(lower))
            for place, values in self.values.items():
                x[place] = random.choice(values)
            for group in self.discrete.permutations:
                x[group] = 1.0 + random.permutation(len(group))
            x = np.where(self.discrete.whole, np.round(x), x)
            point = flat.at(x)
            theirs = np.append(point.loss, point.residuals)
            if not np.isfinite(theirs).all():
                continue
            ours, sizes = built.at(x)
            compared += 1
            if (np.abs(ours - theirs) > _AGREES * (1 + sizes)).any():
                raise _NotLinear
        if not compared:
            raise _NotLinear


def _numbers(rows: Tensor) -> Tensor:
    """What each number of a node depends on [parameters, numbers]."""
    return rows.reshape(len(rows), -1)


def _curvature(slope: Tensor, parameters: Sequence[Tensor]) -> Floats:
    """The second derivatives [numbers, numbers] from a gradient [numbers] with its graph."""
    rows = []
    for item in slope.unbind():
        if not item.requires_grad:
            rows.append(torch.zeros(len(slope), dtype=torch.float64))
            continue
        parts = torch.autograd.grad(item, parameters, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([part.detach().double().reshape(-1) for part in parts]))
    return np.asarray(torch.stack(rows).numpy())


def _without_guards(module: fx.GraphModule) -> fx.GraphModule:
    """The program without choices between a number and the same number without its gradient."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    output = graph.graph_copy(module.graph, copies)
    graph.output(output)
    for node in graph.nodes:
        if node.target is torch.where and len(node.args) == 3:
            for value, instead in (node.args[1:], node.args[:0:-1]):
                bare = isinstance(instead, fx.Node) and instead.target == "detach" and instead.args[0] is value
                if bare and isinstance(value, fx.Node):
                    node.replace_all_uses_with(value)
                    break
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


def _without(module: fx.GraphModule, nodes: list[fx.Node]) -> tuple[fx.GraphModule, dict[fx.Node, nn.Parameter]]:
    """The program with parameters of their own in the place of some nodes, and these."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    variables = {node: nn.Parameter(torch.zeros(shape_of(node), dtype=torch.float64)) for node in nodes}
    names = {node: f"table_{number}" for number, node in enumerate(nodes)}
    for node in module.graph.nodes:
        if node.op == "output":
            graph.output(fx.map_arg(node.args[0], lambda item: copies[item]))
        elif node in names:
            copies[node] = graph.get_attr(names[node])
        else:
            copies[node] = graph.node_copy(node, lambda item: copies[item])
    graph.eliminate_dead_code()
    own: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    own |= {names[node]: variables[node] for node in nodes}
    targets = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
    return fx.GraphModule({name: own[name] for name in own if name in targets}, graph), variables


def _ranged(limits: Limits, variables: dict[fx.Node, nn.Parameter]) -> Limits:
    """The bounds of parameters, and none for the numbers of tables."""
    free = {
        f"table_{number}": (torch.full((1,), -torch.inf), torch.full((1,), torch.inf))
        for number in range(len(variables))
    }
    return {**limits, **free}


class _Columns:
    """The variables of the linear model: parameters, then values, then pairs of values, then products."""

    def __init__(self, tables: _Tables, rows: list[_Row]) -> None:
        self.tables, self.rows = tables, rows
        self.count = len(tables.start)
        for row in rows:
            for key in [*row.pairs]:
                self._take_apart(row, key)
        used = {place for row in rows for key in row.pairs for place in key}
        used |= {place for row in rows for place in row.singles} | {place for row in rows for place, *_ in row.mixed}
        used |= {place for key in tables.barred_pairs for place in key} | {place for place, _ in tables.barred}
        used |= set(tables.groups)
        self.width = self.count
        self.at_value: dict[int, int] = {}
        for place in sorted(used):
            self.at_value[place] = self.width
            self.width += len(tables.values[place])
        self.at_pair: dict[tuple[int, int], int] = {}
        for key in sorted({key for row in rows for key in row.pairs} | set(tables.barred_pairs)):
            self.at_pair[key] = self.width
            self.width += len(tables.values[key[0]]) * len(tables.values[key[1]])
        self.pairs = min(self.at_pair.values(), default=self.width), self.width
        self.at_product: dict[tuple[int, int, int], int] = {}
        for mixed in sorted({key for row in rows for key in row.mixed}):
            self.at_product[mixed] = self.width
            self.width += 1
        if self.width > _MOST_COLUMNS:
            raise _NotLinear
        self.rows_: list[dict[int, float]] = []
        self.low: list[float] = []
        self.high: list[float] = []

    def _take_apart(self, row: _Row, key: tuple[int, int]) -> None:
        """A table of two that is a sum of two tables of one needs no variables of its own."""
        table = row.pairs[key]
        first, second = table[:, :1], table[:1] - table[0, 0]
        if np.abs(table - first - second).max() <= 1e-13 * np.abs(table).max():
            del row.pairs[key]
            row.add_single(key[0], first[:, 0])
            row.add_single(key[1], second[0])

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """The rows at a point [parameters], and the sizes of their terms [rows]."""
        tables = self.tables
        places = {place: int(np.argmin(np.abs(tables.values[place] - x[place]))) for place in self.at_value}
        found, sizes = [], []
        for row in self.rows:
            terms = [row.constant, *(row.linear * x)]
            terms += [table[places[place]] for place, table in row.singles.items()]
            terms += [table[places[one], places[two]] for (one, two), table in row.pairs.items()]
            terms += [
                factor * x[other] for (place, number, other), factor in row.mixed.items() if places[place] == number
            ]
            found.append(float(np.sum(terms)))
            sizes.append(float(np.abs(terms).sum()))
        return np.array(found), np.array(sizes)

    # --- the programme ------------------------------------------------------------------------------------

    def programme(self) -> IntegerProgram:
        flat, tables = self.tables.flat, self.tables
        loss, *rows = self.rows
        for number, row in enumerate(rows):
            self._add(self._coefficients(row), -np.inf if number < flat.split else -row.constant, -row.constant)
        self._tie_values()
        self._tie_pairs()
        self._tie_products()
        lower = np.concatenate([flat.lower, np.zeros(self.width - self.count)])
        upper = np.concatenate([flat.upper, np.ones(self.width - self.count)])
        for (_, _, other), column in self.at_product.items():
            lower[column], upper[column] = min(flat.lower[other], 0.0), max(flat.upper[other], 0.0)
        for place, number in tables.barred:
            upper[self.at_value[place] + number] = 0.0
        for key, bad in tables.barred_pairs.items():
            upper[self.at_pair[key] + np.flatnonzero(bad.reshape(-1))] = 0.0
        for (one, two), first in self.at_pair.items():
            if one in tables.groups and tables.groups[one] == tables.groups.get(two):
                size = len(tables.values[one])
                upper[first + np.arange(size) * (size + 1)] = 0.0  # no number twice
        whole = np.zeros(self.width, np.bool_)
        whole[: self.count] = tables.discrete.whole
        for place, first in self.at_value.items():
            whole[first : first + len(tables.values[place])] = True
        sign = -1.0 if flat.model.problem.direction is Direction.MAXIMISE else 1.0
        costs = np.zeros(self.width)
        for column, factor in self._coefficients(loss).items():
            costs[column] += factor
        made = IntegerProgram(
            self.count,
            sign * costs,
            sign * loss.constant,
            self._matrix(),
            np.array(self.low),
            np.array(self.high),
            lower,
            upper,
            whole,
            self.pairs,
        )
        if flat.model.problem.direction is Direction.VALUE:
            return with_distance(made, flat.model.problem.target)
        return made

    def _coefficients(self, row: _Row) -> dict[int, float]:
        found: dict[int, float] = defaultdict(float)
        for column in np.flatnonzero(row.linear).tolist():
            found[column] += float(row.linear[column])
        for place, table in row.singles.items():
            for number in np.flatnonzero(table).tolist():
                found[self.at_value[place] + number] += float(table[number])
        for key, table in row.pairs.items():
            for number in np.flatnonzero(table).tolist():
                found[self.at_pair[key] + number] += float(table.reshape(-1)[number])
        for mixed, factor in row.mixed.items():
            found[self.at_product[mixed]] += factor
        return found

    def _add(self, row: dict[int, float], low: float, high: float) -> None:
        self.rows_.append(row)
        self.low.append(low)
        self.high.append(high)

    def _tie_values(self) -> None:
        """A parameter has one of its values, and in a permutation each value belongs to one parameter."""
        tables = self.tables
        for place, first in self.at_value.items():
            values = tables.values[place]
            self._add({first + number: 1.0 for number in range(len(values))}, 1.0, 1.0)
            self._add({place: -1.0} | {first + n: float(value) for n, value in enumerate(values) if value}, 0.0, 0.0)
        for group in tables.discrete.permutations:
            for number in range(len(group)):
                self._add({self.at_value[int(place)] + number: 1.0 for place in group}, 1.0, 1.0)

    def _tie_pairs(self) -> None:
        """The sums over the values of either parameter are the variables of the other one's values."""
        for (one, two), first in self.at_pair.items():
            left, right = len(self.tables.values[one]), len(self.tables.values[two])
            places = first + np.arange(left * right).reshape(left, right)
            for number in range(left):
                row = {self.at_value[one] + number: -1.0} | {int(column): 1.0 for column in places[number]}
                self._add(row, 0.0, 0.0)
            for number in range(right):
                row = {self.at_value[two] + number: -1.0} | {int(column): 1.0 for column in places[:, number]}
                self._add(row, 0.0, 0.0)

    def _tie_products(self) -> None:
        """A value's variable times a bounded parameter is that parameter, or 0."""
        flat = self.tables.flat
        for (place, number, other), column in self.at_product.items():
            chosen = self.at_value[place] + number
            low, high = float(flat.lower[other]), float(flat.upper[other])
            self._add({column: 1.0, chosen: -high}, -np.inf, 0.0)
            self._add({column: -1.0, chosen: low}, -np.inf, 0.0)
            self._add({column: 1.0, other: -1.0, chosen: -low}, -np.inf, -low)
            self._add({column: -1.0, other: 1.0, chosen: high}, -np.inf, high)

    def _matrix(self) -> scipy.sparse.csr_array:
        data = [factor for row in self.rows_ for factor in row.values()]
        columns = [column for row in self.rows_ for column in row]
        numbers = np.repeat(np.arange(len(self.rows_)), [len(row) for row in self.rows_])
        return scipy.sparse.csr_array((data, (numbers, columns)), shape=(len(self.rows_), self.width))
