"""What is special to the outbox on disk: restarts, the byte budget, a full or damaged disk."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import OutboxError, OutboxFull
from edgevision.events import writer
from edgevision.events.base import CameraState, Draft, StoredEvent
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.types import FrameTime, Occurrence, Part

START = datetime(2026, 1, 31, 6, 0, tzinfo=timezone.utc)
GAP = "edgevision/plant/box/device/health/gap"
CROSSED = "edgevision/plant/box/door/traffic/crossed"
APPEARED = "edgevision/plant/box/door/detection/appeared"
VERDICT = "edgevision/plant/box/door/defect/verdict"

Open = Callable[..., SqliteOutbox]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def open_outbox(folder: Path) -> Iterator[Open]:
    opened: list[SqliteOutbox] = []

    def make(builder: EventBuilder | None = None, **settings: Any) -> SqliteOutbox:
        made = SqliteOutbox(OutboxSettings(path=folder / "outbox.sqlite", **settings), builder or new_boot())
        opened.append(made)
        return made

    yield make
    for outbox in opened:
        outbox.close()


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


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def test_events_and_states_outlive_the_process(open_outbox: Open) -> None:
    builder = new_boot()
    first = open_outbox(builder)
    first.append([draft(builder, 0), draft(builder, 1)], CameraState("door", 5, {"n": 2}))
    first.close()
    second = open_outbox()
    assert [document(event)["bootid"] for event in stored(second)] == [builder.bootid] * 2
    assert second.state("door") == CameraState("door", 5, {"n": 2})
    assert second.health().facts["depth"] == 2


def test_each_boot_counts_from_one_and_knows_where_the_one_before_ended(open_outbox: Open) -> None:
    builders = [new_boot(), new_boot(), new_boot()]
    previous = []
    for builder, count in zip(builders, (3, 2, 1), strict=True):
        outbox = open_outbox(builder)
        previous.append(outbox.previous_boot())
        for number in range(count):
            outbox.append([draft(builder, number)])
        outbox.append([draft(builder, 0, "appeared")])
        outbox.close()
    assert previous[0] is None
    assert previous[1] == {"bootid": builders[0].bootid, "last": {CROSSED: f"{3:020d}", APPEARED: f"{1:020d}"}}
    assert previous[2] == {"bootid": builders[1].bootid, "last": {CROSSED: f"{2:020d}", APPEARED: f"{1:020d}"}}
    events = [document(event) for event in stored(open_outbox())]
    numbers = [int(event["sequence"]) for event in events if event["bootid"] == builders[1].bootid]
    assert numbers == [1, 2, 1]


def test_the_previous_boot_is_an_event_of_the_contract(open_outbox: Open) -> None:
    first = new_boot()
    outbox = open_outbox(first)
    outbox.append([draft(first, 0)])
    outbox.close()
    second = new_boot()
    outbox = open_outbox(second)
    data = {"version": "0.1.0", "previous": outbox.previous_boot()}
    outbox.append([second.draft(Occurrence("health", "started", FrameTime(START, 0.0), data))])
    assert outbox.flush(5)
    assert document(stored(outbox)[-1])["data"]["previous"]["bootid"] == first.bootid


def test_numbers_of_boots_without_events_are_forgotten(open_outbox: Open, folder: Path) -> None:
    for _ in range(6):
        builder = new_boot()
        outbox = open_outbox(builder, resend_max_bytes=0)
        outbox.append([draft(builder, 0)])
        assert outbox.flush(5)
        outbox.done([event.rowid for event in stored(outbox)[:-1]])
        outbox.close()
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        assert connection.execute("SELECT count(DISTINCT bootid) FROM streams").fetchone()[0] <= 3


def test_depth_is_known_after_a_restart_without_counting(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, number) for number in range(10)])
    assert outbox.flush(5)
    outbox.done([event.rowid for event in outbox.claim(4, "strict")])
    outbox.close()
    facts = open_outbox().health().facts
    assert facts["depth"] == 6
    assert facts["done_bytes"] > 0


def test_done_events_leave_the_resend_window_oldest_first(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, resend_max_bytes=2000)
    outbox.append([draft(builder, number) for number in range(50)])
    assert outbox.flush(5)
    outbox.done([event.rowid for event in outbox.claim(50, "strict")])
    assert outbox.flush(5)
    assert 0 < outbox.health().facts["done_bytes"] <= 2000
    back = outbox.resend(None, None, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    kept = [document(event)["data"]["track_id"] for event in outbox.claim(50, "strict")]
    assert kept == list(range(51 - back, 51))


def test_done_events_leave_the_resend_window_by_age(open_outbox: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PRUNE_EVERY_S", 0.0)
    builder = new_boot()
    outbox = open_outbox(builder, resend_hours=0.0)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    outbox.done([outbox.claim(1, "strict")[0].rowid])
    assert outbox.flush(5)
    time.sleep(0.01)
    outbox.append([draft(builder, 1)])
    assert outbox.flush(5)
    assert outbox.health().facts["done_bytes"] == 0


def test_over_budget_the_lowest_priority_goes_first_and_the_oldest_of_it(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=20_000)
    for number in range(30):
        outbox.append([draft(builder, number, kind) for kind in ("verdict", "crossed", "appeared")])
        assert outbox.flush(5)
    events = stored(outbox)
    by_topic = defaultdict(list)
    for event in events:
        by_topic[event.topic].append(int(document(event)["sequence"]))
    assert by_topic[VERDICT] == list(range(1, 31))
    assert len(by_topic[APPEARED]) < len(by_topic[CROSSED]) < 30
    assert by_topic[CROSSED] == list(range(31 - len(by_topic[CROSSED]), 31))
    assert sum(len(event.body) for event in events) <= 20_000 + 2_000


def test_a_gap_lists_exactly_what_went(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    for number in range(200):
        outbox.append([draft(builder, number, "appeared" if number % 2 else "crossed")])
        if number % 10 == 0:
            assert outbox.flush(5)
    assert outbox.flush(5)
    events = stored(outbox)
    lost: dict[str, Counter[str]] = {"count": Counter(), "first": Counter(), "last": Counter()}
    for event in events:
        if event.topic == GAP:
            data = document(event)["data"]
            assert data["reason"] == "budget"
            assert data["count"] == sum(item["count"] for item in data["lost"])
            for item in data["lost"]:
                assert item["bootid"] == builder.bootid
                lost["count"][item["topic"]] += item["count"]
                lost["last"][item["topic"]] = max(lost["last"][item["topic"]], int(item["last"]))
    kept = Counter(event.topic for event in events)
    for topic in (CROSSED, APPEARED):
        assert kept[topic] + lost["count"][topic] == 100
        assert lost["last"][topic] == 100 - kept[topic]
    assert kept[GAP] == 1, "an announcement that still waits goes into the next"
    numbers = [int(document(event)["sequence"]) for event in events if event.topic == GAP]
    assert lost["count"][GAP] == numbers[-1] - 1
    assert outbox.health().facts["lost"] == lost["count"][CROSSED] + lost["count"][APPEARED]


def test_verdicts_go_when_there_is_nothing_else(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    for number in range(100):
        outbox.append([draft(builder, number, "verdict")])
    assert outbox.flush(5)
    kept = [int(document(event)["sequence"]) for event in stored(outbox) if event.topic == VERDICT]
    assert kept == list(range(101 - len(kept), 101))
    assert 0 < len(kept) < 40


def test_events_in_flight_are_not_given_up(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    outbox.append([draft(builder, number) for number in range(10)])
    assert outbox.flush(5)
    claimed = {event.rowid for event in outbox.claim(5, "strict")}
    outbox.append([draft(builder, number) for number in range(10, 100)])
    assert outbox.flush(5)
    assert claimed < {event.rowid for event in stored(outbox)}


def test_parked_events_count_towards_the_budget(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    outbox.append([draft(builder, 0, "appeared")])
    assert outbox.flush(5)
    rowid = outbox.claim(1, "strict")[0].rowid
    for _ in range(5):
        outbox.refused(rowid, 0x87, "no")
        assert outbox.flush(5)
        outbox.claim(5, "strict")
    assert outbox.health().facts["parked"] == 1
    outbox.release()
    outbox.append([draft(builder, number) for number in range(1, 100)])
    assert outbox.flush(5)
    assert outbox.health().facts["parked"] == 0


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
        outbox.resend(None, None, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
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


def test_damage_of_an_unclean_end_is_found(open_outbox: Open, folder: Path) -> None:
    path = folder / "outbox.sqlite"
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, number) for number in range(200)])
    outbox.close()
    pages = bytearray(path.read_bytes())
    pages[40_000:60_000] = b"\xa5" * 20_000
    path.write_bytes(pages)
    path.with_name(path.name + "-wal").touch()
    outbox = open_outbox(builder)
    assert "set_aside" in outbox.health().facts
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    assert len(stored(outbox)) == 2


def test_an_empty_file_is_a_new_outbox(open_outbox: Open, folder: Path) -> None:
    (folder / "outbox.sqlite").touch()
    outbox = open_outbox()
    assert "set_aside" not in outbox.health().facts
    assert stored(outbox) == []


def test_two_processes_cannot_share_a_file(open_outbox: Open) -> None:
    open_outbox()
    with pytest.raises(OutboxError, match="in use by another process"):
        open_outbox()


def test_a_closed_outbox_frees_its_file_and_says_so(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.close()
    outbox.close()
    with pytest.raises(OutboxError, match="closed"):
        outbox.append([draft(builder, 0)])
    assert not outbox.health().ok
    assert open_outbox().health().ok


def test_a_file_of_another_version_is_left_alone(open_outbox: Open, folder: Path) -> None:
    open_outbox().close()
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="schema 99"):
        open_outbox()


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(OutboxError, match="choose another path"):
        SqliteOutbox(OutboxSettings(path=folder / "file" / "outbox.sqlite"), new_boot())


@pytest.mark.parametrize(("durability", "synchronous"), [("crash", 1), ("power_loss", 2)])
def test_durability_is_sqlites_synchronous(open_outbox: Open, durability: str, synchronous: int) -> None:
    outbox = open_outbox(durability=durability)
    connection = outbox._store.connection
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == synchronous
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_close_commits_what_is_queued(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    for number in range(700):
        outbox.append([draft(builder, number)])
    outbox.close()
    assert len(stored(open_outbox())) == 700


def test_age_is_that_of_the_oldest_waiting_event(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    assert outbox.health().facts["age_s"] == 0
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    time.sleep(0.15)
    assert outbox.health().facts["age_s"] >= 0.1


def test_claims_use_the_index_however_much_is_done(open_outbox: Open, folder: Path) -> None:
    open_outbox()
    queries = {
        "SELECT n, topic FROM events JOIN streams USING (stream)"
        " WHERE status = 0 AND n > 5 AND n <= 10 AND topic NOT IN ('a', 'b') ORDER BY n LIMIT 3": "events_by_status",
        "SELECT n FROM events WHERE status <> 1 ORDER BY priority, n LIMIT 3": "events_by_priority",
    }
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        for query, index in queries.items():
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert index in plan
            assert "TEMP B-TREE" not in plan
