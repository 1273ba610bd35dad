"""The written contract is what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgevision.events.asyncapi import document, schema_of, write_contract
from edgevision.events.schema import EVENT_TYPES

WRITTEN = Path(__file__).parents[3] / "docs" / "events"
DATA: dict[tuple[str, str], dict[str, Any]] = {
    ("defect", "detected"): {"label": "short", "score": 0.9, "box": [0, 0, 1, 1], "part": {"id": "p"}},
    ("defect", "verdict"): {"result": "review", "reason": "timeout", "defects": [], "frames": 0, "part": {"id": "p"}},
    ("defect", "alarm"): {"rule": "rate", "action": "raised", "value": 0.2, "limit": 0.1},
    ("traffic", "crossed"): {"line": "x", "direction": "out", "track_id": 1},
    ("traffic", "zone"): {"zone": "x", "action": "left", "track_id": 1, "dwell_s": 2.5},
    ("traffic", "interval"): {
        "line": "x", "start": "2026-01-31T06:00:00Z", "expected_s": 60, "observed_s": 0, "status": "invalid",
        "count_in": 0, "count_out": 0,
    },
    ("traffic", "shelf"): {"slot": "a1", "state": "empty"},
    ("detection", "appeared"): {"track_id": 1},
    ("detection", "updated"): {"track_id": 1, "seen_s": 3},
    ("detection", "disappeared"): {"track_id": 1, "part": None},
    ("health", "started"): {"version": "0.1", "previous": {"bootid": "b", "last": {"t": "0" * 20}}},
    ("health", "camera"): {"state": "online"},
    ("health", "view"): {"state": "moved"},
    ("health", "gap"): {"reason": "disk_full", "count": 1, "lost": [{"topic": "t", "count": 1}]},
    ("health", "selftest"): {"backend": "onnx", "passed": True},
    ("health", "load"): {"state": "hot", "value": 95.0, "limit": 90.0, "unit": "C"},
    ("health", "publish_refused"): {"topic": "t", "event": "e", "reason_code": 135, "attempts": 5, "parked": True},
    ("health", "clock"): {"offset_s": 3600.0},
}  # fmt: skip


def event(key: tuple[str, str], data: dict[str, Any]) -> dict[str, Any]:
    family, name = key
    return {
        "specversion": "1.0", "id": "i", "type": f"edgevision.{family}.{name}.v1", "source": "edgevision/s/d/c",
        "time": "2026-01-31T06:00:00.000000Z", "bootid": "b", "sequence": "0" * 19 + "1", "data": data,
    }  # fmt: skip


def test_the_written_contract_is_current(tmp_path: Path) -> None:
    fresh = write_contract(tmp_path)
    stale = [path for path in fresh if (WRITTEN / path.relative_to(tmp_path)).read_text() != path.read_text()]
    assert stale == [], "run: edgevision events contract docs/events"
    assert {path.name for path in (WRITTEN / "schemas").iterdir()} == {path.name for path in fresh} - {"asyncapi.yaml"}


def test_schemas_of_events_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "traffic.danced.v1.json").write_text("{}")
    write_contract(tmp_path)
    assert not (tmp_path / "schemas" / "traffic.danced.v1.json").exists()


@pytest.mark.parametrize("key", sorted(EVENT_TYPES))
def test_a_schema_takes_its_events_and_fields_of_later_revisions(key: tuple[str, str]) -> None:
    checker = jsonschema.Draft202012Validator(schema_of(*key))
    checker.check_schema(checker.schema)
    good = event(key, DATA[key])
    checker.validate(good)
    checker.validate({**good, "historical": True, "publishedat": "2026-01-31T06:00:00.000000Z"})
    checker.validate({**good, "later": 1, "data": {**DATA[key], "later": {"x": 1}}})


@pytest.mark.parametrize("key", sorted(EVENT_TYPES))
def test_a_schema_refuses_other_events(key: tuple[str, str]) -> None:
    checker = jsonschema.Draft202012Validator(schema_of(*key))
    good = event(key, DATA[key])
    assert not checker.is_valid({**good, "type": "edgevision.other.thing.v1"})
    assert not checker.is_valid({**good, "sequence": "1"})
    assert not checker.is_valid({name: value for name, value in good.items() if name != "bootid"})
    assert not checker.is_valid({**good, "data": {**DATA[key], "latency_ms": "soon"}})


@pytest.mark.parametrize("key", sorted(EVENT_TYPES))
def test_every_field_is_described(key: tuple[str, str]) -> None:
    schema = schema_of(*key)
    assert schema["description"]
    for name, part in {"": schema, **schema["$defs"]}.items():
        assert part.get("description"), name
        for field, about in part.get("properties", {}).items():
            assert about.get("description"), f"{name}.{field}"


def test_the_overview_names_every_event_and_finds_its_schema() -> None:
    overview = yaml.safe_load((WRITTEN / "asyncapi.yaml").read_text())
    assert overview == document()
    assert overview["asyncapi"] == "3.0.0"
    assert set(overview["channels"]) == {f"{family}.{name}" for family, name in EVENT_TYPES}
    for message in overview["components"]["messages"].values():
        path = WRITTEN / message["payload"]["schema"]["$ref"]
        assert json.loads(path.read_text())["properties"]["type"]["const"] == message["name"]
