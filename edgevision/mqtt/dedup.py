"""What a consumer has seen: ids and sequence numbers, in SQLite or in memory, committed with the acknowledgement."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from edgevision.errors import OutboxError
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

    Raises:
        OutboxError: The file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            self._db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        except sqlite3.Error as exc:
            msg = f"{path}: cannot be used as the consumer's memory: {exc}"
            raise OutboxError(msg) from exc
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as exc:
            self._db.close()
            msg = f"{path}: cannot be used as the consumer's memory: {exc}"
            raise OutboxError(msg) from exc

    def __contains__(self, event_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM seen WHERE id = ?", (event_id,)).fetchone() is not None

    def streams(self, now_s: float) -> dict[Key, Stream]:
        """All streams by (boot id, topic), the last touched last."""
        rows = self._db.execute("SELECT bootid, topic, body FROM streams ORDER BY rowid")
        return {(bootid, topic): Stream.load(json.loads(body), now_s) for bootid, topic, body in rows}

    def starts(self) -> list[Start]:
        """The boots that were seen to start, the newest last."""
        rows = self._db.execute("SELECT bootid, device, filters FROM starts ORDER BY n")
        return [Start(bootid, device, tuple(json.loads(filters))) for bootid, device, filters in rows]

    def commit(self, event_ids: list[str], changes: Changes) -> None:
        """Remember acknowledged events and how their streams stand, in one transaction."""
        self._db.execute("BEGIN")
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
        self._db.execute("COMMIT")

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
