"""The ribbon's XML: Excel shows nothing at all of a ribbon with one mistake in it, so it is checked here.

What may stand where is in `customui14.xsd`, written after Microsoft's description of the format (MS-CUSTOMUI2).
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree

from sgdsheet.apps import examples
from sgdsheet.apps.excel_addin.ribbon import ACTIONS, BUTTONS, example_action
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS
from tests.addin_parts import modules, ribbon_xml

NAMESPACE = "{http://schemas.microsoft.com/office/2009/07/customui}"

# How VBA must declare each callback: the types that Microsoft documents.
SIGNATURES = {
    ("customUI", "onLoad"): r"\w+ As IRibbonUI",
    ("button", "onAction"): r"\w+ As IRibbonControl",
    ("dropDown", "onAction"): r"\w+ As IRibbonControl, \w+ As String, \w+ As Integer",
    ("dropDown", "getSelectedItemID"): r"\w+ As IRibbonControl, ByRef \w+",
    ("editBox", "getText"): r"\w+ As IRibbonControl, ByRef \w+",
    ("editBox", "onChange"): r"\w+ As IRibbonControl, \w+ As String",
    **{(kind, "getEnabled"): r"\w+ As IRibbonControl, ByRef \w+" for kind in ("button", "dropDown", "editBox", "menu")},
}

# Icons that Office draws: each name was looked up in the list of 8,900 that the gallery of govert/ImageMso (Alton Lam)
# was made with, `Excel.Images/app.config`. A command's name is not always an icon's: GoalSeek has none. The last rows
# are free for new commands.
KNOWN_ICONS = {
    *("CalculateNow", "ChartTrendline", "ChartTypeLineInsertGallery", "ConditionalFormattingColorScalesGallery"),
    *(
        "ControlProperties",
        "ErrorChecking",
        "ExportTextFile",
        "FileOpen",
        "FindDialog",
        "FunctionWizard",
        "Help",
        "Info",
    ),
    *("MacroPlay", "MacroRecorderStop", "MailMergeGoToNextRecord", "NameDefine", "NameManager"),
    *("PictureResetAndSize", "TableInsertExcel", "Undo"),
    *("AcceptTask", "AccessRefreshAllLists", "ActualSize", "AddToFavorites", "AdvancedFilterDialog", "AdvancedFind"),
    *("AlignDistributeHorizontally", "AnimationDuration", "AnimationPainter", "AnimationPreview", "AddVerticalGuide"),
}

GROUPS = {
    "Model": ["Set loss", "Set parameters", "Set data rows", "Highlight", "Check"],
    "Train": ["Step", "Train", "Stop", "Undo", "Reset", "Randomize"],
    "Learn": ["Find learning rate", "Gradients", "Log"],
    "Settings": ["Optimizer", "Learning rate", "Batch size", "Epochs"],
    "Help": ["Examples", "Export to PyTorch", "About"],
}


def root() -> ElementTree.Element:
    return ElementTree.fromstring(ribbon_xml())


def kind(element: ElementTree.Element) -> str:
    assert element.tag.startswith(NAMESPACE)
    return element.tag.removeprefix(NAMESPACE)


def controls(*kinds: str) -> list[ElementTree.Element]:
    return [element for element in root().iter() if kind(element) in kinds]


def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).with_name("customui14.xsd")))


def test_the_ribbon_follows_the_schema() -> None:
    schema().assertValid(etree.fromstring(ribbon_xml().encode()))
    assert all(element.get("label") for element in root().iter() if kind(element) not in ("customUI", "ribbon", "tabs"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' keytip="L"', ' keytip="LONG"'),
        (' tag="set_loss"', ' tags="set_loss"'),
        (' size="large"', ' size="huge"'),
        (' tag="set_loss"', ' tag=""'),
        (' id="sgd_undo"', ' id="sgd_redo now"'),
        (' id="sgd_undo"', ' id="sgd_reset"'),
        (' id="sgd_undo"', ""),
        ("<ribbon>", '<ribbon startFromScratch="perhaps">'),
        ("<tabs>", "<button id='astray'/><tabs>"),
        ("<menu ", "<menu getText='SgdSettingText' "),
        ("2009/07", "2006/01"),
    ],
)
def test_the_schema_notices_mistakes(old: str, new: str) -> None:
    text = ribbon_xml()
    assert old in text
    assert not schema().validate(etree.fromstring(text.replace(old, new, 1).encode()))


def test_groups_are_those_of_the_plan() -> None:
    """Each in its place; a new command has its button where its declaration says, and is no part of the plan."""
    groups = {group.attrib["label"]: [item.attrib["label"] for item in group] for group in controls("group")}
    planned = [label for labels in GROUPS.values() for label in labels]
    new = {button.ribbon_label or button.label for button in BUTTONS.values()} - set(planned)
    assert {name: [label for label in labels if label not in new] for name, labels in groups.items()} == GROUPS
    assert sorted(label for labels in groups.values() for label in labels) == sorted([*planned, *new])
    assert [tab.attrib["label"] for tab in controls("tab")] == ["SGD"]


def test_every_callback_exists_with_its_signature() -> None:
    source = modules()["SgdRibbon"].source
    asked = set()
    for element in root().iter():
        for key, value in element.attrib.items():
            if key.startswith("get") or key.startswith("on"):
                asked.add((kind(element), key, value))
    assert len({name for _, _, name in asked}) >= 6
    for element_kind, key, name in asked:
        found = re.findall(rf"^Public Sub {name}\((.*)\)$", source, re.MULTILINE)
        assert len(found) == 1, name
        assert re.fullmatch(SIGNATURES[element_kind, key], found[0]), (name, found[0])


def test_every_button_has_one_callback_and_an_action() -> None:
    tags = {button.attrib["tag"] for button in controls("button")}
    assert tags == set(ACTIONS) | {example_action(name) for name in examples.names()}
    assert {button.attrib["onAction"] for button in controls("button")} == {"SgdAction"}
    assert all(re.fullmatch("[a-z_]{1,40}", tag) for tag in tags)


def test_every_control_teaches() -> None:
    for control in controls("button", "dropDown", "editBox", "menu"):
        assert control.get("screentip"), control.attrib
        assert len(control.get("supertip", "")) > 15, control.attrib


def test_key_tips_can_be_typed() -> None:
    tips = [
        control.attrib["keytip"] for control in root().iter() if "keytip" in control.attrib and kind(control) != "tab"
    ]
    assert len(tips) == sum(len(group) for group in controls("group"))
    assert all(re.fullmatch("[A-Z]", tip) for tip in tips)
    assert len(tips) == len(set(tips))


@pytest.mark.parametrize(
    "icon", sorted({item.attrib["imageMso"] for item in root().iter() if "imageMso" in item.attrib})
)
def test_icons_are_known(icon: str) -> None:
    assert icon in KNOWN_ICONS


def test_optimizers_come_from_the_registry() -> None:
    (drop_down,) = controls("dropDown")
    assert [item.attrib["label"] for item in drop_down] == [AUTO, *OPTIMIZERS]
    listed = re.search(r'SGD_OPTIMIZERS As String = "(.*)"', modules()["SgdTables"].source)
    assert listed
    assert listed[1].split("|") == [AUTO, *OPTIMIZERS]  # VBA finds them by position
