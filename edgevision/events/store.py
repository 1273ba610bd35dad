"""The outbox's tables, the writing side: SQL and nothing else. Used by one thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

WAITING, DONE, PARKED = 0, 1, 2
DELIVERED = -1
"""Priority of an event that was done and is sent again: below all others, since nobody loses it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A draft on its way to the table; ``body`` has everything but the sequence number."""

    topic: str
    bootid: str
    id: str
    time: str
    priority: int
    body: bytes

    def numbered(self, sequence: int) -> bytes:
        """The document with its sequence number."""
        return self.body[:-1] + b',"sequence":"%020d"}' % sequence


@dataclass(frozen=True, slots=True)
class EncodedState:
    """A camera's state on its way to the table; a position that is text is bytes there.

    As text, the column's affinity would make ``12`` a number, and a file name that is not UTF-8 could not be stored.
    """

    camera: str
    position: int | bytes | None
    body: str


@dataclass(frozen=True, slots=True)
class Row:
    """What the byte budget needs to know of a stored event."""

    n: int
    topic: str
    bootid: str
    sequence: int
    status: int
    size: int
    body: bytes | None = None


@dataclass(slots=True)
class Totals:
    """How many events there are in each status, and their bytes."""

    count: list[int]
    size: list[int]

    def move(self, size: int, source: int | None, target: int | None) -> None:
        """One event changed its status; ``None``: it was not, or is no longer, there."""
        if source is not None:
            self.count[source] -= 1
            self.size[source] -= size
        if target is not None:
            self.count[target] += 1
            self.size[target] += size

    def copy(self) -> Totals:
        """The same numbers."""
        return Totals(list(self.count), list(self.size))


class Store:
    """The writing side. What is done inside ``transaction`` is taken back as a whole when it fails.

    Args:
        connection: From ``connect``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._streams: dict[tuple[str, str], tuple[int, int]] = {}
        self._fresh: dict[tuple[str, str], tuple[int, int]] = {}
        self.last_n: int = connection.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()[0]
        self.totals = self._read_totals()

    @property
    def connection(self) -> sqlite3.Connection:
        """For tests that set limits."""
        return self._db

    def _read_totals(self) -> Totals:
        totals = Totals([0, 0, 0], [0, 0, 0])
        for status, count, size in self._db.execute("SELECT status, count, size FROM totals"):
            totals.count[status], totals.size[status] = count, size
        return totals

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the numbers kept in memory follow the tables."""
        before_n, before = self.last_n, self.totals.copy()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._store_numbers(before)
            self._db.execute("COMMIT")
        except BaseException:
            self.last_n, self.totals = before_n, before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        else:
            self._streams.update(self._fresh)
        finally:
            self._fresh.clear()

    def insert(self, events: Sequence[Encoded]) -> None:
        """Append events; each gets the next number of its topic and boot."""
        now = time.time()
        rows = []
        for event in events:
            stream, sequence = self._next(event.bootid, event.topic)
            self.last_n += 1
            body = event.numbered(sequence)
            self.totals.move(len(body), None, WAITING)
            rows.append((self.last_n, stream, sequence, event.priority, now, event.id, event.time, body))
        self._db.executemany(
            "INSERT INTO events (n, stream, sequence, priority, changed_s, id, time, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def _next(self, bootid: str, topic: str) -> tuple[int, int]:
        key = (bootid, topic)
        known = self._fresh.get(key) or self._streams.get(key)
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO streams (bootid, topic, last) VALUES (?, ?, 0)", key)
            known = self._db.execute("SELECT stream, last FROM streams WHERE bootid = ? AND topic = ?", key).fetchone()
        stream, last = known
        self._fresh[key] = (stream, last + 1)
        return stream, last + 1

    def _store_numbers(self, before: Totals) -> None:
        changed = [(last, stream) for stream, last in self._fresh.values()]
        self._db.executemany("UPDATE streams SET last = ? WHERE stream = ?", changed)
        if self.totals != before:
            rows = [(self.totals.count[status], self.totals.size[status], status) for status in (WAITING, DONE, PARKED)]
            self._db.executemany("UPDATE totals SET count = ?, size = ? WHERE status = ?", rows)

    def put_state(self, state: EncodedState) -> None:
        """Replace a camera's state."""
        self._db.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (state.camera, state.position, state.body))

    def finish(self, rowids: Sequence[int]) -> None:
        """Acknowledged: from waiting to done."""
        now = time.time()
        for n in rowids:
            found = self._db.execute("SELECT length(body) FROM events WHERE n = ? AND status = 0", (n,)).fetchone()
            if found:
                self._db.execute("UPDATE events SET status = 1, changed_s = ? WHERE n = ?", (now, n))
                self.totals.move(found[0], WAITING, DONE)

    def refuse(self, n: int, *, park: bool) -> tuple[str, str] | None:
        """Count a refusal; topic and id of the event, ``None`` when it is gone."""
        found: tuple[str, str, int] | None = self._db.execute(
            "SELECT topic, id, length(body) FROM events JOIN streams USING (stream) WHERE n = ? AND status = 0", (n,)
        ).fetchone()
        if found is None:
            return None
        target = PARKED if park else WAITING
        self._db.execute("UPDATE events SET attempts = attempts + 1, status = ? WHERE n = ?", (target, n))
        self.totals.move(found[2], WAITING, target)
        return found[0], found[1]

    def resend(self, span: tuple[str | None, str | None, str, str], room: int) -> tuple[list[int], list[str]]:
        """Done and parked events of a camera, a family and a span of time wait again, oldest first.

        Args:
            span: Camera, family, from and to.
            room: Bytes that done events may take; parked ones count as pending already.

        Returns:
            Rowids of those, and times of the events there is no room for.
        """
        camera, family, *times = span
        found = self._db.execute(
            "SELECT n, topic, status, length(body), time FROM events JOIN streams USING (stream)"
            " WHERE status IN (1, 2) AND time >= ? AND time < ? ORDER BY time, n",
            times,
        ).fetchall()
        chosen: list[tuple[int, int]] = []
        left_out: list[str] = []
        for n, topic, status, size, event_time in found:
            *_, of_camera, of_family, _ = topic.split("/")
            if camera not in {None, of_camera} or family not in {None, of_family}:
                continue
            if status == DONE:
                if left_out or size > room:
                    left_out.append(event_time)
                    continue
                room -= size
            chosen.append((DELIVERED, n))
            self.totals.move(size, status, WAITING)
        self._db.executemany(
            "UPDATE events SET status = 0, attempts = 0, priority = CASE status WHEN 1 THEN ? ELSE priority END"
            " WHERE n = ?",
            chosen,
        )
        return [n for _, n in chosen], left_out

    def put_back(self, excess: int, in_flight: frozenset[int]) -> None:
        """Events that were delivered before are done again, newest first, until ``excess`` bytes are free."""
        found = self._db.execute(
            "SELECT n, status, length(body) FROM events WHERE status <> 1 AND priority = ? ORDER BY n DESC",
            (DELIVERED,),
        )
        chosen = []
        for n, status, size in found:
            if excess <= 0:
                break
            if n not in in_flight:
                chosen.append((n,))
                excess -= size
                self.totals.move(size, status, DONE)
        self._db.executemany("UPDATE events SET status = 1 WHERE n = ?", chosen)

    def cheapest(self, limit: int, topic_kept: str) -> list[Row]:
        """What goes first when room is needed: lowest priority, then oldest; of what was delivered nothing."""
        found = self._db.execute(
            "SELECT n, topic, bootid, sequence, status, length(body) FROM events JOIN streams USING (stream)"
            " WHERE status <> 1 AND priority >= 0 AND topic <> ? ORDER BY priority, n LIMIT ?",
            (topic_kept, limit),
        )
        return [Row(*row) for row in found]

    def waiting_of(self, topic: str, priority: int) -> list[Row]:
        """All events of one topic that are not done."""
        found = self._db.execute(
            "SELECT n, topic, bootid, sequence, status, length(body), body FROM events JOIN streams USING (stream)"
            " WHERE status <> 1 AND priority = ? AND topic = ? ORDER BY n",
            (priority, topic),
        )
        return [Row(*row) for row in found]

    def delete(self, rows: Sequence[Row]) -> None:
        """Forget events."""
        self._db.executemany("DELETE FROM events WHERE n = ?", [(row.n,) for row in rows])
        for row in rows:
            self.totals.move(row.size, row.status, None)

    def prune(self, max_bytes: int, older_than_s: float) -> None:
        """Forget done events, oldest first, until what is left fits and is young enough (seconds since 1970)."""
        while self.totals.count[DONE]:
            found = self._db.execute(
                "SELECT n, length(body), changed_s FROM events WHERE status = 1 ORDER BY n LIMIT 256"
            ).fetchall()
            gone = []
            for n, size, changed_s in found:
                if self.totals.size[DONE] <= max_bytes and changed_s >= older_than_s:
                    break
                gone.append((n,))
                self.totals.move(size, DONE, None)
            self._db.executemany("DELETE FROM events WHERE n = ?", gone)
            if len(gone) < len(found) or not found:
                return

    def forget_boots(self, keep: tuple[str, str]) -> None:
        """Drop the sequence numbers of the boots before that of the oldest event, but for those in ``keep``."""
        self._db.execute(
            "DELETE FROM streams WHERE bootid NOT IN (?, ?) AND stream < (SELECT min(stream) FROM streams"
            " WHERE bootid = (SELECT bootid FROM events JOIN streams USING (stream) ORDER BY n LIMIT 1))",
            keep,
        )

    def last_boot(self, but: str) -> dict[str, Any] | None:
        """Boot id and last sequence number by topic of the newest boot other than ``but``."""
        newest = self._db.execute(
            "SELECT bootid FROM streams WHERE bootid <> ? ORDER BY stream DESC LIMIT 1", (but,)
        ).fetchone()
        if newest is None:
            return None
        found = self._db.execute("SELECT topic, last FROM streams WHERE bootid = ? ORDER BY topic", newest)
        return {"bootid": newest[0], "last": {topic: f"{last:020d}" for topic, last in found}}

    def close(self) -> None:
        """Fold the log into the file and close it."""
        self._db.close()
