"""`sgdsheet data`: from the web (a small server on this machine), from a folder, and what can go wrong."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.data import datasets
from sgdsheet.data.formats import open_source
from tests.cli_books import run
from tests.shared_data import DATA, MNIST, shared_data

NOWHERE = "http://127.0.0.1:9"  # nobody listens there

TABLE = b"x,y\n1,2\n"
PACKED = gzip.compress(b"data of some size " * 20, mtime=1)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None: ...


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(datasets, "cache", lambda: folder)
    return folder


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, cache: Path) -> str:
    """The only dataset, `small`: a table and a compressed file, nowhere on the web."""
    files = (
        datasets.File("table.csv", sha256(TABLE)),
        datasets.File("more.gz", sha256(PACKED), sha256(gzip.decompress(PACKED))),
    )
    declare(monkeypatch, files, NOWHERE)
    return "small"


def declare(monkeypatch: pytest.MonkeyPatch, files: tuple[datasets.File, ...], *mirrors: str) -> None:
    monkeypatch.setattr(datasets, "DATASETS", {"small": datasets.Dataset("small", "two files", mirrors, files)})


def mirrored(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    declare(monkeypatch, datasets.DATASETS["small"].files, *mirrors)


def fill(folder: Path, table: bytes = TABLE, packed: bytes = PACKED) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_bytes(table)
    (folder / "more.gz").write_bytes(packed)
    return folder


def refused(*arguments: object) -> str:
    """The one line on stderr of a command that fails."""
    found = run("data", *arguments)
    assert found.status == 1
    assert found.err.startswith("sgdsheet: ")
    assert found.err.count("\n") == 1
    return found.err


# --- the list ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cache")
def test_list() -> None:
    found = run("data")
    assert found.status == 0
    for name, dataset in datasets.DATASETS.items():
        assert f"{name}  {dataset.description}" in found.out
        assert f"not fetched yet: sgdsheet data {name}" in found.out
    assert [row["path"] for row in run("data", "--json").json["datasets"]] == [None] * len(datasets.DATASETS)


def test_list_of_what_is_cached(small: str, cache: Path, tmp_path: Path) -> None:
    run("data", small, "--from", fill(tmp_path / "here"))
    assert run("data", "--json").json["datasets"][0]["path"] == str(cache / small)
    assert str(cache / small) in run("data").out.replace("\n", "")
    (cache / small / "table.csv").write_bytes(b"damaged")
    assert run("data", "--json").json["datasets"][0]["path"] is None


def test_wrong_usage() -> None:
    assert "choose one of mnist, titanic" in run("data", "mnits").err
    assert run("data", "mnits").status == run("data", "--from", ".").status == 2


def test_declarations() -> None:
    for name, dataset in datasets.DATASETS.items():
        assert name == dataset.name
        assert all(mirror.startswith("https://") and not mirror.endswith("/") for mirror in dataset.mirrors)
        for file in dataset.files:
            assert len(file.sha256) == 64
            assert bool(file.content) is file.name.endswith(".gz")


def test_cache_is_the_users_own() -> None:
    assert "sgdsheet" in datasets.cache().parts
    assert datasets.cache().is_absolute()


# --- from the web -----------------------------------------------------------------------------------------


def test_fetch(small: str, cache: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = web
    fill(folder)
    mirrored(monkeypatch, NOWHERE, address)
    found = run("data", small)
    assert (found.status, found.err) == (0, "")
    assert found.out.count("Fetching") == 4
    assert (cache / small / "table.csv").read_bytes() == TABLE
    shutil.rmtree(folder)
    again = run("data", small, "--json")
    assert again.json["path"] == str(cache / small)
    assert again.err == ""


def test_fetch_replaces_only_what_is_damaged(
    small: str, cache: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored(monkeypatch, web[1])
    run("data", small, "--from", fill(web[0]))
    (cache / small / "more").write_bytes(b"shadows more.gz")
    (web[0] / "table.csv").unlink()
    assert run("data", small).out.count("Fetching") == 1
    assert sorted(path.name for path in (cache / small).iterdir()) == ["more.gz", "table.csv"]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", datasets.DATASETS)
def test_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.DATASETS[name]
    offline = datasets.Dataset(name, dataset.description, (NOWHERE,), dataset.files)
    monkeypatch.setitem(datasets.DATASETS, name, offline)
    message = refused(name, "--json")
    assert f"{dataset.files[0].name} cannot be fetched (127.0.0.1:9: no connection)" in message
    assert f"sgdsheet data {name} --from DIR" in message


def test_wrong_checksum_on_the_web(
    small: str, cache: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(web[0], table=b"another file")
    mirrored(monkeypatch, web[1])
    assert "wrong checksum" in refused(small)
    assert not list(cache.rglob("table.csv"))
    (web[0] / "table.csv").unlink()
    assert "answered 404" in refused(small)


def test_cache_cannot_be_written(small: str, tmp_path: Path, web: tuple[Path, str], cache: Path) -> None:
    fill(web[0])
    cache.write_text("a file where the folder belongs")
    assert "cannot be written" in refused(small, "--from", web[0])


def test_cache_cannot_be_written_by_a_download(
    small: str, cache: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(web[0])
    mirrored(monkeypatch, web[1])
    cache.write_text("a file where the folder belongs")
    assert "cannot be written" in refused(small)


# --- from a folder ----------------------------------------------------------------------------------------


def test_from(small: str, cache: Path, tmp_path: Path) -> None:
    found = run("data", small, "--from", fill(tmp_path / "my files"), "--json")
    assert found.json == {"name": small, "path": str(cache / small), "description": "two files"}
    assert (cache / small / "more.gz").read_bytes() == PACKED


def test_from_takes_the_content_in_any_wrapping(small: str, cache: Path, tmp_path: Path) -> None:
    """The head of a .gz holds a time and a name; the file may also be unpacked."""
    content = gzip.decompress(PACKED)
    assert run("data", small, "--from", fill(tmp_path / "a", packed=gzip.compress(content, 1, mtime=2))).status == 0
    unpacked = fill(tmp_path / "b")
    (unpacked / "more.gz").unlink()
    (unpacked / "more").write_bytes(content)
    assert run("data", small, "--from", unpacked).status == 0
    assert sorted(path.name for path in (cache / small).iterdir()) == ["more", "table.csv"]
    assert run("data", "--json").json["datasets"][0]["path"] == str(cache / small)


def test_from_compares_what_it_writes(small: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The origin may change after it was looked at."""
    folder = fill(tmp_path / "here", table=b"other")
    monkeypatch.setattr(datasets, "intact", lambda folder, file: folder / file.name)
    assert "table.csv in " in (message := refused(small, "--from", folder))
    assert "wrong checksum" in message
    assert list((cache / small).iterdir()) == []


def test_from_itself(small: str, cache: Path, tmp_path: Path) -> None:
    run("data", small, "--from", fill(tmp_path / "here"))
    assert run("data", small, "--from", cache / small).status == 0


def test_from_lacks_files(small: str, tmp_path: Path) -> None:
    assert "is not a folder" in refused(small, "--from", tmp_path / "nowhere")
    long = tmp_path / ("a-folder-with-a-long-name" * 4)
    assert f"“{long}” is not a folder" in refused(small, "--from", long)
    assert "lacks table.csv, more.gz" in refused(small, "--from", tmp_path)
    (fill(tmp_path) / "more.gz").unlink()
    assert "lacks more.gz" in refused(small, "--from", tmp_path)


@pytest.mark.parametrize(
    "packed",
    [b"", PACKED[:-3], gzip.compress(b"other data", mtime=1), b"\x1f\x8b", PACKED[:-8] + bytes(8)],
    ids=["empty", "cut off", "other data", "two bytes", "damaged"],
)
def test_from_wrong_checksum(packed: bytes, small: str, cache: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "here", packed=packed)
    assert "more.gz in " in (message := refused(small, "--from", folder))
    assert "wrong checksum" in message
    assert not cache.exists()


def test_from_too_long(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_LARGEST", 1000)
    bomb = gzip.compress(bytes(10_000_000))
    assert "wrong checksum" in refused(small, "--from", fill(tmp_path / "a", packed=bomb))
    assert "wrong checksum" in refused(small, "--from", fill(tmp_path / "b", table=bytes(10_000)))


@shared_data("mnist")
@pytest.mark.usefixtures("cache")
def test_mnist() -> None:
    path = Path(run("data", "mnist", "--from", MNIST, "--json").json["path"])
    assert open_source(path).count == 60_000
    assert open_source(path, "test").count == 10_000


@pytest.mark.usefixtures("cache")
@shared_data("titanic.csv")
def test_titanic() -> None:
    path = Path(run("data", "titanic", "--from", DATA, "--json").json["path"])
    assert open_source(path).columns[:4] == ("PassengerId", "Survived", "Pclass", "Name")
