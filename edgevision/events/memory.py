"""An outbox that forgets when the process ends: for tests, and for trying things out without a disk."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from edgevision.events.backlog import encode_draft, encode_state
from edgevision.events.base import CameraState, Draft, Order, Resent, StoredEvent
from edgevision.events.build import EventBuilder
from edgevision.events.notices import PARK_AFTER, Notices
from edgevision.events.times import utc_text
from edgevision.types import Health


@dataclass(slots=True)
class _Entry:
    event: StoredEvent
    time: str
    status: str = "waiting"
    claimed: bool = False
    again: bool = False  # done or parked before


class MemoryOutbox:
    """Implements ``Outbox``; without a byte budget, and everything done can be sent again.

    Args:
        builder: Who speaks in the outbox's own events.
    """

    def __init__(self, builder: EventBuilder) -> None:
        self._notices = Notices(builder)
        self._cond = threading.Condition()
        self._entries: list[_Entry] = []  # rowid is the index + 1
        self._states: dict[str, CameraState] = {}
        self._sequences: Counter[tuple[str, str]] = Counter()
        self._boundary = 0
        self._left_out: frozenset[str] = frozenset()

    def append(self, drafts: Sequence[Draft], state: CameraState | None = None) -> None:
        """Keep events and state."""
        now = time.monotonic()
        with self._cond:
            for draft in drafts:
                self._append(draft, now)
            if state is not None:
                stored = encode_state(state)
                self._states[state.camera] = CameraState(state.camera, state.position, json.loads(stored.body))
            self._cond.notify_all()

    def _append(self, draft: Draft, now: float) -> None:
        if draft.decided_t_s is not None:
            draft.envelope["data"]["latency_ms"] = round(max(0.0, now - draft.decided_t_s) * 1000, 1)
        event = encode_draft(draft)
        self._sequences[event.bootid, event.topic] += 1
        body = event.numbered(self._sequences[event.bootid, event.topic])
        self._entries.append(_Entry(StoredEvent(len(self._entries) + 1, event.id, event.topic, body, 0), event.time))

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - nothing to wait for
        """Everything is where it will ever be."""
        return True

    def state(self, camera: str) -> CameraState | None:
        """The last state of a camera."""
        with self._cond:
            return self._states.get(camera)

    def _free(self) -> list[_Entry]:
        waiting = (entry for entry in self._entries if entry.status == "waiting" and not entry.claimed)
        return [entry for entry in waiting if entry.event.topic not in self._left_out]

    def wait(self, timeout_s: float) -> bool:
        """Sleep until there is something to claim, of the topics that the last claim took; whether there is."""
        with self._cond:
            return self._cond.wait_for(lambda: bool(self._free()), timeout_s)

    def connected(self) -> None:
        """A connection is made: whatever is stored by now is historical on it, and not live."""
        with self._cond:
            self._boundary = len(self._entries)

    def claim(self, limit: int, order: Order, without: Collection[str] = ()) -> list[StoredEvent]:
        """Events that wait and are not claimed yet, at most ``limit``, none of the topics ``without``."""
        with self._cond:
            self._left_out = frozenset(without)
            free = self._free()
            if order == "live_first":
                free.sort(key=lambda entry: (entry.event.rowid <= self._boundary, entry.event.rowid))
            for entry in free[:limit]:
                entry.claimed = True
            return [self._judged(entry) for entry in free[:limit]]

    def _judged(self, entry: _Entry) -> StoredEvent:
        return replace(entry.event, historical=entry.again or entry.event.rowid <= self._boundary)

    def done(self, rowids: Sequence[int]) -> None:
        """The broker has acknowledged these."""
        with self._cond:
            self._move(lambda entry: entry.event.rowid in rowids and entry.status == "waiting", "done")

    def refused(self, rowid: int, reason_code: int, reason: str) -> int:
        """The broker said no; the event waits again, or is parked after the fifth time. Returns the attempts so far."""
        with self._cond:
            entry = self._entries[rowid - 1]
            event = entry.event = replace(entry.event, attempts=entry.event.attempts + 1)
            entry.claimed = False
            entry.status = "parked" if event.attempts >= PARK_AFTER else entry.status
            notice = self._notices.refusal(event.topic, event.id, (reason_code, reason), event.attempts)
            if notice is not None:
                self._append(notice, time.monotonic())
            self._cond.notify_all()
            return event.attempts

    def release(self) -> None:
        """The connection is gone: whatever is claimed waits again."""
        with self._cond:
            for entry in self._entries:
                entry.claimed = False
            self._left_out = frozenset()
            self._cond.notify_all()

    def resend(self, camera: str | None, family: str | None, from_utc: str, to_utc: str) -> Resent:
        """Put done and parked events with from ≤ time < to back into the queue."""
        first, end = utc_text(from_utc), utc_text(to_utc)

        def wanted(entry: _Entry) -> bool:
            *_, of_camera, of_family, _ = entry.event.topic.split("/")
            fits = camera in {None, of_camera} and family in {None, of_family}
            return fits and entry.status != "waiting" and first <= entry.time < end

        with self._cond:
            return Resent(self._move(wanted, "waiting"))

    def _move(self, wanted: Callable[[_Entry], bool], status: str) -> int:
        chosen = [entry for entry in self._entries if wanted(entry)]
        for entry in chosen:
            entry.status, entry.claimed = status, False
            if status == "waiting":
                entry.again, entry.event = True, replace(entry.event, attempts=0)
        self._cond.notify_all()
        return len(chosen)

    def health(self) -> Health:
        """Depth and what is parked."""
        with self._cond:
            counts = Counter(entry.status for entry in self._entries)
        facts = {"depth": counts["waiting"], "parked": counts["parked"]}
        return Health("outbox", ok=True, detail=f"{counts['waiting']} waiting", facts=facts)

    def close(self) -> None:
        """Nothing to release."""
