"""What is known of the wall clock: whether it is set, whether something keeps it right, and when it is stepped."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A device without a battery boots in 1970; no event of this software is older than its first release.
EARLIEST_SANE_UNIX_S = 1_735_689_600.0  # 2025-01-01
ASK_EVERY_S = 1.0
_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


@dataclass(frozen=True, slots=True)
class ClockChange:
    """What happened to the wall clock.

    Attributes:
        offset_s: New time minus old time, seconds; ``None`` when it was not stepped.
        synced: Whether something keeps it right now.
    """

    offset_s: float | None
    synced: bool

    def document(self) -> dict[str, Any]:
        """Data of ``health.clock``."""
        step = {} if self.offset_s is None else {"offset_s": round(self.offset_s, 6)}
        return {**step, "synced": self.synced}


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


class ClockWatch:
    """Compares the wall clock with the monotonic one, and asks the kernel once a second whether it is kept right.

    One thread calls ``check``; any may read ``synced``.

    Args:
        threshold_s: The smallest jump that counts, seconds; slewing by NTP stays far below it.
        wall: Seconds since 1970.
        monotonic: Seconds that never jump.
        kernel: What the kernel says; ``None`` when it cannot be asked, and then a believable date has to do.

    Attributes:
        synced: Whether the clock shows a believable date and something keeps it right.
    """

    def __init__(
        self,
        threshold_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        kernel: Callable[[], bool | None] = clock_synchronised,
    ) -> None:
        self._threshold_s = threshold_s
        self._wall = wall
        self._monotonic = monotonic
        self._kernel = kernel
        self._offset_s = wall() - monotonic()
        self._asked_s = monotonic()
        self.synced = self._ask()

    def check(self) -> ClockChange | None:
        """What happened since the last call, if anything."""
        now_s = self._monotonic()
        offset_s = self._wall() - now_s
        moved_s = offset_s - self._offset_s
        self._offset_s = offset_s
        stepped, before = abs(moved_s) >= self._threshold_s, self.synced
        if stepped or now_s - self._asked_s >= ASK_EVERY_S:
            self._asked_s = now_s
            self.synced = self._ask()
        if not stepped and self.synced == before:
            return None
        return ClockChange(moved_s if stepped else None, self.synced)

    def _ask(self) -> bool:
        return clock_is_set(self._wall()) and self._kernel() is not False
