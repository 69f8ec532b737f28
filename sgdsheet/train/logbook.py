"""The training log: one record per step, streamed to files in full and kept in memory in part.

A run may have a million steps. The files get every one; charts and sheets get at most `LIMIT` records, spread
evenly over the run, among them the first, the last and the best.
"""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from io import BytesIO, FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from sgdsheet.errors import FileError
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.extras import optional
from sgdsheet.system.outputs import EVENTS, LOG, ready
from sgdsheet.train.thinning import ThinnedStream, evenly_spaced

LIMIT = 2_000
"""Records that charts and sheets get at most."""

Objective = Callable[[float], float]
"""Gives for a loss what is to be low: the loss itself, or its negative where the loss is to be high."""


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
    """Some of the records, at most `limit`, spread evenly: the first, the last and the best are always among them.

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
    chosen.update(evenly_spaced(measured, share), evenly_spaced(plain, room - share))
    return [records[index] for index in sorted(chosen)]


class Writer(Protocol):
    """Takes every record of a run, as it comes. `name` is the option that asked for it."""

    name: str

    def add(self, record: Record) -> None: ...
    def close(self) -> None: ...


class Logbook:
    """Collects the records of a run and hands each to the writers; closes them at the end of a `with` block.

    `objective` is what is to be low, so that the best record is known: pass `operator.neg` for a maximum. A writer that
    fails is closed and left out from then on, since a run is worth more than its log: see `failures`.
    """

    def __init__(self, writers: Iterable[Writer] = (), *, limit: int = LIMIT, objective: Objective = float) -> None:
        self.best: Record | None = None
        self.last: Record | None = None
        self.failures: dict[str, FileError] = {}
        self._writers, self._limit, self._objective = list(writers), limit, objective
        self._count, self._best_index, self._lowest = 0, 0, math.inf
        # Two streams: a common stride would drop all validation losses if they come, say, every 100 steps.
        self._plain: ThinnedStream[tuple[int, Record]] = ThinnedStream(limit)
        self._measured: ThinnedStream[tuple[int, Record]] = ThinnedStream(limit)

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
        """Take note of a step."""
        for writer in tuple(self._writers):
            try:
                writer.add(record)
            except FileError as error:
                self._writers.remove(writer)
                self.failures[writer.name] = error
                with suppress(FileError):
                    writer.close()
        if math.isfinite(record.loss) and (value := self._objective(record.loss)) < self._lowest:
            self.best, self._best_index, self._lowest = record, self._count, value
        stream = self._measured if record.measured else self._plain
        stream.add((self._count, record))
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
        for writer in writers:
            try:
                writer.close()
            except FileError as error:
                self.failures[writer.name] = error


class _GrowingFile:
    """A file that grows by whole pieces: of one for which there is no room, nothing stays."""

    def __init__(self, path: Path) -> None:
        self._path, self._file, self._size = path, FileIO(path, "a"), path.stat().st_size

    def add(self, data: bytes) -> None:
        rest = data
        try:
            while rest:  # where there is room for a part only, the next attempt says why
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Raises FileError if nobody will find the file."""
        with self._file as file:
            if not os.fstat(file.fileno()).st_nlink:
                raise FileError(f"“{self._path}” was removed during the run", remedy="Run again to have it whole")


class LineWriter:
    """A text file that gets one line per record, each in the file as soon as it is complete.

    So it can be watched, and is there to the last step however the run ends. An older log is replaced with the first
    record, in one step.
    """

    name = "log"

    def __init__(self, path: str | Path, line: Callable[[Record], str], header: str = "") -> None:
        self.path, self._line, self._header = ready(Path(path), LOG), line, header
        self._file: _GrowingFile | None = None

    def add(self, record: Record) -> None:
        line = self._line(record)
        with _file_errors(self.path):
            if self._file is None:
                write_atomically(ready(self.path, LOG), (self._header + line).encode("utf-8"))
                self._file = _GrowingFile(self.path)
            else:
                self._file.add(line.encode("utf-8"))

    def close(self) -> None:
        if self._file is not None:
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
    return csv_writer(path) if Path(path).suffix.lower() == ".csv" else jsonl_writer(path)


def _csv_line(record: Record) -> str:
    values = (number(record, field) for field in FIELDS)
    return ",".join("" if value is None else repr(value) for value in values) + "\n"


def _json_line(record: Record) -> str:
    return json.dumps({field: number(record, field) for field in FIELDS}, allow_nan=False) + "\n"


class TensorBoardWriter:
    """Scalars in TensorBoard's format, in a new file of a folder; needs the extra `tensorboard`.

    TensorBoard shows about a thousand points of a curve and takes its time to read each. So past 10,000
    records only some are written, ever fewer, and all that have a validation loss or a metric.
    """

    name = "tensorboard"
    _ALL = 10_000

    def __init__(self, folder: str | Path) -> None:
        # Not tensorboard's own writer: its thread has a traceback printed when the disk is full.
        self._events = optional("tensorboard.compat.proto.event_pb2", "tensorboard")
        self._records = optional("tensorboard.summary.writer.record_writer", "tensorboard")
        self.path, self._seen = ready(Path(folder), EVENTS), 0
        name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{secrets.token_hex(4)}"
        with _file_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / name).touch(exist_ok=False)
            self._file = _GrowingFile(self.path / name)
            self._file.add(self._packed(file_version="brain.Event:2"))

    def add(self, record: Record) -> None:
        stride = 1 << (self._seen // self._ALL).bit_length()
        wanted = self._seen % stride == 0 or record.measured
        self._seen += 1
        if wanted:
            scalars = {column.tag: number(record, column.field) for column in COLUMNS if column.tag}
            known = [{"tag": tag, "simple_value": value} for tag, value in scalars.items() if value is not None]
            with _file_errors(self.path):
                self._file.add(self._packed(step=int(record.step), summary={"value": known}))

    def _packed(self, **fields: Any) -> bytes:
        packed = BytesIO()
        event = self._events.Event(wall_time=time.time(), **fields)
        self._records.RecordWriter(packed).write(event.SerializeToString())
        return packed.getvalue()

    def close(self) -> None:
        with _file_errors(self.path):
            self._file.close()


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into one line of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Close it in other programs, free some space, or write somewhere else"
        raise FileError(f"“{path}” cannot be written: {reason}", remedy=remedy) from None
