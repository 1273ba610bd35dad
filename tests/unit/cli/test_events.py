"""`edgevision events`: wrong use, and the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_process import edgevision, error_of

from edgevision.events.schema import EVENT_TYPES

SPAN = ("--from", "2026-01-31T00:00:00Z", "--to", "2026-02-01T00:00:00Z")


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
        (("tail", "--port", "0"), "--port: Input should be greater than"),
        (("contract", "--out", __file__), "cannot be written: Not a directory"),
        (("tail", "--ca", "nowhere.pem"), "--ca: nowhere.pem: no such file"),
        (("tail", "--cert", __file__), "give --cert and --key"),
        (("tail", "--ca", __file__), "TLS"),
        (("tail", "--password", "secret"), "password needs --user"),
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


def test_a_tail_of_no_events_is_refused() -> None:
    done = edgevision("events", "tail", "--count", 0, "--port", 1)
    assert done.returncode == 2
    assert "--count" in done.stderr


def test_a_sink_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    target = tmp_path / "no-folder" / "events.sqlite"
    assert f"sink {target}" in error_of(edgevision("events", "sink", "sqlite", target))
