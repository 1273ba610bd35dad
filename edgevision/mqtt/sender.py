"""What one connection has in flight: events go out, are acknowledged, seen coming back, or refused."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from datetime import datetime, timezone

import structlog

from edgevision.errors import BrokerRefused
from edgevision.events.base import Outbox, StoredEvent
from edgevision.events.codec import stamp
from edgevision.mqtt.client import (
    FAILURE,
    NO_MATCHING_SUBSCRIBERS,
    NOT_AUTHORIZED,
    PACKET_TOO_LARGE,
    TOPIC_INVALID,
    Connection,
)
from edgevision.mqtt.lanes import Lanes
from edgevision.mqtt.settings import MqttSettings

log = structlog.get_logger(__name__)

ECHO_TIMEOUT_S = 5.0
_OF_THE_TOPIC = frozenset({NOT_AUTHORIZED, TOPIC_INVALID})
_IDLE_S = 0.5
_BUSY_S = 0.02
_ACK_S = 0.01  # an acknowledgement is awaited at once, a new event meanwhile waits this long at most


class Sender:
    """Empties the outbox over one connection. Used by one thread.

    Args:
        connection: Where to.
        outbox: What to empty; the connection is announced to it.
        settings: The order, and what becomes of events that nobody wants.
        others: Hears the message id and reason code of what was acknowledged and is no event.
    """

    def __init__(
        self, connection: Connection, outbox: Outbox, settings: MqttSettings, others: Callable[[int, int], None]
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._settings = settings
        self._others = others
        self.delivered = 0
        """Events that are done."""
        self._echoing = settings.protocol == "3.1.1"
        self._lanes = Lanes(settings.order, trusting=not self._echoing)
        self._in_flight: dict[int, StoredEvent | None] = {}  # None: what became of the event is known already
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
        room = min(self._connection.window - len(self._in_flight), self._connection.room)
        if room > 0:
            self._lanes.offer(self._outbox.claim(room, self._settings.order, self._lanes.full))
        for event in list(self._lanes.ready(room, time.monotonic())):
            self._send(event)

    def wait(self) -> None:
        """Sleep until something may have changed."""
        connection = self._connection  # what is no event counts too: others may wait for its place
        if self._in_flight or connection.outstanding or not connection.acks.empty():
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
        self._done(done)

    def echo(self, topic: str, payload: bytes) -> None:
        """Something came back on one of our own topics."""
        expected = self._echoes.get(topic)
        if expected is None or expected[1] != payload:
            return
        self._end_echo(topic, expected[0])
        self._lanes[topic].accepted(expected[0])
        self._done([expected[0].rowid])

    def _send(self, event: StoredEvent) -> None:
        body = stamp(event.body, historical=event.historical, published=datetime.now(timezone.utc))
        lane = self._lanes[event.topic]
        if not self._connection.fits(event.topic, body):
            lane.returned(event)
            self._refuse([event], PACKET_TOO_LARGE, f"{len(body)} bytes are more than the broker takes")
            return
        if self._echoing and not lane.flows:
            try:
                self._connection.subscribe(event.topic)
            except BrokerRefused as exc:
                self._back_off(event, NOT_AUTHORIZED, str(exc))
                return
            self._echoes[event.topic] = (event, body, time.monotonic() + ECHO_TIMEOUT_S)
        self._in_flight[self._connection.publish(event.topic, body)] = event

    def _acknowledged(self, mid: int, code: int, done: list[int]) -> None:
        if mid not in self._in_flight:
            self._others(mid, code)
            return
        event = self._in_flight.pop(mid)
        if event is None or (event.topic in self._echoes and self._echoes[event.topic][0] is event):
            return  # its echo decides, or has decided
        lane = self._lanes[event.topic]
        if code >= FAILURE:
            self._back_off(event, code, "refused by the broker")
        elif code == NO_MATCHING_SUBSCRIBERS and self._settings.no_subscribers == "keep":
            lane.unwanted(event, time.monotonic())
        else:
            lane.accepted(event)
            done.append(event.rowid)

    def _missing_echoes(self) -> None:
        for topic, (event, _, until_s) in list(self._echoes.items()):
            if time.monotonic() >= until_s:
                self._end_echo(topic, event)
                self._back_off(event, NOT_AUTHORIZED, "it was acknowledged but never delivered")

    def _end_echo(self, topic: str, event: StoredEvent) -> None:
        """The event's fate is known; its acknowledgement may still come, and frees its place in the window, no more."""
        del self._echoes[topic]
        self._connection.unsubscribe(topic)
        for mid, sent in self._in_flight.items():
            if sent is event:
                self._in_flight[mid] = None

    def _done(self, rowids: list[int]) -> None:
        if rowids:
            self.delivered += len(rowids)
            self._outbox.done(rowids)

    def _back_off(self, event: StoredEvent, code: int, reason: str) -> None:
        lane = self._lanes[event.topic]
        refused = lane.refused(event, time.monotonic(), all_alike=code in _OF_THE_TOPIC)
        if refused:
            self._refuse(refused, code, reason)

    def _refuse(self, events: list[StoredEvent], code: int, reason: str) -> None:
        log.warning("relay.refused", topic=events[0].topic, events=len(events), reason_code=code, reason=reason)
        for event in events:
            self._outbox.refused(event.rowid, code, reason)
