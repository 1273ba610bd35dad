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
from edgevision.events.base import Outbox, StoredEvent
from edgevision.events.codec import stamp
from edgevision.events.times import timestamp
from edgevision.mqtt.client import (
    FAILURE,
    NO_MATCHING_SUBSCRIBERS,
    NOT_AUTHORIZED,
    PACKET_TOO_LARGE,
    TOPIC_INVALID,
    Connection,
    MqttSettings,
    Session,
)
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.lanes import Lanes
from edgevision.types import Health

log = structlog.get_logger(__name__)

ECHO_TIMEOUT_S = 5.0
DRAIN_S = 5.0
MOST_HELD = 5000  # claimed events whose topics do not flow; beyond, nothing more is claimed
_OF_THE_TOPIC = frozenset({NOT_AUTHORIZED, TOPIC_INVALID})
_IDLE_S = 0.5
_BUSY_S = 0.02
_ACK_S = 0.01  # an acknowledgement is awaited at once, a new event meanwhile waits this long at most


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
        sender = _Sender(connection, self._outbox, self._settings)
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

    def _side_traffic(self, connection: Connection, sender: _Sender) -> None:
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


class _Sender:
    """What one connection has in flight."""

    def __init__(self, connection: Connection, outbox: Outbox, settings: MqttSettings) -> None:
        self._connection = connection
        self._outbox = outbox
        self._settings = settings
        self._echoing = settings.protocol == "3.1.1"
        self._lanes = Lanes(trusting=not self._echoing)
        self._in_flight: dict[int, StoredEvent] = {}
        self._echoes: dict[str, tuple[StoredEvent, bytes, float]] = {}
        outbox.connected()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._in_flight and not self._echoes and not self._lanes.waiting

    def step(self) -> None:
        """Take acknowledgements, then send what there is room for."""
        self.settle(0.0)
        self._missing_echoes()
        room = self._connection.window - len(self._in_flight)
        if room > 0 and self._lanes.waiting < MOST_HELD:
            self._lanes.offer(self._outbox.claim(room, self._settings.order))
        for event in list(self._lanes.ready(room, time.monotonic())):
            self._send(event)

    def wait(self) -> None:
        """Sleep until something may have changed."""
        if self._in_flight or self._lanes.waiting >= MOST_HELD:
            self.settle(_ACK_S)
        elif self._echoes:
            self._outbox.wait(_ACK_S)
        else:
            self._outbox.wait(_IDLE_S if self.idle else _BUSY_S)

    def settle(self, timeout_s: float) -> None:
        """Take the acknowledgements that are there; waits for the first at most ``timeout_s``."""
        done: list[int] = []
        try:
            ack = self._connection.acks.get(timeout=timeout_s) if timeout_s > 0 else self._connection.acks.get_nowait()
            while ack is not None:
                self._acknowledged(*ack, done)
                ack = self._connection.acks.get_nowait()
        except queue.Empty:
            pass
        if done:
            self._outbox.done(done)

    def echo(self, topic: str, payload: bytes) -> None:
        """Something came back on one of our own topics."""
        expected = self._echoes.get(topic)
        if expected is None or expected[1] != payload:
            return
        del self._echoes[topic]
        self._connection.unsubscribe(topic)
        self._lanes[topic].accepted()
        self._outbox.done([expected[0].rowid])

    def _send(self, event: StoredEvent) -> None:
        body = stamp(event.body, historical=event.historical, published=_now())
        if not self._connection.fits(event.topic, body):
            self._refuse([event], PACKET_TOO_LARGE, f"{len(body)} bytes are more than the broker takes")
            return
        lane = self._lanes[event.topic]
        if self._echoing and not lane.flows:
            self._connection.subscribe(event.topic)
            self._echoes[event.topic] = (event, body, time.monotonic() + ECHO_TIMEOUT_S)
        self._in_flight[self._connection.publish(event.topic, body)] = event

    def _acknowledged(self, mid: int, code: int, done: list[int]) -> None:
        event = self._in_flight.pop(mid, None)
        if event is None or (event.topic in self._echoes and self._echoes[event.topic][0] is event):
            return  # a retained document or a reply; or an event whose echo decides
        lane = self._lanes[event.topic]
        if code >= FAILURE:
            together = lane.refused(time.monotonic()) if code in _OF_THE_TOPIC else []
            lane.probe = None
            self._refuse([event, *together], code, "refused by the broker")
        elif code == NO_MATCHING_SUBSCRIBERS and self._settings.no_subscribers == "keep":
            lane.flows, lane.probe = False, None
            lane.retry_s = time.monotonic() + lane.delay_s
            lane.waiting.appendleft(event)
        else:
            lane.accepted()
            done.append(event.rowid)

    def _missing_echoes(self) -> None:
        now_s = time.monotonic()
        for topic, (event, _, until_s) in list(self._echoes.items()):
            if now_s >= until_s:
                del self._echoes[topic]
                self._connection.unsubscribe(topic)
                together = self._lanes[topic].refused(now_s)
                self._refuse([event, *together], NOT_AUTHORIZED, "it was acknowledged but never delivered")

    def _refuse(self, events: list[StoredEvent], code: int, reason: str) -> None:
        log.warning("relay.refused", topic=events[0].topic, events=len(events), reason_code=code, reason=reason)
        for event in events:
            self._outbox.refused(event.rowid, code, reason)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
