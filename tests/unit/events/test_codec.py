"""Bytes to typed events and back."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.errors import EventError
from edgevision.events.codec import check_data, decode, dump, encode, stamp
from edgevision.events.payloads import TrafficCrossed
from edgevision.events.schema import DATA_MODELS, EVENT_TYPES, Event, event_model, type_name

DOCUMENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "01a20bbb-cc1b-7838-a656-b02b3ecdd9d6",
    "type": "edgevision.traffic.crossed.v1",
    "source": "edgevision/plant/box/door",
    "time": "2026-01-31T05:30:15.250000Z",
    "bootid": "b",
    "sequence": "00000000000000000042",
    "data": {"line": "entrance", "direction": "in", "track_id": 7, "box": [1, 2.5, 3, 4]},
}


def body(**changes: Any) -> bytes:
    return dump({**DOCUMENT, **changes})


def test_decoded_events_are_typed() -> None:
    event = decode(body())
    assert isinstance(event, Event)
    assert isinstance(event.data, TrafficCrossed)
    assert event.data.box == (1, 2.5, 3, 4)
    assert (event.family, event.name, event.camera) == ("traffic", "crossed", "door")
    assert event.time == datetime(2026, 1, 31, 5, 30, 15, 250_000, tzinfo=timezone.utc)
    assert not event.historical


def test_fields_of_a_later_revision_are_kept_and_harmless() -> None:
    event = decode(body(traceparent="00-1", data={**DOCUMENT["data"], "mood": {"happy": True}}))
    assert event.model_extra == {"traceparent": "00-1"}
    assert event.data.model_extra == {"mood": {"happy": True}}


def test_null_and_absent_mean_the_same() -> None:
    event = decode(body(data={**DOCUMENT["data"], "part": None, "model": None}))
    assert event.data.part is None
    assert event.data == decode(body()).data


def test_encode_gives_back_what_decode_took() -> None:
    event = decode(body())
    assert json.loads(encode(event)) == DOCUMENT
    assert decode(encode(event)) == event


def test_encode_gives_back_fields_of_a_later_revision() -> None:
    later = {**DOCUMENT, "traceparent": "00-1", "data": {**DOCUMENT["data"], "mood": {"happy": True}}}
    assert json.loads(encode(decode(dump(later)))) == later


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
def test_what_is_no_number_of_json_is_no_event_wherever_it_stands(number: bytes) -> None:
    with pytest.raises(EventError, match="no number of JSON"):
        decode(body(mood=1).replace(b'"mood":1', b'"mood":' + number))


@pytest.mark.parametrize("field", ["time", "publishedat"])
def test_a_time_that_utc_does_not_have_is_no_event(field: str) -> None:
    with pytest.raises(EventError, match="no time in UTC"):
        decode(body(**{field: "0001-01-01T00:00:00+05:00"}))


@pytest.mark.parametrize("historical", [True, False])
def test_stamp_adds_what_belongs_to_the_publication(*, historical: bool) -> None:
    published = datetime(2026, 1, 31, 7, 0, tzinfo=timezone.utc)
    stamped = stamp(body(), historical=historical, published=published)
    event = decode(stamped)
    assert (event.historical, event.publishedat) == (historical, published)
    assert json.loads(stamped) == {**DOCUMENT, "historical": historical, "publishedat": "2026-01-31T07:00:00.000000Z"}
    assert decode(encode(event)) == event


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "a JSON object with a type"),
        (b"null", "a JSON object with a type"),
        (b'{"type": ["a"]}', "type is"),
        (body(type="edgevision.traffic.crossed.v2"), "edgevision.traffic.crossed.v2"),
        (body(type="com.example.other"), "com.example.other"),
        (body(specversion="0.3"), "specversion"),
        (body(time="2026-01-31T05:30:15"), "time"),
        (body(time=17), "time"),
        (body(sequence="42"), "sequence"),
        (body(sequence=42), "sequence"),
        (body(source="elsewhere/door"), "source"),
        (body(data=None), "data"),
        (body(data={**DOCUMENT["data"], "direction": "sideways"}), "data.direction"),
        (body(data={**DOCUMENT["data"], "track_id": "7"}), "data.track_id"),
        (body(data={**DOCUMENT["data"], "box": [1, 2, 3]}), "data.box"),
        (body(data={"line": "x"}), "and 1 more"),
    ],
)
def test_what_is_no_event_is_told_in_one_line(bytes_: bytes, message: str) -> None:
    with pytest.raises(EventError, match=message.replace(".", r"\.")) as caught:
        decode(bytes_)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=300))
def test_no_bytes_break_a_consumer(garbage: bytes) -> None:
    with pytest.raises(EventError):
        decode(garbage)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(DOCUMENT)), JSON)
def test_one_wrong_field_is_an_event_error_or_an_event(field: str, value: Any) -> None:
    try:
        event = decode(json.dumps({**DOCUMENT, field: value}).encode())
    except EventError:
        return
    assert decode(encode(event)) == event


def test_every_type_has_a_model_of_its_own() -> None:
    assert set(DATA_MODELS) == {type_name(*key) for key in EVENT_TYPES}
    assert len({event_model(kind).__name__ for kind in DATA_MODELS}) == len(EVENT_TYPES)
    assert {kind.split(".")[0] for kind in DATA_MODELS} == {"edgevision"}
    assert {kind.rsplit(".", 1)[1] for kind in DATA_MODELS} == {"v1"}


def test_version_one_holds_what_the_contract_says() -> None:
    families: dict[str, set[str]] = {}
    for family, name in EVENT_TYPES:
        families.setdefault(family, set()).add(name)
    assert families == {
        "defect": {"detected", "verdict", "alarm"},
        "traffic": {"crossed", "zone", "interval", "shelf"},
        "detection": {"appeared", "updated", "disappeared"},
        "health": {"started", "camera", "view", "gap", "selftest", "load", "publish_refused", "clock"},
    }


@pytest.mark.parametrize("key", sorted(EVENT_TYPES))
def test_every_payload_can_carry_a_part(key: tuple[str, str]) -> None:
    assert "part" in EVENT_TYPES[key].model_fields


def test_a_payload_is_checked_before_it_is_written() -> None:
    check_data("health", "clock", {"offset_s": -3.0})
    with pytest.raises(EventError, match=r"health\.clock: unknown field offset_ms"):
        check_data("health", "clock", {"offset_ms": 1})
    with pytest.raises(EventError, match="not JSON"):
        check_data("health", "clock", {"offset_s": object()})


def test_unknown_events_have_no_type() -> None:
    with pytest.raises(KeyError):
        type_name("traffic", "danced")
