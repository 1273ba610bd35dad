"""The outbox's file: damaged, empty, of another version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import (
    Open,
    document,
    draft,
    new_boot,
    stored,
)

from edgevision.errors import OutboxError
from edgevision.events.build import EventBuilder
from edgevision.events.database import disk_full
from edgevision.events.outbox import _open


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"\x00" * 5000, b"SQLite format 3\x00" + b"\xff" * 4080]
)
def test_a_damaged_file_is_moved_aside_and_announced(open_outbox: Open, folder: Path, content: bytes) -> None:
    (folder / "outbox.sqlite").write_bytes(content)
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    aside = Path(str(outbox.health().facts["set_aside"]))
    assert aside.read_bytes() == content
    gap, crossed = (document(event) for event in stored(outbox))
    assert (gap["data"]["reason"], gap["data"]["count"]) == ("corrupt", 0)
    assert crossed["sequence"] == f"{1:020d}"


def damaged(open_outbox: Open, folder: Path, begin: int, end: int) -> tuple[Path, EventBuilder]:
    """An outbox of 200 events, closed in order, of which these bytes were overwritten afterwards."""
    path = folder / "outbox.sqlite"
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, number) for number in range(200)])
    outbox.close()
    pages = bytearray(path.read_bytes())
    pages[begin:end] = b"\xa5" * (end - begin)
    path.write_bytes(pages)
    return path, builder


def test_damage_of_an_unclean_end_is_found(open_outbox: Open, folder: Path) -> None:
    path, builder = damaged(open_outbox, folder, 40_000, 60_000)
    path.with_name(path.name + "-wal").touch()
    outbox = open_outbox(builder)
    assert "set_aside" in outbox.health().facts
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    assert len(stored(outbox)) == 2


def test_damage_that_is_met_on_the_way_is_shown_and_moved_aside_by_the_next_start(
    open_outbox: Open, folder: Path
) -> None:
    damaged(open_outbox, folder, 40_960, 61_440)
    outbox = open_outbox()
    with pytest.raises(OutboxError, match="malformed"):
        stored(outbox)
    assert not outbox.health().ok
    outbox.close()
    outbox = open_outbox()
    assert "set_aside" in outbox.health().facts
    assert outbox.flush(5)
    (gap,) = stored(outbox)
    assert document(gap)["data"]["reason"] == "corrupt"
    assert outbox.health().ok
    outbox.close()
    assert "set_aside" not in open_outbox().health().facts


def test_a_file_moved_aside_by_a_start_that_was_killed_is_announced_by_the_next(
    open_outbox: Open, folder: Path
) -> None:
    path = folder / "outbox.sqlite"
    path.write_bytes(b"this is no database" * 100)
    connection, aside = _open(path, "crash")  # and the process is killed before anything is committed
    connection.close()
    assert aside is not None
    outbox = open_outbox()
    assert outbox.flush(5)
    (gap,) = stored(outbox)
    assert document(gap)["data"]["reason"] == "corrupt"
    outbox.close()
    assert [document(event)["type"] for event in stored(open_outbox())] == ["edgevision.health.gap.v1"], "told once"


def test_an_empty_file_is_a_new_outbox(open_outbox: Open, folder: Path) -> None:
    (folder / "outbox.sqlite").touch()
    outbox = open_outbox()
    assert "set_aside" not in outbox.health().facts
    assert stored(outbox) == []


def test_a_file_of_another_version_is_left_alone(open_outbox: Open, folder: Path) -> None:
    open_outbox().close()
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="schema 99"):
        open_outbox()


@pytest.mark.parametrize(("durability", "synchronous"), [("crash", 1), ("power_loss", 2)])
def test_durability_is_sqlites_synchronous(open_outbox: Open, durability: str, synchronous: int) -> None:
    outbox = open_outbox(durability=durability)
    connection = outbox._store.connection
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == synchronous
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_claims_use_the_index_however_much_is_done(open_outbox: Open, folder: Path) -> None:
    open_outbox()
    queries = {
        "SELECT n, topic FROM events JOIN streams USING (stream)"
        " WHERE status = 0 AND n > 5 AND n <= 10 AND topic NOT IN ('a', 'b') ORDER BY n LIMIT 3": "events_by_status",
        "SELECT n FROM events WHERE status <> 1 AND priority >= 0 ORDER BY priority, n LIMIT 3": "events_by_priority",
        "SELECT n FROM events WHERE status <> 1 AND priority = -1 ORDER BY n DESC": "events_by_priority",
    }
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        for query, index in queries.items():
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert index in plan
            assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("code", "message", "full"),
    [
        (13, "database or disk is full", True),
        (None, "database or disk is full", True),
        (5, "database is locked", False),
        (None, "database is locked", False),
        (778, "disk I/O error", False),
    ],
)
def test_a_full_disk_is_known_by_its_code_or_its_words(code: int | None, message: str, full: bool) -> None:  # noqa: FBT001
    error = sqlite3.OperationalError(message)
    if code is not None:
        error.sqlite_errorcode = code  # as Python sets it from 3.11 on
    assert disk_full(error) is full
