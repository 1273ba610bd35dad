"""The process around the daemon: signals, systemd, logging, exit codes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from edgevision.config.load import load_daemon
from edgevision.daemon.assemble import Assembly
from edgevision.daemon.notify import notify, watchdog_interval_s
from edgevision.daemon.registry import check_cameras, registry
from edgevision.errors import ConfigError
from edgevision.logs import setup_logging

log = structlog.get_logger(__name__)

POLL_S = 0.1


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
    check_cameras(file, settings)
    setup_logging(settings.log.level, settings.log.format)
    with _signals() as signals:
        assembly = Assembly(settings, fresh=fresh, reload=signals.ask_reload)
        daemon = assembly.daemon
        daemon.start()
        notify(f"READY=1\nSTATUS={len(settings.cameras)} cameras")
        watchdog_s = watchdog_interval_s()
        fed = time.monotonic()
        while not signals.stop:
            time.sleep(POLL_S)
            daemon.poll()
            if signals.take_reload():
                _reload(assembly, file)
            if watchdog_s is not None and time.monotonic() - fed >= watchdog_s and assembly.board.report().alive:
                notify("WATCHDOG=1")
                fed = time.monotonic()
            if until_done and daemon.done() and assembly.delivered():
                break
        notify("STOPPING=1")
        clean = daemon.stop(forget=until_done and not signals.stop)
        assembly.close()
    return 0 if clean and not (until_done and daemon.failed_cameras()) else 1


def _reload(assembly: Assembly, file: Path) -> None:
    notify("RELOADING=1")
    try:
        settings = load_daemon(file, registry())
        check_cameras(file, settings)
    except ConfigError as exc:
        log.warning("daemon.reload_refused", problems=[str(problem) for problem in exc.problems])
    else:
        assembly.daemon.reload(settings)
    notify("READY=1")


class _Signals:
    """What the operating system has asked for since the last look."""

    def __init__(self) -> None:
        self.stop = False
        self._reload = False

    def ask_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True

    def ask_reload(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._reload = True

    def take_reload(self) -> bool:
        asked, self._reload = self._reload, False
        return asked


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
