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


class Budget:
    """How many crashes are forgiven: ``allowed`` in any ``window_s`` seconds."""

    def __init__(self, allowed: int = 5, window_s: float = 60.0) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._crashes: deque[float] = deque()

    def spend(self, now_s: float) -> bool:
        """Note a crash at ``now_s``; whether it is still forgiven."""
        self._crashes.append(now_s)
        while self._crashes and self._crashes[0] < now_s - self._window_s:
            self._crashes.popleft()
        return len(self._crashes) <= self._allowed

    def __str__(self) -> str:
        return f"{self._allowed} restarts in {self._window_s:.0f} s"


def contained(name: str, work: Callable[[], None], *, passing: tuple[type[Exception], ...] = ()) -> str | None:
    """Do ``work``, which may be foreign code; its crash is logged and returned as one line instead of spreading.

    Exceptions of the types ``passing`` spread.
    """
    try:
        work()
    except passing:
        raise
    except Exception as exc:
        log.exception("stage.crashed", stage=name)
        return f"{type(exc).__name__}: {exc}"
    return None


class Stage:
    """One supervised thread.

    ``run(stop)`` is called in a thread of its own. When it returns, the stage is over; when it raises, it is called
    again after a growing wait while its budget lasts; after that the stage has failed for good.

    Args:
        name: Names the thread, the health entry and the log lines.
        run: The work; must return soon after its event is set.
        critical: Whether the device is not ready once this has failed.
        budget: Restarts that are allowed.
        backoff: Waits between restarts.
        on_restart: Called with the stage's name before each restart.
        on_failed: Called with the last error when the budget is spent.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        *,
        critical: bool = True,
        budget: Budget | None = None,
        backoff: Backoff = Backoff(first_s=0.2, cap_s=5.0),  # noqa: B008 - frozen
        on_restart: Callable[[str], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self._run = run
        self._critical = critical
        self._budget = budget or Budget()
        self._backoff = backoff
        self._on_restart = on_restart
        self._on_failed = on_failed
        self._stop = threading.Event()
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
        if self.started:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    @property
    def started(self) -> bool:
        """Whether ``start`` was called."""
        return self._thread.ident is not None

    def health(self) -> Health:
        """Whether it runs, or ended in peace."""
        detail = f"failed after more than {self._budget}: {self._error}" if self._failed else ""
        return Health(f"stage/{self.name}", not self._failed, detail, critical=self._critical)

    def _supervise(self) -> None:
        waits = self._backoff.waits(random.Random())  # noqa: S311 - jitter, no secret
        while not self._stop.is_set():
            self._error = contained(self.name, lambda: self._run(self._stop))
            if self._error is None:
                return
            if not self._budget.spend(time.monotonic()):
                self._failed = True
                log.error("stage.failed", stage=self.name, error=self._error)
                if self._on_failed is not None:
                    self._on_failed(self._error)
                return
            if self._on_restart is not None:
                self._on_restart(self.name)
            self._stop.wait(next(waits))
