"""Sinks without a broker: what they keep, and what they say is missing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import PublishError
from edgevision.events.codec import decode
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.sinks import SqliteSink, missing


def event(number: int, **more: Any) -> AnyEvent:
    data = {"line": "door", "direction": "in", "track_id": 1} | more.pop("data", {})
    document = {
        "specversion": "1.0",
        "id": f"id-{number}",
        "type": "edgevision.traffic.crossed.v1",
        "source": "edgevision/plant/box/door",
        "time": "2026-01-31T06:00:12.412000Z",
        "bootid": "boot",
        "sequence": f"{number:020d}",
        "data": data,
        **more,
    }
    return decode(json.dumps(document).encode())


def bodies(file: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM events ORDER BY time")]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SqliteSink]:
    opened = SqliteSink(tmp_path / "events.sqlite")
    yield opened
    opened.close()


def test_fields_that_a_later_version_added_are_kept(sink: SqliteSink, tmp_path: Path) -> None:
    sink.write([event(1, trace="t", data={"colour": "red"})])
    (body,) = bodies(tmp_path / "events.sqlite")
    assert (body["trace"], body["data"]["colour"]) == ("t", "red")


def test_what_is_missing_is_counted_without_naming_each(sink: SqliteSink) -> None:
    sink.write([event(number) for number in (2, 3, 5, 10**19)])
    sink.write([event(number, id=f"other-{number}", bootid="other") for number in (1, 2)])
    (hole,) = missing(sink)
    assert (hole.source, hole.type, hole.bootid) == (
        "edgevision/plant/box/door",
        "edgevision.traffic.crossed.v1",
        "boot",
    )
    assert hole.ranges == ((4, 4), (6, 10**19 - 1))
    assert hole.count == 1 + 10**19 - 6


def test_a_replay_under_a_new_number_is_one_event_and_not_missing(sink: SqliteSink, tmp_path: Path) -> None:
    sink.write([event(1), event(2)])
    again = [event(number, id=f"id-{number - 1}", bootid="next") for number in (2, 3)]
    sink.write([event(1, id="other", bootid="next"), *again, event(4, id="new", bootid="next")])
    assert [body["id"] for body in bodies(tmp_path / "events.sqlite")] == ["id-1", "id-2", "other", "new"]
    assert missing(sink) == []


def test_events_that_are_there_are_not_counted_as_written(sink: SqliteSink) -> None:
    assert sink.write([event(1), event(2)]) == 2
    assert sink.write([event(1)]) == 0
    assert sink.write([event(2), event(3), event(3)]) == 1
    assert sink.write([]) == 0


def test_a_database_from_before_the_numbers_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    old = SqliteSink(file)
    old.write([event(number) for number in (1, 2, 4)])
    old.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("DROP TABLE event_numbers")
    again = SqliteSink(file)
    again.write([event(5)])
    (hole,) = missing(again)
    assert hole.ranges == ((3, 3),)
    again.close()


def test_a_database_that_cannot_be_read_any_more_is_an_error_of_ours(sink: SqliteSink, tmp_path: Path) -> None:
    sink.write([event(1)])
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as db:
        db.execute("DROP TABLE event_numbers")
    with pytest.raises(PublishError, match=r"sink .*events\.sqlite"):
        missing(sink)
