"""The outbox's file: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from edgevision.errors import OutboxError

Durability = Literal["crash", "power_loss"]
SCHEMA_VERSION = 1
_SQLITE_FULL = 13  # primary result code
_SYNCHRONOUS = {"crash": "NORMAL", "power_loss": "FULL"}
_SCHEMA = """
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    bootid TEXT NOT NULL,
    topic TEXT NOT NULL,
    last INTEGER NOT NULL,
    UNIQUE (bootid, topic)
);
CREATE TABLE events (
    n INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL,
    changed_s REAL NOT NULL,
    id TEXT NOT NULL,
    time TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX events_by_status ON events (status);
CREATE INDEX events_by_priority ON events (priority) WHERE status <> 1;
CREATE TABLE totals (status INTEGER PRIMARY KEY, count INTEGER NOT NULL, size INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0);
CREATE TABLE states (camera TEXT PRIMARY KEY, position INTEGER, body TEXT NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path, durability: Durability) -> sqlite3.Connection:
    """Open for writing and make the tables when there are none.

    Raises:
        sqlite3.DatabaseError: The file is no database or is damaged.
        OutboxError: A newer version of this software wrote it.
    """
    unclean = path.with_name(path.name + "-wal").exists()  # a proper end folds the log into the file and removes it
    suspected = suspicion(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            msg = (
                f"{path}: written by another version (schema {version}, this one knows {SCHEMA_VERSION}); move it aside"
            )
            raise OutboxError(msg)
        _look_for_damage(connection, thorough=unclean or suspected.exists())
        suspected.unlink(missing_ok=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _look_for_damage(connection: sqlite3.Connection, *, thorough: bool) -> None:
    """Touch every table; ``thorough`` reads all pages, about 2 s a gigabyte."""
    if thorough:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    for table in ("events", "streams", "states", "totals"):
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of ours


def suspicion(path: Path) -> Path:
    """The file that tells the next start to read all pages, whatever the end was like."""
    return path.with_name(path.name + ".suspect")


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is what is wrong; Python has no class of its own for that."""
    return type(error) is sqlite3.DatabaseError


def disk_full(error: sqlite3.Error) -> bool:
    """Whether room is what is missing; a lock, a damaged page or a failing disk is another matter."""
    code = getattr(error, "sqlite_errorcode", None)  # from Python 3.11 on
    return "disk is full" in str(error) if code is None else code & 0xFF == _SQLITE_FULL
