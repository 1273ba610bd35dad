"""Reads events elsewhere: typed, without duplicates, and with every gap told."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import structlog

from edgevision.backoff import Backoff
from edgevision.errors import BrokerRefused, BrokerUnavailable, ConsumerError, EventError
from edgevision.events import topics as names
from edgevision.events.codec import decode
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.client import Connection, Message, Session
from edgevision.mqtt.dedup import SeenStore
from edgevision.mqtt.settings import MqttSettings
from edgevision.mqtt.streams import Streams

log = structlog.get_logger(__name__)

GRACE_S = 30.0
JUDGE_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Received:
    """An event that was not seen before.

    Attributes:
        event: The event; its ``data`` is typed by its type.
        topic: Where it came in.
        message: For ``Consumer.ack``.
    """

    event: AnyEvent
    topic: str
    message: Message


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that were sent or promised and have not come, within the grace.

    Attributes:
        topic: Their topic.
        bootid: Their boot id.
        first: Sequence number of the first.
        last: Sequence number of the last.
    """

    topic: str
    bootid: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many."""
        return self.last - self.first + 1


class Consumer:
    """A subscription that survives the broker's absence. Used by one thread.

    Iterating yields ``Received`` and ``Gap``. An event counts as dealt with when the next one is asked for, or earlier
    by ``ack``: only then its id is remembered and the broker told, so an event whose handling crashed comes again. The
    same event is never yielded twice while its id is among the last 100,000, unless ``repeats`` are wanted.

    A hole in the sequence numbers is told as a gap when nothing has filled it for ``grace_s``; events that are on their
    way late, after an outage, fill it. While a device sends what has waited there (``historical``), and for ``grace_s``
    after that, none of its holes is told. That is enough where all the backlog is heard. With ``order: live_first`` the
    old events of a topic may wait for as long as the whole backlog takes, and nothing says so to whoever subscribes to
    a few topics only, or while the device is offline in the middle of it: there choose ``grace_s`` longer than that, or
    take a gap as a question and not as a loss. With ``order: strict`` no event overtakes another.

    Who hears of a boot's start, by a subscription to ``health/started``, is owed its topics from the first number on;
    for others a topic begins with the first number seen, so that who starts in the middle sees no gap. What a device
    says in ``health.started`` of the boot before counts as promised.

    Args:
        settings: The broker.
        topics: Subscription filters, e.g. ``edgevision/+/+/+/defect/#``; all events when empty.
        store: File that remembers over restarts; ``None`` remembers in memory.
        client_id: A fixed one makes the broker keep what comes while this consumer is away.
        share: Name of a shared subscription; gaps are not judged then, since others get the rest.
        grace_s: How long a hole may stay open.
        repeats: Yield an event each time it comes, for who knows by himself what he has and keeps account of the
            numbers: a replay after a restart has the same id under another boot and number.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Sequence[str] = (),
        *,
        store: Path | None = None,
        client_id: str | None = None,
        share: str | None = None,
        grace_s: float = GRACE_S,
        repeats: bool = False,
    ) -> None:
        self._settings = settings
        prefix = "" if share is None else f"$share/{share}/"
        wanted = topics or [names.event_filter()]
        self._filters = [prefix + topic for topic in wanted]
        self._judging = share is None
        self._grace_s = grace_s
        self._repeats = repeats
        self._session = Session(
            client_id or f"edgevision-consumer-{uuid.uuid4().hex[:12]}",
            persistent=client_id is not None,
            manual_ack=True,
        )
        self._store = SeenStore(store)
        self._streams = Streams(wanted, self._store.streams(time.monotonic()).items(), self._store.starts())
        self._connection: Connection | None = None
        self._unopened: Message | None = None
        self._pending: Received | None = None
        self._fresh: list[Gap] = []
        self._judge_next_s = 0.0

    def __enter__(self) -> Consumer:  # noqa: PYI034 - typing.Self came with Python 3.11
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Received | Gap]:
        """Events and gaps for ever."""
        return self.events()

    def connect(self) -> None:
        """Connect and subscribe, once; iterating does it too, and again after a loss.

        Raises:
            BrokerUnavailable: The broker does not answer.
            BrokerRefused: It says no.
        """
        connection = Connection(self._settings, self._session)
        try:
            for topic in self._filters:
                connection.subscribe(topic)
        except (BrokerUnavailable, BrokerRefused):
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Disconnect; a persistent session goes on collecting at the broker, and owes what was not acknowledged."""
        if self._connection is not None:
            self._connection.close()
        self._store.close()

    def ack(self, received: Received) -> None:
        """The event is dealt with: remember it and tell the broker.

        Raises:
            ConsumerError: It cannot be remembered now; the same call may succeed later.
        """
        self._remember([received.event.id])
        if self._connection is not None and not self._connection.lost:
            self._connection.acknowledge(received.message)
        if self._pending is received:
            self._pending = None

    def events(self, idle_timeout_s: float | None = None) -> Iterator[Received | Gap]:
        """Events and gaps.

        Args:
            idle_timeout_s: End when nothing has come for so long; ``None`` never ends.

        Raises:
            BrokerRefused: The broker refuses us after a reconnect.
            ConsumerError: What was seen cannot be remembered, or not be looked up; asking again may succeed.
        """
        waits = Backoff(0.1, 10.0).waits()
        last_s = time.monotonic()
        while True:
            if self._pending is not None:
                self.ack(self._pending)
            if (gap := self._ripe()) is not None:
                yield gap
                continue
            if idle_timeout_s is not None and time.monotonic() - last_s >= idle_timeout_s:
                return
            if self._connection is None or self._connection.lost:
                if not self._reconnect(next(waits)):
                    continue
                waits = Backoff(0.1, 10.0).waits()
            self._unopened = self._next_message(0.2 if idle_timeout_s is None else min(0.2, idle_timeout_s))
            received = None if self._unopened is None else self._open(self._unopened)
            self._unopened = None
            if received is not None:
                last_s = time.monotonic()
                self._pending = received
                yield received

    def _reconnect(self, wait_s: float) -> bool:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._unopened = None
        try:
            self.connect()
        except BrokerUnavailable as exc:
            log.info("consumer.offline", reason=str(exc))
            time.sleep(wait_s)
            return False
        return True

    def _next_message(self, timeout_s: float) -> Message | None:
        assert self._connection is not None  # noqa: S101 - the caller has seen to it
        if self._unopened is not None:  # its id could not be looked up the last time
            return self._unopened
        try:
            return self._connection.messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _open(self, message: Message) -> Received | None:
        assert self._connection is not None  # noqa: S101 - it has just given us the message
        try:
            event = decode(message.payload)
        except EventError as exc:
            # `edgevision/SITE/DEVICE/#` brings the device's status, birth and states too: no events, and no fault.
            told = log.debug if names.is_beside_events(message.topic) else log.warning
            told("consumer.no_event", topic=message.topic, reason=str(exc))
            self._connection.acknowledge(message)
            return None
        if event.id in self._store:
            if self._judging and self._streams.judge_again(event, message.topic, time.monotonic()):
                self._remember([])
            if not self._repeats:
                self._connection.acknowledge(message)
                return None
        elif self._judging:
            self._streams.judge(event, message.topic, time.monotonic())
        return Received(event, message.topic, message)

    def _remember(self, event_ids: list[str]) -> None:
        changes = self._streams.changes()
        try:
            self._store.commit(event_ids, changes)
        except ConsumerError:
            self._streams.keep(changes)
            raise

    def _ripe(self) -> Gap | None:
        now_s = time.monotonic()
        if not self._fresh and now_s >= self._judge_next_s:
            self._judge_next_s = now_s + JUDGE_EVERY_S
            for (bootid, topic), hole in self._streams.ripe(now_s, self._grace_s):
                self._fresh.append(Gap(topic, bootid, hole.first, hole.last))
        return self._fresh.pop(0) if self._fresh else None
