"""An MQTT 3.1.1 broker inside this process, by amqtt: for demo, tests and development, never for production."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from types import TracebackType

from edgevision.errors import BrokerUnavailable

START_TIMEOUT_S = 10.0


class EmbeddedBroker:
    """Runs from ``start`` to ``close``, or as a context manager; anybody may connect, nothing is kept on disk.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port or _free_port(host)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="broker", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises:
            BrokerUnavailable: amqtt is not installed or the port is taken.
        """
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S) or self._error:
            msg = f"embedded broker on {self.host}:{self.port}: {self._error or 'does not start'}"
            raise BrokerUnavailable(msg)

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(START_TIMEOUT_S)

    def __enter__(self) -> EmbeddedBroker:  # noqa: PYI034 - typing.Self came with Python 3.11
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            from amqtt.broker import Broker
            from amqtt.errors import AMQTTError, BrokerError
        except ImportError:
            self._error = 'it needs the extra: pip install "edgevision[broker]"'
            self._ready.set()
            return
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        try:
            broker = Broker(config)
            await broker.start()
        except (AMQTTError, BrokerError, OSError) as exc:
            self._error = str(exc) or type(exc).__name__
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
