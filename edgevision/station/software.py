"""A trigger that is fired by software: a command, an HTTP request or a call from Python."""

from __future__ import annotations

import queue
from typing import Literal

from edgevision.config.settings import Settings
from edgevision.station.base import TriggerSignal


class SoftwareTriggerSettings(Settings):
    """Fired by the `trigger` command, by `POST /cameras/NAME/trigger` or from Python."""

    kind: Literal["software"] = "software"


class SoftwareTrigger:
    """Hands out what ``fire`` was given, in order."""

    Settings = SoftwareTriggerSettings

    def __init__(self, settings: SoftwareTriggerSettings | None = None) -> None:
        del settings  # there is nothing to set
        self._signals: queue.SimpleQueue[TriggerSignal | None] = queue.SimpleQueue()

    def fire(self, signal: TriggerSignal) -> None:
        """Ask for an inspection; never blocks, callable from any thread."""
        self._signals.put(signal)

    def wait(self, timeout_s: float) -> TriggerSignal | None:
        """The next request, or ``None`` after ``timeout_s`` and on ``close``."""
        try:
            return self._signals.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Wake whoever waits."""
        self._signals.put(None)
