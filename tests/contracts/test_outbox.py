"""What every outbox promises to those who append and to the relay."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgevision.errors import EventError, OutboxError
from edgevision.events.base import CameraState, Draft, Outbox, Resent, StoredEvent
from edgevision.events.build import EventBuilder
from edgevision.events.codec import decode
from edgevision.events.memory import MemoryOutbox
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.types import FrameTime, Occurrence

BUILDER = EventBuilder("plant", "box", "0123456789ab")
START = datetime(2026, 1, 31, 6, 0, tzinfo=timezone.utc)


@pytest.fixture(params=["sqlite", "memory"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outbox]:
    made: Outbox
    if request.param == "sqlite":
        made = SqliteOutbox(OutboxSettings(path=tmp_path / "outbox.sqlite"), BUILDER)
    else:
        made = MemoryOutbox(BUILDER)
    yield made
    made.close()


def crossing(number: int, camera: str = "door", decided_t_s: float | None = None) -> Draft:
    data = {"line": "entrance", "direction": "in", "track_id": number + 1}
    occurrence = Occurrence("traffic", "crossed", FrameTime(START + timedelta(seconds=number), float(number)), data)
    return BUILDER.draft(occurrence, camera=camera, decided_t_s=decided_t_s)


def appeared(number: int) -> Draft:
    time_ = FrameTime(START + timedelta(seconds=number), float(number))
    return BUILDER.draft(Occurrence("detection", "appeared", time_, {"track_id": number + 1}), camera="door")


def fill(outbox: Outbox, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        outbox.append([crossing(number)])
    assert outbox.flush(5)


def tracks(events: list[StoredEvent]) -> list[int]:
    return [json.loads(event.body)["data"]["track_id"] - 1 for event in events]


def test_events_come_out_in_order_typed_and_numbered(outbox: Outbox) -> None:
    fill(outbox, 3)
    events = [decode(event.body) for event in outbox.claim(10, "strict")]
    assert [event.data.track_id for event in events] == [1, 2, 3]
    assert [int(event.sequence) for event in events] == [1, 2, 3]
    assert {event.bootid for event in events} == {BUILDER.bootid}


def test_every_topic_counts_for_itself(outbox: Outbox) -> None:
    outbox.append([crossing(0), appeared(1), crossing(2, camera="gate"), crossing(3)])
    assert outbox.flush(5)
    numbers = [(event.topic, int(json.loads(event.body)["sequence"])) for event in outbox.claim(10, "strict")]
    door, gate = "edgevision/plant/box/door", "edgevision/plant/box/gate"
    assert numbers == [
        (f"{door}/traffic/crossed", 1),
        (f"{door}/detection/appeared", 1),
        (f"{gate}/traffic/crossed", 1),
        (f"{door}/traffic/crossed", 2),
    ]


def test_a_claimed_event_is_claimed_once(outbox: Outbox) -> None:
    fill(outbox, 5)
    assert tracks(outbox.claim(2, "strict")) == [0, 1]
    assert tracks(outbox.claim(10, "strict")) == [2, 3, 4]
    assert outbox.claim(10, "strict") == []
    assert not outbox.wait(0.01)


def test_done_events_never_come_back(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.done([event.rowid for event in outbox.claim(2, "strict")])
    assert outbox.flush(5)
    outbox.release()
    assert tracks(outbox.claim(10, "strict")) == [2]


def test_release_gives_back_in_order(outbox: Outbox) -> None:
    fill(outbox, 4)
    outbox.done([outbox.claim(2, "strict")[1].rowid])
    outbox.release()
    assert outbox.wait(1)
    assert tracks(outbox.claim(10, "strict")) == [0, 2, 3]


def test_live_events_overtake_those_of_before_the_connection(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.connected()
    fill(outbox, 2, first=3)
    assert tracks(outbox.claim(3, "live_first")) == [3, 4, 0]
    fill(outbox, 1, first=5)
    assert tracks(outbox.claim(10, "live_first")) == [5, 1, 2]


def test_what_came_during_the_outage_waits_in_order_behind_what_is_live(outbox: Outbox) -> None:
    outbox.connected()
    fill(outbox, 3)
    outbox.claim(2, "live_first")
    outbox.release()
    fill(outbox, 2, first=3)
    outbox.connected()
    fill(outbox, 2, first=5)
    events = outbox.claim(10, "live_first")
    assert tracks(events) == [5, 6, 0, 1, 2, 3, 4]
    assert [event.historical for event in events] == [False] * 2 + [True] * 5


def test_historical_is_what_was_there_when_the_connection_was_made(outbox: Outbox) -> None:
    fill(outbox, 1)
    outbox.connected()
    fill(outbox, 1, first=1)
    assert [event.historical for event in outbox.claim(10, "strict")] == [True, False]
    outbox.release()
    fill(outbox, 1, first=2)
    outbox.connected()
    assert [event.historical for event in outbox.claim(10, "strict")] == [True] * 3


def test_strict_order_ignores_the_connection(outbox: Outbox) -> None:
    fill(outbox, 2)
    outbox.connected()
    fill(outbox, 2, first=2)
    assert tracks(outbox.claim(10, "strict")) == [0, 1, 2, 3]


def test_a_topic_that_is_left_out_hides_no_other_and_goes_on_where_it_was(outbox: Outbox) -> None:
    door, gate = crossing(0).topic, crossing(0, camera="gate").topic
    outbox.append([crossing(n, camera=("door", "gate")[n % 2]) for n in range(10)])
    assert outbox.flush(5)
    assert tracks(outbox.claim(2, "strict")) == [0, 1]
    assert tracks(outbox.claim(2, "strict", {door})) == [3, 5]
    assert tracks(outbox.claim(10, "strict", {door})) == [7, 9]
    assert outbox.claim(10, "strict", {door, gate}) == []
    fill(outbox, 1, first=10)
    assert outbox.claim(10, "strict", {door}) == []
    assert not outbox.wait(0.01), "there is nothing but what was left out"
    assert tracks(outbox.claim(4, "strict")) == [2, 4, 6, 8]
    assert tracks(outbox.claim(4, "strict")) == [10]


def test_what_waits_again_while_its_topic_is_left_out_is_not_forgotten(outbox: Outbox) -> None:
    outbox.connected()
    fill(outbox, 4)
    first = outbox.claim(2, "live_first")[0]
    left_out = {first.topic, "edgevision/plant/box/device/health/publish_refused"}
    assert outbox.claim(10, "live_first", left_out) == []
    outbox.refused(first.rowid, 0x87, "not authorised")
    assert outbox.flush(5)
    assert outbox.claim(10, "live_first", left_out) == []
    again = outbox.claim(10, "live_first", left_out - {first.topic})
    assert tracks(again) == [0, 2, 3]
    outbox.done([event.rowid for event in again])
    assert outbox.claim(10, "live_first", left_out) == []
    assert outbox.resend("door", None, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z") == Resent(3)
    assert outbox.claim(10, "live_first", left_out) == []
    assert tracks(outbox.claim(10, "live_first", left_out - {first.topic})) == [0, 2, 3]
    outbox.release()
    assert tracks(outbox.claim(10, "live_first", left_out - {first.topic})) == [0, 1, 2, 3]


def test_a_refused_event_waits_again_and_is_parked_after_the_fifth_time(outbox: Outbox) -> None:
    fill(outbox, 2)
    first, second = outbox.claim(2, "strict")
    for attempt in range(1, 6):
        assert outbox.refused(first.rowid, 0x87, "not authorised") == attempt
        assert outbox.flush(5)
        again = [event for event in outbox.claim(10, "strict") if event.topic == first.topic]
        assert [event.rowid for event in again] == ([first.rowid] if attempt < 5 else [])
        assert all(event.attempts == attempt for event in again)
    assert outbox.health().facts["parked"] == 1
    assert second.rowid not in {event.rowid for event in outbox.claim(10, "strict")}


def test_a_refusal_is_announced_once_a_topic_and_at_parking(outbox: Outbox) -> None:
    fill(outbox, 2)
    first, second = outbox.claim(2, "strict")
    for event in (first, second):
        for _ in range(5):
            outbox.refused(event.rowid, 0x87, "not authorised")
            assert outbox.flush(5)
            said = outbox.claim(10, "strict")
            for notice in said:
                if notice.rowid not in {first.rowid, second.rowid}:
                    outbox.done([notice.rowid])
    outbox.flush(5)
    assert outbox.resend(None, "health", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z") == Resent(3)
    notices = [decode(event.body).data for event in outbox.claim(10, "strict")]
    assert [(item.attempts, item.parked, item.parked_total) for item in notices] == [
        (1, False, 0),
        (5, True, 1),
        (5, True, 2),
    ]
    assert notices[0].topic == first.topic
    assert notices[0].event == first.id
    assert (notices[0].reason_code, notices[0].reason) == (0x87, "not authorised")


def test_a_refused_announcement_makes_no_other(outbox: Outbox) -> None:
    fill(outbox, 1)
    outbox.refused(outbox.claim(1, "strict")[0].rowid, 0x87, "no")
    assert outbox.flush(5)
    depth = outbox.health().facts["depth"]
    notice = next(event for event in outbox.claim(10, "strict") if event.topic.endswith("publish_refused"))
    for _ in range(5):
        outbox.refused(notice.rowid, 0x87, "no")
        assert outbox.flush(5)
    assert outbox.health().facts["depth"] == depth - 1
    assert outbox.health().facts["parked"] == 1


def test_states_follow_their_events(outbox: Outbox) -> None:
    assert outbox.state("door") is None
    outbox.append([crossing(0)], CameraState("door", 7, {"count": 1, "far": float("inf")}))
    outbox.append([], CameraState("door", 8, {"count": 2, "far": 0.1}))
    outbox.append([], CameraState("gate", None, {}))
    assert outbox.flush(5)
    assert outbox.state("door") == CameraState("door", 8, {"count": 2, "far": 0.1})
    assert outbox.state("gate") == CameraState("gate", None, {})


@pytest.mark.parametrize("position", ["2/b2.png", "12", "1e3", "", "3/b\udcff.png"])
def test_a_position_that_is_text_stays_text(outbox: Outbox, position: str) -> None:
    """Also what looks like a number, and the name of a file that is not UTF-8."""
    outbox.append([], CameraState("door", position, {}))
    assert outbox.flush(5)
    assert outbox.state("door") == CameraState("door", position, {})


def test_a_state_is_a_snapshot(outbox: Outbox) -> None:
    body = {"seen": [1]}
    outbox.append([], CameraState("door", None, body))
    body["seen"].append(2)
    assert outbox.flush(5)
    stored = outbox.state("door")
    assert stored is not None
    assert stored.body == {"seen": [1]}


def test_latency_ends_at_the_append(outbox: Outbox) -> None:
    outbox.append([crossing(0, decided_t_s=time.monotonic() - 2.0)])
    assert outbox.flush(5)
    data = json.loads(outbox.claim(1, "strict")[0].body)["data"]
    assert data["latency_ms"] >= 2000


def test_wait_wakes_up_for_an_event(outbox: Outbox) -> None:
    assert not outbox.wait(0)
    late = threading.Timer(0.05, outbox.append, ([crossing(0)],))
    late.start()
    assert outbox.wait(10)
    late.join()


def test_resend_takes_a_span_of_time_a_camera_and_a_family(outbox: Outbox) -> None:
    fill(outbox, 6)
    outbox.append([appeared(2), crossing(3, camera="gate")])
    assert outbox.flush(5)
    before = {event.rowid: event.body for event in outbox.claim(20, "strict")}
    outbox.done(list(before))
    assert outbox.flush(5)
    assert outbox.resend("door", "traffic", "2026-01-31T06:00:02Z", "2026-01-31T07:00:04+01:00") == Resent(2)
    again = outbox.claim(20, "strict")
    assert tracks(again) == [2, 3]
    assert all(before[event.rowid] == event.body for event in again)
    outbox.release()
    assert outbox.resend(None, None, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z") == Resent(6)
    assert len(outbox.claim(20, "live_first")) == 8


def test_an_event_that_is_sent_again_never_looks_live(outbox: Outbox) -> None:
    outbox.connected()
    fill(outbox, 3)
    outbox.done([event.rowid for event in outbox.claim(2, "strict")])
    assert outbox.resend(None, None, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z") == Resent(2)
    again = outbox.claim(10, "strict")
    assert [(event.historical, track) for event, track in zip(again, tracks(again), strict=True)] == [
        (True, 0),
        (True, 1),
        (False, 2),
    ]
    outbox.refused(again[0].rowid, 0x87, "not authorised")
    assert outbox.flush(5)
    refused = next(event for event in outbox.claim(10, "strict") if event.rowid == again[0].rowid)
    assert refused.historical
    outbox.release()
    assert [event.historical for event in outbox.claim(3, "strict")] == [True, True, False]


def test_resend_brings_parked_events_back(outbox: Outbox) -> None:
    fill(outbox, 1)
    rowid = outbox.claim(1, "strict")[0].rowid
    for _ in range(5):
        outbox.refused(rowid, 0x87, "")
        assert outbox.flush(5)
        outbox.claim(5, "strict")
    assert outbox.resend("door", None, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z") == Resent(1)
    again = outbox.claim(5, "strict")
    assert [(event.rowid, event.attempts, event.historical) for event in again] == [(rowid, 0, True)]


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T06:00:00", "", "0001-01-01T00:00:00+05:00"])
def test_resend_wants_times_with_a_zone(outbox: Outbox, text: str) -> None:
    with pytest.raises(OutboxError, match="resend"):
        outbox.resend(None, None, text, "2026-02-01T00:00:00Z")


def test_what_is_no_json_is_refused_at_once_and_hurts_nobody(outbox: Outbox) -> None:
    broken = crossing(0)
    broken.envelope["data"]["box"] = {1, 2}
    with pytest.raises(EventError, match="not JSON"):
        outbox.append([broken])
    fill(outbox, 1)
    assert len(outbox.claim(10, "strict")) == 1


def test_threads_may_append_at_once(outbox: Outbox) -> None:
    def work(camera: str) -> None:
        for number in range(200):
            outbox.append([crossing(number, camera=camera)])

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.flush(10)
    events = outbox.claim(1000, "strict")
    for camera in ("a", "b", "c"):
        mine = [json.loads(event.body) for event in events if f"/{camera}/" in event.topic]
        assert [int(event["sequence"]) for event in mine] == list(range(1, 201))
        assert [event["data"]["track_id"] for event in mine] == list(range(1, 201))


def test_healthy_and_countable(outbox: Outbox) -> None:
    fill(outbox, 4)
    health = outbox.health()
    assert (health.name, health.ok, health.critical) == ("outbox", True, True)
    assert health.facts["depth"] == 4
