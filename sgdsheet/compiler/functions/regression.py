"""Pairs of numbers: covariance, correlation and regression. A regression line has a slope."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, is_set
from sgdsheet.compiler.functions.moments import deviations, mean_of, size_of
from sgdsheet.compiler.functions.range_numbers import only_numbers, over_pairs
from sgdsheet.compiler.functions.registry import Context, Takes, fixed, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Node, Omitted


def _products(one: Tensor, two: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sums of the squared deviations of both, and of the products of their deviations."""
    x, y = deviations(one, counts), deviations(two, counts)
    return torch.sum(x * x, -1), torch.sum(y * y, -1), torch.sum(x * y, -1)


def _over(above: Tensor, under: Tensor) -> Tensor:
    """A quotient; #DIV/0! unless the divisor is above 0."""
    possible = under > 0.0
    return failing(~possible, above / torch.where(possible, under, 1.0), Fault.DIV0)


@over_pairs(
    "CORREL",
    also=["PEARSON"],
    examples={
        "CORREL({3;2;4;5;6},{9;7;12;15;17})": 0.997054485501581,
        "CORREL({1,1},{2,3})": "#DIV/0!",
        "CORREL({1,2},{2,3,4})": "#N/A",
    },
)
def correl(one: Tensor, two: Tensor, counts: Tensor) -> Tensor:
    """Correlation of two ranges."""
    xx, yy, xy = _products(one, two, counts)
    possible = (xx > 0.0) & (yy > 0.0)
    spread = torch.sqrt(torch.where(possible, xx, 1.0)) * torch.sqrt(torch.where(possible, yy, 1.0))
    return failing(~possible, xy / spread, Fault.DIV0)


@over_pairs("RSQ", examples={"RSQ({2;3;9;1;8;7;5},{6;5;11;7;5;4;4})": 0.057950191570881})
def rsq(ys: Tensor, xs: Tensor, counts: Tensor) -> Tensor:
    """Square of the correlation of two ranges."""
    yy, xx, xy = _products(ys, xs, counts)
    return _over(xy * xy, xx * yy)


@over_pairs("SLOPE", examples={"SLOPE({2;3;9;1;8;7;5},{6;5;11;7;5;4;4})": 0.305555555555556})
def slope(ys: Tensor, xs: Tensor, counts: Tensor) -> Tensor:
    """Slope of the regression line."""
    _, xx, xy = _products(ys, xs, counts)
    return _over(xy, xx)


@over_pairs("INTERCEPT", examples={"INTERCEPT({2;3;9;1;8},{6;5;11;7;5})": 0.0483870967741935})
def intercept(ys: Tensor, xs: Tensor, counts: Tensor) -> Tensor:
    """Where the regression line meets the axis."""
    return mean_of(ys, counts) - slope(ys, xs, counts) * mean_of(xs, counts)


@over_pairs(
    "FORECAST.LINEAR",
    also=["FORECAST"],
    at=True,
    examples={"FORECAST.LINEAR(30,{6;7;9;15;21},{20;28;31;38;40})": 10.607253},
)
def forecast_linear(ys: Tensor, xs: Tensor, counts: Tensor, x: Tensor) -> Tensor:
    """What the regression line has at a place."""
    return mean_of(ys, counts) + slope(ys, xs, counts) * (x - mean_of(xs, counts))


@over_pairs("STEYX", examples={"STEYX({2;3;9;1;8;7;5},{6;5;11;7;5;4;4})": 3.305718950210041})
def steyx(ys: Tensor, xs: Tensor, counts: Tensor) -> Tensor:
    """Standard error of what the regression line predicts."""
    yy, xx, xy = _products(ys, xs, counts)
    size = size_of(ys, counts)
    rest = (yy - _over(xy * xy, xx)) / torch.where(size > 2.0, size - 2.0, 1.0)
    positive = rest > 0.0
    found = torch.where(positive, torch.sqrt(torch.where(positive, rest, 1.0)), rest * 0.0)
    return failing(size < 3.0, found, Fault.DIV0)


@over_pairs("COVARIANCE.P", also=["COVAR"], examples={"COVARIANCE.P({3,2,4,5,6},{9,7,12,15,17})": 5.2})
def covariance_p(one: Tensor, two: Tensor, counts: Tensor) -> Tensor:
    """Covariance of two ranges that are a whole population."""
    return _over(_products(one, two, counts)[2], size_of(one, counts))


@over_pairs("COVARIANCE.S", examples={"COVARIANCE.S({2,4,8},{5,11,12})": 29 / 3})
def covariance_s(one: Tensor, two: Tensor, counts: Tensor) -> Tensor:
    """Covariance of two ranges that are samples."""
    return _over(_products(one, two, counts)[2], size_of(one, counts) - 1.0)


# --- several regressors -----------------------------------------------------------------------------------


_DEPENDENT = 1e-10
"""A regressor of which no larger share is left beside the others depends on them."""


class _Data:
    """What a regression is about: `ys` [copies, n], `xs` [copies, n, k], and the shape of the ranges."""

    def __init__(self, context: Context, ys: Node, xs: Node | None) -> None:
        self.builder = context.builder
        self.known = context.lower(ys, array=True)
        builder = self.builder
        if xs is None or isinstance(xs, Omitted):
            height, width = self.known.size("h"), self.known.size("w")
            counted = torch.arange(1, height * width + 1, dtype=builder.dtype).reshape(height, width)
            given = _array(builder, counted)
        else:
            given = context.lower(xs, array=True)
        self.wrong = Fault.REF if not _fits(self.known, given) else None
        if not all(map(only_numbers, (self.known, given))):
            self.wrong = Fault.VALUE
        self.given, self.across = given, self.known.size("h") == 1 and self.known.size("w") > 1
        copies = (self.known, given)
        self.axes = "".join(axis for axis in "RC" if any(axis in value.axes for value in copies))
        self.sizes = tuple(max(value.size(axis) for value in copies) for axis in self.axes)

    @property
    def points(self) -> int:
        return self.known.size("h") * self.known.size("w")

    @property
    def regressors(self) -> int:
        return self.given.size("h") * self.given.size("w") // self.points

    def matrix(self, value: Value, columns: int) -> object:
        """A range as [copies, points, columns], or without the last axis for one column of 0."""
        whole = self.builder.expanded(value, self.axes + "hw", (*self.sizes, value.size("h"), value.size("w")))
        data = whole.data
        if columns and self.across and self.given.size("h") * self.given.size("w") > self.points:
            data = self.builder.method("transpose", data, -1, -2)
        shape = (*self.sizes, -1, columns) if columns else (*self.sizes, -1)
        return self.builder.method("reshape", data, shape)


def _fits(ys: Value, xs: Value) -> bool:
    """Whether the regressors are columns (rows) beside a column (row) of values, or as large as any range."""
    shape, other = (ys.size("h"), ys.size("w")), (xs.size("h"), xs.size("w"))
    if shape == other:
        return True
    return (shape[1] == 1 and shape[0] == other[0]) or (shape[0] == 1 and shape[1] == other[1])


def _array(builder: Builder, data: Tensor) -> Value:
    pairs = [(axis, size) for axis, size in zip("hw", data.shape, strict=True) if size > 1]
    sizes = tuple(size for _, size in pairs)
    return Value(data.reshape(sizes), "".join(axis for axis, _ in pairs), sizes, reference=True)


def _fit(ys: Tensor, xs: Tensor, constant: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients [copies, k], the intercept [copies], and R of the decomposition of the regressors [copies, n, k].

    All coefficients are errors where regressors that a parameter moves depend on each other.
    """
    centre_x, centre_y = torch.mean(xs, -2, keepdim=True), torch.mean(ys, -1, keepdim=True)
    if not constant:
        centre_x, centre_y = centre_x * 0.0, centre_y * 0.0
    factors = torch.linalg.qr(xs - centre_x)
    turned = torch.matmul(torch.transpose(factors[0], -1, -2), torch.unsqueeze(ys - centre_y, -1))
    found = torch.squeeze(torch.linalg.solve_triangular(factors[1], turned, upper=True), -1)
    left, whole = torch.diagonal(factors[1], dim1=-2, dim2=-1), torch.sum((xs - centre_x) ** 2, -2)
    found = failing(torch.any(left**2 <= _DEPENDENT**2 * whole, -1, keepdim=True), found)
    start = torch.squeeze(centre_y, -1) - torch.sum(torch.squeeze(centre_x, -2) * found, -1)
    return found, start, factors[1]


def _coefficients(ys: Tensor, xs: Tensor, constant: bool) -> Tensor:
    """The coefficients of the regressors [copies, n, k], the last first, and the intercept."""
    found, start, _ = _fit(ys, xs, constant)
    return torch.cat([torch.flip(found, [-1]), torch.unsqueeze(start, -1)], -1)


def _columns(matrix: Tensor, used: Sequence[int], regressors: int) -> Tensor:
    """Some columns of a matrix [copies, n, regressors], in their order."""
    return matrix if len(used) == regressors else matrix[..., list(used)]


def _with_removed(table: Tensor, used: Sequence[int], regressors: int) -> Tensor:
    """A row [copies, k + 1] of coefficients, the last regressor first, with 0 for the regressors that are not used."""
    if len(used) == regressors:
        return table
    columns = [used.index(column) if column in used else None for column in range(regressors)]
    zeros = table[..., :1] * 0.0
    parts = [zeros if at is None else table[..., len(used) - 1 - at, None] for at in reversed(columns)]
    return torch.cat([*parts, table[..., -1:]], -1)


def _table(ys: Tensor, xs: Tensor, constant: bool, points: int, regressors: int) -> Tensor:
    """LINEST's five rows: coefficients, standard errors, R² and the standard error, F and degrees of freedom, sums."""
    found, start, triangle = _fit(ys, xs, constant)
    freedom = points - regressors - constant
    fitted = torch.squeeze(torch.matmul(xs, torch.unsqueeze(found, -1)), -1) + torch.unsqueeze(start, -1)
    rest = torch.sum((ys - fitted) ** 2, -1)
    centre = torch.mean(ys, -1, keepdim=True)
    centre_x = torch.mean(xs, -2)
    if not constant:
        centre, centre_x = centre * 0.0, centre_x * 0.0
    explained = torch.sum((fitted - centre) ** 2, -1)
    variance = rest / freedom if freedom else rest * torch.nan
    inverse = torch.linalg.solve_triangular(triangle, torch.diag_embed(torch.ones_like(found)), upper=True)
    errors = torch.sqrt(torch.sum(inverse**2, -1) * torch.unsqueeze(variance, -1))
    at_mean = torch.squeeze(torch.matmul(torch.unsqueeze(centre_x, -2), inverse), -2)
    start_error = torch.sqrt(variance * (1.0 / points + torch.sum(at_mean**2, -1)))
    start_error = start_error if constant else start_error * torch.nan
    share = explained / (explained + rest)
    statistic = explained / regressors / variance
    pairs = [(share, torch.sqrt(variance)), (statistic, rest * 0.0 + freedom), (explained, rest)]
    first = torch.cat([torch.flip(found, [-1]), torch.unsqueeze(start, -1)], -1)
    second = torch.cat([torch.flip(errors, [-1]), torch.unsqueeze(start_error, -1)], -1)
    nothing = [torch.unsqueeze(rest * torch.nan, -1)] * (regressors - 1)
    others = [torch.cat([torch.unsqueeze(one, -1), torch.unsqueeze(two, -1), *nothing], -1) for one, two in pairs]
    return torch.stack([first, second, *others], -2)


def _used(data: _Data, constant: bool) -> tuple[list[int], list[int]]:
    """The columns of the regressors that a fit uses, and those that the others make superfluous.

    A column without spread (beside an intercept; else, one of zeros) is in neither: Excel's documentation of LINEST
    says that it is removed, and gets the coefficient 0. Which of several columns that depend on each other Excel
    removes is not documented. Raises FormulaError where there are too few points.
    """
    if not data.given.constant:
        return list(range(data.regressors)), []
    xs = data.matrix(data.given, data.regressors)
    assert isinstance(xs, Tensor)
    if xs.shape[-2] < xs.shape[-1] + constant:
        raise FormulaError("fits more regressors than there are points for", remedy="Leave some out")
    found = [_independent(one, constant) for one in xs.reshape(-1, *xs.shape[-2:])]
    if any(one != found[0] for one in found):
        raise FormulaError("fits regressors that depend on each other in some copies", remedy="Leave some out")
    return found[0]


def _independent(xs: Tensor, constant: bool) -> tuple[list[int], list[int]]:
    """The columns of a matrix [points, columns], from the left, that do not depend on those before them; and others."""
    level = xs[0] if constant else torch.zeros_like(xs[0])
    spread = [column for column in range(xs.shape[1]) if bool((xs[:, column] != level[column]).any())]
    centred = xs - xs.mean(0) if constant else xs
    used: list[int] = []
    for column in spread:
        diagonal = torch.linalg.qr(centred[:, [*used, column]])[1].diagonal().abs()
        if bool(diagonal[-1] > _DEPENDENT * centred[:, column].norm()):
            used.append(column)
    return used, [column for column in spread if column not in used]


def _refuse_dependent(superfluous: Sequence[int]) -> None:
    if superfluous:
        raise FormulaError(
            "asks for the coefficients of regressors that depend on each other, of which Excel leaves one out that"
            " its documentation does not tell",
            remedy="Leave one out",
        )


def _refuse_other_places(data: _Data, places: object, constant: bool, used: list[int], superfluous: list[int]) -> None:
    """Raise FormulaError where what is predicted depends on which of the superfluous regressors are left out."""
    if not superfluous:
        return
    xs = data.matrix(data.given, data.regressors)
    assert isinstance(xs, Tensor)
    if isinstance(places, Tensor):
        centre = xs.mean(-2, keepdim=True) if constant else torch.zeros_like(xs[..., :1, :])
        rule = torch.linalg.lstsq((xs - centre)[..., used], (xs - centre)[..., superfluous]).solution
        there = places - centre
        apart = (there[..., superfluous] - torch.matmul(there[..., used], rule)).abs()
        if bool((apart <= 1e-9 * (1.0 + places.abs().amax())).all()):
            return
    raise FormulaError(
        "predicts by regressors that depend on each other, at places where these do not", remedy="Leave one out"
    )


def _result(data: _Data, operation: Callable[..., Tensor], height: int, width: int, *others: object) -> Value:
    """The array that a regression gives, with #N/A where its table has nothing."""
    builder = data.builder
    result = builder.call(operation, data.matrix(data.known, 0), data.matrix(data.given, data.regressors), *others)
    pairs = [(axis, size) for axis, size in (("h", height), ("w", width)) if size > 1]
    shape = (*data.sizes, *(size for _, size in pairs))
    axes = data.axes + "".join(axis for axis, _ in pairs)
    found = Value(builder.method("reshape", result, shape), axes, shape)
    if found.constant and bool(found.tensor.isnan().any()):
        missing = Value(found.tensor.isnan(), axes, shape, Kind.BOOLEAN)
        found = builder.spoiled(found, missing, Fault.NA if height > 1 else Fault.NUM)
    for value in (data.given, data.known):
        if (errors := builder.errors_of(value)) is not None:
            found = builder.spoiled(found, builder.any_error(errors))
    return found


def _flag(context: Context, node: Node | None, default: bool) -> bool:
    """A fixed argument that is TRUE or FALSE."""
    return default if node is None or isinstance(node, Omitted) else is_set(context, fixed(context, node))


_Curve = Callable[[Tensor], Tensor]


def _line(numbers: Tensor) -> Tensor:
    return numbers


def _logarithm(numbers: Tensor) -> Tensor:
    positive = numbers > 0.0
    return failing(~positive, torch.log(torch.where(positive, numbers, 1.0)))


def _linest(
    context: Context,
    ys: Node,
    xs: Node | None,
    constant: Node | None,
    stats: Node | None,
    straight: _Curve = _line,
    back: _Curve = _line,
) -> Value:
    """LINEST of `straight(ys)`, its coefficients as `back` has them."""
    data = _Data(context, ys, xs)
    if data.wrong is not None:
        return context.builder.error(data.wrong)
    start, full = _flag(context, constant, True), _flag(context, stats, False)
    used, superfluous = _used(data, start)
    _refuse_dependent(superfluous)
    regressors, width = data.regressors, data.regressors + 1
    if not full:
        return _result(
            data,
            lambda y, x: back(
                _with_removed(_coefficients(straight(y), _columns(x, used, regressors), start), used, regressors)
            ),
            1,
            width,
        )
    points = data.points
    if points - len(used) - start < 1 or not used:
        raise FormulaError("asks for the statistics of a fit without a rest", remedy="Give it more points")

    def table(y: Tensor, x: Tensor) -> Tensor:
        found = _table(straight(y), _columns(x, used, regressors), start, points, len(used))
        first = back(_with_removed(found[..., 0, :], used, regressors))
        second = _with_removed(found[..., 1, :], used, regressors)
        nothing = [found[..., 2:, :1] * torch.nan] * (regressors - len(used))
        return torch.cat([torch.stack([first, second], -2), torch.cat([found[..., 2:, :], *nothing], -1)], -2)

    return _result(data, table, 5, width)


@function(
    "LINEST",
    arguments=(1, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[2, 3],
    examples={
        "INDEX(LINEST({1;9;5;7},{0;4;2;3}),1)": 2,
        "INDEX(LINEST({1;9;5;7},{0;4;2;3}),2)": 1,
        "SUM(LINEST({3100,4500,4400,5400,7500,8100})*{9,1})": 11000,
        "INDEX(LINEST({2;3;9;1;8;7;5},{6;5;11;7;5;4;4},TRUE,TRUE),3,1)": 0.057950191570881,
        "INDEX(LINEST({2;3;9;1;8;7;5},{6;5;11;7;5;4;4},TRUE,TRUE),3,2)": 3.305718950210041,
    },
)
def linest(
    context: Context, ys: Node, xs: Node | None = None, constant: Node | None = None, stats: Node | None = None
) -> Value:
    """The coefficients of a linear regression, the last regressor first and the intercept last; with statistics."""
    return _linest(context, ys, xs, constant, stats)


@function(
    "LOGEST",
    arguments=(1, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[2, 3],
    examples={
        "INDEX(LOGEST({33100;47300;69000;102000;150000;220000},{11;12;13;14;15;16}),1)": 1.463275628,
        "INDEX(LOGEST({2;4;8},{1;2;3}),2)": 1,
    },
)
def logest(
    context: Context, ys: Node, xs: Node | None = None, constant: Node | None = None, stats: Node | None = None
) -> Value:
    """The bases of an exponential curve, the last regressor first and its value at 0 last; with statistics."""
    return _linest(context, ys, xs, constant, stats, _logarithm, torch.exp)


@function(
    "TREND",
    arguments=(1, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[3],
    examples={"TREND({1;9;5;7},{0;4;2;3},5)": 11, "SUM(TREND({1;2;4}))": 7},
)
def trend(
    context: Context, ys: Node, xs: Node | None = None, new: Node | None = None, constant: Node | None = None
) -> Value:
    """What a linear regression has at other places."""
    return _predicted(context, ys, xs, new, constant)


@function(
    "GROWTH",
    arguments=(1, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[3],
    examples={
        "GROWTH({2;4;8},{1;2;3},4)": 16,
        "INDEX(GROWTH({33100;47300;69000;102000;150000;220000},{11;12;13;14;15;16},{17;18}),1)": 320196.71836347,
    },
)
def growth(
    context: Context, ys: Node, xs: Node | None = None, new: Node | None = None, constant: Node | None = None
) -> Value:
    """What an exponential curve has at other places."""
    return _predicted(context, ys, xs, new, constant, _logarithm, torch.exp)


def _predicted(
    context: Context,
    ys: Node,
    xs: Node | None,
    new: Node | None,
    constant: Node | None,
    straight: _Curve = _line,
    back: _Curve = _line,
) -> Value:
    data = _Data(context, ys, xs)
    if data.wrong is not None:
        return context.builder.error(data.wrong)
    start = _flag(context, constant, True)
    regressors, (used, superfluous) = data.regressors, _used(data, start)
    at = data.given if new is None or isinstance(new, Omitted) else context.lower(new, array=True)
    height, width, several = at.size("h"), at.size("w"), data.regressors > 1
    if not only_numbers(at):
        return context.builder.error(Fault.VALUE)
    if several and (height if data.across else width) != data.regressors:
        return context.builder.error(Fault.REF)
    if any(axis in at.axes and axis not in data.axes for axis in "RC"):
        raise FormulaError("fits one regression for several copies of the formula", remedy="Use FORECAST.LINEAR")
    if several:
        height, width = (1, width) if data.across else (height, 1)

    def predicted(y: Tensor, x: Tensor, places: Tensor) -> Tensor:
        found, level, _ = _fit(straight(y), _columns(x, used, regressors), start)
        heights = torch.matmul(_columns(places, used, regressors), torch.unsqueeze(found, -1))
        return back(torch.squeeze(heights, -1) + torch.unsqueeze(level, -1))

    places = data.builder.expanded(at, data.axes + "hw", (*data.sizes, at.size("h"), at.size("w"))).data
    if several and data.across:
        places = data.builder.method("transpose", places, -1, -2)
    places = data.builder.method("reshape", places, (*data.sizes, -1, data.regressors))
    _refuse_other_places(data, places, start, used, superfluous)
    return _result(data, predicted, height, width, places)
