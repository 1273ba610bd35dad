"""What the daemon knows of the wall clock."""

from __future__ import annotations

from edgevision.daemon.clock import ClockChange, ClockWatch, clock_is_set, clock_synchronised

TODAY = 1_790_000_000.0


class Clocks:
    """Clocks that a test turns."""

    def __init__(self, wall: float = TODAY, *, kernel: bool | None = True) -> None:
        self.wall, self.mono, self.kernel = wall, 5.0, kernel
        self.watch = ClockWatch(wall=lambda: self.wall, monotonic=lambda: self.mono, kernel=lambda: self.kernel)

    def after(self, seconds: float, *, jump_s: float = 0.0) -> ClockChange | None:
        self.mono += seconds
        self.wall += seconds + jump_s
        return self.watch.check()


def test_a_jump_is_told_once_and_a_slew_is_not() -> None:
    clocks = Clocks()
    assert clocks.after(1.0, jump_s=0.0005) is None
    step = clocks.after(1.0, jump_s=3600.0)
    assert step is not None
    assert step.offset_s is not None
    assert abs(step.offset_s - 3600.0) < 1e-6
    assert clocks.after(0.0) is None
    assert clocks.after(0.0, jump_s=-100.0) == ClockChange(-100.0, synced=True)


def test_losing_and_gaining_a_master_is_told_once_each() -> None:
    clocks = Clocks()
    assert clocks.watch.synced
    clocks.kernel = False
    assert clocks.after(1.0) == ClockChange(None, synced=False)
    assert clocks.after(1.0) is None
    clocks.kernel = True
    change = clocks.after(1.0)
    assert change is not None
    assert change.document() == {"synced": True}


def test_the_kernel_is_asked_once_a_second() -> None:
    clocks = Clocks()
    clocks.kernel = False
    assert clocks.after(0.2) is None
    assert clocks.after(0.9) is not None


def test_a_clock_that_is_not_set_is_not_synced_whatever_the_kernel_says() -> None:
    clocks = Clocks(wall=12.0)
    assert not clocks.watch.synced
    change = clocks.after(0.1, jump_s=TODAY)
    assert change is not None
    assert change.synced


def test_where_the_kernel_cannot_be_asked_a_believable_date_has_to_do() -> None:
    assert Clocks(kernel=None).watch.synced
    assert not Clocks(wall=12.0, kernel=None).watch.synced


def test_1970_is_no_set_clock() -> None:
    assert not clock_is_set(12.0)
    assert clock_is_set(TODAY)


def test_the_kernel_is_asked_without_harm() -> None:
    assert clock_synchronised() in {True, False, None}
