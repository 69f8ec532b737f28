"""The datasets that have names, and the folder of the user's own in which they are kept once fetched, verified."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import platformdirs

from sgdsheet.errors import FileError, SettingError, in_full, quoted
from sgdsheet.system.atomic import write_atomically

_CHUNK = 1 << 20
_LARGEST = 1 << 28
"""Bytes that a file of a dataset may unpack to."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a dataset.

    The head of a .gz says when it was compressed: copies with the same content differ there, and are as good.
    """

    name: str
    sha256: str
    content: str = ""
    """The sha256 of what a .gz file contains, unpacked; empty for other files."""

    @property
    def digests(self) -> set[str]:
        """The checksums that it may have: its own, and that of its content."""
        return {self.sha256, self.content or self.sha256}

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it may be found, preferred first: a .gz may be unpacked already."""
        return (self.name.removesuffix(".gz"), self.name) if self.content else (self.name,)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that can be fetched."""

    name: str
    description: str
    mirrors: tuple[str, ...]
    """Folders on the web, each with all the files."""
    files: tuple[File, ...]


_DOJO = "https://raw.githubusercontent.com/datasciencedojo/datasets"

DATASETS = {
    row.name: row
    for row in (
        Dataset(
            "mnist",
            "handwritten digits, 28×28 pixels: 60,000 to train, 10,000 to test",
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ),
            (
                File(
                    "train-images-idx3-ubyte.gz",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ),
                File(
                    "train-labels-idx1-ubyte.gz",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                ),
                File(
                    "t10k-images-idx3-ubyte.gz",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ),
                File(
                    "t10k-labels-idx1-ubyte.gz",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
            ),
        ),
        Dataset(
            "titanic",
            "891 passengers of the Titanic: class, sex, age, fare, and who survived",
            (f"{_DOJO}/f0ccab6a7ceafdff780052166fb6fab3311398eb", f"{_DOJO}/master"),
            (File("titanic.csv", "4a437fde05fe5264e1701a7387ac6fb75393772ba38bb2c9c566405af5af4bd7"),),
        ),
    )
}


def find(name: str) -> Dataset:
    """The dataset of a name. SettingError if there is none."""
    if name not in DATASETS:
        raise SettingError(f"there is no dataset {quoted(name)}", remedy=f"Choose one of: {', '.join(DATASETS)}")
    return DATASETS[name]


def cache() -> Path:
    """The folder for all datasets."""
    return platformdirs.user_cache_path("sgdsheet", appauthor=False) / "data"


def cached(dataset: Dataset) -> Path | None:
    """What to name as the source, a folder or the only file; None unless every file is there and intact."""
    folder = cache() / dataset.name
    return source_path(dataset) if all(intact(folder, file) for file in dataset.files) else None


def copy_from(dataset: Dataset, origin: Path) -> Path:
    """Copy the files from a folder into the cache, if their checksums are right; the path as of `fetch`."""
    if not origin.is_dir():
        raise FileError(f"{in_full(str(origin))} is not a folder", remedy="Name the folder that has the files")
    found = {file: [name for name in file.names if (origin / name).is_file()] for file in dataset.files}
    missing = [file.name for file, names in found.items() if not names]
    if missing:
        cause = f"{in_full(str(origin))} lacks {', '.join(missing)}"
        raise FileError(cause, remedy="Put them there, or fetch them from the web without --from")
    good = {file: intact(origin, file) for file in dataset.files}
    for file, path in good.items():
        if path is None:
            raise _wrong(found[file][0], f"in {in_full(str(origin))}")
    folder = cache() / dataset.name
    for file, path in good.items():
        _place(cast(Path, path), folder, file)
    return source_path(dataset)


def source_path(dataset: Dataset) -> Path:
    """What to name as the source of a dataset in the cache: its folder, or its only file."""
    folder = cache() / dataset.name
    return folder if len(dataset.files) > 1 else folder / dataset.files[0].name


# --- files ------------------------------------------------------------------------------------------------


def intact(folder: Path, file: File) -> Path | None:
    """The file in a folder, if its checksum is right."""
    path = next((folder / name for name in file.names if (folder / name).is_file()), None)
    return path if path is not None and _is(path, file) else None


def remove_other_names(folder: Path, file: File, name: str) -> None:
    """Remove the file's other names from a folder, so that it is there under this name only."""
    for other in file.names:
        if other != name:
            (folder / other).unlink(missing_ok=True)


def _is(path: Path, file: File) -> bool:
    try:
        with path.open("rb") as stream:
            return _holds(stream, file)
    except OSError:
        return False


def _holds(stream: BinaryIO, file: File) -> bool:
    """Whether an open file is this one, or a .gz with the same content."""
    digest = _sha256(stream)
    if digest in file.digests or not file.content:
        return digest in file.digests
    stream.seek(0)
    try:
        with gzip.open(stream) as unpacked:
            return _sha256(cast(BinaryIO, unpacked)) == file.content
    except (OSError, EOFError, zlib.error):
        return False


def _sha256(file: BinaryIO) -> str:
    """The sha256 of a file, or that of nothing if the file goes on for longer than any dataset's."""
    digest, length = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        length += len(chunk)
        if length > _LARGEST:
            return ""
    return digest.hexdigest()


def _place(origin: Path, folder: Path, file: File) -> None:
    """Copy a file into the cache: what is written is what was compared, whatever becomes of the origin."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with origin.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if not _holds(BytesIO(data), file):
            raise _wrong(origin.name, f"in {in_full(str(origin.parent))}")
        write_atomically(folder / origin.name, data)
        remove_other_names(folder, file, origin.name)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(folder: Path, error: OSError) -> FileError:
    """The error to raise where the cache cannot be written."""
    cause = f"{in_full(str(folder))} cannot be written: {error.strerror or error}"
    return FileError(cause, remedy="Make room there, or allow writing")


def _wrong(name: str, where: str) -> FileError:
    return FileError(f"{name} {where} has the wrong checksum: it is another file or damaged", remedy="Get it again")
