"""Sums up what the components say of themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgevision.types import Health

Check = Callable[[], Health]


@dataclass(frozen=True, slots=True)
class Report:
    """The device at one moment.

    Attributes:
        alive: No stage that the device cannot do without has failed for good; else only a new process helps.
        ready: Every critical component does its job.
        components: What each said.
    """

    alive: bool
    ready: bool
    components: tuple[Health, ...]

    def document(self) -> dict[str, Any]:
        """For HTTP, JSON-able."""
        return {
            "alive": self.alive,
            "ready": self.ready,
            "components": [
                {"name": item.name, "ok": item.ok, "detail": item.detail, **dict(item.facts)}
                for item in self.components
            ],
        }


class HealthBoard:
    """Where components are registered when they are built."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checks: dict[str, Check] = {}

    def register(self, name: str, check: Check) -> None:
        """Ask ``check`` from now on; a second registration under the same name replaces the first."""
        with self._lock:
            self._checks[name] = check

    def forget(self, name: str) -> None:
        """Ask no longer; unknown names are ignored."""
        with self._lock:
            self._checks.pop(name, None)

    def report(self) -> Report:
        """Ask everybody."""
        with self._lock:
            checks = list(self._checks.values())
        components = tuple(check() for check in checks)
        return Report(
            alive=all(item.ok for item in components if item.critical and item.name.startswith("stage/")),
            ready=all(item.ok for item in components if item.critical),
            components=components,
        )
