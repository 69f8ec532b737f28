"""What there is to say about a function: for the command line's `functions.json` and the documentation's pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sgdsheet.compiler.functions.absent import ABSENT, Absent
from sgdsheet.compiler.functions.forms import FORMS, NOTES
from sgdsheet.compiler.functions.registry import REGISTRY, Derivative, Function, OverSamples

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Math and trigonometry": (
        *("mathematics", "trigonometry", "rounding", "sums", "matrices", "matrix_algebra", "subtotals"),
    ),
    "Statistics": (
        *("statistics", "moments", "order", "regression", "distributions", "continuous", "quantiles", "discrete"),
        *("hypothesis_tests", "conditional"),
    ),
    "Finance": (
        *("annuities", "depreciation", "french_depreciation", "cash_flows"),
        *("securities", "coupons", "bonds", "odd_bonds"),
    ),
    "Logic and errors": ("logical", "faults", "forms"),
    "Lookup and references": ("lookup", "found_cells"),
    "Arrays": ("reshaping", "grouped_sums", "pivoted_sums"),
    "Text": ("text", "formatting", "more_texts", "bytes_of_texts", "regular_expressions"),
    "Dates and times": ("dates",),
    "Information": ("information", "sheet_information"),
    "Engineering": ("engineering", "complex_numbers", "bessel", "conversion"),
    "Databases": ("database",),
    "Our own": ("neural", "convolution", "losses", "in_program"),
}
"""The modules of each category, in the order in which they are listed."""

_TITLES = {module: title for title, modules in CATEGORIES.items() for module in modules}

_SAMPLES = {
    OverSamples.UNKNOWN: "A formula that gives it the cells of several samples cannot be trained in batches.",
    OverSamples.ELEMENTWISE: "Each sample has its own value.",
    OverSamples.ROWS: "Each sample has its own value, if it is a row of several cells.",
    OverSamples.FIRST: "Each sample has its own value, where only the first argument is of the samples.",
    OverSamples.PRODUCT: (
        "Each sample has its own value, where only the first argument is of the samples; a product over the samples is "
        "the sum over the batch, scaled up."
    ),
    OverSamples.TURNED: "It turns the samples on their side, which only MMULT and its like take.",
    OverSamples.SUM: "Of a batch it is the sum, scaled up to all samples.",
    OverSamples.MEAN: "Of a batch it is the mean, which stands for that of all samples.",
    OverSamples.MEAN_OF_ROWS: "Of a batch it is the mean, if each sample is a row of several cells.",
    OverSamples.EXTREME: "Of a batch it is that of the batch.",
    OverSamples.COUNT: "It counts all samples, whatever the batch.",
    OverSamples.WIDTH: "It is the same for any samples.",
}


@dataclass(frozen=True, slots=True)
class Description:
    """A function in words. `derivative`, `samples` and each of the `notes` are sentences."""

    name: str
    category: str
    signature: str
    help: str
    examples: Mapping[str, float | str | bool]
    derivative: str
    samples: str
    notes: tuple[str, ...]
    supported: bool = True


def describe(name: str) -> Description | None:
    """The description of a function of Excel or of ours; None if there is none of this name."""
    if name in REGISTRY:
        return _of_function(REGISTRY[name])
    if name in FORMS:
        form = FORMS[name]
        notes = (NOTES[name],) if name in NOTES else ()
        derivative = "Exact: it is written out, and its formula is differentiated."
        return Description(name, category(name), form.signature, form.help, form.examples, derivative, "", notes)
    return _of_absent(ABSENT[name]) if name in ABSENT else None


def names() -> list[str]:
    """All functions that are calculated, in alphabetical order."""
    return sorted({*REGISTRY, *FORMS})


def category(name: str) -> str:
    """The title under which a function is listed."""
    return _TITLES["forms" if name in FORMS else REGISTRY[name].category]


def by_category() -> Iterator[tuple[str, list[Description]]]:
    """All functions that are calculated, category by category."""
    found: dict[str, list[Description]] = {title: [] for title in CATEGORIES}
    for name in names():
        description = describe(name)
        assert description is not None
        found[description.category].append(description)
    yield from found.items()


def _of_function(function: Function) -> Description:
    return Description(
        function.name,
        category(function.name),
        function.signature,
        function.help,
        function.examples,
        _derivative(function),
        _SAMPLES[function.over_samples],
        tuple(_notes(function)),
    )


def _derivative(function: Function) -> str:
    if function.derivative is Derivative.NONE:
        return "None: its arguments must not depend on a parameter."
    if function.derivative is Derivative.ZERO:
        return "Zero: through it no parameter is trained."
    exact = "Exact" if function.derivative is Derivative.SMOOTH else "Exact, that of the branch that is taken"
    fixed, flat = (_listed(function, places) for places in (function.fixed_arguments, _flat(function)))
    found = exact + (", in its other arguments" if fixed or flat else "") + "."
    if fixed:
        found += f" Must not depend on a parameter: {fixed}."
    return found + (f" Has no derivative: {flat}." if flat else "")


def _flat(function: Function) -> frozenset[int]:
    return function.zero_arguments - function.fixed_arguments


def _listed(function: Function, places: frozenset[int]) -> str:
    """Some arguments by name."""
    last = len(function.names) - 1
    return ", ".join(dict.fromkeys(function.names[min(place, last)] for place in sorted(places) if last >= 0))


def _notes(function: Function) -> Iterator[str]:
    if function.note:
        yield function.note
    if function.inexact:
        yield (
            f"Excel's own results are off by up to {function.inexact:.0e} of their size; the exact one is calculated "
            "here, and a difference of this size is no mismatch."
        )


def _of_absent(absent: Absent) -> Description:
    notes = [f"Not calculated: {absent.reason}."]
    if absent.frozen:
        notes.append("A formula that calls it keeps its saved value, as a constant.")
    if absent.changes:
        notes.append("A loss must not depend on it: copy the cells and paste them as values.")
    return Description(absent.name, "", f"{absent.name}(…)", "", {}, "", "", tuple(notes), supported=False)
