"""A fake PLC: the shipped stand-in for the machine, for tests, demos and dry runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from edgevision.config.settings import Settings
from edgevision.station.base import Verdict


@dataclass(frozen=True, slots=True)
class Action:
    """One verdict as the machine saw it.

    Attributes:
        verdict: What it was told.
        t_s: When, ``time.monotonic()`` seconds.
        late: Whether the deadline had passed.
    """

    verdict: Verdict
    t_s: float
    late: bool


class FakePlcSettings(Settings):
    """Acts on nothing and remembers everything."""

    kind: Literal["fake"] = "fake"


class FakePlc:
    """An actuator that remembers what it was told and when."""

    Settings = FakePlcSettings

    def __init__(self, settings: FakePlcSettings | None = None) -> None:
        del settings  # there is nothing to set
        self._lock = threading.Lock()
        self._actions: list[Action] = []

    @property
    def actions(self) -> list[Action]:
        """All verdicts so far, oldest first."""
        with self._lock:
            return list(self._actions)

    def act(self, verdict: Verdict) -> None:
        """Remember the verdict."""
        now = time.monotonic()
        late = verdict.deadline_t_s is not None and now > verdict.deadline_t_s
        with self._lock:
            self._actions.append(Action(verdict, now, late))

    def close(self) -> None:
        """Nothing to release."""
