"""Gives verdicts to a machine without holding up the analyses."""

from __future__ import annotations

import queue
import threading
import time

import structlog

from edgevision.daemon.metrics import Metrics
from edgevision.daemon.supervisor import contained
from edgevision.errors import StationError
from edgevision.station.base import Actuator, Verdict

log = structlog.get_logger(__name__)


class Actuation:
    """One actuator and the verdicts that wait for it; ``run`` is a stage.

    A verdict whose deadline has passed is not given any more: the part is gone, and the next one stands in its place.
    """

    def __init__(self, camera: str, actuator: Actuator, metrics: Metrics) -> None:
        self._camera = camera
        self._actuator = actuator
        self._metrics = metrics
        self._waiting: queue.SimpleQueue[Verdict | None] = queue.SimpleQueue()

    def give(self, verdict: Verdict) -> None:
        """Queue a verdict; never blocks."""
        self._waiting.put(verdict)

    def run(self, stop: threading.Event) -> None:
        """Act until stopped; what was given before ``stop`` is still acted on."""
        while True:
            try:
                verdict = self._waiting.get(timeout=0.2)
            except queue.Empty:
                if stop.is_set():
                    return
                continue
            if verdict is not None:
                self._act(verdict)

    def close(self) -> None:
        """Release the machine."""
        self._waiting.put(None)
        self._actuator.close()

    def _act(self, verdict: Verdict) -> None:
        outcome = "done"
        if verdict.deadline_t_s is not None and time.monotonic() > verdict.deadline_t_s:
            outcome = "too_late"
            log.warning("actuator.too_late", camera=self._camera, part=verdict.part.id)
        elif (error := self._give(verdict)) is not None:
            outcome = "failed"
            log.warning("actuator.failed", camera=self._camera, part=verdict.part.id, error=error)
        self._metrics.actuations.labels(self._camera, outcome).inc()

    def _give(self, verdict: Verdict) -> str | None:
        """Tell the machine; what went wrong, if anything. A crash of foreign code costs this verdict and no other."""
        refused: list[str] = []

        def act() -> None:
            try:
                self._actuator.act(verdict)
            except StationError as exc:
                refused.append(str(exc))

        return contained(f"actuator/{self._camera}", act) or next(iter(refused), None)
