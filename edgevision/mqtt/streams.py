"""All streams of a consumer: which numbers each is owed, and which streams can be forgotten."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgevision.events import topics
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.gaps import Hole, Stream

KEPT_BOOTS = 8
"""Of each topic and device. More than one, since late events of an earlier boot may come after those of the next."""
Key = tuple[str, str]
"""Boot id and topic."""


@dataclass(frozen=True, slots=True)
class Start:
    """A boot whose ``health.started`` was seen.

    Attributes:
        bootid: The boot.
        device: Source of the device.
        filters: What was subscribed to then: streams of these topics are owed from the first number on.
    """

    bootid: str
    device: str
    filters: tuple[str, ...]

    def covers(self, topic: str) -> bool:
        """Whether events of the topic would have come from the start."""
        return any(topics.matches(item, topic) for item in self.filters)


@dataclass(slots=True)
class Changes:
    """What is to be remembered with the next acknowledgement.

    Attributes:
        streams: How streams stand now, the last touched last.
        starts: Boots that began, by boot id.
        forgotten: Streams that are no more, unless ``streams`` has them again; the starts of their boots go with them.
    """

    streams: dict[Key, Stream] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    forgotten: list[Key] = field(default_factory=list)


class Streams:
    """Judges events by their sequence numbers.

    A stream is one topic of one boot. It begins with 1 when the boot's ``health.started`` was seen, before or after,
    under a subscription that covers the topic; else with the first number seen. Of each topic the streams of the
    ``KEPT_BOOTS`` boots that were last heard of are kept, and older ones while they have open holes.

    Args:
        filters: What the consumer subscribes to, without a share's prefix.
        known: Streams from before, the last touched last.
        starts: Starts from before, the newest last.
    """

    def __init__(self, filters: Sequence[str], known: Iterable[tuple[Key, Stream]], starts: Iterable[Start]) -> None:
        self._filters = tuple(filters)
        self._by_topic: dict[str, dict[str, Stream]] = {}  # topic -> boot id -> stream, the last touched last
        for (bootid, topic), stream in known:
            self._by_topic.setdefault(topic, {})[bootid] = stream
        self._starts: dict[str, Start] = {start.bootid: start for start in starts}
        self._changes = Changes()
        self._drained_s: dict[str, float] = {}  # device -> when the last event came that had waited there

    def judge(self, event: AnyEvent, topic: str, now_s: float) -> None:
        """An event came that was not seen before."""
        sequence = int(event.sequence)
        if event.historical:
            self._drained_s[_device(topic)] = now_s
        self._stream(event.bootid, topic, sequence, now_s).seen(sequence, now_s)
        self._touch(event.bootid, topic)
        if (event.family, event.name) != ("health", "started"):
            return
        self._begin(Start(event.bootid, event.source, self._filters), now_s)
        if (previous := event.data.previous) is not None:
            for other, last in previous.last.items():
                self._promise(previous.bootid, other, int(last), now_s)

    def judge_again(self, event: AnyEvent, topic: str, now_s: float) -> bool:
        """An event came whose id is known; whether its number is new.

        That is a replay after a restart, of an event with a natural key: the same id, under a boot and a number of its
        own. It begins no stream but one that is owed, else every resend from a forgotten boot would.
        """
        known = self._by_topic.get(topic, {}).get(event.bootid)
        if not (self._from_start(event.bootid, topic) if known is None else known.lacks(int(event.sequence))):
            return False
        self.judge(event, topic, now_s)
        return True

    def ripe(self, now_s: float, grace_s: float) -> list[tuple[Key, Hole]]:
        """Holes that nothing has filled for ``grace_s``; they are told once and forgotten, as are old streams.

        Those of a device that sends what has waited there are not: with ``live_first`` they may be among that.
        """
        told = []
        for topic, boots in self._by_topic.items():
            draining = now_s - self._drained_s.get(_device(topic), -math.inf) < grace_s
            for bootid, stream in boots.items():
                for hole in stream.ripe(now_s, grace_s, more_may_come=draining):
                    told.append(((bootid, topic), hole))
                    self._changes.streams[bootid, topic] = stream
            self._trim(topic)
        return told

    def changes(self) -> Changes:
        """What has changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def keep(self, changes: Changes) -> None:
        """These could not be remembered; they are the first of the next ones. To be told before anything else is."""
        self._changes = changes

    def __len__(self) -> int:
        return sum(map(len, self._by_topic.values()))

    def _stream(self, bootid: str, topic: str, sequence: int, now_s: float) -> Stream:
        boots = self._by_topic.setdefault(topic, {})
        if bootid not in boots:
            boots[bootid] = Stream.owed() if self._from_start(bootid, topic) else Stream.joined(sequence, now_s)
            self._trim(topic)
        return boots[bootid]

    def _from_start(self, bootid: str, topic: str) -> bool:
        start = self._starts.get(bootid)
        return start is not None and start.covers(topic)

    def _touch(self, bootid: str, topic: str) -> None:
        boots = self._by_topic[topic]
        stream = boots[bootid] = boots.pop(bootid)
        self._changes.streams.pop((bootid, topic), None)
        self._changes.streams[bootid, topic] = stream

    def _begin(self, start: Start, now_s: float) -> None:
        """What came shortly before the start was heard of is owed from 1 on, too."""
        streams = {topic: boots[start.bootid] for topic, boots in self._by_topic.items() if start.bootid in boots}
        if any(stream.joined_late for stream in streams.values()):
            return  # somebody has asked for a resend: when the boot began, this consumer was not there
        self._starts[start.bootid] = self._changes.starts[start.bootid] = start
        of_device = [known.bootid for known in self._starts.values() if known.device == start.device]
        for bootid in of_device[:-KEPT_BOOTS]:
            del self._starts[bootid]
        for topic, stream in streams.items():
            if start.covers(topic):
                stream.began(now_s)
                self._changes.streams[start.bootid, topic] = stream

    def _promise(self, bootid: str, topic: str, last: int, now_s: float) -> None:
        """Numbers up to ``last`` were given, also where not one of them has come."""
        if bootid in self._by_topic.get(topic, {}) or self._from_start(bootid, topic):
            stream = self._stream(bootid, topic, last, now_s)
            stream.promised(last, now_s)
            self._changes.streams[bootid, topic] = stream

    def _trim(self, topic: str) -> None:
        """Forget the streams of superseded boots; one that has holes waits until they are filled or told."""
        boots = self._by_topic[topic]
        if len(boots) <= KEPT_BOOTS:
            return
        for bootid in [bootid for bootid in list(boots)[:-KEPT_BOOTS] if not boots[bootid].holes]:
            del boots[bootid]
            self._starts.pop(bootid, None)  # else a late event would look like one without those before it
            self._changes.starts.pop(bootid, None)
            self._changes.streams.pop((bootid, topic), None)
            self._changes.forgotten.append((bootid, topic))


def _device(topic: str) -> str:
    return topic.rsplit("/", 3)[0]
