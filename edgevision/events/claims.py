"""Which waiting events are in somebody's hands, and which come next."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from edgevision.events.base import Order, StoredEvent


class WaitingRows(Protocol):
    """Where waiting events are read."""

    def waiting(self, after: int, until: int, limit: int, without: Collection[str]) -> list[StoredEvent]:
        """Waiting events with ``after`` < rowid <= ``until``, oldest first, none of the topics ``without``."""
        ...


@dataclass(slots=True)
class _ReadTo:
    """How far has been read: into what is older and into what is newer than the present connection."""

    old: int
    live: int

    def back_to(self, other: _ReadTo) -> None:
        self.old, self.live = min(self.old, other.old), min(self.live, other.live)


class Claims:
    """Claimed events and the place up to which others have been read.

    Every waiting event at or before the place is excluded; one that ceases to be excluded without being done moves the
    place back. So a claim reads what it hands out and no more. A topic that is left out keeps the place where that
    began, and takes it up again. Used under the outbox's lock.

    Args:
        newest: Rowid of the newest event; all are old until a connection is made.
    """

    def __init__(self, newest: int) -> None:
        self._held: dict[int, int] = {}  # rowid -> attempts
        self._settling: set[int] = set()  # handed to the writer: done or refused, not committed yet
        self._again: set[int] = set()  # newer than the connection, but done or parked before
        self._boundary = newest
        self._read_to = _ReadTo(0, newest)
        self._left_out: dict[str, _ReadTo] = {}

    @property
    def excluded(self) -> frozenset[int]:
        """Rowids that cannot be claimed now."""
        return frozenset(self._held) | self._settling

    def may_take(self, newest: int) -> bool:
        """Whether something may be there that was not read yet."""
        return self._read_to.old < self._boundary or self._read_to.live < newest

    def leave_out(self, topics: Collection[str]) -> None:
        """From now on take nothing of these topics, and again of those that were left out before."""
        for topic in self._left_out.keys() - set(topics):
            self._read_to.back_to(self._left_out.pop(topic))
        for topic in topics:
            self._left_out.setdefault(topic, replace(self._read_to))

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
        after, until = (self._read_to.live, newest) if live else (self._read_to.old, self._boundary)
        if after >= until:
            return []
        excluded = self.excluded
        ahead = sum(after < n <= until for n in excluded)
        found = rows.waiting(after, until, limit + ahead, self._left_out)
        fresh = [event for event in found if event.rowid not in excluded][:limit]
        reached = fresh[-1].rowid if len(fresh) == limit else until
        if live:
            self._read_to.live = reached
        else:
            self._read_to.old = reached
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
            for place in (self._read_to, *self._left_out.values()):
                if n > self._boundary:
                    place.live = min(place.live, n - 1)
                else:
                    place.old = min(place.old, n - 1)

    def again(self, rowids: Iterable[int]) -> None:
        """These are about to be sent again. Told before the commit, so that none can be claimed as if it were live."""
        self._again.update(n for n in rowids if n > self._boundary)

    def rewind(self) -> None:
        """Whatever is not excluded waits again."""
        start = _ReadTo(0, self._boundary)
        for place in (self._read_to, *self._left_out.values()):
            place.back_to(start)

    def release(self) -> None:
        """Nobody holds anything any more, and no topic is left out."""
        self._held.clear()
        self._left_out.clear()
        self.rewind()

    def connected(self, newest: int) -> None:
        """What is there now is old, and no topic is left out."""
        self._boundary = newest
        self._read_to = _ReadTo(0, newest)
        self._again.clear()
        self._left_out.clear()
