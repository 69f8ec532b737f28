"""Settings of a training run: one declaration each, for the sheet (`sgd_settings`) and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sgdsheet.errors import SettingError, quoted
from sgdsheet.problem.initialisers import INITIALISERS, StartValues, parse_start_values
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS, normalised
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.setting_row import Setting
from sgdsheet.sheet.workbook import Value


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was told. None means: choose for me."""

    optimizer: str = AUTO
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float = 0.0
    schedule: str = "constant"
    steps: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    shuffle: bool = True
    validation: float | None = None
    early_stopping: int | None = None
    restarts: int | None = None
    start: tuple[StartValues, ...] = ()
    seed: int | None = None
    time_limit: float | None = None
    gap: float | None = None
    zero_gradients: bool = True
    device: str = "auto"
    precision: str | None = None
    compile: bool = False
    steps_per_second: float | None = None
    trust_formulas: bool = False
    overwrite_formulas: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting: its field, the flag, how to read it, what is allowed (in words), and one line of help."""

    key: str
    flag: str
    read: Callable[[Value], Any]
    allowed: str
    help: str
    switch: bool = False
    """Whether the command line takes the option without a value, which then means yes."""
    examples: Mapping[Any, Any] = field(default_factory=dict)
    """For the tests: what may stand in its cell, and what that means. The first text is tried as a flag."""
    refused: tuple[Any, ...] = ()
    """For the tests: what must not stand in its cell."""

    @property
    def label(self) -> str:
        return self.key.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Number:
    """Reads a number from `low` to `high`; `above`: not `low` itself."""

    low: float
    high: float = float("inf")
    above: bool = False

    def __call__(self, value: Value) -> float:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)  # type: ignore[arg-type]
        too_low = number < self.low or (self.above and number == self.low)
        if too_low or not number <= self.high or number == float("inf"):
            raise ValueError
        return number


@dataclass(frozen=True, slots=True)
class Whole:
    """Reads a whole number from `low` to `high`."""

    low: int
    high: int = 2**63 - 1

    def __call__(self, value: Value) -> int:
        number = Number(self.low, self.high)(value)
        if number != int(number):
            raise ValueError
        return int(number)


def _fraction(value: Value) -> float:
    """0.2 and "20 %" are the same."""
    text = str(value).strip()
    number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if isinstance(value, bool) or not 0 <= number < 1:
        raise ValueError
    return number


def _patience(value: Value) -> int | None:
    """`no`, or after how many epochs without progress to stop; `yes` means 10."""
    if str(value).strip().casefold() in ("no", "off", "false", "0", "0.0"):
        return None
    if str(value).strip().casefold() in ("yes", "on", "true"):
        return 10
    return Whole(1)(value)


def _start(value: Value) -> tuple[StartValues, ...]:
    return parse_start_values(str(value))


def _one_of(*names: str) -> Callable[[Value], str]:
    def read(value: Value) -> str:
        name = normalised(str(value))
        if name not in names:
            raise ValueError
        return name

    return read


def _optimizer(value: Value) -> str:
    name = normalised(str(value))
    if name != AUTO and name not in OPTIMIZERS:
        raise ValueError
    return name


def _yes_no(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold().removesuffix(".0")
    if text not in _WORDS:
        raise ValueError
    return _WORDS[text]


_WORDS = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}

DECLARATIONS: tuple[Declaration, ...] = (
    Declaration("optimizer", "--optimizer", _optimizer, ", ".join([AUTO, *OPTIMIZERS]), "How to move the parameters"),
    Declaration("learning_rate", "--lr", Number(0, above=True), "a number above 0", "Size of a step"),
    Declaration("momentum", "--momentum", Number(0, 1), "a number from 0 to 1", "How much speed a step keeps"),
    Declaration("weight_decay", "--weight-decay", Number(0), "0 or more", "Pull of the parameters towards 0"),
    Declaration("schedule", "--schedule", _one_of(*SCHEDULES), ", ".join(SCHEDULES), "How the learning rate changes"),
    Declaration("steps", "--steps", Whole(0), "a whole number, 0 or more", "How many updates"),
    Declaration("epochs", "--epochs", Whole(0), "a whole number, 0 or more", "How many passes over the samples"),
    Declaration("batch_size", "--batch-size", Whole(1), "a whole number, 1 or more", "Samples per step"),
    Declaration("shuffle", "--shuffle", _yes_no, "yes or no", "Mix the samples anew for each epoch"),
    Declaration("validation", "--validation", _fraction, "a share from 0 to 1", "Samples kept back to judge by"),
    Declaration(
        "early_stopping",
        "--early-stopping",
        _patience,
        "no, or a number of epochs",
        "Stop when validation gets no better",
    ),
    Declaration("restarts", "--restarts", Whole(1), "a whole number, 1 or more", "Random starts, trained at once"),
    Declaration(
        "start", "--start", _start, ", ".join(INITIALISERS) + " (with a scale; one per parameter range)", "Start values"
    ),
    Declaration("seed", "--seed", Whole(0, 2**63 - 1), "a whole number, 0 or more", "Same seed, same result"),
    Declaration(
        "time_limit",
        "--time-limit",
        Number(0, above=True),
        "a number of seconds above 0",
        "When to stop at the latest",
        examples={"30": 30.0, 0.5: 0.5},
        refused=(0, -1, "soon"),
    ),
    Declaration(
        "gap",
        "--gap",
        _fraction,
        "a share from 0 to 1",
        "How far from the best possible loss whole numbers may be",
        examples={"1 %": 0.01},
        refused=(1.5, -0.1, "small"),
    ),
    Declaration("zero_gradients", "--zero-gradients", _yes_no, "yes or no", "Forget the last step's gradient"),
    Declaration(
        "device", "--device", _one_of("auto", "cpu", "cuda"), "auto, cpu or cuda (a GPU)", "Where to calculate"
    ),
    Declaration("precision", "--precision", _one_of("float64", "float32"), "float64 or float32", "Digits of a number"),
    Declaration("compile", "--compile", _yes_no, "yes or no", "Let torch.compile translate the program first"),
    Declaration(
        "steps_per_second",
        "--steps-per-second",
        Number(0, above=True),
        "a number above 0",
        "Slow motion in an open spreadsheet, to watch",
    ),
    Declaration(
        "trust_formulas",
        "--trust-formulas",
        _yes_no,
        "yes or no",
        "Train although saved values are not what the formulas give",
        switch=True,
    ),
    Declaration(
        "overwrite_formulas",
        "--overwrite-formulas",
        _yes_no,
        "yes or no",
        "Let numbers take the place of formulas in parameter cells, as Solver does",
        switch=True,
    ),
)

assert {item.key for item in DECLARATIONS} == {each.name for each in fields(Settings)}


def read_setting(declaration: Declaration, value: Value, cell: object = None) -> Any:
    """The setting's value, or a SettingError that says what is allowed."""
    try:
        return declaration.read(value)
    except (ValueError, TypeError):
        where = declaration.label if cell is not None else declaration.flag
        raise SettingError(
            f"{quoted(_shown(value))} is not possible for {where}", cell=cell, remedy=f"Allowed: {declaration.allowed}"
        ) from None


def _shown(value: Value) -> str:
    """A cell's value as the sheet shows it."""
    if isinstance(value, bool):
        return str(value).upper()
    return f"{value:g}" if isinstance(value, float) else str(value)


def combine(rows: Sequence[Setting], options: Mapping[str, Value | None]) -> Settings:
    """Settings from the sheet's rows and from options (by key), which come first. Empty ones are left out."""
    known = {normalised(item.label): item for item in DECLARATIONS}
    chosen: dict[str, Any] = {}
    for row in rows:
        declaration = known.get(normalised(row.name))
        if declaration is None:
            raise SettingError(
                f"{quoted(row.name)} is not a setting",
                cell=row.cell._replace(column=row.cell.column - 1),
                remedy=f"Settings are {', '.join(item.label for item in DECLARATIONS)}",
            )
        if row.value is not None and row.value != "":
            chosen[declaration.key] = read_setting(declaration, row.value, row.cell)
    by_key = {item.key: item for item in DECLARATIONS}
    for key in options:
        if key not in by_key:
            raise SettingError(f"{quoted(key)} is not a setting", remedy=f"Settings are {', '.join(by_key)}")
    given = {key: read_setting(by_key[key], value) for key, value in options.items() if value is not None}
    _drop_overruled(chosen, given)
    chosen.update(given)
    if "learning_rate" in given and "optimizer" not in chosen:
        chosen["optimizer"] = "sgd"
    return Settings(**chosen)


def trusts_formulas(rows: Sequence[Setting]) -> bool:
    """Whether the sheet itself says that its formulas are right where its saved values are not."""
    return bool(_said(rows, "trust_formulas"))


def overwrites_formulas(rows: Sequence[Setting]) -> bool:
    """Whether the sheet itself says that formulas in parameter cells may be replaced by numbers."""
    return bool(_said(rows, "overwrite_formulas"))


def _said(rows: Sequence[Setting], key: str) -> Any:
    """What the sheet says of one setting, whatever its other rows say."""
    wanted = normalised(next(item.label for item in DECLARATIONS if item.key == key))
    rows = [row for row in rows if normalised(row.name) == wanted and row.value not in (None, "")]
    return getattr(combine(rows, {}), key)


def _drop_overruled(chosen: dict[str, Any], given: Mapping[str, Any]) -> None:
    """An option also overrules what belongs to the sheet's setting: its learning rate is for its own optimizer."""
    if given.get("optimizer", chosen.get("optimizer")) != chosen.get("optimizer"):
        for key in ("learning_rate", "momentum", "schedule"):
            chosen.pop(key, None)
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in given and other not in given:
            chosen.pop(other, None)
