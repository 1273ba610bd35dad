"""Empties the outbox to the broker: at least once, in order, and done only on an acknowledgement that says yes."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import structlog

from edgevision.backoff import Backoff
from edgevision.errors import BrokerRefused, OutboxError, PublishError
from edgevision.events import topics
from edgevision.events.base import Outbox
from edgevision.events.times import timestamp
from edgevision.mqtt.client import NOT_AUTHORIZED, Connection, Session
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.refusals import Refusals
from edgevision.mqtt.retained import Retained, encoded
from edgevision.mqtt.sender import ECHO_TIMEOUT_S, Sender
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import Health

log = structlog.get_logger(__name__)

DRAIN_S = 5.0
FAREWELL_S = 1.0
_FAREWELL_STEP_S = 0.05
LASTED_S = 10.0  # a connection of this length was of use, even if there was nothing to send


class Relay:
    """Keeps one connection at a time; ``run`` is a stage.

    MQTT 3.1.1 has no way to refuse a message. There a canary must come back on the device's own topic before anything
    is sent, and the first event of each topic must be seen coming back before that topic flows; the device therefore
    needs read access to ``edgevision/SITE/DEVICE/#``. An event that does not come back counts as refused (0x87).

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
        self._status = topics.status(site, device)
        self._commands = commands
        self._backoff = backoff
        self._refusals = Refusals()
        self._retained = Retained(self._refusals)
        self._retained.put(topics.birth(site, device), birth)
        self._connected = False
        self._trouble = "not connected yet"

    def retain(self, topic: str, document: Mapping[str, Any]) -> None:
        """Publish ``document`` retained now and on every connect; any thread."""
        self._retained.put(topic, document)

    def health(self) -> Health:
        """Whether there is a connection, and what is not allowed on it.

        The device is ready without one, since the outbox keeps everything.
        """
        detail = str(self._refusals) if self._connected else self._trouble
        return Health("relay", self._connected, detail, critical=False)

    def run(self, stop: threading.Event) -> None:
        """Connect, publish, connect again, until stopped; a stop first sends what waits, for a few seconds."""
        waits = self._backoff.waits()
        while not stop.is_set():
            if self._visit(stop):
                waits = self._backoff.waits()
            if not stop.is_set():
                stop.wait(next(waits))

    def _visit(self, stop: threading.Event) -> bool:
        """One connection from beginning to end; whether it was of use.

        That a broker lets us in is none: one that throws us out again at once must not be stormed.
        """
        try:
            connection = self._connect()
        except PublishError as exc:
            self._say(str(exc))
            return False
        began_s = time.monotonic()
        sender = Sender(connection, self._outbox, self._settings, self._retained.acknowledged)
        try:
            self._serve(connection, sender, stop)
        except (PublishError, OutboxError) as exc:  # a disk may stumble as a network may
            self._say(str(exc))
        finally:
            self._connected = False
            connection.close()
            self._outbox.release()
        return sender.delivered > 0 or time.monotonic() - began_s >= LASTED_S

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("relay.offline", reason=trouble)
        self._trouble = trouble

    def _connect(self) -> Connection:
        client_id = self._settings.client_id or f"edgevision-{self._site}-{self._device}"
        will = (self._status, encoded({"status": "offline", "reason": "lost"}))
        return Connection(self._settings, Session(client_id, will))

    def _serve(self, connection: Connection, sender: Sender, stop: threading.Event) -> None:
        self._begin(connection)
        deadline_s = float("inf")
        while not connection.lost and time.monotonic() < deadline_s:
            self._side_traffic(connection, sender)
            sender.step()
            if stop.is_set():
                deadline_s = min(deadline_s, time.monotonic() + DRAIN_S)
                if sender.idle and not self._outbox.wait(0):
                    break
            if not (self._retained.waiting and connection.room > 0):
                sender.wait()
        if connection.lost:
            self._say("the connection to the broker is lost")
            return
        self._farewell(connection, sender)

    def _farewell(self, connection: Connection, sender: Sender) -> None:
        """Tell that the device is offline, once there is room for it, and wait until that is taken."""
        self._retained.put(self._status, {"status": "offline", "reason": "stopped"})
        deadline_s = time.monotonic() + FAREWELL_S
        while not connection.lost and time.monotonic() < deadline_s:
            self._retained.publish(connection)
            if not connection.outstanding and not self._retained.waiting:
                return
            sender.settle(_FAREWELL_STEP_S)

    def _begin(self, connection: Connection) -> None:
        if self._settings.protocol == "3.1.1":
            self._prove(connection)
        self._retained.put(self._status, {"status": "online", "since": timestamp(datetime.now(timezone.utc))})
        self._retained.connected()
        self._listen(connection)
        self._connected = True
        self._trouble = ""
        log.info("relay.online", host=self._settings.host, port=self._settings.port)

    def _listen(self, connection: Connection) -> None:
        """Hear commands; a broker that does not allow that may have our events all the same."""
        if self._commands is None:
            return
        topic = topics.command(self._site, self._device)
        try:
            connection.subscribe(topic)
        except BrokerRefused as exc:
            self._refusals.refused(topic, f"commands are not heard: {exc}")
        else:
            self._refusals.accepted(topic)

    def _side_traffic(self, connection: Connection, sender: Sender) -> None:
        self._retained.publish(connection)
        commands = topics.command(self._site, self._device, "")
        while not connection.messages.empty():
            message = connection.messages.get()
            if message is None:
                return
            if self._commands is not None and message.topic.startswith(commands):
                self._commands.take(message)
            else:
                sender.echo(message.topic, message.payload)
        if self._commands is None or connection.room <= 0:
            return
        for answer in self._commands.answers():
            connection.publish(answer.topic, answer.payload, correlation=answer.correlation)
            if connection.room <= 0:
                break

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
