"""Sinks without a broker: what they keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevision.events.codec import decode
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.sinks import SqliteSink


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
