"""Writes events into a database: a table ``events(id, time, type, source, body)``, each event once.

A second one, ``event_numbers(source, type, bootid, sequence)``, has every number that came, for the judgement of gaps.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Protocol

from edgevision.errors import PublishError
from edgevision.events.codec import encode
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.consumer import Consumer, Gap, Received
from edgevision.mqtt.database import transaction

Row = tuple[str, str, str, str, str]
Number = tuple[str, str, str, str]
"""Source, type, boot id and sequence; the last has 20 digits, so that text sorts like numbers."""
_NUMBERS = "SELECT source, type, bootid, sequence FROM event_numbers ORDER BY source, type, bootid, sequence"
_ROWS_AT_ONCE = 5_000
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON, where a backslash before it would make it another text


class Sink(Protocol):
    """Where events go. ``write`` returns once they are safe; an event that is there already is left as it is.

    The number of an event is remembered also where its id is known: a replay after a restart has a number of its own.
    All methods raise ``PublishError`` when the database is gone or refuses.
    """

    def write(self, events: Sequence[AnyEvent]) -> int:
        """Store events and their numbers; returns how many of the events were not there before."""
        ...

    def numbers(self) -> Iterator[Number]:
        """All numbers, in order, without having them in memory at once."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...


def row_of(event: AnyEvent) -> Row:
    """The columns of an event."""
    return event.id, event.time.isoformat(), event.type, event.source, encode(event).decode()


def number_of(event: AnyEvent) -> Number:
    """The columns of an event's number."""
    return event.source, event.type, event.bootid, event.sequence


class SqliteSink:
    """A file.

    Args:
        path: The database, made when it is not there.

    Raises:
        PublishError: It cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._told():
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
        with self._told(), transaction(self._db):
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS events"
                " (id TEXT PRIMARY KEY, time TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL,"
                " body TEXT NOT NULL)"
            )
            self._db.execute("CREATE INDEX IF NOT EXISTS events_by_time ON events (time)")
            self._number()

    def _number(self) -> None:
        """Make the table of numbers; from the events where the database is of before there was one."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'event_numbers'").fetchone():
            return
        self._db.execute(
            "CREATE TABLE event_numbers"
            " (source TEXT NOT NULL, type TEXT NOT NULL, bootid TEXT NOT NULL, sequence TEXT NOT NULL,"
            " PRIMARY KEY (source, type, bootid, sequence)) WITHOUT ROWID"
        )
        self._db.execute(
            "INSERT OR IGNORE INTO event_numbers"
            " SELECT source, type, json_extract(body, '$.bootid'), json_extract(body, '$.sequence') FROM events"
        )

    def write(self, events: Sequence[AnyEvent]) -> int:
        """Store events and their numbers in one transaction; returns how many of the events were not there before.

        Raises:
            PublishError: The database refuses, e.g. since the disk is full.
        """
        with self._told(), transaction(self._db):
            new = self._db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", map(row_of, events))
            self._db.executemany("INSERT OR IGNORE INTO event_numbers VALUES (?, ?, ?, ?)", map(number_of, events))
        return new.rowcount

    def numbers(self) -> Iterator[Number]:
        """All numbers, in order, row by row.

        Raises:
            PublishError: The database cannot be read.
        """
        with self._told():
            yield from self._db.execute(_NUMBERS)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where SQLite's errors become ours."""
        try:
            yield
        except sqlite3.Error as exc:
            msg = f"sink {self._path}: {exc}"
            raise PublishError(msg) from exc


class PostgresSink:
    """A PostgreSQL database, through psycopg (extra ``sink``).

    Args:
        dsn: Connection string, e.g. ``postgresql://user:password@host/database``.

    Raises:
        PublishError: It cannot be reached, or psycopg is not installed.
    """

    def __init__(self, dsn: str) -> None:
        try:
            import psycopg
        except ImportError as exc:
            msg = 'sink postgres needs the extra: pip install "edgevision[sink]"'
            raise PublishError(msg) from exc
        self._psycopg = psycopg
        with self._told():
            self._db = psycopg.connect(dsn, connect_timeout=10)
            with self._db.transaction():
                # Sinks that share the work start together, and PostgreSQL's IF NOT EXISTS alone is no lock.
                self._db.execute("SELECT pg_advisory_xact_lock(hashtext('edgevision sink'))")
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, time timestamptz NOT NULL,"
                    " type text NOT NULL, source text NOT NULL, body jsonb NOT NULL)"
                )
                self._db.execute("CREATE INDEX IF NOT EXISTS events_by_time ON events (time)")
                self._number()

    def _number(self) -> None:
        """Make the table of numbers; from the events where the database is of before there was one."""
        if self._db.execute("SELECT to_regclass('event_numbers')").fetchone() != (None,):
            return
        self._db.execute(
            "CREATE TABLE event_numbers (source text NOT NULL, type text NOT NULL, bootid text NOT NULL,"
            " sequence text NOT NULL, PRIMARY KEY (source, type, bootid, sequence))"
        )
        self._db.execute(
            "INSERT INTO event_numbers SELECT source, type, body->>'bootid', body->>'sequence' FROM events"
            " ON CONFLICT DO NOTHING"
        )

    def write(self, events: Sequence[AnyEvent]) -> int:
        """Store events and their numbers in one transaction; returns how many of the events were not there before.

        U+0000, which PostgreSQL has not, becomes U+FFFD.

        Raises:
            PublishError: The database is gone or refuses.
        """
        with self._told(), self._db.transaction(), self._db.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO events VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                [_without_nul(row_of(event)) for event in events],
            )
            new = int(cursor.rowcount)
            cursor.executemany(
                "INSERT INTO event_numbers VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [_without_nul(number_of(event)) for event in events],
            )
        return new

    def numbers(self) -> Iterator[Number]:
        """All numbers, in order, some thousand at a time.

        Raises:
            PublishError: The database is gone.
        """
        with self._told(), self._db.transaction(), self._db.cursor(name="numbers") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(_NUMBERS)

    def close(self) -> None:
        """Disconnect."""
        self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where psycopg's errors become ours."""
        try:
            yield
        except self._psycopg.Error as exc:
            msg = f"sink postgres: {str(exc).strip()}"
            raise PublishError(msg) from exc


def _without_nul(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(_NUL.sub(r"\1\\ufffd", text.replace("\0", "\ufffd")) for text in texts)


@dataclass(frozen=True, slots=True)
class Missing:
    """Sequence numbers of one topic and boot that a sink does not have, between the first and the last it has.

    Attributes:
        source: Of the topic's events.
        type: Of the topic's events.
        bootid: The boot.
        ranges: First and last number of each hole.
    """

    source: str
    type: str
    bootid: str
    ranges: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many."""
        return sum(last - first + 1 for first, last in self.ranges)


def missing(sink: Sink) -> list[Missing]:
    """Judge gaps at the sink, where the shares of a shared subscription come together again.

    Raises:
        PublishError: The database is gone.
    """
    judged = []
    for (source, kind, bootid), numbers in groupby(sink.numbers(), key=lambda number: number[:3]):
        if ranges := _holes(int(sequence) for *_, sequence in numbers):
            judged.append(Missing(source, kind, bootid, ranges))
    return judged


def _holes(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return tuple((one + 1, other - 1) for one, other in pairwise(numbers) if other > one + 1)


@dataclass(slots=True)
class Pumped:
    """What has gone into a sink so far.

    Attributes:
        events: How many events that were not there before.
        gaps: The gaps that were told.
    """

    events: int = 0
    gaps: list[Gap] = field(default_factory=list)


def pump(consumer: Consumer, sink: Sink, pumped: Pumped, *, idle_timeout_s: float | None = None) -> None:
    """Move events into a sink until nothing comes any more; an event is acknowledged after it is safe.

    Args:
        consumer: Where they come from; with ``repeats``, so that the sink hears of every number.
        sink: Where they go.
        pumped: Counts along, so that it is right whenever and however this ends.
        idle_timeout_s: End when nothing has come for so long; ``None`` never ends.
    """
    for item in consumer.events(idle_timeout_s):
        if isinstance(item, Received):
            pumped.events += sink.write([item.event])
            consumer.ack(item)
        else:
            pumped.gaps.append(item)
