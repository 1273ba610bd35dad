"""What the broker refuses beside events: told once, and shown until it is accepted."""

from __future__ import annotations

import threading

import structlog

log = structlog.get_logger(__name__)


class Refusals:
    """By topic. A refusal outlives its connection, so that it is not told again on each; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def refused(self, topic: str, reason: str) -> None:
        """Warn, unless that is known."""
        with self._lock:
            known = topic in self._reasons
            self._reasons[topic] = reason
        if not known:
            log.warning("relay.not_allowed", topic=topic, reason=reason)

    def accepted(self, topic: str) -> None:
        """There is nothing to tell of this topic any more."""
        with self._lock:
            self._reasons.pop(topic, None)

    def __str__(self) -> str:
        with self._lock:
            return "; ".join(self._reasons.values())
