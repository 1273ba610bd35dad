"""`edgevision events`: what it prints of an event, and wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import edgevision, error_of

from edgevision.cli.events import describe
from edgevision.events.codec import decode
from edgevision.events.schema import EVENT_TYPES

ENVELOPE = {
    "specversion": "1.0",
    "id": "e1",
    "source": "edgevision/s/d/door",
    "time": "2026-01-31T06:00:00.000000Z",
    "bootid": "b",
    "sequence": "0" * 19 + "1",
}
SPAN = ("--from", "2026-01-31T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
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


def test_the_contract_is_written(tmp_path: Path) -> None:
    done = edgevision("events", "contract", "--out", tmp_path / "contract")
    assert done.returncode == 0
    names = {file.name for file in (tmp_path / "contract").rglob("*.json")}
    assert len(names) >= len(EVENT_TYPES)
    assert (tmp_path / "contract" / "asyncapi.yaml").read_text("utf-8").startswith("asyncapi: 3")


def test_a_broker_that_is_not_there_is_said_in_a_line(free_port: int) -> None:
    done = edgevision("events", "tail", "--port", free_port, "--idle-s", 1)
    assert str(free_port) in error_of(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tail", "--protocol", "4"), "allowed: 5, 3.1.1"),
        (("sink", "mysql", "somewhere"), "allowed: sqlite, postgres"),
        (("tail", "--port", "99999"), "port"),
        (("tail", "--ca", "nowhere.pem"), "--ca: nowhere.pem: no such file"),
        (("tail", "--cert", __file__), "give --cert and --key"),
        (("tail", "--ca", __file__), "TLS"),
        (("tail", "--password", "secret"), "password needs a username"),
        (("resend", "plant", *SPAN), "'plant' names no device; expected SITE/DEVICE"),
        (("resend", "plant/+", *SPAN), "'+' is no name"),
        (("resend", "plant/box/door", *SPAN), "'box/door' is no name"),
        (("resend", "plant/box", *SPAN, "--family", "cars"), "allowed: defect, detection, health, traffic"),
        (("resend", "plant/box", "--from", "today", "--to", "2026-02-01T00:00:00Z"), "'today' is no time"),
        (("resend", "plant/box", "--from", "2026-01-31T00:00:00", "--to", "2026-02-01T00:00:00Z"), "no time zone"),
        (("resend", "plant/box", *SPAN, "--port", "1"), "broker 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_said_in_a_line(arguments: tuple[str, ...], message: str) -> None:
    assert message in error_of(edgevision("events", *arguments))


def test_a_sink_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    target = tmp_path / "no-folder" / "events.sqlite"
    assert f"sink {target}" in error_of(edgevision("events", "sink", "sqlite", target))
