"""Holes in sequence numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgevision.mqtt import gaps
from edgevision.mqtt.gaps import Hole, Stream


def ranges(holes: list[Hole]) -> list[tuple[int, int]]:
    return [(hole.first, hole.last) for hole in holes]


def test_a_hole_is_told_once_and_only_after_its_grace() -> None:
    stream = Stream(5, 5)
    stream.seen(6, 0.0)
    stream.seen(9, 1.0)
    assert stream.ripe(3.0, 5.0) == []
    assert ranges(stream.ripe(6.0, 5.0)) == [(7, 8)]
    assert stream.ripe(60.0, 5.0) == []


def test_what_comes_late_fills_the_hole_and_renews_the_grace_of_the_rest() -> None:
    stream = Stream(1, 1)
    stream.seen(10, 0.0)
    stream.seen(5, 4.0)
    assert stream.ripe(5.0, 5.0) == []
    assert ranges(stream.ripe(9.0, 5.0)) == [(2, 4), (6, 9)]
    for number in (2, 3, 4):
        stream.seen(number, 10.0)
    assert stream.ripe(99.0, 5.0) == []


def test_numbers_before_the_first_one_seen_are_no_hole() -> None:
    stream = Stream(100, 100)
    stream.seen(40, 0.0)
    stream.seen(101, 0.0)
    assert stream.ripe(99.0, 1.0) == []


def test_a_start_that_is_heard_of_in_time_makes_holes_of_what_is_missing_before() -> None:
    stream = Stream.joined(6, 0.0)
    stream.seen(3, 1.0)
    stream.began(2.0)
    assert stream.ripe(6.0, 5.0) == []
    stream.seen(4, 6.0)
    assert ranges(stream.ripe(7.0, 5.0)) == [(1, 2)]
    assert ranges(stream.ripe(11.0, 5.0)) == [(5, 5)]


def test_a_start_that_is_heard_of_late_makes_none() -> None:
    stream = Stream.joined(6, 0.0)
    assert not stream.joined_late
    assert stream.ripe(5.0, 5.0) == []
    assert stream.joined_late
    stream.began(6.0)
    assert stream.ripe(99.0, 5.0) == []


def test_a_stream_that_is_owed_misses_its_first_numbers() -> None:
    stream = Stream.owed()
    stream.seen(4, 0.0)
    stream.seen(2, 0.0)
    assert ranges(stream.ripe(5.0, 5.0)) == [(1, 1), (3, 3)]


def test_what_was_promised_and_never_came_is_a_hole() -> None:
    stream = Stream(1, 3)
    stream.promised(3, 0.0)
    assert stream.ripe(9.0, 1.0) == []
    stream.promised(5, 9.0)
    assert ranges(stream.ripe(11.0, 1.0)) == [(4, 5)]


def test_too_many_holes_are_told_at_once() -> None:
    stream = Stream(1, 1)
    count = gaps.MOST_HOLES + 3
    for number in range(count):
        stream.seen(3 + 2 * number, 0.0)
    assert ranges(stream.ripe(0.0, 60.0)) == [(2, 2), (4, 4), (6, 6)]
    assert len(stream.holes) == gaps.MOST_HOLES


def test_many_holes_are_told_without_looking_at_each_for_each() -> None:
    asked = 0

    class Counting(Hole):
        __hash__ = Hole.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal asked
            asked += 1
            return super().__eq__(other)

    stream = Stream(1, 1)
    stream.seen(2_002, 0.0)
    stream.holes = [Counting(number, number, 0.0) for number in range(2, 2_002, 2)]
    assert len(stream.ripe(9.0, 5.0)) == 1_000
    assert stream.holes == []
    assert asked <= 1_000


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(0, 60), st.randoms(use_true_random=False))
def test_whenever_the_start_is_heard_of_exactly_the_missing_ones_are_told(
    present: set[int], when: int, shuffle: object
) -> None:
    order = sorted(present)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    stream = Stream.owed() if when == 0 else Stream.joined(order[0], 0.0)
    for index, number in enumerate(order):
        stream.seen(number, 0.0)
        if index + 1 == min(when, len(order)):
            stream.began(0.0)
    told = {number for hole in stream.ripe(10.0, 1.0) for number in range(hole.first, hole.last + 1)}
    assert told == set(range(1, max(present) + 1)) - present


@given(st.sets(st.integers(2, 60), min_size=1), st.randoms(use_true_random=False))
def test_in_any_order_exactly_the_missing_ones_are_told(present: set[int], shuffle: object) -> None:
    order = sorted(present)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    stream = Stream(1, 1)
    for number in order:
        stream.seen(number, 0.0)
    told = {number for hole in stream.ripe(10.0, 1.0) for number in range(hole.first, hole.last + 1)}
    assert told == set(range(1, max(present) + 1)) - present - {1}


def test_state_survives() -> None:
    stream = Stream(1, 1)
    stream.seen(4, 0.0)
    again = Stream.load(stream.state(), 100.0)
    assert again.ripe(100.5, 1.0) == []
    assert ranges(again.ripe(101.0, 1.0)) == [(2, 3)]


def test_what_is_unsure_survives() -> None:
    again = Stream.load(Stream.joined(4, 0.0).state(), 100.0)
    again.began(100.0)
    assert ranges(again.ripe(101.0, 1.0)) == [(1, 3)]
