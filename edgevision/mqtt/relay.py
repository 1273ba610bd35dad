"""Empties the outbox to the broker: at least once, in order, and done only on an acknowledgement that says yes."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import structlog

from edgevision.backoff import Backoff
from edgevision.errors import BrokerRefused, PublishError
from edgevision.events import topics
from edgevision.events.base import Outbox
from edgevision.events.times import timestamp
from edgevision.mqtt.client import NOT_AUTHORIZED, Connection, MqttSettings, Session
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.sender import ECHO_TIMEOUT_S, Sender
from edgevision.types import Health

log = structlog.get_logger(__name__)

DRAIN_S = 5.0


class Relay:
    """Keeps one connection at a time; ``run`` is a stage.

    MQTT 3.1.1 has no way to refuse a message. There a canary must come back on the device's own topic before anything
    is
    sent, and the first event of each topic must be seen coming back before that topic flows; the device therefore needs
    read access to ``edgevision/SITE/DEVICE/#``. An event that does not come back counts as refused (0x87).

    Args:
        outbox: What to empty.
        settings: The broker.
        site: The plant or shop.
        device: This box.
        birth: Provenance of all that runs; retained.
        commands: What to obey; ``None`` for nothing.
        backoff: Waits between connections.
    """

    def __init__(
        self,
        outbox: Outbox,
        settings: MqttSettings,
        *,
        site: str,
        device: str,
        birth: Mapping[str, Any],
        commands: Commands | None = None,
        backoff: Backoff = Backoff(first_s=0.2, cap_s=30.0),  # noqa: B008 - frozen
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._site, self._device = site, device
        self._commands = commands
        self._backoff = backoff
        self._retained_lock = threading.Lock()
        self._retained: dict[str, bytes] = {topics.birth(site, device): _json(birth)}
        self._changed: set[str] = set()
        self._connected = False
        self._trouble = "not connected yet"

    def retain(self, topic: str, document: Mapping[str, Any]) -> None:
        """Publish ``document`` retained now and on every connect; any thread."""
        with self._retained_lock:
            self._retained[topic] = _json(document)
            self._changed.add(topic)

    def health(self) -> Health:
        """Whether there is a connection; the device is ready without one, since the outbox keeps everything."""
        return Health("relay", self._connected, "" if self._connected else self._trouble, critical=False)

    def run(self, stop: threading.Event) -> None:
        """Connect, publish, connect again, until stopped; a stop first sends what waits, for a few seconds."""
        waits = self._backoff.waits()
        while not stop.is_set():
            try:
                connection = self._connect()
            except PublishError as exc:
                self._say(str(exc))
                stop.wait(next(waits))
                continue
            waits = self._backoff.waits()
            try:
                self._serve(connection, stop)
            except PublishError as exc:
                self._say(str(exc))
            finally:
                self._connected = False
                connection.close()
                self._outbox.release()
            if not stop.is_set():
                stop.wait(next(waits))

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("relay.offline", reason=trouble)
        self._trouble = trouble

    def _connect(self) -> Connection:
        status = topics.status(self._site, self._device)
        client_id = self._settings.client_id or f"edgevision-{self._site}-{self._device}"
        will = (status, _json({"status": "offline", "reason": "lost"}))
        return Connection(self._settings, Session(client_id, will))

    def _serve(self, connection: Connection, stop: threading.Event) -> None:
        status = topics.status(self._site, self._device)
        sender = Sender(connection, self._outbox, self._settings)
        if self._settings.protocol == "3.1.1":
            self._prove(connection)
        connection.publish(status, _json({"status": "online", "since": timestamp(_now())}), retain=True)
        with self._retained_lock:
            self._changed = set(self._retained)
        if self._commands is not None:
            connection.subscribe(topics.command(self._site, self._device))
        self._connected = True
        self._trouble = ""
        log.info("relay.online", host=self._settings.host, port=self._settings.port)
        deadline_s = float("inf")
        while not connection.lost and time.monotonic() < deadline_s:
            self._side_traffic(connection, sender)
            sender.step()
            if stop.is_set():
                deadline_s = min(deadline_s, time.monotonic() + DRAIN_S)
                if sender.idle and not self._outbox.wait(0):
                    break
            sender.wait()
        if not connection.lost:
            connection.publish(status, _json({"status": "offline", "reason": "stopped"}), retain=True)
            sender.settle(1.0)

    def _side_traffic(self, connection: Connection, sender: Sender) -> None:
        with self._retained_lock:
            changed = {topic: self._retained[topic] for topic in self._changed}
            self._changed.clear()
        for topic, payload in changed.items():
            connection.publish(topic, payload, retain=True)
        commands = topics.command(self._site, self._device, "")
        while not connection.messages.empty():
            message = connection.messages.get()
            if message is None:
                return
            if self._commands is not None and message.topic.startswith(commands):
                self._commands.take(message)
            else:
                sender.echo(message.topic, message.payload)
        for answer in self._commands.answers() if self._commands is not None else ():
            connection.publish(answer.topic, answer.payload, correlation=answer.correlation)

    def _prove(self, connection: Connection) -> None:
        """See a canary come back before anything is sent.

        Raises:
            BrokerRefused: It does not.
        """
        topic = topics.reply(self._site, self._device, "canary")
        connection.subscribe(topic)
        payload = uuid.uuid4().hex.encode()
        connection.publish(topic, payload)
        deadline_s = time.monotonic() + ECHO_TIMEOUT_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                message = connection.messages.get(timeout=left_s)
            except queue.Empty:
                break
            if message is None or message.payload == payload:
                return
        msg = f"nothing comes back on {topic}: this device must be allowed to write and read its own topics"
        raise BrokerRefused(msg, NOT_AUTHORIZED)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
