"""What is known of the wall clock: whether it is set, whether something keeps it right, and when it is stepped."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass

# A device without a battery boots in 1970; no event of this software is older than its first release.
EARLIEST_SANE_UNIX_S = 1_735_689_600.0  # 2025-01-01
_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock jumped.

    Attributes:
        offset_s: New time minus old time, seconds.
    """

    offset_s: float


class ClockWatch:
    """Compares the wall clock with the monotonic one. Used by one thread.

    Args:
        threshold_s: The smallest jump that counts, seconds; slewing by NTP stays far below it.
        wall: Seconds since 1970.
        monotonic: Seconds that never jump.
    """

    def __init__(
        self,
        threshold_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold_s = threshold_s
        self._wall = wall
        self._monotonic = monotonic
        self._offset_s = wall() - monotonic()

    def check(self) -> ClockStep | None:
        """The jump since the last call, if there was one."""
        offset_s = self._wall() - self._monotonic()
        moved_s = offset_s - self._offset_s
        self._offset_s = offset_s
        return ClockStep(moved_s) if abs(moved_s) >= self._threshold_s else None


def clock_is_set(unix_s: float) -> bool:
    """Whether the wall clock shows a believable date."""
    return unix_s >= EARLIEST_SANE_UNIX_S


def clock_synchronised() -> bool | None:
    """What the kernel says (``adjtimex``): disciplined by NTP or PTP, or not; ``None`` where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(512)  # struct timex with modes = 0: read only; 208 bytes on 64-bit Linux
        state = int(libc.adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
