from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.sources.clock import LiveClock, RecordedClock


def test_recorded_time_is_the_streams() -> None:
    clock = RecordedClock(0.1)
    stamps = [(0.0, -0.1), (0.3, 0.0), (0.1, 0.1), (0.25, 0.2), (0.4, None)]
    assert [clock.stamp(pts, dts) for pts, dts in stamps] == pytest.approx([0.0, 0.3, 0.1, 0.25, 0.4])


def test_recorded_time_steps_on_where_stamps_fail_and_follows_them_again() -> None:
    clock = RecordedClock(0.1)
    stamps = [0.0, 0.1, None, 0.3, 500.0, 500.2, 0.0, 0.1]
    times = [clock.stamp(at, at) for at in stamps]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8])


def test_a_time_of_display_far_from_that_of_decoding_is_not_believed() -> None:
    clock = RecordedClock(0.1)
    stamps = [(0.0, 0.0), (900.0, 0.1), (0.2, 0.2)]
    assert [clock.stamp(pts, dts) for pts, dts in stamps] == pytest.approx([0.0, 0.1, 0.2])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_recorded_time_never_leaps(stamps: list[float]) -> None:
    clock = RecordedClock(0.04)
    times = [clock.stamp(at, at) for at in (0.0, *stamps)]
    assert all(-0.1 <= b - a <= 10.1 for a, b in pairwise(times))


def test_live_time_is_evenly_spaced_although_arrivals_are_not() -> None:
    arrivals = iter([100.0, 100.15, 100.19, 100.34])
    clock = LiveClock(lambda: next(arrivals))
    assert [clock.stamp(pts) for pts in (7.0, 7.1, 7.2, 7.3)] == pytest.approx([100.0, 100.1, 100.2, 100.3])


def test_live_time_leaves_a_stream_that_jumps() -> None:
    arrivals = iter([100.0, 100.1, 100.2, 100.3])
    clock = LiveClock(lambda: next(arrivals))
    assert [clock.stamp(pts) for pts in (7.0, 90.0, 0.0, None)] == pytest.approx([100.0, 100.1, 100.2, 100.3])


def test_live_time_grows_over_a_reconnection() -> None:
    arrivals = iter([100.0, 100.2, 100.3])
    clock = LiveClock(lambda: next(arrivals))
    first = [clock.stamp(0.0), clock.stamp(0.9)]
    clock.reconnected()
    assert first[-1] < clock.stamp(0.0)
