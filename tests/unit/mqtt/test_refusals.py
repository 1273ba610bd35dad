"""What the broker refuses beside events."""

from __future__ import annotations

from structlog.testing import capture_logs

from edgevision.mqtt.refusals import Refusals


def test_a_refusal_is_told_once_until_it_is_accepted() -> None:
    refusals = Refusals()
    with capture_logs() as logs:
        refusals.refused("a", "a is refused")
        refusals.refused("b", "b is refused")
        refusals.refused("a", "a is refused again")
    assert [entry["topic"] for entry in logs] == ["a", "b"]
    assert str(refusals) == "a is refused again; b is refused"
    refusals.accepted("a")
    refusals.accepted("c")
    assert str(refusals) == "b is refused"
    with capture_logs() as logs:
        refusals.refused("a", "a is refused")
    assert len(logs) == 1
