"""Notices that the device cannot follow its cameras, or is too hot, and that it is well again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgevision.config.daemon import LoadSettings
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.thermal import temperatures
from edgevision.events.topics import DEVICE
from edgevision.sources.base import SourceState

LOOK_EVERY_S = 1.0
PAUSE_S = 5.0
"""A trouble that pauses no longer than this goes on."""


@dataclass(frozen=True, slots=True)
class Load:
    """How a camera, or the device, is doing.

    Attributes:
        state: ``overloaded`` where frames are dropped and too few are analysed, ``hot`` above the temperature.
        value: What was measured.
        limit: What is allowed.
        unit: Of both.
        action: What the daemon does about it, for a person.
    """

    state: Literal["ok", "overloaded", "hot"]
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    action: str | None = None

    def document(self) -> dict[str, Any]:
        """Data of ``health.load``."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(slots=True)
class _Trouble:
    since_s: float
    last_s: float
    told: bool = False


class Lasting:
    """Passes on a trouble that has lasted for a while, and that it is over. Used by one thread.

    A subject has one kind of trouble. One that comes again within ``PAUSE_S`` has lasted all the time: a camera that
    drops frames every other second cannot follow either.

    Args:
        for_s: How long it must last, and be over, seconds.
    """

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._troubles: dict[str, _Trouble] = {}

    def changed(self, subject: str, now_s: float, *, ok: bool) -> bool:
        """Whether it is news at ``now_s`` that ``subject`` is well or not; well is where everything starts."""
        if ok:
            return self._over(subject, now_s)
        trouble = self._troubles.setdefault(subject, _Trouble(now_s, now_s))
        if now_s - trouble.last_s > PAUSE_S:
            trouble.since_s = now_s
        trouble.last_s = now_s
        if trouble.told or now_s - trouble.since_s < self._for_s:
            return False
        trouble.told = True
        return True

    def keep(self, subjects: Iterable[str]) -> None:
        """Forget all others."""
        for subject in set(self._troubles) - set(subjects):
            del self._troubles[subject]

    def _over(self, subject: str, now_s: float) -> bool:
        """Whether a trouble that was told is over."""
        trouble = self._troubles.get(subject)
        if trouble is None or now_s - trouble.last_s < self._for_s or now_s - trouble.last_s <= PAUSE_S:
            return False
        del self._troubles[subject]
        return trouble.told


class LoadWatch:
    """Looks once a second. Used by one thread.

    Args:
        settings: What is too much.
        tell: Called with the camera, or ``device``, and its load when that changes.
        read_celsius: Temperatures by zone.
    """

    def __init__(
        self,
        settings: LoadSettings,
        tell: Callable[[str, Load], None],
        read_celsius: Callable[[], Mapping[str, float]] = temperatures,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._read_celsius = read_celsius
        self._lasting = Lasting(settings.for_s)
        self._dropped: dict[str, int] = {}
        self._next_s = 0.0

    def check(self, units: Iterable[CameraUnit], now_s: float | None = None) -> None:
        """Look, unless the last look was less than a second ago; ``now_s`` is monotonic."""
        now_s = time.monotonic() if now_s is None else now_s
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_EVERY_S
        loads = {unit.name: self._of_camera(unit) for unit in units}
        loads[DEVICE] = self._of_device()
        self._lasting.keep(loads)
        for subject, load in loads.items():
            if self._lasting.changed(subject, now_s, ok=load.state == "ok"):
                self._tell(subject, load)

    def _of_camera(self, unit: CameraUnit) -> Load:
        dropped = unit.dropped
        more = dropped - self._dropped.get(unit.name, dropped)
        self._dropped[unit.name] = dropped
        fps, least = unit.fps(), self._settings.min_fps
        if unit.state is SourceState.ONLINE and more > 0 and fps < least:
            return Load("overloaded", round(fps, 2), least, "frames/s", "analyses the newest frame, drops the others")
        return Load("ok")

    def _of_device(self) -> Load:
        hottest, most = max(self._read_celsius().values(), default=None), self._settings.max_celsius
        if hottest is not None and hottest > most:
            return Load("hot", round(hottest, 1), most, "C")
        return Load("ok")
