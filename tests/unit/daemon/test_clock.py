"""What the daemon knows of the wall clock."""

from __future__ import annotations

from edgevision.daemon.clock import ClockWatch, clock_is_set, clock_synchronised


def test_a_jump_is_told_once_and_a_slew_is_not() -> None:
    now = {"wall": 1000.0, "mono": 5.0}
    watch = ClockWatch(wall=lambda: now["wall"], monotonic=lambda: now["mono"])
    now["wall"] += 1.0005
    now["mono"] += 1.0
    assert watch.check() is None
    now["wall"] += 3601.0
    now["mono"] += 1.0
    step = watch.check()
    assert step is not None
    assert abs(step.offset_s - 3600.0) < 1e-6
    assert watch.check() is None
    now["wall"] -= 100.0
    step = watch.check()
    assert step is not None
    assert step.offset_s == -100.0


def test_1970_is_no_set_clock() -> None:
    assert not clock_is_set(12.0)
    assert clock_is_set(1_790_000_000.0)


def test_the_kernel_is_asked_without_harm() -> None:
    assert clock_synchronised() in {True, False, None}
