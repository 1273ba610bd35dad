"""Sinks without a broker: what they keep, and what they say is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SqliteSink]:
    opened = SqliteSink(tmp_path / "events.sqlite")
    yield opened
    opened.close()


def test_fields_that_a_later_version_added_are_kept(sink: SqliteSink) -> None:
    sink.write([event(1, trace="t", data={"colour": "red"})])
    (body,) = sink.bodies()
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
