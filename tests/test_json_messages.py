"""What programs say to each other: JSON objects, and nothing else gets through."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.system.json_messages import decode, encode, encode_line, read_messages

DEEP = 200_000
"""Arrays in arrays: more than any Python's parser follows."""

finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
messages = st.dictionaries(st.text(), plain, max_size=3)


@given(sent=st.lists(messages, max_size=4))
def test_what_is_sent_arrives(sent: list[dict[str, Any]]) -> None:
    lines = b"".join(map(encode_line, sent))
    assert lines.isascii()
    assert lines.count(b"\n") == len(sent)
    assert list(read_messages(io.BytesIO(lines))) == sent
    assert [decode(encode(message)) for message in sent] == sent


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"[]", b"1", b'"text"', b"null", b"{", b"{}{}", b'{"a": NaN}', b'{"a": [Infinity]}'),
        *(b'{"a": -Infinity}', b"\xff\xfe\xfd", b'{"a": "\xc3"}', b"[" * DEEP, b'{"a":' * DEEP),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)
    with pytest.raises(ValueError, match=r"."):
        list(read_messages(io.BytesIO(b'{"first": 1}\n' + (data or b"\n"))))


def _nested(depth: int) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for _ in range(depth):
        message = {"in": message}
    return message


@pytest.mark.parametrize("value", [math.nan, math.inf, {1}, b"bytes", object(), _nested(DEEP)], ids=type)
def test_what_json_does_not_have_is_not_sent(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode_line({"value": value})


def test_a_line_has_a_greatest_length() -> None:
    short = encode_line({"a": 1})
    assert list(read_messages(io.BytesIO(short), longest=len(short))) == [{"a": 1}]
    with pytest.raises(ValueError, match="a line of more than 8 bytes"):
        list(read_messages(io.BytesIO(short), longest=len(short) - 1))


def test_a_message_is_there_as_soon_as_its_line_is_complete() -> None:
    """Whoever waits for an answer must not wait for the next line."""
    stream = io.BytesIO(b'{"a": 1}\n{"b": ')
    received = read_messages(stream)
    assert next(received) == {"a": 1}
    with pytest.raises(ValueError, match=r"."):
        next(received)
