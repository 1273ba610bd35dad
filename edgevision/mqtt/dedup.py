"""What a consumer has seen: ids and sequence numbers, in SQLite or in memory, committed with the acknowledgement."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from edgevision.errors import OutboxError
from edgevision.mqtt.gaps import Stream

REMEMBERED = 100_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS streams (bootid TEXT, topic TEXT, body TEXT NOT NULL, PRIMARY KEY (bootid, topic));
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

    def streams(self, now_s: float) -> dict[tuple[str, str], Stream]:
        """All streams by (boot id, topic)."""
        rows = self._db.execute("SELECT bootid, topic, body FROM streams")
        return {(bootid, topic): Stream.load(json.loads(body), now_s) for bootid, topic, body in rows}

    def commit(self, event_ids: list[str], streams: dict[tuple[str, str], Stream]) -> None:
        """Remember acknowledged events and how their streams stand, in one transaction."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO seen (id) VALUES (?)", [(event_id,) for event_id in event_ids])
        self._db.execute("DELETE FROM seen WHERE n <= (SELECT max(n) FROM seen) - ?", (REMEMBERED,))
        self._db.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?)",
            [(bootid, topic, json.dumps(stream.state())) for (bootid, topic), stream in streams.items()],
        )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._db.close()
