"""What `edgevision events tail` prints of an event."""

from __future__ import annotations

import json

import pytest

from edgevision.cli.words import describe
from edgevision.events.codec import decode
from edgevision.events.reference import sample
from edgevision.events.schema import EVENT_TYPES

ENVELOPE = {
    "specversion": "1.0",
    "id": "e1",
    "source": "edgevision/s/d/door",
    "time": "2026-01-31T06:00:00.000000Z",
    "bootid": "b",
    "sequence": "0" * 19 + "1",
}
QUALITY = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 40.0, "clock_synced": True}


def _said(family: str, name: str, data: dict[str, object]) -> str:
    whole = {"quality": QUALITY, "model": "m@1#0123456789ab", "configrev": "0123456789ab", **data}
    document = {**ENVELOPE, "type": f"edgevision.{family}.{name}.v1", "data": whole}
    return describe(decode(json.dumps(document).encode()))


def test_a_crossing_says_line_direction_and_who() -> None:
    data = {"line": "door", "direction": "in", "track_id": 7, "label": "person", "box": [1, 2, 3, 4]}
    assert _said("traffic", "crossed", {**data, "image_size": [640, 480]}) == "door in person #7"


def test_a_stay_says_how_long() -> None:
    data = {"zone": "shelf", "action": "left", "dwell_s": 12.34, "track_id": 7, "label": "person", "box": [1, 2, 3, 4]}
    assert _said("traffic", "zone", {**data, "image_size": [640, 480]}) == "shelf left #7 after 12.3 s"


@pytest.mark.parametrize(
    ("observed_s", "status", "words"),
    [(60.0, "valid", "door: 4 in, 1 out"), (11.2, "invalid", "door: 4 in, 1 out (watched 11 of 60 s)")],
)
def test_an_interval_says_its_counts_and_how_much_was_watched(observed_s: float, status: str, words: str) -> None:
    data = {"line": "door", "start": "2026-01-31T06:00:00Z", "utc_offset_s": 0, "expected_s": 60, "revision": 1}
    counts = {"observed_s": observed_s, "status": status, "count_in": 4, "count_out": 1}
    assert _said("traffic", "interval", {**data, **counts}) == words


@pytest.mark.parametrize(("family", "name"), sorted(EVENT_TYPES))
def test_every_event_has_words_and_no_python_in_them(family: str, name: str) -> None:
    words = describe(decode(json.dumps(sample(family, name)).encode()))
    assert words
    assert "None" not in words
