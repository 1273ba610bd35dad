"""The writer on a full disk and in other trouble."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import (
    ALWAYS,
    APPEARED,
    CROSSED,
    VERDICT,
    Open,
    delivered,
    document,
    draft,
    limit_pages,
    new_boot,
    stored,
    wait_for,
)

from edgevision.errors import OutboxFull
from edgevision.events.base import CameraState
from edgevision.events.database import connect
from edgevision.events.lostnote import LostNote
from edgevision.events.outbox import SqliteOutbox


def fill_disk(outbox: SqliteOutbox) -> None:
    """Not one event more fits, since a state that does not fit stands before it."""
    limit_pages(outbox, 1)
    outbox.append([], CameraState("yard", None, {"x": "y" * 100_000}))
    wait_for(lambda: not outbox.health().ok)


def test_a_full_disk_keeps_the_newest_in_memory_and_tells_what_went(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, memory_events=50)
    outbox.append([draft(builder, 0)], CameraState("door", 0, {"n": 0}))
    assert outbox.flush(5)
    limit_pages(outbox, 1)
    for number in range(1, 301):
        outbox.append([draft(builder, number)], CameraState("door", number, {"n": number}))
    wait_for(lambda: outbox.health().facts["held"] == 50 and outbox.health().facts["lost"] > 0)
    assert not outbox.flush(0.05)
    health = outbox.health()
    assert not health.ok
    assert health.critical
    assert "full" in health.detail
    limit_pages(outbox, 100_000)
    assert outbox.flush(10)
    assert outbox.health().ok
    events = [document(event) for event in stored(outbox)]
    crossed = [event for event in events if event["type"].endswith("crossed.v1")]
    ids = [event["data"]["track_id"] - 1 for event in crossed]
    assert ids[-50:] == list(range(251, 301))
    assert [int(event["sequence"]) for event in crossed] == list(range(1, len(crossed) + 1)), "no hole"
    gaps = [event["data"] for event in events if event["type"].endswith("gap.v1")]
    assert [gap["reason"] for gap in gaps] == ["disk_full"]
    assert gaps[0]["lost"] == [{"topic": CROSSED, "count": 301 - len(crossed)}]
    assert outbox.state("door") == CameraState("door", 300, {"n": 300})
    assert outbox.health().facts["lost"] == 301 - len(crossed)


def test_a_full_disk_gives_up_the_lowest_priority_first_and_verdicts_last(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, memory_events=6)
    fill_disk(outbox)
    for number in range(300):
        kind = {0: "verdict", 1: "verdict", 2: "crossed", 297: "crossed"}.get(number, "appeared")
        outbox.append([draft(builder, number, kind)])
    wait_for(lambda: outbox.health().facts["lost"] == 294)
    limit_pages(outbox, 100_000)
    assert outbox.flush(10)
    *events, gap = (document(event) for event in stored(outbox))
    kept = [(event["type"].split(".")[2], event["time"][14:19]) for event in events]
    assert kept == [
        ("verdict", "00:00"),
        ("verdict", "00:01"),
        ("crossed", "00:02"),
        ("crossed", "04:57"),
        ("appeared", "04:58"),
        ("appeared", "04:59"),
    ]
    assert gap["data"]["lost"] == [{"topic": APPEARED, "count": 294}]


def test_among_verdicts_the_oldest_go_first(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, memory_events=3)
    fill_disk(outbox)
    outbox.append([draft(builder, number, "verdict") for number in range(5)])
    wait_for(lambda: outbox.health().facts["lost"] == 2)
    limit_pages(outbox, 100_000)
    assert outbox.flush(10)
    *events, gap = (document(event) for event in stored(outbox))
    assert [event["data"]["part"]["id"] for event in events] == ["p2", "p3", "p4"]
    assert gap["data"]["lost"] == [{"topic": VERDICT, "count": 2}]


def test_a_full_disk_never_blocks_those_who_append(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, memory_events=10)
    limit_pages(outbox, 1)
    appended = threading.Event()

    def work() -> None:
        for number in range(3000):
            outbox.append([draft(builder, number)])
        appended.set()

    threading.Thread(target=work, daemon=True).start()
    assert appended.wait(30)


def test_a_full_disk_gives_up_the_resend_window_first(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, number, note="z" * 400) for number in range(500)])
    assert outbox.flush(5)
    outbox.done([event.rowid for event in outbox.claim(500, "strict")])
    assert outbox.flush(5)
    limit_pages(outbox, 1)
    outbox.append([draft(builder, number) for number in range(100)])
    assert outbox.flush(10)
    assert outbox.health().ok
    assert outbox.health().facts["lost"] == 0
    assert len(stored(outbox)) == 100


def test_what_a_close_with_a_full_disk_loses_is_counted_and_announced_by_the_next_start(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, memory_events=20)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    limit_pages(outbox, 1)
    outbox.append([draft(builder, number, note="z" * 400) for number in range(1, 31)])
    outbox.append([draft(builder, number, "appeared") for number in range(5)])
    wait_for(lambda: outbox.health().facts["lost"] == 15)
    outbox.close()
    assert outbox.health().facts["lost"] == 35
    second = open_outbox()
    assert second.flush(5)
    crossed, gap = (document(event) for event in stored(second))
    assert crossed["data"]["track_id"] == 1
    assert gap["data"]["reason"] == "disk_full"
    assert gap["data"]["lost"] == [{"topic": APPEARED, "count": 5}, {"topic": CROSSED, "count": 30}]
    second.close()
    third = open_outbox()
    assert third.flush(5)
    assert len(stored(third)) == 2, "it is announced once"


def test_what_is_still_not_announced_is_noted_again(open_outbox: Open, folder: Path) -> None:
    LostNote(folder / "outbox.sqlite.lost").write(Counter({CROSSED: 7}))
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'out of order'); END"
    with closing(connect(folder / "outbox.sqlite", "crash")) as connection:
        connection.execute(refuse)
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, 0), draft(builder, 0, "appeared")])
    outbox.close()
    assert LostNote(folder / "outbox.sqlite.lost").read() == {CROSSED: 8, APPEARED: 1}


def test_another_error_than_a_full_disk_leaves_the_resend_window_alone(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    delivered(outbox, [draft(builder, number) for number in range(50)])
    refuse = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'out of order'); END"
    outbox._store.connection.execute(refuse)
    outbox.append([draft(builder, 50)])
    wait_for(lambda: "out of order" in outbox.health().detail)
    outbox._store.connection.execute("DROP TRIGGER refuse")
    assert outbox.flush(10)
    assert outbox.resend(*ALWAYS).events == 50


def test_acknowledgements_on_a_full_disk_are_not_forgotten(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    event = outbox.claim(1, "strict")[0]
    limit_pages(outbox, 1)
    outbox.append([draft(builder, number, note="z" * 400) for number in range(1, 100)])
    wait_for(lambda: not outbox.health().ok)
    outbox.done([event.rowid])
    outbox.release()
    assert outbox.claim(10, "strict") == [], "what was acknowledged is not sent again"
    with pytest.raises(OutboxFull, match="nothing can be written"):
        outbox.resend(*ALWAYS)
    limit_pages(outbox, 100_000)
    assert outbox.flush(10)
    assert event.rowid not in {found.rowid for found in stored(outbox)}
    assert outbox.health().facts["depth"] == 99


def test_a_failed_commit_leaves_no_hole(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    for number in range(20):
        if number == 10:
            limit_pages(outbox, 1)
        outbox.append([draft(builder, number, note="z" * 450)], CameraState("door", None, {"x": "y" * 3000 * number}))
        if number < 10:
            assert outbox.flush(5)
    wait_for(lambda: not outbox.health().ok)
    limit_pages(outbox, 100_000)
    assert outbox.flush(10)
    assert [int(document(event)["sequence"]) for event in stored(outbox)] == list(range(1, 21))
