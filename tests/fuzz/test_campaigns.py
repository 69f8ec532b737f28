"""A short run of every campaign; CONTRIBUTING tells of the long ones."""

from __future__ import annotations

import io
import shutil
import sys
import zipfile

import pytest

from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.workbook import Formula
from tests.fuzz import edits, formulas, identity, kills, models, packages
from tests.fuzz.differences import DIFFERENCES
from tests.fuzz.grammar import SETTLED, prefixed
from tests.fuzz.packagediff import differences

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


def test_names_of_parts_are_without_case() -> None:
    """A sheet's part in capitals is one: of it, too, only the values of cells may differ."""

    def package(value: int) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("XL/WORKSHEETS/SHEET1.XML", f'<c r="A1"><v>{value}</v></c>')
        return stream.getvalue()

    assert differences(package(1), package(2)) == []


def test_copies_have_their_prefix() -> None:
    """A file without it is another one to LibreOffice: there is no function of that name."""
    formula = Formula("_xlfn.VAR.P(A1:A2)+SUM(A1)", 1, 2)
    assert prefixed(formula_text(formula, 2, 2)) == "_xlfn.VAR.P(A2:A3)+SUM(A2)"


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


def test_edits() -> None:
    result = edits.run(seed=100, count=6)
    assert result.problems == []
    assert result.edits > 100
