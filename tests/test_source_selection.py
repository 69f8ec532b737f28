"""Sources of which only some samples are wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgdsheet.data.formats import Source, open_source, parse_selection
from sgdsheet.errors import DataError
from tests.errors import refusal


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "digits.npz"
    np.savez(path, image=np.arange(24).reshape(6, 2, 2), label=np.array([3, 7, 1, 3, 9, 7]), weight=np.arange(6) / 4)
    return open_source(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("digits where label is 3 or 7", [0, 1, 3, 5]),
        ("digits WHERE Label IS 3, 7 or 9", [0, 1, 3, 4, 5]),
        ("digits  where label is 1.0", [2]),
        ("digits where weight is .25", [1]),
        ("digits where label is 9 or three", [4]),
    ],
)
def test_chosen_samples_keep_their_order(source: Source, text: str, rows: list[int]) -> None:
    name, selection = parse_selection(text)
    assert name == "digits"
    assert selection is not None
    chosen = selection.of(source)
    assert chosen.count == len(rows)
    for field, values in source.fields.items():
        assert np.array_equal(chosen.fields[field], values[rows])


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("sex,age\nmale,3\nfemale,4\nFemale,5\n", encoding="utf-8")
    name, selection = parse_selection(f"{path} where sex is “female”")
    assert name == str(path)
    assert selection is not None
    assert selection.of(open_source(path)).fields["age"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ('"x, y"', ["x, y"]),
        ("“x, y” or z", ["x, y", "z"]),
        ("'this or that', b or \"c\"", ["this or that", "b", "c"]),
        ("O'Brien or 'tis", ["O'Brien", "'tis"]),
        ("„x, y“,, z,", ["x, y", "z"]),
        ('"" or a', ["", "a"]),
    ],
)
def test_quotes_protect_commas(values: str, expected: list[str]) -> None:
    _, selection = parse_selection(f"x.csv where city is {values}")
    assert selection is not None
    assert list(selection.values) == expected


def test_true_and_false(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("sex,alive\nm,True\nf,False\nf,True\n", encoding="utf-8")
    _, selection = parse_selection("people where Alive is true")
    assert selection is not None
    assert selection.of(open_source(path)).fields["sex"].tolist() == ["m", "f"]


def test_the_field_that_is_called_exactly_so(tmp_path: Path) -> None:
    path = tmp_path / "two.npz"
    np.savez(path, x=np.arange(3), X=np.arange(3) + 1)
    _, selection = parse_selection("two where X is 1")
    assert selection is not None
    assert selection.of(open_source(path)).fields["x"].tolist() == [0]


@pytest.mark.parametrize("text", ["mnist", "C:\\data\\where is it.csv", "a where b", "what is where", ""])
def test_other_names_are_left_alone(text: str) -> None:
    assert parse_selection(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        (
            "x where digit is 3",
            "no field “digit” with one value per sample$",
            "^Choose samples by one of: label, weight",
        ),
        ("x where image is 3", "no field “image” with one value per sample", ""),
        ("x where label is 4 or 5", "no sample's “label” is 4 or 5", ""),
    ],
)
def test_errors_say_what_there_is(source: Source, text: str, cause: str, remedy: str) -> None:
    _, selection = parse_selection(text)
    assert selection is not None
    with refusal(DataError, cause=cause, remedy=remedy):
        selection.of(source)
