"""Stream time never falls."""

from __future__ import annotations

from edgevision.analytics.clock import StreamClock


def test_it_follows_the_stream_from_zero() -> None:
    clock = StreamClock()
    assert [clock.tick(t) for t in (100.0, 100.5, 103.0)] == [0.0, 0.5, 3.0]


def test_a_late_frame_after_a_tick_does_not_add_time() -> None:
    clock = StreamClock()
    for second in range(100):
        clock.tick(second + 0.5)
        clock.tick(second + 0.1)  # a frame that was under way
    assert clock.now_s == 99.0


def test_a_restarted_stream_goes_on_from_there() -> None:
    clock = StreamClock()
    assert [clock.tick(t) for t in (50.0, 60.0, 0.0, 1.0)] == [0.0, 10.0, 10.0, 11.0]


def test_state() -> None:
    clock, other = StreamClock(), StreamClock()
    clock.tick(5.0)
    clock.tick(7.5)
    other.restore(clock.state())
    assert other.tick(8.0) == clock.tick(8.0) == 3.0
