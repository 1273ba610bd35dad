"""Identity and provenance of events."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from edgevision.errors import EventError
from edgevision.events.build import PRIORITIES, EventBuilder
from edgevision.events.codec import decode, dump
from edgevision.events.schema import EVENT_TYPES
from edgevision.types import FrameTime, Occurrence, Part

NOW = datetime(2026, 1, 31, 6, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=1)))
QUALITY = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 50.0, "clock_synced": True}
MODEL = "person-detector@1.2.0#0123456789ab"


def crossed(**more: object) -> Occurrence:
    data = {"line": "entrance", "direction": "in", "track_id": 4217, "label": "person"}
    box = {"box": [1012.5, 233.1, 1201.7, 988.2]}
    return Occurrence("traffic", "crossed", FrameTime(NOW, 1.0), {**data, **box, **more}, size=(1920, 1080))


def verdict(part: Part, defects: int = 0, **more: object) -> Occurrence:
    found = [{"label": "mousebite", "score": 0.934, "box": [101.5, 202.5, 133.1, 240.9], "severity": "ng"}] * defects
    data = {"result": "ng" if defects else "ok", "reason": "mousebite: 1 > 0", "defects": found, "frames": 9, **more}
    return Occurrence("defect", "verdict", FrameTime(NOW, 1.0), data, key=part.id, part=part, size=(1920, 1080))


@pytest.fixture
def builder() -> EventBuilder:
    return EventBuilder("plant-1", "box-7", "0123456789ab")


def stored_size(builder: EventBuilder, occurrence: Occurrence) -> int:
    draft = builder.draft(occurrence, camera="door", model=MODEL, quality=QUALITY)
    draft.envelope["data"]["latency_ms"] = 123.4
    return len(dump({**draft.envelope, "sequence": "0" * 20}))


def test_a_draft_says_who_what_and_when(builder: EventBuilder) -> None:
    draft = builder.draft(crossed(), camera="door", model=MODEL, quality=QUALITY, decided_t_s=5.0)
    envelope = draft.envelope
    assert draft.topic == "edgevision/plant-1/box-7/door/traffic/crossed"
    assert draft.decided_t_s == 5.0
    assert envelope["type"] == "edgevision.traffic.crossed.v1"
    assert envelope["source"] == "edgevision/plant-1/box-7/door"
    assert envelope["time"] == "2026-01-31T05:30:15.250000Z"
    assert envelope["bootid"] == builder.bootid
    assert envelope["data"]["image_size"] == (1920, 1080)
    assert envelope["data"]["configrev"] == "0123456789ab"
    event = decode(dump({**envelope, "sequence": "0" * 19 + "1"}))
    assert event.time == NOW
    assert event.data.model == MODEL
    assert event.data.quality is not None
    assert event.data.quality.time_uncertainty_ms == 50.0


def test_what_is_about_the_device_names_no_camera(builder: EventBuilder) -> None:
    draft = builder.draft(Occurrence("health", "clock", FrameTime(NOW, 0.0), {"offset_s": 3.5}))
    assert draft.topic == "edgevision/plant-1/box-7/device/health/clock"
    assert draft.envelope["source"] == "edgevision/plant-1/box-7/device"


def test_typical_events_stay_below_600_bytes(builder: EventBuilder) -> None:
    assert stored_size(builder, crossed()) <= 600
    assert stored_size(builder, verdict(Part("b-000123", trigger_id="t-000123"))) <= 600


def test_without_a_key_every_event_has_its_own_id_in_the_order_of_time(builder: EventBuilder) -> None:
    ids = [uuid.UUID(builder.draft(crossed(), camera="door").envelope["id"]) for _ in range(100)]
    assert len(set(ids)) == 100
    assert {item.version for item in ids} == {7}


def test_with_a_key_a_replay_on_another_boot_gives_the_same_id(builder: EventBuilder) -> None:
    other = EventBuilder("plant-1", "box-7", "another", bootid="another")
    drafts = [item.draft(verdict(Part("p-1")), camera="door") for item in (builder, other)]
    assert drafts[0].envelope["id"] == drafts[1].envelope["id"]
    assert uuid.UUID(drafts[0].envelope["id"]).version == 5


def test_another_part_camera_attempt_or_revision_is_another_event(builder: EventBuilder) -> None:
    interval = {"line": "x", "start": "2026-01-31T05:00:00Z", "expected_s": 60.0, "observed_s": 60.0, "status": "valid"}
    ids = [
        builder.draft(verdict(Part("p-1")), camera="door").envelope["id"],
        builder.draft(verdict(Part("p-2")), camera="door").envelope["id"],
        builder.draft(verdict(Part("p-1", attempt=2)), camera="door").envelope["id"],
        builder.draft(verdict(Part("p-1")), camera="gate").envelope["id"],
        *(
            builder.draft(
                Occurrence("traffic", "interval", FrameTime(NOW, 0.0), {**interval, "revision": revision}, key="k"),
                camera="door",
            ).envelope["id"]
            for revision in (1, 2)
        ),
    ]
    assert len(set(ids)) == len(ids)


def test_the_part_travels_without_what_is_unknown(builder: EventBuilder) -> None:
    draft = builder.draft(verdict(Part("p-1", serial="S1")), camera="door")
    assert draft.envelope["data"]["part"] == {"id": "p-1", "serial": "S1"}


def test_verdicts_are_given_up_last_and_updates_first(builder: EventBuilder) -> None:
    assert set(PRIORITIES) <= set(EVENT_TYPES)
    own = PRIORITIES["defect", "verdict"]
    others = {key: value for key, value in PRIORITIES.items() if key not in {("defect", "verdict"), ("health", "gap")}}
    assert own > max(others.values())
    assert PRIORITIES["detection", "updated"] == min(PRIORITIES.values())
    assert builder.draft(verdict(Part("p")), camera="door").priority == own


@pytest.mark.parametrize(
    ("occurrence", "message"),
    [
        (crossed(colour="red"), "unknown field colour"),
        (crossed(direction="up"), "direction: Input should be 'in' or 'out', got 'up'"),
        (crossed(track_id="7"), "track_id"),
        (crossed(score=float("nan")), "not JSON"),
        (crossed(score=1.5), "score"),
        (crossed(line=None), "line: Field required"),
        (verdict(Part("p"), defects=1, box=[1, 2, 3]), "box"),
        (verdict(Part("")), "part.id"),
        (Occurrence("traffic", "danced", FrameTime(NOW, 0.0), {}), "no event traffic.danced"),
    ],
)
def test_what_does_not_fit_the_contract_is_refused(builder: EventBuilder, occurrence: Occurrence, message: str) -> None:
    with pytest.raises(EventError, match=message):
        builder.draft(occurrence, camera="door")


def test_an_unknown_field_is_found_in_the_depth(builder: EventBuilder) -> None:
    defect = {"label": "short", "score": 0.5, "box": [0, 0, 1, 1], "smell": "burnt"}
    with pytest.raises(EventError, match=r"unknown field defects.0.smell"):
        builder.draft(_with_defects([defect]), camera="door")


def _with_defects(defects: list[dict[str, object]]) -> Occurrence:
    data = {"result": "ng", "defects": defects}
    return Occurrence("defect", "verdict", FrameTime(NOW, 0.0), data, key="p", part=Part("p"))


@pytest.mark.parametrize("camera", ["Door", "cmd", "a/b", "", "x" * 64, "door\n"])
def test_a_camera_needs_a_proper_name(builder: EventBuilder, camera: str) -> None:
    with pytest.raises(EventError, match="name"):
        builder.draft(crossed(), camera=camera)
