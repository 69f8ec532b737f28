"""How many threads a step gets where others want a processor now and then."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sgdsheet.train.thread_count import ThreadCount


def taken(threads: ThreadCount, step: Mapping[int, float], seconds: float) -> dict[int, float]:
    """The seconds spent with each number of threads, where a step with so many takes so long."""
    spent = dict.fromkeys(step, 0.0)
    while sum(spent.values()) < seconds:
        number = threads.now
        spent[number] += step[number]
        threads.took(step[number])
    return spent


@pytest.mark.parametrize("faster", [1, 2])
def test_the_faster_number_of_threads_is_found_and_left_again_when_it_is_the_slower_one(faster: int) -> None:
    threads = ThreadCount(2, left=1)
    slower = 3 - faster
    step = {faster: 0.006, slower: 0.010}
    assert threads.now == 1
    taken(threads, step, 5.0)
    spent = taken(threads, step, 60.0)
    assert spent[slower] < 0.05 * 60.0  # what trying costs
    other = {faster: 0.030, slower: 0.010}
    taken(threads, other, 40.0)
    assert taken(threads, other, 60.0)[slower] > 0.9 * 60.0


@pytest.mark.parametrize(("most", "left"), [(1, 1), (2, 0), (1, 0)])
def test_nothing_is_tried_where_there_is_no_choice(most: int, left: int) -> None:
    threads = ThreadCount(most, left)
    assert taken(threads, {most: 0.01}, 20.0).keys() == {most}
