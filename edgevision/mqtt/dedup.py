"""What a consumer has seen: ids and sequence numbers, in SQLite or in memory, committed with the acknowledgement."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevision.errors import ConsumerError
from edgevision.mqtt.database import transaction
from edgevision.mqtt.gaps import Stream
from edgevision.mqtt.streams import KEPT_BOOTS, Changes, Key, Start

REMEMBERED = 100_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS streams (bootid TEXT, topic TEXT, body TEXT NOT NULL, PRIMARY KEY (bootid, topic));
CREATE TABLE IF NOT EXISTS starts (n INTEGER PRIMARY KEY, bootid TEXT UNIQUE, device TEXT, filters TEXT NOT NULL);
"""


class SeenStore:
    """Ids and streams of one consumer.

    Args:
        path: The database; ``None`` keeps it in memory, so that a restart forgets.
        timeout_s: How long to wait for another process that has locked it.

    Raises:
        ConsumerError: The file cannot be used; so from all methods.
    """

    def __init__(self, path: Path | None, timeout_s: float = 5.0) -> None:
        self._path = path
        with self._told():
            self._db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=timeout_s)
        try:
            with self._told():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
        except ConsumerError:
            self._db.close()
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where SQLite's errors become ours."""
        try:
            yield
        except sqlite3.Error as exc:
            msg = f"{self._path or 'memory'}: cannot be used as the consumer's memory: {exc}"
            raise ConsumerError(msg) from exc

    def _rows(self, sql: str, values: tuple[str, ...] = ()) -> list[Any]:
        with self._told():
            return self._db.execute(sql, values).fetchall()

    def __contains__(self, event_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM seen WHERE id = ?", (event_id,)))

    def streams(self, now_s: float) -> dict[Key, Stream]:
        """All streams by (boot id, topic), the last touched last."""
        rows = self._rows("SELECT bootid, topic, body FROM streams ORDER BY rowid")
        return {(bootid, topic): Stream.load(json.loads(body), now_s) for bootid, topic, body in rows}

    def starts(self) -> list[Start]:
        """The boots that were seen to start, the newest last."""
        rows = self._rows("SELECT bootid, device, filters FROM starts ORDER BY n")
        return [Start(bootid, device, tuple(json.loads(filters))) for bootid, device, filters in rows]

    def commit(self, event_ids: list[str], changes: Changes) -> None:
        """Remember acknowledged events and how their streams stand, in one transaction.

        Raises:
            ConsumerError: That cannot be stored now, e.g. since the disk is full. Nothing is; a later try may succeed.
        """
        with self._told(), transaction(self._db):
            self._commit(event_ids, changes)

    def _commit(self, event_ids: list[str], changes: Changes) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen (id) VALUES (?)", [(event_id,) for event_id in event_ids])
        self._db.execute("DELETE FROM seen WHERE n <= (SELECT max(n) FROM seen) - ?", (REMEMBERED,))
        self._db.executemany("DELETE FROM streams WHERE bootid = ? AND topic = ?", changes.forgotten)
        self._db.executemany("DELETE FROM starts WHERE bootid = ?", [(bootid,) for bootid, _ in changes.forgotten])
        self._db.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?)",
            [(bootid, topic, json.dumps(stream.state())) for (bootid, topic), stream in changes.streams.items()],
        )
        for start in changes.starts.values():
            self._put_start(start)

    def _put_start(self, start: Start) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO starts (bootid, device, filters) VALUES (?, ?, ?)",
            (start.bootid, start.device, json.dumps(start.filters)),
        )
        self._db.execute(
            "DELETE FROM starts WHERE device = ? AND n NOT IN"
            " (SELECT n FROM starts WHERE device = ? ORDER BY n DESC LIMIT ?)",
            (start.device, start.device, KEPT_BOOTS),
        )

    def close(self) -> None:
        """Close the database."""
        self._db.close()
