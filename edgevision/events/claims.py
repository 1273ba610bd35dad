"""Which waiting events are in somebody's hands, and which come next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from edgevision.events.base import Order, StoredEvent


class WaitingRows(Protocol):
    """Where waiting events are read."""

    def waiting(self, after: int, until: int, limit: int) -> list[StoredEvent]:
        """Waiting events with ``after`` < rowid <= ``until``, oldest first."""
        ...


class Claims:
    """Claimed events and two cursors: into what is older and what is newer than the present connection.

    Every waiting event at or before a cursor is excluded; one that ceases to be excluded without being done moves the
    cursor back. So a claim reads what it hands out and no more. Used under the outbox's lock.

    Args:
        newest: Rowid of the newest event; all are old until a connection is made.
    """

    def __init__(self, newest: int) -> None:
        self._held: dict[int, int] = {}  # rowid -> attempts
        self._settling: set[int] = set()  # handed to the writer: done or refused, not committed yet
        self._again: set[int] = set()  # newer than the connection, but done or parked before
        self._boundary = newest
        self._old, self._live = 0, newest

    @property
    def excluded(self) -> frozenset[int]:
        """Rowids that cannot be claimed now."""
        return frozenset(self._held) | self._settling

    def __len__(self) -> int:
        return len(self._held) + len(self._settling)

    def take(self, rows: WaitingRows, limit: int, order: Order, newest: int) -> list[StoredEvent]:
        """Claim up to ``limit`` events."""
        taken: list[StoredEvent] = []
        for live in (False, True) if order == "strict" else (True, False):
            if len(taken) < limit:
                taken += self._part(rows, limit - len(taken), newest, live=live)
        self._held.update((event.rowid, event.attempts) for event in taken)
        return [replace(event, historical=True) if self._historical(event.rowid) else event for event in taken]

    def _historical(self, rowid: int) -> bool:
        return rowid <= self._boundary or rowid in self._again

    def _part(self, rows: WaitingRows, limit: int, newest: int, *, live: bool) -> list[StoredEvent]:
        after, until = (self._live, newest) if live else (self._old, self._boundary)
        if after >= until:
            return []
        excluded = self.excluded
        ahead = sum(after < n <= until for n in excluded)
        found = rows.waiting(after, until, limit + ahead)
        fresh = [event for event in found if event.rowid not in excluded][:limit]
        reached = fresh[-1].rowid if len(fresh) == limit else until
        if live:
            self._live = reached
        else:
            self._old = reached
        return fresh

    def settle(self, rowids: Iterable[int]) -> list[int]:
        """Take events out of the claimant's hands; those that were not settled before."""
        new = [n for n in dict.fromkeys(rowids) if n not in self._settling]
        for n in new:
            self._held.pop(n, None)
        self._settling.update(new)
        return new

    def finish(self, rowids: Iterable[int]) -> list[int]:
        """Settle what is done."""
        new = self.settle(rowids)
        self._again.difference_update(new)  # now, since the commit that makes it done may also make it wait again
        return new

    def attempts(self, rowid: int) -> int | None:
        """Refusals of a claimed event before now; ``None`` when it is not claimed."""
        return self._held.get(rowid)

    def settled(self, done: Iterable[int], refused: Iterable[int]) -> None:
        """The writer has committed these."""
        self._settling.difference_update(done)
        for n in refused:
            self._settling.discard(n)
            if n > self._boundary:
                self._live = min(self._live, n - 1)
            else:
                self._old = min(self._old, n - 1)

    def again(self, rowids: Iterable[int]) -> None:
        """These are about to be sent again. Told before the commit, so that none can be claimed as if it were live."""
        self._again.update(n for n in rowids if n > self._boundary)

    def rewind(self) -> None:
        """Old events wait again."""
        self._old, self._live = 0, self._boundary

    def release(self) -> None:
        """Nobody holds anything any more."""
        self._held.clear()
        self.rewind()

    def connected(self, newest: int) -> None:
        """What is there now is old."""
        self._boundary = newest
        self._again.clear()
        self.rewind()
