"""Sources: every format, what is wrong with files, and files that somebody damaged."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgdsheet.data.formats import (
    FORMATS,
    Source,
    check_finite,
    delimited,
    field_called,
    finite,
    open_source,
)
from sgdsheet.data.formats import (
    source as source_module,
)
from sgdsheet.errors import DataError, FileError, SettingError, SgdSheetError
from tests.errors import refusal
from tests.shared_data import DATA, MNIST, shared_data

parquet = pytest.importorskip("pyarrow.parquet")
arrow = pytest.importorskip("pyarrow")


IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.arange(5, dtype=np.uint8)


def idx(array: np.ndarray, *, kind: int = 8) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, *, packed: bool = False, prefix: str = "", dot: str = "-") -> Path:
    """The four files: five samples to train, three to test."""
    folder.mkdir(exist_ok=True)
    for part, count in (("train", 5), ("t10k", 3)):
        for field, array, axes in (("images", IMAGES, 3), ("labels", LABELS, 1)):
            content = idx(array[:count])
            name = f"{prefix}{part}-{field}{dot}idx{axes}-ubyte"
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_csv(folder: Path) -> Path:
    path = folder / "people.csv"
    path.write_text('age,name,fare\n22,"Braund, Owen",7.25\n38,Anna,71.5\n,Bo,8\n', encoding="utf-8")
    return path


def write_npz(folder: Path, *, packed: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "data.npz"
    save = np.savez_compressed if packed else np.savez
    arrays: dict[str, Any] = {
        "image": IMAGES,
        "weight": np.linspace(0, 1, 5),
        "word": np.array(list("abcde")),
    }
    save(path, **arrays)
    return path


def write_parquet(folder: Path) -> Path:
    path = folder / "table.parquet"
    table = {
        "number": [1.5, None, 3.0],
        "whole": [1, 2, 3],
        "word": ["a", None, "a"],
        "yes": [True, False, True],
        "pixels": [[1, 2], [3, 4], [5, 6]],
    }
    parquet.write_table(arrow.table(table), path)
    return path


SAMPLES: Mapping[str, tuple[Callable[[Path], Path], int]] = {
    "MNIST IDX": (lambda folder: write_idx(folder), 5),
    "NumPy": (write_npz, 5),
    "CSV": (write_csv, 3),
    "Parquet": (write_parquet, 3),
}
"""By format: what writes a small file, and how many samples are in it."""


def refused(path: Path, part: str = "train") -> str:
    """The one-line message with which a source is refused."""
    with pytest.raises((FileError, DataError)) as caught:
        check_finite(open_source(path, part))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.remedy
    return message


def csv_source(folder: Path, text: str | bytes, name: str = "a.csv") -> Source:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_source(path)


# --- all formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_format(name: str, tmp_path: Path) -> None:
    write, count = SAMPLES[name]
    path = write(tmp_path)
    source = open_source(path)
    assert source.count == count
    assert source.name == path.name
    assert "train" in source.parts()
    for field, values in source.fields.items():
        assert len(values) == count, field
        if values.dtype.kind == "O":
            assert all(isinstance(value, str) for value in values)
        else:
            assert values.flags.writeable
            torch.from_numpy(values)  # warns if the array is read-only
    assert not source.columns or source.columns == tuple(source.fields)


@pytest.mark.parametrize("name", FORMATS)
def test_part_that_is_not_there(name: str, tmp_path: Path) -> None:
    assert "no part “valid”" in refused(SAMPLES[name][0](tmp_path), "valid")


@pytest.mark.parametrize("ending", [ending for item in FORMATS.values() for ending in item.endings])
def test_missing_and_empty(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data{ending}"
    assert "does not exist" in refused(path)
    path.touch()
    assert "is empty" in refused(path)
    path.unlink()
    path.mkdir()
    refused(path)


def test_unknown() -> None:
    with refusal(SettingError, cause="no part “training”"):
        open_source(Path("x.csv"), "training")


@pytest.mark.parametrize("name", ["notes.docx", "data", "data.csv.gz"])
def test_unknown_ending(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("hello")
    assert ".csv" in refused(tmp_path / name)


def test_folder_without_data(tmp_path: Path) -> None:
    assert "holds neither MNIST IDX files nor Parquet files" in refused(tmp_path)


def test_strange_names(tmp_path: Path) -> None:
    refused(tmp_path / "a\nb.csv")
    refused(Path("a\0b.csv"))
    refused(tmp_path / ("a" * 300 + ".csv"))


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    """Whatever was damaged, the errors are ours."""
    dice = random.Random(name)
    originals = [SAMPLES[name][0](tmp_path)]
    if name == "NumPy":
        originals.append(write_npz(tmp_path / "packed", packed=True))
    if name == "MNIST IDX":
        originals.append(write_idx(tmp_path / "packed", packed=True))
    for original in originals:
        for victim in sorted(original.glob("train-*")) if original.is_dir() else [original]:
            intact = victim.read_bytes()
            for _ in range(250):
                victim.unlink()  # a new file: the old one may still be mapped into memory
                victim.write_bytes(damaged(intact, dice))
                assert "\n" not in complaint(original)
            victim.unlink()
            victim.write_bytes(intact)


def complaint(path: Path) -> str:
    """The message with which a source is refused; nothing if it is not."""
    try:
        source = open_source(path)
        for values in source.fields.values():
            values.copy()
        check_finite(source)
    except SgdSheetError as error:
        return str(error)
    return ""


def damaged(content: bytes, dice: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 5])):
        place = dice.randrange(len(data)) if data else 0
        kind = dice.randrange(5)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            del data[place : place + dice.randrange(1, 9)]
        elif kind == 2:
            data[place:place] = dice.randbytes(dice.randrange(1, 9))
        elif data:
            data[place] = dice.choice([0, 255, data[place] ^ (1 << dice.randrange(8)), dice.randrange(256)])
    return bytes(data)


# --- MNIST's files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_idx(packed: bool, dot: str, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "set", packed=packed, dot=dot)
    for path in (folder, *folder.iterdir(), folder / "train", folder / "t10k-im"):
        for part, count in (("train", 5), ("test", 3)):
            source = open_source(path, part)
            assert source.parts() == ("train", "test")
            assert source.fields["image"].dtype == source.fields["label"].dtype == np.uint8
            np.testing.assert_array_equal(source.fields["image"], IMAGES[:count])
            np.testing.assert_array_equal(source.fields["label"], LABELS[:count])


def test_idx_is_mapped_and_never_changed(tmp_path: Path) -> None:
    image = open_source(write_idx(tmp_path)).fields["image"]
    assert isinstance(image, np.memmap)
    image[:] = 0
    np.testing.assert_array_equal(open_source(tmp_path).fields["image"], IMAGES)


def test_idx_several_datasets(tmp_path: Path) -> None:
    write_idx(tmp_path, prefix="emnist-letters-")
    assert open_source(tmp_path).count == 5
    write_idx(tmp_path, prefix="emnist-digits-", packed=True)
    assert "“emnist-digits”, “emnist-letters”" in refused(tmp_path)
    assert "several datasets" in refused(tmp_path / "emnist")
    assert open_source(tmp_path / "emnist-letters", "test").count == 3


def test_idx_missing(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "train-images-idx3-ubyte.gz")
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert "no labels of the part “train”" in refused(tmp_path)
    assert open_source(tmp_path, "test").count == 3


@pytest.mark.parametrize(
    ("field", "content", "message"),
    [
        ("images", b"", "is empty"),
        ("images", idx(IMAGES)[:7], "ends within its first 16 bytes"),
        ("images", idx(LABELS), "begins with 00000801, not with 00000803"),
        ("images", idx(IMAGES, kind=9), "begins with 00000903"),
        ("images", b"<html>", "begins with 3c68746d"),
        ("images", idx(IMAGES)[:-1], "announces 60 bytes of data but has 59"),
        ("images", idx(IMAGES) + b"x", "has more data"),
        ("images", idx(IMAGES[:4]), "4 samples of “image” but 5 of “label”"),
        ("labels", idx(LABELS[:0]), "5 samples of “image” but 0 of “label”"),
        ("labels", idx(IMAGES), "as IDX labels do"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_wrong(field: str, content: bytes, message: str, packed: bool, tmp_path: Path) -> None:
    write_idx(tmp_path, packed=packed)
    (path,) = tmp_path.glob(f"train-{field}*")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert message in refused(tmp_path)


def test_idx_no_samples(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES[:0]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:0]))
    assert "no samples" in refused(tmp_path)


def test_gzip_cut_off_or_damaged(tmp_path: Path) -> None:
    path = write_idx(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    intact = path.read_bytes()
    path.write_bytes(intact[:-12])
    assert "its compression is damaged (it ends too early). Get the file again" in refused(tmp_path)
    path.write_bytes(intact[:-8] + b"\0\0\0\0" + intact[-4:])
    assert "compression is damaged (“CRC check failed" in refused(tmp_path)


def test_promises_are_not_believed(tmp_path: Path) -> None:
    """A small file that announces terabytes takes no memory."""
    write_idx(tmp_path, packed=True)
    head = struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 28, 28)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head))
    tracemalloc.start()
    assert "ends too early" in refused(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_limit_of_what_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "big.npz", x=np.zeros(2_000_000))
    assert open_source(tmp_path / "big.npz").count == 2_000_000
    monkeypatch.setattr(source_module, "MAX_UNPACKED", 1 << 20)
    assert "savez" in refused(tmp_path / "big.npz")
    np.savez(tmp_path / "big.npz", x=np.zeros(2_000_000))
    assert isinstance(open_source(tmp_path / "big.npz").fields["x"], np.memmap)


@shared_data("mnist")
def test_mnist() -> None:
    start = time.perf_counter()
    open_source(MNIST)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    train = open_source(MNIST)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    image, label = train.fields["image"], train.fields["label"]
    assert image.shape == (60_000, 28, 28)
    assert label[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert image.mean() == pytest.approx(33.318421)
    assert seconds < 10
    assert peak < 1.2 * image.nbytes
    test = open_source(MNIST / "train-labels-idx1-ubyte.gz", "test")
    assert test.fields["image"].shape == (10_000, 28, 28)
    assert np.bincount(test.fields["label"]).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


# --- NumPy's files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_npz(packed: bool, tmp_path: Path) -> None:
    source = open_source(write_npz(tmp_path, packed=packed))
    np.testing.assert_array_equal(source.fields["image"], IMAGES)
    assert source.fields["image"].dtype == np.uint8
    assert isinstance(source.fields["image"], np.memmap) is not packed
    assert source.fields["word"].tolist() == list("abcde")


@pytest.mark.parametrize("packed", [False, True])
def test_npz_types_and_orders(packed: bool, tmp_path: Path) -> None:
    arrays = {
        "f2": np.arange(6, dtype=np.float16).reshape(2, 3),
        "swapped": np.arange(6, dtype=">i4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        "logical": np.array([True, False]),
        "nothing": np.zeros((2, 0)),
    }
    single: Any = {"classes": np.array(10)}
    (np.savez_compressed if packed else np.savez)(tmp_path / "a.npz", **arrays, **single)
    fields = open_source(tmp_path / "a.npz").fields
    assert list(fields) == list(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(fields[name], values)
        assert fields[name].dtype.isnative


def test_numbers_longer_than_float64(tmp_path: Path) -> None:
    """Torch does not know them; what is too large for float64 is infinite, and refused as such."""
    np.savez(tmp_path / "a.npz", x=np.array([0.1, 2], np.longdouble), y=np.array([1, 1e308], np.longdouble) * 100)
    source = open_source(tmp_path / "a.npz")
    assert source.fields["x"].dtype == np.float64
    assert source.fields["x"].tolist() == [0.1, 2]
    with refusal(DataError, cause="sample 2 of “y”, is infinite"):
        check_finite(source)


def test_npz_parts(tmp_path: Path) -> None:
    x = np.arange(9.0)
    arrays: dict[str, Any] = {
        "x_train": x[:5],
        "train_y": x[:5],
        "val_x": x[5:6],
        "x_test": x[6:],
        "mean": x[:2],
    }
    np.savez(tmp_path / "a.npz", **arrays)
    train, test = open_source(tmp_path / "a.npz"), open_source(tmp_path / "a.npz", "test")
    assert train.parts() == ("train", "valid", "test")
    assert sorted(train.fields) == ["x", "y"]
    assert (train.count, test.count, open_source(tmp_path / "a.npz", "valid").count) == (5, 3, 1)
    np.savez(tmp_path / "a.npz", x_train=x, train_x=x)
    assert "two arrays for one field" in refused(tmp_path / "a.npz")


class _Trap:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was run",))


def test_npz_pickles_are_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as package:
        package.writestr("x.npy", header.getvalue() + pickle.dumps([_Trap()]))
    assert "array “x” in “a.npz” holds Python objects" in refused(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no samples"),
        ({"x": np.zeros(0)}, "no samples"),
        ({"x": np.zeros(3), "y": np.zeros(4)}, "3 samples of “x” but 4 of “y”"),
        ({"x": np.zeros(3, complex)}, "neither number nor text"),
        ({"x": np.zeros(3, "datetime64[s]")}, "neither number nor text"),
        ({"x": np.zeros(3, [("a", float)])}, "neither number nor text"),
        ({"x": np.array([["a"], ["b"]])}, "text in 2 dimensions"),
    ],
)
def test_npz_wrong(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert message in refused(tmp_path / "a.npz")


def test_npz_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"hello")
    assert "no intact .npz" in refused(tmp_path / "a.npz")


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (["x", "X", "x_"], "X", "X"),
        (["x", "x_"], " x ", "x"),
        (["x_", "x"], "X", "x"),
        (["Living_Area"], "living area", "Living_Area"),
        (["label"], "Labels", "label"),
        (["labels", "label"], "label", "label"),
        (["labels"], "LABEL", "labels"),
        (["label"], "tables", None),
    ],
)
def test_the_closest_name_is_meant(names: list[str], wanted: str, found: str | None) -> None:
    source = Source("data.npz", "train", {name: np.zeros(2) for name in names})
    assert field_called(source, wanted) == found


def test_several_names_are_equally_close() -> None:
    source = Source("data.npz", "train", {name: np.zeros(2) for name in ("fare ", "_Fare", "z")})
    with refusal(
        DataError, cell="Model!C3", cause=r"“fare” may mean “fare” or “_Fare” of “data\.npz”$", remedy="^Write the name"
    ):
        field_called(source, "fare", "Model!C3")
    assert field_called(source, "Z") == "z"


# --- CSV --------------------------------------------------------------------------------------------------


def test_csv(tmp_path: Path) -> None:
    source = open_source(write_csv(tmp_path))
    assert source.columns == ("age", "name", "fare")
    np.testing.assert_array_equal(source.fields["age"], [22, 38, np.nan])
    assert source.fields["age"].dtype == source.fields["fare"].dtype == np.float64
    assert source.fields["name"].tolist() == ["Braund, Owen", "Anna", "Bo"]


@pytest.mark.parametrize(
    ("text", "columns", "count"),
    [
        ("1,2\n3,4\n", ("A", "B"), 2),
        ("x,y\n3,4\n", ("x", "y"), 1),
        ("label,0,1\n7,0,255\n", ("label", "0", "1"), 1),
        ("anna,1\nbo,2\n", ("A", "B"), 2),
        ("name,word\na,b\n", ("name", "word"), 1),
        (",x\n0,5\n1,6\n", ("A", "x"), 2),
        ("x\n1\n2\n", ("x",), 2),
        ("5", ("A",), 1),
        ("\n\nx,y\n\n1,2\n\n", ("x", "y"), 1),
        ("\ufeffx;y\r\n1;2\r\n", ("x", "y"), 1),
        ("x\ty\n1\t2\n", ("x", "y"), 1),
        ('"a,b,c";y\n1;2\n', ("a,b,c", "y"), 1),
        ('"a\nb",y\n1,2\n3,4\n', ("a\nb", "y"), 2),
        ('x,y\n"1","2"\n', ("x", "y"), 1),
        ("x,y\n 1, 2e3\n-.5,+4\n", ("x", "y"), 2),
        ("1,ok\n3,True\n", ("1", "ok"), 1),
        ("1,True\n3,False\n", ("A", "B"), 2),
        ("True,False\n0,1\n", ("True", "False"), 1),
    ],
)
def test_csv_header_and_delimiter(text: str, columns: tuple[str, ...], count: int, tmp_path: Path) -> None:
    source = csv_source(tmp_path, text)
    assert (source.columns, source.count) == (columns, count)


def test_csv_true_and_false(tmp_path: Path) -> None:
    """As pandas and spreadsheets write them; a column with anything else is text."""
    text = "a,b,c,d,e\n1,True,TRUE,true,\n2,False, false,no,\n3,True,,true,\n"
    fields = csv_source(tmp_path, text).fields
    assert fields["b"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(fields["c"], [1, 0, np.nan])
    assert fields["d"].tolist() == ["true", "no", "true"]
    assert fields["e"].dtype == np.float64
    assert csv_source(tmp_path, "x\n1\nTrue\n").fields["x"].tolist() == ["1", "True"]


def test_tsv(tmp_path: Path) -> None:
    assert csv_source(tmp_path, "x\ty\n1,5\t2\n", "a.tsv").fields["x"].tolist() == ["1,5"]


def test_csv_text_that_turns_up_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_CELLS_AT_ONCE", 1000)
    rows = [f"{number}.50,{number},{number},t{number % 3}" for number in range(3_000)]
    rows[2_500] = "n/a,1,1_0,t"
    source = csv_source(tmp_path, "\n".join(rows))
    assert source.fields["A"].tolist() == [row.split(",")[0] for row in rows]
    assert source.fields["B"].dtype == np.float64
    assert source.fields["C"].tolist() == [row.split(",")[2] for row in rows]
    assert source.fields["D"][3] == "t0"


def test_csv_both_readers_agree(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(500, 3)) * 10.0 ** np.arange(-150, 151, 150)
    body = "".join(",".join(map(repr, row)) + "\n" for row in numbers.tolist())
    fast = csv_source(tmp_path, "x,y,z\n" + body).fields
    slow = csv_source(tmp_path, "x,y,z,w\n" + body.replace("\n", ",t\n"), "b.csv").fields
    for name, column in zip("xyz", numbers.T, strict=True):
        np.testing.assert_array_equal(fast[name], column)
        np.testing.assert_array_equal(slow[name], column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n", "has a header but no rows"),
        ("\n\n", "is empty"),
        ("x,y\n1,2\n3\n", "line 3 of “a.csv” has 1 cells where the others have 2"),
        ("x,y\n1,2\n3,4,5\n", "line 3 of “a.csv” has 3 cells"),
        ('x,y\n"a\nb",2\n3\n', "line 4"),
        ("x,y,x\n1,2,3\n", "the columns A and C of “a.csv” are both called “x”"),
        (b"x\n\xff\xfe\n", "not UTF-8"),
        ("x,y\n1,2\n".encode("utf-16"), "not UTF-8"),
        (b"PK\3\4\0\0\0", "is not text"),
        ("x,y\n1,2\n,4\n", "column “x”, row 3, is empty or not a number"),
        ("1,2\n3,4\n5,nan\n", "column “B”, row 3, is empty or not a number"),
        ("x,y\n1,2\n3,-inf\n", "column “y”, row 3, is infinite"),
        ("x,y\n1," + "a" * 200_000 + "\n", "no proper CSV"),
    ],
)
def test_csv_wrong(text: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message in refused(path)


def test_csv_speed_and_memory(tmp_path: Path) -> None:
    """Neither the text of all numbers nor more than a few copies of them are in memory."""
    path = tmp_path / "a.csv"
    row = ",".join(str(number % 256) for number in range(100))
    path.write_text((row + "\n") * 4_000)
    start = time.process_time()
    source = open_source(path)
    assert time.process_time() - start < 10
    assert source.count == 4_000
    for text in (row, row + ",word"):
        path.write_text((text + "\n") * 4_000)
        tracemalloc.start()
        open_source(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6


@shared_data("titanic.csv")
def test_titanic() -> None:
    source = open_source(DATA / "titanic.csv")
    assert source.count == 891
    assert source.fields["Survived"].sum() == 342
    assert np.isnan(source.fields["Age"]).sum() == 177
    assert source.fields["Name"][0] == "Braund, Mr. Owen Harris"
    check_finite(source, ["Survived", "Fare", "Name"])
    assert "column “Age”, row 7" in refused(DATA / "titanic.csv")


# --- Parquet ----------------------------------------------------------------------------------------------


def test_parquet(tmp_path: Path) -> None:
    fields = open_source(write_parquet(tmp_path)).fields
    np.testing.assert_array_equal(fields["number"], [1.5, np.nan, 3])
    assert fields["whole"].dtype == np.int64
    assert fields["word"].tolist() == ["a", "", "a"]
    assert fields["yes"].tolist() == [1, 0, 1]
    assert fields["pixels"].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_parquet_row_groups_and_categories(tmp_path: Path) -> None:
    words = [f"w{number % 7}" for number in range(1000)]
    table = arrow.table({"word": words, "kind": arrow.array(words).dictionary_encode(), "x": range(1000)})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=90)
    fields = open_source(tmp_path / "a.parquet").fields
    assert fields["word"].tolist() == fields["kind"].tolist() == words
    assert fields["x"].tolist() == list(range(1000))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([{"a": 1}], "neither number nor text"),
        ([b"x"], "neither number nor text"),
        ([[1], [1, 2]], "differ in length"),
        ([1.0, None], "column “x”, row 2, is empty"),
        ([], "no samples"),
    ],
)
def test_parquet_wrong(column: list[Any], message: str, tmp_path: Path) -> None:
    parquet.write_table(arrow.table({"x": column}), tmp_path / "a.parquet")
    assert message in refused(tmp_path / "a.parquet")


# --- numbers that are none --------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "found"), [(np.nan, "not a number"), (np.inf, "infinite")])
def test_not_finite(value: float, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite, "_AT_ONCE", 100)
    image = np.zeros((1500, 4, 4))
    image[1499, 3, 2] = value
    np.savez(tmp_path / "a.npz", image=image)
    assert f"sample 1,500 of “image”, is {found}" in refused(tmp_path / "a.npz")
