"""What the outbox itself has to say: events it lost, and events a broker refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from edgevision.events.base import Draft
from edgevision.events.build import EventBuilder
from edgevision.events.topics import DEVICE, EventTopic
from edgevision.types import FrameTime, Occurrence

PARK_AFTER = 5
"""Refusals after which an event is put aside."""
_REFUSED = "publish_refused"


@dataclass(slots=True)
class Losses:
    """Events that went, by topic and boot id, with their first and last sequence number."""

    ranges: dict[tuple[str, str | None], list[int]] = field(default_factory=dict)  # -> [count, first, last]; 0: none

    def add(self, topic: str, bootid: str, sequence: int) -> None:
        """One event that had a number."""
        self.merge([{"topic": topic, "bootid": bootid, "count": 1, "first": sequence, "last": sequence}])

    def merge(self, lost: Iterable[Mapping[str, Any]]) -> None:
        """What an earlier announcement listed."""
        for item in lost:
            first, last = int(item.get("first", 0)), int(item.get("last", 0))
            known = self.ranges.setdefault((item["topic"], item.get("bootid")), [0, first, last])
            known[0] += item["count"]
            known[1], known[2] = min(known[1], first), max(known[2], last)

    def document(self) -> list[dict[str, Any]]:
        """As the event wants it."""
        lost = []
        for (topic, bootid), (count, first, last) in sorted(self.ranges.items(), key=str):
            item: dict[str, Any] = {"topic": topic, "count": count}
            if bootid is not None:
                item |= {"bootid": bootid, "first": f"{first:020d}", "last": f"{last:020d}"}
            lost.append(item)
        return lost


class Notices:
    """Drafts of the outbox's own events, one a kind of trouble rather than one an event in trouble.

    Args:
        builder: Who speaks.
    """

    def __init__(self, builder: EventBuilder) -> None:
        self._builder = builder
        self._refused: set[str] = set()
        self._parked: Counter[str] = Counter()
        self.gap_topic = str(EventTopic(builder.site, builder.device, DEVICE, "health", "gap"))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is said in vain, because it could not be stored, may be said again."""
        refused, parked = self._refused.copy(), self._parked.copy()
        try:
            yield
        except BaseException:
            self._refused, self._parked = refused, parked
            raise

    def _draft(self, name: str, data: Mapping[str, object]) -> Draft:
        now = FrameTime(datetime.now(timezone.utc), 0.0)
        return self._builder.draft(Occurrence("health", name, now, data))

    def gap(self, reason: Literal["budget", "disk_full", "corrupt"], lost: Sequence[Mapping[str, Any]]) -> Draft:
        """These events went."""
        return self._draft("gap", {"reason": reason, "lost": lost, "count": sum(item["count"] for item in lost)})

    def refusal(self, topic: str, event_id: str, answer: tuple[int, str], attempts: int) -> Draft | None:
        """A broker said ``answer`` (code, words): told at a topic's first refusal and its 1st, 2nd, 4th ... parking."""
        if topic.endswith(f"/{_REFUSED}"):
            return None  # else every refusal would make another
        parked = attempts >= PARK_AFTER
        self._parked[topic] += parked
        total = self._parked[topic]
        first = topic not in self._refused
        self._refused.add(topic)
        if not first and not (parked and total & (total - 1) == 0):
            return None
        code, words = answer
        data = {"topic": topic, "event": event_id, "reason_code": code, "reason": words or None, "attempts": attempts}
        return self._draft(_REFUSED, {**data, "parked": parked, "parked_total": total})
