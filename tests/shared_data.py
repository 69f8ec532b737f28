"""The data beside the repository, `../shared/data`, which not everyone has.

A test that needs some of them is marked with their names: `@shared_data("mnist")`. Without them it is skipped, and says
which it needs. `pytest -m shared_data --collect-only -q -n 0` lists these tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"
WORKBOOKS = DATA / "workbooks"
SOLVED = WORKBOOKS / "titanic_solved.xlsx"
GOLDEN = DATA / "golden"
MNIST = DATA / "mnist"


def shared_data(*names: str) -> pytest.MarkDecorator:
    """The marker of a test that needs these files or folders of `../shared/data`."""
    return pytest.mark.shared_data(*names)


def there(*paths: Path) -> list[Path]:
    """Those that are here: for a test that does without them, and takes them along where they are."""
    return [path for path in paths if path.exists()]


def reason_to_skip(item: pytest.Item) -> str:
    """Which of the data that a test needs are not here; nothing if all are."""
    names = dict.fromkeys(name for marker in item.iter_markers("shared_data") for name in marker.args)
    missing = [f"../shared/data/{name}" for name in names if not (DATA / name).exists()]
    return f"needs {' and '.join(missing)}" if missing else ""
