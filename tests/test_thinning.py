"""A few of many items: every n-th of a stream, and some of a finished sequence at equal distances."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.train.thinning import ThinnedStream, evenly_spaced


@given(count=st.integers(0, 400), capacity=st.integers(1, 20))
def test_a_stream_keeps_every_nth_item(count: int, capacity: int) -> None:
    stream: ThinnedStream[int] = ThinnedStream(capacity)
    for item in range(count):
        stream.add(item)
    assert stream.kept == list(range(0, count, stream.stride))
    assert len(stream.kept) <= capacity
    assert stream.stride & (stream.stride - 1) == 0  # a power of two
    if count <= capacity:
        assert stream.stride == 1
    else:
        assert len(stream.kept) >= (capacity + 1) // 2


@given(count=st.integers(0, 200), capacity=st.integers(1, 12))
def test_items_that_are_not_due_need_not_be_made(count: int, capacity: int) -> None:
    whole: ThinnedStream[int] = ThinnedStream(capacity)
    lazy: ThinnedStream[int] = ThinnedStream(capacity)
    made = 0
    for item in range(count):
        whole.add(item)
        if lazy.due:
            lazy.add(item)
            made += 1
        else:
            lazy.skip()
    assert (lazy.kept, lazy.stride) == (whole.kept, whole.stride)
    if count > 4 * capacity:
        assert made < count


def test_thinning_leaves_the_list_that_another_thread_reads() -> None:
    stream: ThinnedStream[int] = ThinnedStream(4)
    for item in range(4):
        stream.add(item)
    seen = stream.kept
    stream.add(4)
    assert seen == [0, 1, 2, 3]
    assert stream.kept == [0, 2, 4]


def test_a_stream_keeps_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ThinnedStream(0)


@given(length=st.integers(0, 60), count=st.integers(1, 70))
def test_evenly_spaced_items(length: int, count: int) -> None:
    items = list(range(length))
    chosen = evenly_spaced(items, count)
    assert len(chosen) == min(length, count)
    assert chosen == sorted(set(chosen))
    if 1 < count < length:
        assert (chosen[0], chosen[-1]) == (0, length - 1)
        gaps = [later - earlier for earlier, later in itertools.pairwise(chosen)]
        assert max(gaps) - min(gaps) <= 1


def test_no_items_are_chosen_where_none_are_wanted() -> None:
    assert evenly_spaced([1, 2, 3], 0) == []
