"""The byte budget of what has not been delivered: which events go when it is passed, and how that is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from edgevision.events.backlog import encode_draft
from edgevision.events.build import GAP_PRIORITY
from edgevision.events.notices import Losses, Notices
from edgevision.events.store import PARKED, WAITING, Row, Store

_BATCH = 256
_ROOM_AFTER = 0.9  # of the byte budget, so that not every event leads to an announcement


class Budget:
    """Keeps what waits or is parked within its bytes. Used by the writer's thread, inside its transaction.

    Args:
        store: The tables.
        notices: Makes the announcement.
        max_bytes: The budget.
        in_flight: Rowids that must not be given up now.
    """

    def __init__(self, store: Store, notices: Notices, max_bytes: int, in_flight: Callable[[], frozenset[int]]) -> None:
        self._store = store
        self._notices = notices
        self._max_bytes = max_bytes
        self._target = int(max_bytes * _ROOM_AFTER)
        self._in_flight = in_flight

    @property
    def room(self) -> int:
        """Bytes that a resend may take; negative when there is none."""
        return self._target - self._pending

    def keep(self) -> int:
        """Make room when the budget is passed; how many events went that had not been delivered."""
        if self._pending <= self._max_bytes:
            return 0
        in_flight = self._in_flight()
        self._store.put_back(-self.room, in_flight)
        losses = Losses()
        count = 0
        while self.room < 0:
            rows = self._store.cheapest(_BATCH + len(in_flight), self._notices.gap_topic)
            chosen = _choose([row for row in rows if row.n not in in_flight], -self.room)
            if not chosen:
                break
            self._store.delete(chosen)
            count += len(chosen)
            for row in chosen:
                losses.add(row.topic, row.bootid, row.sequence)
        if count:
            self._swallow(losses, in_flight)
            self._store.insert([encode_draft(self._notices.gap("budget", losses.document()))])
        return count

    @property
    def _pending(self) -> int:
        size = self._store.totals.size
        return size[WAITING] + size[PARKED]

    def _swallow(self, losses: Losses, in_flight: frozenset[int]) -> None:
        """Announcements that still wait go into the new one, so that they never fill the outbox themselves."""
        for row in self._store.waiting_of(self._notices.gap_topic, GAP_PRIORITY):
            data: dict[str, Any] = json.loads(row.body or b"")["data"]
            if row.n not in in_flight and data["reason"] == "budget":
                losses.merge(data["lost"])
                losses.add(row.topic, row.bootid, row.sequence)
                self._store.delete([row])


def _choose(rows: list[Row], excess: int) -> list[Row]:
    chosen = []
    for row in rows:
        if excess <= 0:
            break
        chosen.append(row)
        excess -= row.size
    return chosen
