"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from sgdsheet.system.state_folder import VARIABLE
from tests.live_books import Desk, line_host
from tests.memory_host import MemoryHost
from tests.office import LibreOffice, available
from tests.shared_data import reason_to_skip
from tests.slow import MODULES, is_slow

torch.set_num_threads(1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The fast tier need not import modules of slow tests."""
    return True if config.option.markexpr == "not slow" and collection_path.stem in MODULES else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := reason_to_skip(item):
        pytest.skip(reason)
    torch.manual_seed(0)  # what a test draws does not depend on the tests before it


# On a busy machine one example may take long; and a test that fails has to fail again.
settings.register_profile("sgdsheet", deadline=None, derandomize=True)
settings.load_profile("sgdsheet")


@pytest.fixture(scope="session", autouse=True)
def no_state_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Locks and snapshots of tests stay away from those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what the background trainer keeps."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def converter() -> Iterator[LibreOffice]:
    """One LibreOffice for all tests that only want to have files converted or calculated by it."""
    if not available():
        pytest.skip("LibreOffice or its Python bridge is not installed")
    office = LibreOffice()
    yield office
    office.stop()


@pytest.fixture
def host() -> MemoryHost:
    """A straight line through a few points, in memory."""
    return line_host()


@pytest.fixture
def desk(host: MemoryHost) -> Iterator[Desk]:
    """A trainer with the workbook `host`, which a test may still change before it first asks for something."""
    with Desk(host) as desk:
        yield desk
