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


class Lasting:
    """Passes on a change of state once it has held for a while. Used by one thread.

    Args:
        for_s: How long, seconds.
    """

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._told: dict[str, str] = {}
        self._since: dict[str, tuple[str, float]] = {}

    def changed(self, subject: str, state: str, now_s: float) -> bool:
        """Whether ``state`` of ``subject`` is news at ``now_s``; ``ok`` is where everything starts."""
        if self._since.get(subject, ("", 0.0))[0] != state:
            self._since[subject] = (state, now_s)
        lasts = now_s - self._since[subject][1] >= self._for_s
        if not lasts or self._told.get(subject, "ok") == state:
            return False
        self._told[subject] = state
        return True

    def keep(self, subjects: Iterable[str]) -> None:
        """Forget all others."""
        gone = set(self._since) - set(subjects)
        for subject in gone:
            self._since.pop(subject)
            self._told.pop(subject, None)


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
            if self._lasting.changed(subject, load.state, now_s):
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
