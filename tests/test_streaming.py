"""Samples that do not fit into memory: Parquet files read block by block, and what is trained and said of them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import sgdsheet
from sgdsheet.data.formats import open_source
from sgdsheet.data.sample_choice import bind_samples
from sgdsheet.data.streamed import KeptBack, StreamedData, epoch_of
from sgdsheet.data.streamed_samples import StreamedSamples
from sgdsheet.errors import DataError, FileError, FormulaError
from sgdsheet.problem.settings import combine
from tests.bound_books import Rows, numbers, parameters, session
from tests.cli_books import run
from tests.errors import refusal
from tests.test_parallel import launch
from tests.training_books import ROOT

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COUNT = 1_000
SCALED = Rows(
    ["=(C{r}-AVERAGE(C${a}:C${b}))/STDEV(C${a}:C${b})", "=$K$1*F{r}+$K$2*D{r}/MAX(D${a}:D${b})+$K$3", "=(G{r}-E{r})^2"],
    "=SUM(H{a}:H{b})/COUNT(E{a}:E{b})",
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is a Parquet file is read in blocks of 20 samples, of which 80 are in the buffer."""
    monkeypatch.setattr("sgdsheet.data.formats.parquet.IN_MEMORY", 0)
    monkeypatch.setattr("sgdsheet.data.formats.row_groups._FEWEST", 20)
    monkeypatch.setattr("sgdsheet.data.formats.row_groups._BLOCK", 1)
    monkeypatch.setattr("sgdsheet.data.streamed._BUFFER", 1)
    monkeypatch.setattr("sgdsheet.data.streamed._PORTION", 90)


def folder_of(path: Path, data: Mapping[str, NDArray[Any]], files: int = 3, group: int = 70) -> Path:
    """Data as some files of a folder, in row groups of so many rows."""
    path.mkdir(parents=True)
    count = len(next(iter(data.values())))
    for number in range(files):
        rows = slice(count * number // files, count * (number + 1) // files)
        table = arrow.table({name: list(column[rows]) for name, column in data.items()})
        parquet.write_table(table, path / f"part-{number}.parquet", row_group_size=group)
    return path


def both(folder: Path, rows: Rows, data: Mapping[str, NDArray[Any]]) -> tuple[sgdsheet.SheetModel, sgdsheet.SheetModel]:
    """The same sheet on data in memory and on a folder of files."""
    folder.mkdir(exist_ok=True)
    book = sgdsheet.load(rows.file(folder, data))
    source = folder_of(folder / "many", data)
    memory, streamed = (sgdsheet.compile(book, precision="float64", source=each) for each in (None, source))
    return memory, streamed


def samples_of(model: sgdsheet.SheetModel, **options: Any) -> StreamedSamples:
    found = bind_samples(model, combine(model.problem.settings, options))
    assert isinstance(found, StreamedSamples)
    return found


# --- reading ----------------------------------------------------------------------------------------------


def test_blocks_are_the_table(tmp_path: Path) -> None:
    data = {"x": np.arange(COUNT), "text": np.array([f"t{i % 7}" for i in range(COUNT)]),
            "list": np.arange(2.0 * COUNT).reshape(COUNT, 2)}  # fmt: skip
    source = open_source(folder_of(tmp_path / "many", data))
    stream = source.stream
    assert stream is not None
    assert source.count == COUNT
    blocks = [stream.block(number) for number in range(len(stream.starts))]
    assert {len(block.fields["x"]) for block in blocks} <= {20, 10, 14, 13}
    for name, column in data.items():
        assert np.concatenate([block.fields[name] for block in blocks]).tolist() == column.tolist()
    again = [stream.block(number).fields["x"].tolist() for number in (30, 2, 31, 3, 2)]
    assert again == [blocks[number].fields["x"].tolist() for number in (30, 2, 31, 3, 2)]


def test_a_choice_of_samples(tmp_path: Path) -> None:
    data = {"x": np.arange(COUNT), "kind": np.arange(COUNT) % 7}
    path = tmp_path / "table.parquet"
    parquet.write_table(arrow.table(data), path, row_group_size=170)
    model = Rows(["=$K$1*C{r}+$K$2+$K$3*C{r}^2", "=F{r}^2"], headers=("x", None, None)).file(
        tmp_path, numbers(), source="data.npz"
    )
    book = sgdsheet.compile(sgdsheet.load(model), source=f"{path} where kind is 2 or 5")
    streamed = samples_of(book).stream
    wanted = data["x"][np.isin(data["kind"], [2, 5])]
    assert streamed.count == len(wanted)
    rows = torch.tensor([0, 40, 41, 200, len(wanted) - 1])
    assert streamed.batch(rows)[0].reshape(-1).tolist() == wanted[rows].tolist()
    with refusal(DataError, cause=f"in {chr(8220)}table.parquet{chr(8221)} no sample"):
        samples_of(sgdsheet.compile(sgdsheet.load(model), source=f"{path} where kind is 9"))


def test_parts_by_name(tmp_path: Path) -> None:
    folder_of(tmp_path / "data" / "training", {"x": np.arange(50)})
    parquet.write_table(arrow.table({"x": np.arange(9)}), tmp_path / "data" / "test-00000-of-00001.parquet")
    parquet.write_table(arrow.table({"x": np.arange(5)}), tmp_path / "data" / "_hidden.parquet")
    parquet.write_table(arrow.table({"x": np.arange(7)}), tmp_path / "data" / "validation.parquet")
    source = open_source(tmp_path / "data")
    assert source.parts() == ("train", "valid", "test")
    assert [open_source(tmp_path / "data", part).count for part in source.parts()] == [50, 7, 9]


def test_in_memory_where_there_is_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgdsheet.data.formats.parquet.IN_MEMORY", 1 << 20)
    source = open_source(folder_of(tmp_path / "many", {"x": np.arange(COUNT)}))
    assert source.stream is None
    assert source.fields["x"].tolist() == list(range(COUNT))


def test_files_of_different_tables(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "many", {"x": np.arange(COUNT)})
    parquet.write_table(arrow.table({"z": [1.0]}), path / "part-9.parquet")
    with pytest.raises(DataError, match=r"“part-0\.parquet” and “part-9\.parquet” differ in their columns"):
        open_source(path)
    (path / "part-9.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(FileError, match=r"“part-9\.parquet” cannot be read"):
        open_source(path)


def test_what_is_no_number_is_named_with_its_file_and_row(tmp_path: Path) -> None:
    data = numbers(COUNT)
    data["z"][700] = np.nan
    _, model = both(tmp_path, Rows(), numbers())
    path = folder_of(tmp_path / "bad", data)
    bad = sgdsheet.compile(model.workbook, source=path)
    with refusal(DataError, cause="“bad/part-2.parquet”, column “z”, row 35, is empty or not a number"):
        session(bad, epochs=1)


def test_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    secret = folder_of(tmp_path / "secret", numbers())
    folder_of(tmp_path / "home" / "bound" / "many", numbers())
    (tmp_path / "home" / "bound" / "many" / "part-7.parquet").symlink_to(secret / "part-0.parquet")
    book = sgdsheet.load(Rows().file(tmp_path / "home", numbers()))
    problem = replace(sgdsheet.compile(book).problem, origin="many")
    with pytest.raises(FileError, match="a workbook may not choose files elsewhere"):
        bind_samples(sgdsheet.compile(book, problem=problem), combine((), {}))


# --- an epoch -----------------------------------------------------------------------------------------------


def batches(data: StreamedData, size: int, *, seed: int = 3, skip: int = 0, share: float = 0.0) -> list[list[int]]:
    kept = KeptBack(data.count, share, 0, validation=False)
    generator = torch.Generator().manual_seed(seed)
    return [rows.tolist() for rows, _ in epoch_of(data, kept, size, shuffle=True, generator=generator, skip=skip)]


@pytest.fixture
def streamed(tmp_path: Path) -> StreamedData:
    _, model = both(tmp_path, Rows(), numbers(COUNT))
    return samples_of(model).stream


def test_an_epoch_has_every_sample_once_in_an_order_of_its_own(streamed: StreamedData) -> None:
    found = batches(streamed, 32)
    flat = [row for batch in found for row in batch]
    assert sorted(flat) == list(range(COUNT))
    assert [len(batch) for batch in found] == [32] * 31 + [8]
    assert found != batches(streamed, 32, seed=4)
    assert batches(streamed, 32, skip=7) == found[7:]
    assert max(np.abs(np.corrcoef(flat, range(COUNT))[0, 1]), 0) < 0.5
    assert all(len({row // 20 for row in batch}) >= 8 for batch in found[:20])  # from many places


def test_a_share_kept_back_is_in_no_batch(streamed: StreamedData) -> None:
    validation = KeptBack(COUNT, 0.2, 0, validation=True)
    kept = set(validation.of(np.arange(COUNT)).tolist())
    flat = [row for batch in batches(streamed, 32, share=0.2) for row in batch]
    assert len(kept) == len(validation)
    assert 150 < len(kept) < 250
    assert sorted([*flat, *kept]) == list(range(COUNT))


def test_processes_read_their_lanes_only(streamed: StreamedData) -> None:
    """Two processes together read each block about once, as one does."""
    flat = [row for batch in batches(streamed, 32) for row in batch][: 31 * 32]
    shares = [set(streamed.blocks_of(np.array(flat[rank::2])).tolist()) for rank in (0, 1)]
    assert len(shares[0] & shares[1]) <= 7  # where one lane's end lies in the block in which another begins
    assert len(shares[0] | shares[1]) == streamed.block_count


# --- training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [Rows(), SCALED], ids=["plain", "scaled"])
def test_in_order_it_is_what_is_trained_in_memory(rows: Rows, tmp_path: Path) -> None:
    memory, streamed = both(tmp_path, rows, numbers(COUNT))
    one, two = (session(model, epochs=2, batch_size=32) for model in (memory, streamed))
    losses = [[step.loss for step in each] for each in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert parameters(memory).tolist() == pytest.approx(parameters(streamed).tolist(), rel=1e-12)
    assert (one.loss_start, one.loss) == pytest.approx((two.loss_start, two.loss), rel=1e-12)
    assert two.sample_count == COUNT


def test_shuffled_batches_are_those_of_hand_written_code(tmp_path: Path) -> None:
    data = numbers(COUNT)
    _, model = both(tmp_path, Rows(), data)
    found = session(model, epochs=2, batch_size=32, shuffle="yes", seed=3)
    order = [batch.tolist() for batch in _epochs(model, 2)]
    losses = [step.loss for step in found]
    w = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64, requires_grad=True)
    x, z, y = (torch.from_numpy(data[name]) for name in "xzy")
    optimizer, expected = torch.optim.SGD([w], lr=0.05), []
    for rows in order:
        optimizer.zero_grad()
        loss = ((w[0] * x[rows] + w[1] * z[rows] + w[2] - y[rows]) ** 2).mean()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-12)


def _epochs(model: sgdsheet.SheetModel, count: int) -> Iterator[torch.Tensor]:
    samples, generator = samples_of(model), torch.Generator().manual_seed(3)
    for _ in range(count):
        yield from samples.batches(32, shuffle=True, generator=generator)


def test_validation_and_test(tmp_path: Path) -> None:
    data, apart = numbers(COUNT), numbers(300, seed=9)
    path = Rows().file(tmp_path, data)
    folder_of(tmp_path / "many" / "train", data)
    folder_of(tmp_path / "many" / "test", apart)
    model = sgdsheet.compile(sgdsheet.load(path), precision="float64", source=tmp_path / "many")
    found = session(model, epochs=1, validation=0.25)
    found.run()
    w = parameters(model).numpy()
    kept = KeptBack(COUNT, 0.25, 0, validation=True).of(np.arange(COUNT))

    def loss(part: Mapping[str, NDArray[Any]], rows: Any) -> float:
        return float(np.mean((w[0] * part["x"][rows] + w[1] * part["z"][rows] + w[2] - part["y"][rows]) ** 2))

    assert found.valid_loss == pytest.approx(loss(data, kept), rel=1e-12)
    assert found.test_loss == pytest.approx(loss(apart, slice(None)), rel=1e-12)
    assert found.loss == pytest.approx(loss(data, np.setdiff1d(np.arange(COUNT), kept)), rel=1e-12)


def test_going_on_reads_no_skipped_block(tmp_path: Path) -> None:
    _, model = both(tmp_path, Rows(), numbers(COUNT))
    whole = [step.loss for step in session(model, epochs=2, batch_size=32, shuffle="yes", seed=3)]
    _, model = both(tmp_path / "again", Rows(), numbers(COUNT))
    first = session(model, epochs=2, batch_size=32, shuffle="yes", seed=3)
    steps = iter(first)
    begun = [next(steps).loss for _ in range(25)]
    state = first.state()
    steps.close()  # type: ignore[attr-defined]
    second = session(model, epochs=2, batch_size=32, shuffle="yes", seed=3)
    second.restore(state)
    samples = second._run.samples
    assert isinstance(samples, StreamedSamples)
    before = samples.stream.blocks_read
    rest = [step.loss for step in second]
    assert [*begun, *rest] == pytest.approx(whole, rel=1e-12)
    assert samples.stream.blocks_read - before < 2 * samples.stream.block_count


@pytest.mark.parametrize(
    "formula", ["=MEDIAN(C{a}:C{b})", "=SUMPRODUCT(C{a}:C{b},D{a}:D{b})", "=CORREL(C{a}:C{b},E{a}:E{b})"]
)
def test_what_no_pass_can_calculate_is_refused(formula: str, tmp_path: Path) -> None:
    rows = Rows(["=$K$1*C{r}+$K$2*D{r}+$K$3+$M$1", "=(F{r}-E{r})^2"], more={"M1": formula})
    _, model = both(tmp_path, rows, numbers(COUNT))
    with refusal(FormulaError, cell="Model!M1", cause="the formula needs all samples at once"):
        session(model, epochs=1)


STATISTICS = ["AVERAGE", "SUM", "COUNT", "MIN", "MAX", "DEVSQ", "SUMSQ", "VAR", "VARP", "STDEV", "STDEVP", "ROWS"]


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_a_column(name: str, tmp_path: Path) -> None:
    """In a cell of its own, of a column that is calculated, as that over all samples in memory."""
    more = {"M1": f"={name}(F{{a}}:F{{b}})", "M2": "=M1/AVERAGE(C{a}:C{b})"}
    rows = Rows(
        ["=C{r}*3+D{r}^2", "=$K$1*C{r}+$K$2*D{r}+$K$3", "=(G{r}-E{r})^2+M$1+M$2"], "=AVERAGE(H{a}:H{b})", more=more
    )
    memory, streamed = both(tmp_path, rows, numbers(COUNT))
    found = [session(model, epochs=1).loss_start for model in (memory, streamed)]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


# --- predictions, and memory --------------------------------------------------------------------------------


def test_predictions(tmp_path: Path) -> None:
    data = {**numbers(COUNT), "name": np.array([f"n{i}" for i in range(COUNT)])}
    book = Rows(names={"sgd_output": "F4:F{b}"}).file(tmp_path, numbers())
    source = folder_of(tmp_path / "many", data)
    found = run("predict", book, "--source", source, "-o", tmp_path / "found.csv", "--json")
    assert found.status == 0, found.stderr
    with (tmp_path / "found.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == COUNT + 1
    expected = 0.5 * data["x"] - 0.3 * data["z"] + 0.2
    assert [float(row[-1]) for row in rows[1:]] == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-6)
    assert [float(row[rows[0].index("x")]) for row in rows[1:]] == pytest.approx(data["x"].tolist(), rel=1e-12)


PROGRAM = """
import resource, sys
import sgdsheet
from tests.bound_books import session
model = sgdsheet.compile(sgdsheet.load(sys.argv[1]), source=sys.argv[2])
before = peak = 0
def memory():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before = memory()
found = session(model, batch_size=4096, epochs=1, shuffle="yes", optimizer="adam")
found.run()
print(before, memory(), found.loss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_source_larger_than_the_memory_for_it(tmp_path: Path) -> None:
    """A table of 480 MB in one row group after the other trains in less than half of that."""
    random, path = np.random.default_rng(1), tmp_path / "large.parquet"
    schema = arrow.schema([(name, arrow.float64()) for name in ("x", "z", "y")])
    with parquet.ParquetWriter(path, schema) as writer:
        for _ in range(20):
            x, z = random.normal(size=(2, 1_000_000))
            writer.write_table(arrow.table({"x": x, "z": z, "y": x - 2 * z}, schema=schema), row_group_size=1_000_000)
    book = Rows().file(tmp_path, numbers())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, book, path]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False, timeout=300)
    assert found.returncode == 0, found.stderr
    before, peak, loss = map(float, found.stdout.split())
    assert loss < 0.1
    assert peak - before < 240


def test_processes_train_as_one(tmp_path: Path) -> None:
    """1, 2 and 4 processes draw the same batches and find the same parameters, and each reads its share."""
    pytest.importorskip("torch.distributed")
    book = SCALED.file(tmp_path, numbers())
    source = folder_of(tmp_path / "many", numbers(COUNT))
    found = {}
    for count in (1, 2, 4):
        folder = tmp_path / f"of_{count}"
        folder.mkdir()
        (folder / "program.py").write_text(SHARED, encoding="utf-8")
        ended = launch(folder / "program.py", book, source, folder / "found", count=count)
        assert ended.returncode == 0, ended.stderr
        ranks = [json.loads((folder / f"found{rank}").read_text(encoding="utf-8")) for rank in range(count)]
        for parts in zip(*(rank[:3] for rank in ranks), strict=True):
            assert all(part == pytest.approx(parts[0], rel=1e-9) for part in parts)
        found[count] = ranks
    for count in (2, 4):
        for one, other in zip(found[1][0][:3], found[count][0][:3], strict=True):
            assert one == pytest.approx(other, rel=1e-9)
        assert max(rank[3] for rank in found[count]) < 1.3 * found[1][0][3] / count


SHARED = """
import json, sys
from pathlib import Path
import sgdsheet
import sgdsheet.data.formats.parquet as one, sgdsheet.data.formats.row_groups as two, sgdsheet.data.streamed as three
one.IN_MEMORY, two._FEWEST, two._BLOCK, three._BUFFER, three._PORTION = 0, 20, 1, 1, 90
from sgdsheet.system import processes
from tests.bound_books import parameters, session
model = sgdsheet.compile(sgdsheet.load(sys.argv[1]), precision="float64", source=sys.argv[2])
found = session(model, epochs=2, batch_size=32, shuffle="yes", seed=2)
losses = [step.loss for step in found]
samples = found._run.samples
result = [losses, parameters(model).tolist(), [found.loss_start, found.loss], samples.stream.blocks_read]
Path(sys.argv[3] + str(processes.rank())).write_text(json.dumps(result))
found.leave()
processes.end(0)
"""
