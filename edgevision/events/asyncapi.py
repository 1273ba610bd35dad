"""The contract for integrators: JSON Schemas and an AsyncAPI document, generated from the models that the code uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from edgevision.config.settings import NAME_PATTERN
from edgevision.events.reference import reference
from edgevision.events.schema import EVENT_TYPES, event_model, type_name

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(family: str, name: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event as it is published, envelope and data."""
    model = event_model(type_name(family, name))
    return {"$schema": _DRAFT, **model.model_json_schema(mode="validation")}


def document() -> dict[str, Any]:
    """AsyncAPI 3.0: a channel, a message and an operation for each event."""
    channels, operations, messages = {}, {}, {}
    for family, name in EVENT_TYPES:
        key = f"{family}.{name}"
        schema = schema_of(family, name)
        messages[key] = {
            "name": schema["properties"]["type"]["const"],
            "summary": schema["description"],
            "contentType": "application/cloudevents+json",
            "payload": {
                "schemaFormat": f"application/schema+json;version={_DRAFT.split('/')[4]}",
                "schema": {"$ref": _file(family, name)},
            },
        }
        channels[key] = {
            "address": f"edgevision/{{site}}/{{device}}/{{camera}}/{family}/{name}",
            "parameters": {part: {"$ref": f"#/components/parameters/{part}"} for part in ("site", "device", "camera")},
            "messages": {key: {"$ref": f"#/components/messages/{key}"}},
        }
        operations[f"send.{key}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "messages": [{"$ref": f"#/channels/{key}/messages/{key}"}],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edgevision events",
            "version": "1",
            "description": "What an edgevision device publishes, at least once: drop a second event with the same id."
            f" Names match {NAME_PATTERN}. Fields may be added within version 1; ignore what you do not know.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"parameters": _PARAMETERS, "messages": messages},
    }


_PARAMETERS = {
    "site": {"description": "The plant or shop."},
    "device": {"description": "The box that runs the daemon."},
    "camera": {"description": "The camera; `device` for events about the device."},
}


def _file(family: str, name: str) -> str:
    return f"./schemas/{family}.{name}.v1.json"


def write_contract(folder: Path) -> list[Path]:
    """Write ``asyncapi.yaml``, ``schemas/*.json`` and ``README.md``, the page for people.

    Schemas of events that are no more are removed.

    Returns:
        The files written.
    """
    schemas = folder / "schemas"
    schemas.mkdir(parents=True, exist_ok=True)
    written = []
    for family, name in EVENT_TYPES:
        path = folder / _file(family, name)
        path.write_text(json.dumps(schema_of(family, name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    for path in set(schemas.glob("*.json")) - set(written):
        path.unlink()
    overview = folder / "asyncapi.yaml"
    overview.write_text(yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    page = folder / "README.md"
    page.write_text(reference(), encoding="utf-8")
    return [*written, overview, page]
