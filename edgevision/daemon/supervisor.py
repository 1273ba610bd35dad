"""Runs stages in threads; a stage that crashes is started again, within a budget, and then reported as unhealthy."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from edgevision.backoff import Backoff
from edgevision.types import Health

log = structlog.get_logger(__name__)

Run = Callable[[threading.Event], None]


class Stage:
    """One supervised thread.

    ``run(stop)`` is called in a thread of its own. When it returns, the stage is over; when it raises, it is called again
    after a growing wait, at most ``budget`` times in ``window_s``; after that the stage has failed for good.

    Args:
        name: Names the thread, the health entry and the log lines.
        run: The work; must return soon after its event is set.
        critical: Whether the device is not ready once this has failed.
        budget: Restarts allowed within the window.
        window_s: Length of the window, seconds.
        backoff: Waits between restarts.
        on_restart: Called with the stage's name before each restart.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        *,
        critical: bool = True,
        budget: int = 5,
        window_s: float = 60.0,
        backoff: Backoff = Backoff(first_s=0.2, cap_s=5.0),  # noqa: B008 - frozen
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self._run = run
        self._critical = critical
        self._budget = budget
        self._window_s = window_s
        self._backoff = backoff
        self._on_restart = on_restart
        self._stop = threading.Event()
        self._crashes: deque[float] = deque()
        self._error: str | None = None
        self._failed = False
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the stage to return; does not wait."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; whether it has."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def health(self) -> Health:
        """Whether it runs, or ended in peace."""
        detail = f"failed after {self._budget} restarts in {self._window_s:.0f} s: {self._error}" if self._failed else ""
        return Health(f"stage/{self.name}", not self._failed, detail, critical=self._critical)

    def _supervise(self) -> None:
        waits = self._backoff.waits(random.Random())  # noqa: S311 - jitter, no secret
        while not self._stop.is_set():
            try:
                self._run(self._stop)
            except Exception as exc:  # noqa: BLE001 - the one place that keeps a foreign crash from ending the daemon
                log.exception("stage.crashed", stage=self.name)
                self._error = f"{type(exc).__name__}: {exc}"
                if not self._may_restart(time.monotonic()):
                    self._failed = True
                    log.error("stage.failed", stage=self.name, error=self._error)
                    return
                if self._on_restart is not None:
                    self._on_restart(self.name)
                self._stop.wait(next(waits))
            else:
                return

    def _may_restart(self, now_s: float) -> bool:
        self._crashes.append(now_s)
        while self._crashes and self._crashes[0] < now_s - self._window_s:
            self._crashes.popleft()
        return len(self._crashes) <= self._budget
