"""Fetching a dataset from the web: only `sgdsheet data` does, so nobody else waits for what speaks HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pooch  # type: ignore[import-untyped]
import requests

from sgdsheet.data import datasets
from sgdsheet.data.datasets import Dataset, File
from sgdsheet.errors import FileError

_PATIENCE = 30  # seconds without an answer after which a download is given up


def fetch(dataset: Dataset, say: Callable[[str], None] = lambda line: None) -> Path:
    """Download what the cache lacks; the path to name as the source. `say` is told of each download."""
    folder = datasets.cache() / dataset.name
    for file in dataset.files:
        if datasets.intact(folder, file) is None:
            _download(dataset, file, folder, say)
    return datasets.source_path(dataset)


def _download(dataset: Dataset, file: File, folder: Path, say: Callable[[str], None]) -> None:
    """Download a file from the first mirror that has it. pooch compares the checksum before it gets its name."""
    failures = []
    for mirror in dataset.mirrors:
        host = urlsplit(mirror).netloc
        say(f"Fetching {file.name} from {host}")
        try:
            _retrieve(f"{mirror}/{file.name}", file, folder)
            datasets.remove_other_names(folder, file, file.name)
            return
        except requests.RequestException as error:
            failures.append(f"{host}: {_reason(error)}")
        except ValueError:  # what pooch raises for a checksum
            failures.append(f"{host}: wrong checksum")
        except OSError as error:
            raise datasets.unwritable(folder, error) from None
    raise FileError(
        f"{file.name} cannot be fetched ({', '.join(dict.fromkeys(failures))})",
        remedy=f"Check the network, or say where the files are: sgdsheet data {dataset.name} --from DIR",
    )


def _retrieve(url: str, file: File, folder: Path) -> None:
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        downloader = pooch.HTTPDownloader(timeout=_PATIENCE)
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=downloader)
    finally:
        logger.setLevel(before)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"answered {error.response.status_code}"
    return "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
