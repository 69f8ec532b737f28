"""A short run of every campaign; CONTRIBUTING tells of the long ones."""

from __future__ import annotations

import shutil
import sys

import pytest

from . import formulas, identity, kills, models, packages
from .differences import DIFFERENCES
from .grammar import SETTLED

POSIX = pytest.mark.skipif(sys.platform != "linux", reason="the campaign forks processes and limits them as Linux does")


def test_formulas() -> None:
    """Without LibreOffice, IronCalc alone judges."""
    result = formulas.run(seed=100, count=100, office=shutil.which("soffice"), functions=SETTLED.split())
    assert result.crashes == []
    assert [str(finding) for finding in result.findings] == []
    assert result.judged["IronCalc"] > 300
    assert result.judged["recorded"] > 300


def test_every_known_difference_has_its_reason() -> None:
    assert all(row.engine in ("LibreOffice", "IronCalc") and len(row.reason) > 20 for row in DIFFERENCES)
    assert len({(row.engine, row.reason) for row in DIFFERENCES}) == len(DIFFERENCES)


def test_models() -> None:
    result = models.run(seed=100, count=25)
    assert result.problems == []
    assert result.gradients >= 25 * 9


@POSIX
def test_packages() -> None:
    result = packages.run(seed=100, count=25, each=2)
    assert result.problems == []
    assert result.commands == 50


@POSIX
def test_kills() -> None:
    result = kills.run(seed=100, count=6, examples=False)
    assert result.problems == []
    assert result.kills == 6


def test_identity() -> None:
    result = identity.run(seed=100, each=1, largest=60_000)
    assert result.problems == []
    assert result.writes == result.workbooks >= 3
