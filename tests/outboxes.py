"""Outboxes on disk, and what tests put into them and read there."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from edgevision.events.base import Draft, StoredEvent
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import SqliteOutbox
from edgevision.types import FrameTime, Occurrence, Part

START = datetime(2026, 1, 31, 6, 0, tzinfo=timezone.utc)
GAP = "edgevision/plant/box/device/health/gap"
CROSSED = "edgevision/plant/box/door/traffic/crossed"
APPEARED = "edgevision/plant/box/door/detection/appeared"
VERDICT = "edgevision/plant/box/door/defect/verdict"
ALWAYS = (None, None, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")

Open = Callable[..., SqliteOutbox]


def new_boot() -> EventBuilder:
    return EventBuilder("plant", "box", "0123456789ab")


def draft(builder: EventBuilder, number: int, kind: str = "crossed", note: str = "") -> Draft:
    when = FrameTime(START + timedelta(seconds=number), float(number))
    occurrence = {
        "crossed": Occurrence(
            "traffic", "crossed", when, {"line": "x" + note, "direction": "in", "track_id": number + 1}
        ),
        "appeared": Occurrence("detection", "appeared", when, {"track_id": number + 1, "label": "y" + note}),
        "verdict": Occurrence("defect", "verdict", when, {"result": "ok", "reason": note}, part=Part(f"p{number}")),
    }[kind]
    return builder.draft(occurrence, camera="door")


def stored(outbox: SqliteOutbox) -> list[StoredEvent]:
    outbox.release()
    return outbox.claim(100_000, "strict")


def document(event: StoredEvent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.body)
    return found


def limit_pages(outbox: SqliteOutbox, pages: int) -> None:
    """SQLite's own limit: the nearest to a full disk that a test can have."""
    outbox._store.connection.execute(f"PRAGMA max_page_count = {pages}")


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Neither read nor written meanwhile: the table has another name."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE events RENAME TO elsewhere")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE elsewhere RENAME TO events")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def delivered(outbox: SqliteOutbox, drafts: list[Draft]) -> None:
    """Append events and have them acknowledged, in bunches that the budget has room for."""
    for start in range(0, len(drafts), 10):
        outbox.append(drafts[start : start + 10])
        assert outbox.flush(5)
        outbox.done([event.rowid for event in outbox.claim(10, "strict")])
    assert outbox.flush(5)
