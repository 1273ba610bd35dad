"""The written contract is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgevision.events.asyncapi import document, schema_of, write_contract
from edgevision.events.codec import decode
from edgevision.events.reference import SAMPLES, reference, sample
from edgevision.events.schema import EVENT_TYPES

WRITTEN = Path(__file__).parents[3] / "docs" / "events"
DATA = SAMPLES


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
    assert {path.name for path in (WRITTEN / "schemas").iterdir()} == {path.name for path in fresh} - {
        "asyncapi.yaml",
        "README.md",
    }


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


def test_the_page_for_people_has_every_event_with_a_sample_that_is_one() -> None:
    page = reference()
    assert set(SAMPLES) == set(EVENT_TYPES)
    for family, name in EVENT_TYPES:
        assert f"## {family}/{name}\n" in page
        assert decode(json.dumps(sample(family, name)).encode()).name == name


def test_links_on_the_page_lead_somewhere() -> None:
    page = reference()
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
