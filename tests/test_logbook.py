"""The training log: what is kept, what is streamed, and the pictures."""

from __future__ import annotations

import csv
import itertools
import json
import math
import operator
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.errors import FileError, SgdSheetError
from sgdsheet.plots.loss_curves import save_learning_rate_plot, save_plot
from sgdsheet.system.extras import optional
from sgdsheet.train import logbook
from sgdsheet.train.logbook import FIELDS, LIMIT, Logbook, Record, TensorBoardWriter, file_writer, thin
from tests.errors import refusal
from tests.full_disks import limited_files

NAN, INFINITY = math.nan, math.inf


def record(step: int, loss: float = 1.0, valid: float | None = None, norm: float | None = 0.5) -> Record:
    return Record(step, step / 10, loss, valid, None, 0.01, norm, step * 0.25)


def run(count: int, every: int = 0) -> list[Record]:
    """A run whose loss is lowest at two thirds, with a validation loss now and then."""
    low = count * 2 // 3
    return [
        record(step, 1 + abs(step - low) / count, 2.0 if every and step % every == 0 else None)
        for step in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [0, 1, 2, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT, 25_001])
@pytest.mark.parametrize("every", [0, 1, 7, 1000])
def test_kept_records(count: int, every: int) -> None:
    records, book = run(count, every), Logbook()
    for item in records:
        book.add(item)
    kept = book.records()
    assert len(book) == count
    assert len(kept) == len({item.step for item in kept}) <= LIMIT
    assert kept == sorted(kept, key=lambda item: item.step)
    if count <= LIMIT:
        assert kept == records
        return
    best = min(records, key=lambda item: item.loss)
    assert kept[0] == records[0]
    assert kept[-1] == records[-1] == book.last
    assert best in kept
    assert best == book.best
    assert len(kept) > LIMIT * 0.45
    gaps = [later.step - earlier.step for earlier, later in itertools.pairwise(kept)]
    assert max(gaps) <= 5 * count / LIMIT + 2
    if every == 1000:
        assert [item.step for item in kept if item.measured] == list(range(1000, count + 1, 1000))


@given(count=st.integers(0, 60), limit=st.integers(3, 20), every=st.integers(0, 5))
def test_thin(count: int, limit: int, every: int) -> None:
    records = run(count, every)
    kept = thin(records, limit)
    assert len(kept) == min(count, limit)
    assert [item for item in records if item in kept] == kept
    if records:
        assert records[0] in kept
        assert records[-1] in kept
        assert min(records, key=lambda item: item.loss) in kept


def test_best_of_a_maximum_and_of_nothing_finite() -> None:
    book = Logbook(objective=operator.neg)
    for step, loss in enumerate([1.0, NAN, 3.0, INFINITY, 2.0], start=1):
        book.add(record(step, loss))
    assert book.best is not None
    assert book.best.step == 3
    assert thin([record(step, NAN) for step in range(10)], 3)[0].step == 0
    book = Logbook()
    book.add(record(1, NAN))
    assert book.best is None
    assert len(book.records()) == 1


def test_collecting_is_cheap_and_bounded() -> None:
    book, item = Logbook(), record(1)
    started = time.process_time()
    for _ in range(200_000):
        book.add(item)
    assert time.process_time() - started < 4  # 0.1 s on a free machine
    assert len(book._plain.kept) + len(book._measured.kept) <= 2 * LIMIT


def test_files_get_every_record_at_once(tmp_path: Path) -> None:
    table, lines = tmp_path / "log.csv", tmp_path / "log.JSONL"
    items = [record(1, 0.1), Record(2, None, NAN, INFINITY, 0.75, 1e-300, None, 0.5)]
    with Logbook([file_writer(table), file_writer(lines)]) as book:
        for item in items:
            book.add(item)
        assert table.read_text().count("\n") == 3  # before the files are closed
    assert table.read_bytes() == (
        b"step,epoch,loss,valid_loss,metric,learning_rate,gradient_norm,seconds\n"
        b"1,0.1,0.1,,,0.01,0.5,0.25\n"
        b"2,,,,0.75,1e-300,,0.5\n"
    )
    with table.open(newline="") as stream:
        assert [row["metric"] for row in csv.DictReader(stream)] == ["", "0.75"]
    first, second = (json.loads(line) for line in lines.read_text().splitlines())
    assert first == {field: getattr(items[0], field) for field in FIELDS}
    assert second["loss"] is None
    assert second["valid_loss"] is None
    assert second["step"] == 2


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "log.csv", tmp_path):
        with refusal(FileError, cause=r"is not a folder|is a folder") as caught:
            logbook.csv_writer(path)
        assert "\n" not in str(caught.value)
    with refusal(FileError, remedy=r"Let it end with \.csv or \.jsonl"):
        file_writer(tmp_path / "log.xlsx")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
def test_a_full_disk_ends_a_log_but_not_the_run(tmp_path: Path) -> None:
    """The file keeps all lines that had room, whole, and the other log goes on."""
    table, lines = file_writer(tmp_path / "log.csv"), file_writer(tmp_path / "log.jsonl")
    lines.name = "other"
    with Logbook([lines, table]) as book, limited_files(10_000):
        for number in range(1000):
            book.add(record(number))
    assert list(book.failures) == ["other", "log"]  # a line of JSON is longer
    assert "log.csv” cannot be written: File too large" in str(book.failures["log"])
    for path in (table.path, lines.path):
        assert 9_000 < path.stat().st_size <= 10_000
        assert path.read_bytes().endswith(b"\n")
    assert len(book) == 1000
    assert table._file is not None
    assert table._file._file.closed


def test_a_log_that_is_removed_is_told(tmp_path: Path) -> None:
    with Logbook([file_writer(tmp_path / "log.csv")]) as book:
        book.add(record(1))
        (tmp_path / "log.csv").unlink()
        book.add(record(2))
    assert "was removed during the run" in str(book.failures["log"])


def test_an_older_log_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for steps in (2, 1):
        with Logbook([file_writer(path)]) as book:
            for number in range(steps):
                book.add(record(number))
    assert path.read_text().count("\n") == 2
    with Logbook([file_writer(path)]):  # it failed before the first step
        pass
    assert path.read_text().count("\n") == 2


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with Logbook([TensorBoardWriter(tmp_path / "a" / "b")]) as book:
        for item in [record(1, 0.5, 0.25), record(2, NAN, None)]:
            book.add(item)
    (events,) = (tmp_path / "a" / "b").iterdir()
    data = events.read_bytes()
    assert data.count(b"loss/training") == data.count(b"loss/validation") == 1
    assert data.count(b"learning rate") == 2
    assert b"metric" not in data
    TensorBoardWriter(tmp_path / "empty").close()
    (tmp_path / "file").write_text("")
    with refusal(FileError, cause="file” is not a folder"):
        TensorBoardWriter(tmp_path / "file")


def test_tensorboard_gets_fewer_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    writer, steps = TensorBoardWriter(tmp_path), []
    monkeypatch.setattr(TensorBoardWriter, "_ALL", 100)
    monkeypatch.setattr(writer, "_packed", lambda step, summary: steps.append(step) or b"")
    for step in range(10_000):
        writer.add(record(step, valid=1.0 if step == 9_999 else None))
    assert steps[:100] == list(range(100))
    assert steps[-1] == 9_999
    assert len(steps) < 600
    writer.close()


def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, extra in (("tensorboard", "tensorboard"), ("matplotlib", "plot")):
        for name in [package, f"{package}.compat.proto.event_pb2", f"{package}.figure"]:
            monkeypatch.setitem(sys.modules, name, None)
        message = rf'^{package} is not installed\. Run: pip install "sgdsheet\[{extra}\]"$'
        with pytest.raises(SgdSheetError, match=message):
            optional(package, extra)
    with refusal(SgdSheetError, cause="tensorboard is not installed"):
        TensorBoardWriter(tmp_path)
    with refusal(SgdSheetError, cause="matplotlib is not installed"):
        save_plot([record(1)], tmp_path / "plot.png")


def test_light_imports() -> None:
    heavy = "import sgdsheet.train.logbook, sgdsheet.plots.loss_curves, sgdsheet.hosts.file, sys"
    check = "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'matplotlib', 'tensorboard')))"
    subprocess.run([sys.executable, "-c", f"{heavy}; {check}"], check=True)


SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_plot(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    items = [record(step, 10.0**-step, 0.5 if step % 4 == 0 else None) for step in range(1, 9)]
    one, two = tmp_path / f"one{ending}", tmp_path / f"two{ending.upper()}"
    save_plot(items, one, "90 $ and 日本")
    save_plot(items, two, "90 $ and 日本")
    assert one.read_bytes().startswith(SIGNATURES[ending])
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    "items",
    [
        [],
        [record(1)],
        [record(1, NAN, INFINITY, None)],
        [record(1, -1.0), record(2, 0.0, NAN), record(3, -INFINITY, 2.0)],
        [record(5, 1e-300, None, None), record(6, 1e300, None, None)],
        run(3 * LIMIT, 100),
    ],
    ids=["nothing", "one", "nan", "negative", "huge", "many"],
)
def test_plot_of_anything(tmp_path: Path, items: list[Record]) -> None:
    pytest.importorskip("matplotlib")
    save_plot(items, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert "<!-- learning rate -->" in text
    assert "<!-- step -->" in text


@pytest.mark.parametrize(
    ("rates", "losses", "suggestion"),
    [
        ([], [], None),
        ([0.1], [2.0], 0.1),
        ([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [1.0, 0.9, 0.2, 50.0, NAN], 1e-3),
        ([1e-4, 1e-3], [3.0, 3.0], 0.0),
        ([1e-3, 1e-2, 1e-1], [0.0, 0.0, 9.0], 1e-2),
    ],
)
def test_learning_rate_plot(tmp_path: Path, rates: list[float], losses: list[float], suggestion: float | None) -> None:
    pytest.importorskip("matplotlib")
    save_learning_rate_plot(rates, losses, suggestion, tmp_path / "finder.svg")
    text = (tmp_path / "finder.svg").read_text()
    assert ("<!-- suggested" in text) == bool(suggestion)


def test_pictures_that_cannot_be_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with refusal(FileError, cause="not the name of a picture ", remedy=r"\.png, \.svg or \.pdf$"):
        save_plot([record(1)], tmp_path / "plot.gif")
    with refusal(FileError, cause="none” is not a folder"):
        save_plot([record(1)], tmp_path / "none" / "plot.png")
