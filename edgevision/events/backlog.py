"""What the writer is asked for, and how it gathers into one transaction."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from edgevision.events.base import CameraState, Draft, Resent
from edgevision.events.codec import dump
from edgevision.events.store import Encoded, EncodedState


@dataclass(frozen=True, slots=True)
class Append:
    """Events and a state of one transaction."""

    events: tuple[Encoded, ...]
    state: EncodedState | None


@dataclass(frozen=True, slots=True)
class Done:
    """Acknowledged events."""

    rowids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """An event the broker refused, for the ``attempts``-th time."""

    rowid: int
    attempts: int
    answer: tuple[int, str]


@dataclass(frozen=True, slots=True)
class Resend:
    """Done events that are wanted again: camera, family, from and to; ``chosen`` hears which, before the commit."""

    span: tuple[str | None, str | None, str, str]
    chosen: Callable[[Sequence[int]], None]
    result: Future[Resent] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Lost:
    """Events that an earlier process lost and could not announce, by topic."""

    counts: Counter[str]


Item = Append | Done | Refused | Resend | Lost


@dataclass(slots=True)
class Backlog:
    """What belongs into the next transaction: one batch, or all there is since the disk went full."""

    events: list[Encoded] = field(default_factory=list)
    states: dict[str, EncodedState] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    resends: list[Resend] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    items: int = 0

    def add(self, item: Item) -> None:
        """One more; of several states of a camera only the newest counts."""
        self.items += 1
        match item:
            case Append(events, state):
                self.events.extend(events)
                if state is not None:
                    self.states[state.camera] = state
            case Done(rowids):
                self.done.extend(rowids)
            case Refused():
                self.refused.append(item)
            case Resend():
                self.resends.append(item)
            case Lost(counts):
                self.lost.update(counts)

    def trim(self, limit: int) -> int:
        """Give up events beyond ``limit``, the lowest priority first, then the oldest; how many went."""
        over = len(self.events) - limit
        if over <= 0:
            return 0
        cheapest = heapq.nsmallest(over, ((event.priority, index) for index, event in enumerate(self.events)))
        gone = {index for _, index in cheapest}
        self.lost.update(self.events[index].topic for index in gone)
        self.events = [event for index, event in enumerate(self.events) if index not in gone]
        return over

    def forfeit(self) -> Counter[str]:
        """All that is lost when this is never committed, by topic."""
        return self.lost + Counter(event.topic for event in self.events)


def encode_draft(draft: Draft) -> Encoded:
    """All of an event's document but its sequence number.

    Raises:
        EventError: It is not JSON.
    """
    envelope = draft.envelope
    body = dump(envelope)
    return Encoded(draft.topic, envelope["bootid"], envelope["id"], envelope["time"], draft.priority, body)


def encode_state(state: CameraState) -> EncodedState:
    """A snapshot; floats survive exactly, infinities too."""
    position = state.position
    stored = position.encode("utf-8", "surrogatepass") if isinstance(position, str) else position
    return EncodedState(state.camera, stored, json.dumps(state.body, separators=(",", ":")))
