"""One lane a topic: what a broker thinks of it decides whether its events flow, one is tried, or all wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgevision.events.base import StoredEvent

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0


@dataclass(slots=True)
class Lane:
    """The events of one topic that are claimed and not sent.

    Attributes:
        flows: Whether the broker is known, or taken, to accept the topic.
        waiting: Events that wait for that, oldest first.
        probe: The one event that is out to find out.
        retry_s: When the next probe may go, monotonic seconds.
        delay_s: The wait after the next refusal.
    """

    flows: bool
    waiting: deque[StoredEvent] = field(default_factory=deque)
    probe: StoredEvent | None = None
    retry_s: float = 0.0
    delay_s: float = FIRST_DELAY_S

    def accepted(self) -> None:
        """The broker took the topic."""
        self.flows, self.probe, self.delay_s = True, None, FIRST_DELAY_S

    def refused(self, now_s: float) -> list[StoredEvent]:
        """The broker refuses the topic; returns the events that are refused with it."""
        self.flows, self.probe = False, None
        self.retry_s = now_s + self.delay_s
        self.delay_s = min(LONGEST_DELAY_S, self.delay_s * 2)
        together = list(self.waiting)
        self.waiting.clear()
        return together


class Lanes:
    """All topics of one connection.

    Args:
        trusting: Whether a topic flows until it is refused (MQTT 5), or only once it is proven (3.1.1).
    """

    def __init__(self, *, trusting: bool) -> None:
        self._trusting = trusting
        self._lanes: dict[str, Lane] = {}

    def __getitem__(self, topic: str) -> Lane:
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = Lane(self._trusting)
        return lane

    @property
    def waiting(self) -> int:
        """Events in all lanes."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def offer(self, events: Iterable[StoredEvent]) -> None:
        """Queue claimed events behind those of their topics."""
        for event in events:
            self[event.topic].waiting.append(event)

    def ready(self, room: int, now_s: float) -> Iterator[StoredEvent]:
        """At most ``room`` events that may go now: of flowing lanes all, in order; of each other lane one."""
        flowing = [lane for lane in self._lanes.values() if lane.flows and lane.waiting]
        while room > 0 and flowing:
            lane = min(flowing, key=lambda item: item.waiting[0].rowid)
            yield lane.waiting.popleft()
            room -= 1
            if not lane.waiting:
                flowing.remove(lane)
        for lane in self._lanes.values():
            if room > 0 and not lane.flows and lane.waiting and lane.probe is None and now_s >= lane.retry_s:
                lane.probe = lane.waiting.popleft()
                room -= 1
                yield lane.probe
