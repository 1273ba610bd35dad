"""One lane a topic: what a broker thinks of it decides whether its events flow, one is tried, or all wait."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from edgevision.events.base import Order, StoredEvent

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
MOST_HELD = 200  # waiting events of one topic; more stay in the outbox until some have gone

Rank = Callable[[StoredEvent], tuple[bool, int]]


@dataclass(slots=True)
class Lane:
    """The events of one topic that are claimed and not sent.

    Attributes:
        rank: Where an event stands among others.
        flows: Whether the broker is known, or taken, to accept the topic.
        waiting: Events that wait for that, in their places.
        probe: The one event that is out to find out.
        retry_s: When the next probe may go, monotonic seconds.
        delay_s: The wait after the next refusal.
    """

    rank: Rank
    flows: bool
    waiting: deque[StoredEvent] = field(default_factory=deque)
    probe: StoredEvent | None = None
    retry_s: float = 0.0
    delay_s: float = FIRST_DELAY_S

    def queue(self, event: StoredEvent) -> None:
        """Put an event, a new one or one that comes back, where it belongs."""
        bisect.insort(self.waiting, event, key=self.rank)

    def accepted(self, event: StoredEvent) -> None:
        """The broker took an event; one that was under way when the lane began to wait does not end the waiting."""
        if self.flows or self.probe is event:
            self.flows, self.probe, self.delay_s = True, None, FIRST_DELAY_S

    def refused(self, event: StoredEvent, now_s: float, *, all_alike: bool) -> list[StoredEvent]:
        """The broker refuses an event: the lane waits, longer each time; returns the events that count as refused.

        An event that was under way when the waiting began has found out nothing new. It takes its place again and does
        not count, else a moment's trouble of the broker would use up all tries of a whole window of events.

        Args:
            event: The event.
            now_s: Monotonic seconds.
            all_alike: Whether the answer goes for the topic, so that those which wait are refused with it.
        """
        if not self.flows and self.probe is not event:
            self.queue(event)
            return []
        self.flows, self.probe = False, None
        self.retry_s = now_s + self.delay_s
        self.delay_s = min(LONGEST_DELAY_S, self.delay_s * 2)
        together = list(self.waiting) if all_alike else []
        if all_alike:
            self.waiting.clear()
        return [event, *together]

    def unwanted(self, event: StoredEvent, now_s: float) -> None:
        """The broker took an event that nobody subscribes to: it waits for somebody, and those behind it do."""
        self.flows, self.retry_s = False, now_s + self.delay_s
        self.returned(event)
        self.queue(event)

    def returned(self, event: StoredEvent) -> None:
        """An event is no longer out; if it was the probe, the next one may go."""
        if self.probe is event:
            self.probe = None


class Lanes:
    """All topics of one connection.

    Args:
        order: Whether live events go before historical ones.
        trusting: Whether a topic flows until it is refused (MQTT 5), or only once it is proven (3.1.1).
    """

    def __init__(self, order: Order, *, trusting: bool) -> None:
        self._rank: Rank = _live_first if order == "live_first" else _strict
        self._trusting = trusting
        self._lanes: dict[str, Lane] = {}

    def __getitem__(self, topic: str) -> Lane:
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = Lane(self._rank, self._trusting)
        return lane

    @property
    def waiting(self) -> int:
        """Events in all lanes."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def full(self) -> frozenset[str]:
        """Topics of which no more should be claimed now."""
        return frozenset(topic for topic, lane in self._lanes.items() if len(lane.waiting) >= MOST_HELD)

    def offer(self, events: Iterable[StoredEvent]) -> None:
        """Queue claimed events."""
        for event in events:
            self[event.topic].queue(event)

    def ready(self, room: int, now_s: float) -> Iterator[StoredEvent]:
        """At most ``room`` events that may go now: of flowing lanes all, in order; of each other lane one."""
        flowing = [lane for lane in self._lanes.values() if lane.flows and lane.waiting]
        while room > 0 and flowing:
            lane = min(flowing, key=lambda item: self._rank(item.waiting[0]))
            yield lane.waiting.popleft()
            room -= 1
            if not lane.waiting:
                flowing.remove(lane)
        for lane in self._lanes.values():
            if room > 0 and not lane.flows and lane.waiting and lane.probe is None and now_s >= lane.retry_s:
                lane.probe = lane.waiting.popleft()
                room -= 1
                yield lane.probe


def _strict(event: StoredEvent) -> tuple[bool, int]:
    return False, event.rowid


def _live_first(event: StoredEvent) -> tuple[bool, int]:
    return event.historical, event.rowid
