"""The training log: one record per step, streamed to files in full and kept in memory in part.

A run may have a million steps. The files get every one; charts and sheets get at most `LIMIT` records, spread
evenly over the run, among them the first, the last and the best.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from sgdsheet.errors import FileError
from sgdsheet.extras import optional

LIMIT = 2_000
"""Records that charts and sheets get at most."""

Objective = Callable[[float], float]
"""What of a loss is to be low: the loss itself, or less of it where it is to be high."""


@dataclass(frozen=True, slots=True)
class Record:
    """One step. `loss` is the loss before the step, `seconds` the time since the start of the run.

    None stands for what was not measured at this step.
    """

    step: int
    epoch: float | None
    loss: float
    valid_loss: float | None
    metric: float | None
    learning_rate: float
    gradient_norm: float | None
    seconds: float

    @property
    def measured(self) -> bool:
        """Whether something was measured that is not known at every step."""
        return self.valid_loss is not None or self.metric is not None


class Column(NamedTuple):
    """How a field of a record is called and coloured where people see it."""

    field: str
    label: str
    colour: str = "#1F2937"
    tag: str = ""


COLUMNS = (
    Column("step", "step"),
    Column("epoch", "epoch", tag="epoch"),
    Column("loss", "training loss", "#27567F", "loss/training"),
    Column("valid_loss", "validation loss", "#C2570C", "loss/validation"),
    Column("metric", "metric", "#6D4C9F", "metric"),
    Column("learning_rate", "learning rate", "#1F6B48", "learning rate"),
    Column("gradient_norm", "gradient norm", "#A02A38", "gradient norm"),
    Column("seconds", "seconds"),
)
FIELDS = tuple(field.name for field in fields(Record))


def number(record: Record, field: str) -> float | None:
    """A field as a number; None if it was not measured or is not finite."""
    value: float | None = getattr(record, field)
    return value if value is not None and math.isfinite(value) else None


def wants_log_axis(values: Iterable[float | None]) -> bool:
    """Whether a logarithmic axis shows the values better: all positive, and more than two decades apart."""
    known = [value for value in values if value is not None]
    return bool(known) and min(known) > 0 and max(known) / min(known) > 100


def thin(records: Sequence[Record], limit: int = LIMIT, objective: Objective = float) -> list[Record]:
    """At most `limit` of the records, spread evenly: the first, the last and the best are always among them.

    Where validation is rare, at least half of the places are for the records that have it.
    """
    if len(records) <= limit:
        return list(records)
    finite = [index for index, record in enumerate(records) if math.isfinite(record.loss)]
    best = min(finite, key=lambda index: objective(records[index].loss), default=0)
    chosen = {0, best, len(records) - 1}
    others = [index for index in range(len(records)) if index not in chosen]
    measured = [index for index in others if records[index].measured]
    plain = [index for index in others if not records[index].measured]
    room = max(0, limit - len(chosen))
    share = min(len(measured), max(room // 2, room - len(plain)))
    chosen.update(_evenly(measured, share), _evenly(plain, room - share))
    return [records[index] for index in sorted(chosen)]


def _evenly(items: Sequence[int], count: int) -> list[int]:
    """So many of the items, evenly spaced, from the first to the last."""
    if count >= len(items):
        return list(items)
    last = len(items) - 1
    return [items[round(place * last / max(1, count - 1))] for place in range(count)]


class _Sieve:
    """Keeps every n-th of a stream of unknown length; n doubles whenever the room is full."""

    def __init__(self, room: int) -> None:
        self._room, self._stride, self._seen = room, 1, 0
        self.kept: list[tuple[int, Record]] = []

    def add(self, index: int, record: Record) -> None:
        if self._seen % self._stride == 0:
            if len(self.kept) >= self._room:
                del self.kept[1::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.kept.append((index, record))
        self._seen += 1


class Writer(Protocol):
    """Takes every record of a run, as it comes."""

    def add(self, record: Record) -> None: ...
    def close(self) -> None: ...


class Logbook:
    """Collects the records of a run and hands each to the writers; closes them at the end of a `with` block.

    `objective` is what is to be low, so that the best record is known: pass `operator.neg` for a maximum.
    """

    def __init__(self, writers: Iterable[Writer] = (), *, limit: int = LIMIT, objective: Objective = float) -> None:
        self.best: Record | None = None
        self.last: Record | None = None
        self._writers, self._limit, self._objective = list(writers), limit, objective
        self._count, self._best_index, self._lowest = 0, 0, math.inf
        # Two sieves: a common stride would drop all validation losses if they come, say, every 100 steps.
        self._plain, self._measured = _Sieve(limit), _Sieve(limit)

    def __len__(self) -> int:
        """How many records were added, kept or not."""
        return self._count

    def __enter__(self) -> Logbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, record: Record) -> None:
        """Take note of a step; FileError if it cannot be written."""
        for writer in self._writers:
            writer.add(record)
        if math.isfinite(record.loss) and (value := self._objective(record.loss)) < self._lowest:
            self.best, self._best_index, self._lowest = record, self._count, value
        sieve = self._measured if record.measured else self._plain
        sieve.add(self._count, record)
        self.last = record
        self._count += 1

    def records(self) -> list[Record]:
        """The records for charts and sheets, in order; at most `limit`."""
        kept = dict([*self._plain.kept, *self._measured.kept])
        if self.best is not None:
            kept[self._best_index] = self.best
        if self.last is not None:
            kept[self._count - 1] = self.last
        return thin([record for _, record in sorted(kept.items())], self._limit, self._objective)

    def close(self) -> None:
        """Finish the files. All are closed, even if one fails."""
        writers, self._writers = self._writers, []
        failures = []
        for writer in writers:
            try:
                writer.close()
            except FileError as error:
                failures.append(error)
        if failures:
            raise failures[0]


class LineWriter:
    """A text file that gets one line per record, each on the disk as soon as it is complete."""

    def __init__(self, path: str | Path, line: Callable[[Record], str], header: str = "") -> None:
        self.path, self._line = Path(path), line
        with _file_errors(self.path):
            self._file = self.path.open("w", encoding="utf-8", newline="\n", buffering=1)
            try:
                self._file.write(header)
            except OSError:
                with suppress(OSError):
                    self._file.close()
                raise

    def add(self, record: Record) -> None:
        with _file_errors(self.path):
            self._file.write(self._line(record))

    def close(self) -> None:
        with _file_errors(self.path):
            self._file.close()


def csv_writer(path: str | Path) -> LineWriter:
    """Comma-separated values under one line of field names; empty where there is no finite number."""
    return LineWriter(path, _csv_line, ",".join(FIELDS) + "\n")


def jsonl_writer(path: str | Path) -> LineWriter:
    """One JSON object per line; null where there is no finite number."""
    return LineWriter(path, _json_line)


def file_writer(path: str | Path) -> LineWriter:
    """The writer for a file name: .csv or .jsonl."""
    kinds = {".csv": csv_writer, ".jsonl": jsonl_writer}
    make = kinds.get(Path(path).suffix.lower())
    if make is None:
        remedy = f"Give it a name that ends in {' or '.join(kinds)}"
        raise FileError(f"“{path}” is not a kind of log file that can be written", remedy=remedy)
    return make(path)


def _csv_line(record: Record) -> str:
    values = (number(record, field) for field in FIELDS)
    return ",".join("" if value is None else repr(value) for value in values) + "\n"


def _json_line(record: Record) -> str:
    return json.dumps({field: number(record, field) for field in FIELDS}, allow_nan=False) + "\n"


class TensorBoardWriter:
    """Scalars in TensorBoard's format, in a folder; needs the extra `tensorboard`.

    TensorBoard shows about a thousand points of a curve and takes its time to write each. So past 10,000
    records only some are written, ever fewer, and all that have a validation loss or a metric.
    """

    _ALL = 10_000

    def __init__(self, folder: str | Path) -> None:
        summary = optional("tensorboard.summary", "tensorboard")
        self.path, self._seen = Path(folder), 0
        with _file_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._writer = summary.Writer(str(self.path))

    def add(self, record: Record) -> None:
        stride = 1 << (self._seen // self._ALL).bit_length()
        wanted = self._seen % stride == 0 or record.measured
        self._seen += 1
        if wanted:
            with _file_errors(self.path):
                for column in COLUMNS:
                    if column.tag and (value := number(record, column.field)) is not None:
                        self._writer.add_scalar(column.tag, value, record.step)

    def close(self) -> None:
        with _file_errors(self.path):
            if self._seen:
                self._writer.flush()
            self._writer.close()


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into one line of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Close it in other programs, free some space, or write somewhere else"
        raise FileError(f"“{path}” cannot be written: {reason}", remedy=remedy) from None
