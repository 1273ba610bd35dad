"""The process around the daemon: signals, systemd, logging, exit codes."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import structlog

from edgevision.config.load import load_daemon
from edgevision.daemon.assemble import Assembly
from edgevision.daemon.checks import check_cameras
from edgevision.daemon.notify import notify, watchdog_interval_s
from edgevision.daemon.registry import registry
from edgevision.errors import EdgevisionError
from edgevision.logs import setup_logging

log = structlog.get_logger(__name__)

POLL_S = 0.1
RELOAD_TIMEOUT_S = 60.0


def run_daemon(file: Path, *, until_done: bool = False, fresh: bool = False) -> int:
    """Run until a signal, or until every source is exhausted.

    Args:
        file: The settings file.
        until_done: End when every source is exhausted and the broker, if there is one, has everything.
        fresh: Forget stored positions and states.

    Returns:
        Exit code: 0 when all was drained, 1 when not, or when a camera failed for good under ``until_done``.

    Raises:
        ConfigError: The settings are wrong.
    """
    settings = load_daemon(file, registry())
    check_cameras(file, settings, files_exist=until_done)
    setup_logging(settings.log.level, settings.log.format)
    with _signals() as signals:
        assembly = Assembly(settings, file.parent, fresh=fresh, reload=signals.reload)
        daemon = assembly.daemon
        daemon.start()
        notify(f"READY=1\nSTATUS={len(settings.cameras)} cameras")
        watchdog_s = watchdog_interval_s()
        fed = time.monotonic()
        while not signals.stop:
            time.sleep(POLL_S)
            daemon.poll()
            signals.serve_reload(lambda: _reload(assembly, file))
            if watchdog_s is not None and time.monotonic() - fed >= watchdog_s and assembly.board.report().alive:
                notify("WATCHDOG=1")
                fed = time.monotonic()
            if until_done and daemon.done() and assembly.delivered():
                break
        notify("STOPPING=1")
        clean = daemon.stop()
        assembly.close()
    return 0 if clean and not (until_done and daemon.failed_cameras()) else 1


def _reload(assembly: Assembly, file: Path) -> dict[str, list[str]]:
    notify("RELOADING=1\nWATCHDOG=1")  # it may take as long as frames take to drain
    try:
        settings = load_daemon(file, registry())
        check_cameras(file, settings)
        return assembly.daemon.reload(settings)
    except EdgevisionError as exc:
        log.warning("daemon.reload_refused", problem=str(exc))
        raise
    finally:
        notify("READY=1\nWATCHDOG=1")


class _Signals:
    """What the operating system and the `reload` command have asked for since the last look."""

    def __init__(self) -> None:
        self.stop = False
        self._reload = False
        self._asked: queue.SimpleQueue[Future[dict[str, list[str]]]] = queue.SimpleQueue()

    def ask_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True

    def ask_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True

    def reload(self) -> dict[str, list[str]]:
        """Have the main thread reload, and wait for what came of it; for other threads.

        Raises:
            EdgevisionError: The settings are wrong, or what they name is damaged; the old ones stay.
        """
        asked: Future[dict[str, list[str]]] = Future()
        self._asked.put(asked)
        try:
            return asked.result(RELOAD_TIMEOUT_S)
        except FutureTimeout as exc:
            msg = f"the reload is not done after {RELOAD_TIMEOUT_S:.0f} s; the log tells its end"
            raise EdgevisionError(msg) from exc

    def serve_reload(self, work: Callable[[], dict[str, list[str]]]) -> None:
        """Reload once for a signal, and once for each that waits in ``reload``."""
        if self._reload:
            self._reload = False
            with suppress(EdgevisionError):
                work()
        while not self._asked.empty():
            asked = self._asked.get()
            try:
                asked.set_result(work())
            except EdgevisionError as exc:
                asked.set_exception(exc)


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    handlers = {signal.SIGTERM: signals.ask_stop, signal.SIGINT: signals.ask_stop, signal.SIGHUP: signals.ask_reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
