"""The outbox as the rest of the device sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edgevision.types import Health, Position

Order = Literal["strict", "live_first"]


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that is complete but for what the outbox gives it: its sequence number and its latency.

    Attributes:
        topic: Where it will be published.
        priority: 0 goes first when room is needed, 9 last (verdicts), 10 never (what went).
        envelope: CloudEvents attributes and ``data`` without ``sequence``; the outbox adds the latency.
        decided_t_s: ``time.monotonic()`` of the frame's arrival, where ``data.latency_ms`` begins; ``None``: no
        latency.
    """

    topic: str
    priority: int
    envelope: dict[str, Any]
    decided_t_s: float | None = None


@dataclass(frozen=True, slots=True)
class CameraState:
    """What one camera needs to go on after a crash, written in the transaction of the events it led to.

    Attributes:
        camera: Name of the camera.
        position: ``Frame.position`` of the last frame: where a file source stands; ``None`` for live sources.
        body: State of tracker and analyses, JSON-able.
    """

    camera: str
    position: Position | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the outbox.

    Attributes:
        rowid: Grows with every event; the order of appending.
        id: The event's id.
        topic: Where it goes.
        body: The JSON document, UTF-8, final but for ``historical`` and ``publishedat``.
        attempts: How often a broker has refused it.
        historical: Whether it was there before the present connection, or had been done or parked and is sent again;
            known once it is claimed.
    """

    rowid: int
    id: str
    topic: str
    body: bytes
    attempts: int
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Resent:
    """What a resend has put back into the queue.

    Attributes:
        events: How many events will be sent again.
        left_out: How many more were wanted; there is no room for them until others have gone.
        next_utc: Time of the oldest that was left out, RFC 3339: where to ask again from; ``None`` when none was.
    """

    events: int
    left_out: int = 0
    next_utc: str | None = None

    def answer(self) -> dict[str, int | str]:
        """For the answer to the command ``resend``."""
        if self.next_utc is None:
            return {"events": self.events}
        return {"events": self.events, "left_out": self.left_out, "next": self.next_utc}


class Outbox(Protocol):
    """The durable queue between the analyses and the broker. Every method may be called from any thread.

    ``append`` hands over to the writer thread and returns; what is waiting is committed together. Events, state and
    source position of one call stand in ONE transaction: after a crash either all of them are there or none.
    """

    def append(self, drafts: Sequence[Draft], state: CameraState | None = None) -> None:
        """Queue for commit; blocks while the writer's queue is full. Never raises for a full disk: see ``health``.

        Raises:
            EventError: A draft is not JSON.
            OutboxError: The outbox is closed.
        """
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is committed; whether it was."""
        ...

    def state(self, camera: str) -> CameraState | None:
        """The last committed state of a camera."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Sleep until there may be something to claim, of the topics that the last claim took; whether there may."""
        ...

    def connected(self) -> None:
        """A connection is made: whatever is stored by now is historical on it, and not live."""
        ...

    def claim(self, limit: int, order: Order, without: Collection[str] = ()) -> list[StoredEvent]:
        """Events that wait and are not claimed yet, none of the topics ``without``.

        They stay claimed until ``done``, ``refused`` or ``release``.
        """
        ...

    def done(self, rowids: Sequence[int]) -> None:
        """The broker has acknowledged these."""
        ...

    def refused(self, rowid: int, reason_code: int, reason: str) -> int:
        """The broker said no; the event waits again, or is parked after the fifth time. Returns the attempts so far."""
        ...

    def release(self) -> None:
        """The connection is gone: whatever is claimed waits again."""
        ...

    def resend(self, camera: str | None, family: str | None, from_utc: str, to_utc: str) -> Resent:
        """Put done (in the resend window) and parked events with from ≤ time < to back into the queue.

        No event that has not been sent goes for it: what does not fit into the byte budget, the newest, is left out.

        From then on they are historical, whenever they were appended.

        Raises:
            OutboxError: A time is no RFC 3339 time with zone, or nothing can be written now.
        """
        ...

    def health(self) -> Health:
        """Depth, bytes, age, losses."""
        ...

    def close(self) -> None:
        """Commit what is queued and stop."""
        ...
