"""The add-in's file beside files that Excel has written: each difference is in a table here, with its reason.

xlwings ships two workbooks and three add-ins that were made in Excel. Their caches of compiled code have been taken
out before shipping, and they were packed anew; so one workbook of a stranger, as Excel saved it, stands beside them.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.addin_parts import addin
from tests.addin_structure import Facts, structure
from tests.shared_data import DATA, shared_data

XLWINGS = Path(str(distribution("xlwings").locate_file("xlwings")))
ADDINS = ("quickstart_addin.xlam", "quickstart_addin_ribbon.xlam", "addin/xlwings.xlam")
MADE_BY_EXCEL = ("quickstart.xlsm", "quickstart_standalone.xlsm", *ADDINS)
STRANGER = "strangers/neural_net_in_spreadsheet_macros.xlsm"

UNLIKE_ALL = {
    "part: customUI/customUI14.xml": "the part for Office 2010 and later; theirs is the one of Office 2007",
    "relationship: http://schemas.microsoft.com/office/2007/relationships/ui/extensibility": "its type; its target is "
    "the name that Office's own tools give the part",
    "ribbon: namespace": "that of Office 2010, to which this type belongs (MS-CUSTOMUI2)",
}
"""What is ours, and not that of any of xlwings' files."""

THEIRS = {
    "part: xl/theme/theme1.xml": "colours and fonts of cells: nobody sees a cell of ours, and the part is optional",
    "content type: xl/theme/theme1.xml": "of the theme",
    "relationship: http://schemas.openxmlformats.org/officeDocument/2006/relationships/theme": "of the theme",
    "workbook: fileVersion": "which Excel wrote the file: none did",
    "workbook: calcPr": "which Excel calculated it last: there is no formula",
    "workbook: AlternateContent": "the folder on the disk of the person who saved it",
    "workbook: extLst": "at which resolution pictures are kept: there is none",
    "app.xml: AppVersion": "which Excel wrote the file: none did",
    "app.xml: Company": "a person's",
}
"""What all of xlwings' files have, and ours has not."""

OF_THE_LAST_SAVE = {
    "zip: flag_bits": "how strongly it was packed",
    "compound: root: times": "when it was saved: ours is the same from the same text",
    "compound: storage: times": "when it was saved",
    "compound: caches of compiled code": "which Excel makes anew: it takes those of its own version only",
    "_VBA_PROJECT": "the version that the caches are for: FFFF is what the specification asks of others ([MS-OVBA] "
    "2.3.4.1), and what xlwings' files have",
    "dir: record 0x01": "32 bits or 64: Excel reads both, and xlwings' add-ins have one or the other",
}
"""What the VBA project and the package of the stranger's workbook have that ours have not, or in another form."""

OF_THE_CONTAINER = ("zip:", "compound:", "_VBA_PROJECT", "dir:", "PROJECT", "reference:", "source:")


@cache
def theirs(name: str) -> Facts:
    return structure((XLWINGS / name).read_bytes())


@cache
def ours() -> Facts:
    return structure(addin())


def test_what_is_unlike_all_files_of_excel_has_a_reason() -> None:
    found = {key for key, value in ours().items() if all(theirs(name).get(key) != value for name in MADE_BY_EXCEL)}
    assert found == set(UNLIKE_ALL)


def test_what_all_files_of_excel_have_is_here_or_there_is_a_reason() -> None:
    everywhere = {key for key in theirs(ADDINS[0]) if all(key in theirs(name) for name in MADE_BY_EXCEL)}
    assert len(everywhere) > 80
    assert everywhere - set(ours()) == set(THEIRS)


def test_what_only_an_add_in_has_is_here() -> None:
    """Hidden, and of the content type that makes Excel load it as an add-in."""
    workbooks = [theirs(name) for name in MADE_BY_EXCEL if name not in ADDINS]
    special = {
        key: value
        for key, value in theirs(ADDINS[0]).items()
        if all(theirs(name).get(key) == value for name in ADDINS) and all(book.get(key) != value for book in workbooks)
    }
    assert {key for key in special if "content type" in key} == {"content type: xl/workbook.xml"}
    assert "workbook: bookViews: visibility" in special
    assert {key: ours().get(key) for key in special} == special


@shared_data(STRANGER)
def test_the_container_is_like_that_of_a_workbook_saved_by_excel() -> None:
    """Nobody has taken anything out of this one: its caches of compiled code are there."""
    saved = structure((DATA / STRANGER).read_bytes())
    assert saved["compound: caches of compiled code"] is True
    keys = {key for key in {**ours(), **saved} if key.startswith(OF_THE_CONTAINER)}
    assert len(keys) > 50
    assert {key for key in keys if ours().get(key) != saved.get(key)} == set(OF_THE_LAST_SAVE)


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        (b"vnd.ms-excel.addin.macroEnabled", b"vnd.ms-excel.sheet.macroEnabled", "content type: xl/workbook.xml"),
        (b'visibility="hidden" ', b"", "workbook: bookViews: visibility"),
        (b'<sheetPr codeName="Sheet1"/>', b"", "code names: one for the workbook and for each sheet"),
        (b"office/2006/relationships/vbaProject", b"office/2006/relationships/vba", "relationship: "),
    ],
)
def test_the_comparison_notices(old: bytes, new: bytes, fact: str) -> None:
    """One byte more or less in the right place makes a difference that is in no table."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(addin())) as good, zipfile.ZipFile(stream, "w") as bad:
        changed = {info: good.read(info).replace(old, new) for info in good.infolist()}
        assert any(good.read(info) != data for info, data in changed.items())
        for info, data in changed.items():
            bad.writestr(info, data)
    found = structure(stream.getvalue())
    assert any(key.startswith(fact) and found.get(key) != ours().get(key) for key in {**found, **ours()})


@pytest.mark.parametrize("name", MADE_BY_EXCEL)
def test_names_in_a_compound_file_are_in_order(name: str) -> None:
    """The streams of a storage are a tree, in the order of [MS-CFB] 2.6.4: by length, then by letter; ours too."""
    for package in ((XLWINGS / name).read_bytes(), addin()):
        found = structure(package)
        assert found["compound: defects"] == []
        assert found["compound: root"] == ("Root Entry", 5)
        assert found["compound: storages"] == ["VBA"]
