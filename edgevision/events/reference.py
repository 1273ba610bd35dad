"""The contract as a page for people: the envelope once, then each event with its fields and a sample."""

from __future__ import annotations

import json
from typing import Any

from edgevision.config.reference import Schema, heading_of, pages, table
from edgevision.events.payloads import Data
from edgevision.events.schema import EVENT_TYPES, Event, type_name

_INTRODUCTION = """\
# Events

What a device publishes: [CloudEvents 1.0](https://cloudevents.io) as JSON, on
`edgevision/{site}/{device}/{camera}/{family}/{name}`, at least once. This page, `asyncapi.yaml` and `schemas/` are
written by `edgevision events contract` from the models that the code uses.

What an integrator may rely on:

- A type of version 1 never changes its meaning. Fields may be added: ignore what you do not know.
- An event keeps its `id` for ever. Drop a second one with the same `id`; `edgevision.mqtt.consumer.Consumer` does.
- `sequence` counts the events of one topic and one `bootid` from 1 without holes, so whoever subscribes to whole topics
  can tell what is missing.
- Intervals are published always, zeros too. Of two with the same `source`, `line` or `zone`, and `start`, the higher
  `revision` counts. `valid`: at least 95 % of the time was watched; `degraded`: at least half; `invalid`: less, so that
  a dead camera, or the first and last interval of a run, never look like an empty shop.
- `historical: true` says that the event waited on the device, or is sent again: never let a machine act on it.
- Optional fields (`?`) are left out when there is nothing to say.
"""

SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("defect", "detected"): {
        "label": "short",
        "score": 0.91,
        "box": [212.0, 80.5, 236.0, 101.0],
        "severity": "ng",
        "length_px": 21.4,
        "width_px": 6.0,
        "area_px": 96.0,
        "part": {"id": "aoi-20260131T060012412000-1"},
    },
    ("defect", "verdict"): {
        "result": "ng",
        "reason": "1 short; 0 allowed",
        "defects": [],
        "defect_count": 1,
        "frames": 9,
        "part": {"id": "aoi-20260131T060012412000-1"},
    },
    ("defect", "alarm"): {"rule": "rate", "action": "raised", "value": 0.2, "limit": 0.1},
    ("traffic", "crossed"): {"line": "door", "direction": "in", "track_id": 17},
    ("traffic", "zone"): {"zone": "till", "action": "left", "track_id": 17, "dwell_s": 42.5},
    ("traffic", "interval"): {
        "line": "door",
        "start": "2026-01-31T06:00:00Z",
        "utc_offset_s": 3600,
        "expected_s": 60,
        "observed_s": 60.0,
        "status": "valid",
        "revision": 1,
        "count_in": 4,
        "count_out": 1,
    },
    ("traffic", "shelf"): {"slot": "a1", "state": "empty"},
    ("detection", "appeared"): {"track_id": 17, "label": "person", "score": 0.88, "box": [12.0, 40.0, 96.0, 300.0]},
    ("detection", "updated"): {"track_id": 17, "label": "person", "score": 0.9, "seen_s": 3.0},
    ("detection", "disappeared"): {"track_id": 17, "label": "person", "score": 0.93, "seen_s": 12.4},
    ("health", "started"): {
        "version": "0.1.0",
        "previous": {
            "bootid": "0b1f6d1e-6a1c-4f0e-9d2e-0d6f3c0c8a11",
            "last": {"edgevision/plant1/line3/aoi/defect/verdict": "00000000000000001730"},
        },
    },
    ("health", "camera"): {"state": "reconnecting", "reason": "no frame for 5 s", "previous": "online"},
    ("health", "view"): {"state": "moved"},
    ("health", "gap"): {
        "reason": "disk_full",
        "count": 12,
        "lost": [{"topic": "edgevision/plant1/line3/aoi/detection/appeared", "count": 12}],
    },
    ("health", "selftest"): {"backend": "onnx cpu", "passed": True, "pictures": 4},
    ("health", "load"): {"state": "overloaded", "value": 1.4, "limit": 2.0, "unit": "frames/s"},
    ("health", "publish_refused"): {
        "topic": "edgevision/plant1/line3/aoi/defect/verdict",
        "attempts": 5,
        "parked": True,
        "event": "019c1b1e-7a4c-7c31-8a52-3c1f0e9b7d10",
        "reason_code": 135,
    },
    ("health", "clock"): {"offset_s": 3600.0, "synced": True},
}
"""Payloads as they look, one of each event."""


def sample(family: str, name: str) -> dict[str, Any]:
    """A whole event as it looks when it is published."""
    camera = "device" if family == "health" and name not in {"camera", "view", "load"} else "aoi"
    return {
        "specversion": "1.0",
        "id": "019c1b1e-7a4c-7c31-8a52-3c1f0e9b7d10",
        "type": type_name(family, name),
        "source": f"edgevision/plant1/line3/{camera}",
        "time": "2026-01-31T06:00:12.412000Z",
        "bootid": "8d6a4c1e-31f5-4c0f-9f4e-5b1f8c1d2e3f",
        "sequence": f"{1731:020d}",
        "data": SAMPLES[family, name],
    }


def reference() -> str:
    """The page, Markdown."""
    envelope = {**Event[Data].model_json_schema(), "description": "What stands around every event's `data`."}
    parts = [_INTRODUCTION, _shared(envelope, "The envelope", skip=("data",))]
    parts.append(_shared(Data.model_json_schema(), "What any `data` may carry", skip=()))
    for family, name in EVENT_TYPES:
        parts.append(_event(family, name))
    return "\n".join(parts)


def _shared(schema: Schema, title: str, *, skip: tuple[str, ...]) -> str:
    properties = {name: about for name, about in schema["properties"].items() if name not in skip}
    definitions = {name: about for name, about in schema.get("$defs", {}).items() if name != "Data"}
    return pages({**schema, "properties": properties, "$defs": definitions}, title, level=2, defaults=False)


def _event(family: str, name: str) -> str:
    schema = EVENT_TYPES[family, name].model_json_schema()
    definitions = schema.get("$defs", {})
    lines = [f"## {family}/{name}", "", f"`{type_name(family, name)}`: {' '.join(schema['description'].split())}", ""]
    own = {key: about for key, about in schema["properties"].items() if key not in Data.model_fields}
    shared = Data.model_json_schema().get("$defs", {})
    lines += table(own, schema.get("required", []), definitions, defaults=False)
    for inner in (item for item in definitions if item not in shared):
        part = pages({**definitions[inner], "$defs": {}}, heading_of(inner, definitions), level=3, defaults=False)
        lines += ["", part.rstrip()]
    text = json.dumps(sample(family, name), indent=1, ensure_ascii=False)
    return "\n".join([*lines, "", "```json", text, "```", ""])
