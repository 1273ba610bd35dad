"""Writes events into a database: a table ``events(id, time, type, source, body)``, each event once."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from edgevision.errors import PublishError
from edgevision.events.codec import encode
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.consumer import Consumer, Gap, Received

Row = tuple[str, str, str, str, str]
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON, where a backslash before it would make it another text


class Sink(Protocol):
    """Where events go. ``write`` returns once they are safe; an event that is there already is left as it is."""

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Store events."""
        ...

    def bodies(self) -> Iterable[dict[str, Any]]:
        """All stored events as documents."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...


def row_of(event: AnyEvent) -> Row:
    """The columns of an event."""
    return event.id, event.time.isoformat(), event.type, event.source, encode(event).decode()


class SqliteSink:
    """A file.

    Args:
        path: The database, made when it is not there.

    Raises:
        PublishError: It cannot be used.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS events"
                " (id TEXT PRIMARY KEY, time TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL,"
                " body TEXT NOT NULL)"
            )
            self._db.execute("CREATE INDEX IF NOT EXISTS events_by_time ON events (time)")
        except sqlite3.Error as exc:
            msg = f"sink {path}: {exc}"
            raise PublishError(msg) from exc
        self._path = path

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Store events in one transaction.

        Raises:
            PublishError: The database refuses, e.g. since the disk is full.
        """
        rows = [row_of(event) for event in events]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            msg = f"sink {self._path}: {exc}"
            raise PublishError(msg) from exc

    def bodies(self) -> Iterable[dict[str, Any]]:
        """All stored events."""
        for (body,) in self._db.execute("SELECT body FROM events ORDER BY time"):
            yield json.loads(body)

    def close(self) -> None:
        """Close the database."""
        self._db.close()


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
        try:
            self._db = psycopg.connect(dsn, connect_timeout=10)
            with self._db.transaction():
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, time timestamptz NOT NULL,"
                    " type text NOT NULL, source text NOT NULL, body jsonb NOT NULL)"
                )
                self._db.execute("CREATE INDEX IF NOT EXISTS events_by_time ON events (time)")
        except psycopg.Error as exc:
            msg = f"sink postgres: {str(exc).strip()}"
            raise PublishError(msg) from exc

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Store events in one transaction; U+0000, which PostgreSQL has not, becomes U+FFFD.

        Raises:
            PublishError: The database is gone or refuses.
        """
        rows = [tuple(_without_nul(text) for text in row_of(event)) for event in events]
        statement = "INSERT INTO events VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING"
        try:
            with self._db.transaction(), self._db.cursor() as cursor:
                cursor.executemany(statement, rows)
        except self._psycopg.Error as exc:
            msg = f"sink postgres: {str(exc).strip()}"
            raise PublishError(msg) from exc

    def bodies(self) -> Iterable[dict[str, Any]]:
        """All stored events."""
        with self._db.transaction(), self._db.cursor() as cursor:
            for (body,) in cursor.execute("SELECT body FROM events ORDER BY time"):
                yield body

    def close(self) -> None:
        """Disconnect."""
        self._db.close()


def _without_nul(text: str) -> str:
    return _NUL.sub(r"\1\\ufffd", text.replace("\0", "\ufffd"))


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
    """Judge gaps at the sink, where the shares of a shared subscription come together again."""
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for body in sink.bodies():
        found[body["source"], body["type"], body["bootid"]].add(int(body["sequence"]))
    judged = [Missing(*key, _holes(sorted(numbers))) for key, numbers in sorted(found.items())]
    return [item for item in judged if item.ranges]


def _holes(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((one + 1, other - 1) for one, other in pairwise(numbers) if other > one + 1)


@dataclass(slots=True)
class Pumped:
    """What has gone into a sink so far.

    Attributes:
        events: How many events.
        gaps: The gaps that were told.
    """

    events: int = 0
    gaps: list[Gap] = field(default_factory=list)


def pump(consumer: Consumer, sink: Sink, pumped: Pumped, *, idle_timeout_s: float | None = None) -> None:
    """Move events into a sink until nothing comes any more; an event is acknowledged after it is safe.

    Args:
        consumer: Where they come from.
        sink: Where they go.
        pumped: Counts along, so that it is right whenever and however this ends.
        idle_timeout_s: End when nothing has come for so long; ``None`` never ends.
    """
    for item in consumer.events(idle_timeout_s):
        if isinstance(item, Received):
            sink.write([item.event])
            consumer.ack(item)
            pumped.events += 1
        else:
            pumped.gaps.append(item)
