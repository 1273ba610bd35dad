"""The outbox's tables, the reading side, on a connection of its own. Used by one thread at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edgevision.errors import OutboxError
from edgevision.events.base import CameraState, StoredEvent
from edgevision.events.database import damaged


class Reader:
    """Reads what is committed.

    Args:
        path: The file; the writing side has made it.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("PRAGMA query_only = 1")
        self.damage: str | None = None
        """What a damaged page has said, once one was met."""

    def waiting(self, after: int, until: int, limit: int, without: Collection[str] = ()) -> list[StoredEvent]:
        """Waiting events with ``after`` < rowid <= ``until``, oldest first, none of the topics ``without``."""
        marks = ",".join("?" * len(without))
        found = self._rows(
            "SELECT n, id, topic, body, attempts FROM events JOIN streams USING (stream)"  # noqa: S608 - marks are ours
            f" WHERE status = 0 AND n > ? AND n <= ? AND topic NOT IN ({marks}) ORDER BY n LIMIT ?",
            (after, until, *without, limit),
        )
        return [StoredEvent(*row) for row in found]

    def oldest_s(self) -> float | None:
        """When the oldest waiting event was appended, seconds since 1970."""
        found = self._rows("SELECT changed_s FROM events WHERE status = 0 ORDER BY n LIMIT 1")
        return float(found[0][0]) if found else None

    def attempts(self, n: int) -> int:
        """How often an event has been refused; 0 for one that is gone."""
        found = self._rows("SELECT attempts FROM events WHERE n = ?", (n,))
        return int(found[0][0]) if found else 0

    def state(self, camera: str) -> CameraState | None:
        """The stored state of a camera."""
        found = self._rows("SELECT position, body FROM states WHERE camera = ?", (camera,))
        if not found:
            return None
        position, body = found[0]
        if isinstance(position, bytes):
            position = position.decode("utf-8", "surrogatepass")
        return CameraState(camera, position, json.loads(body))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if damaged(error):
                self.damage = str(error)
            msg = f"the outbox cannot be read: {error}"
            raise OutboxError(msg) from error
