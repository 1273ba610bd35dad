"""What is asked of a software trigger."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from edgevision.errors import StationError
from edgevision.station.request import signal_of


def test_a_trigger_without_a_name_gets_one() -> None:
    first, second = signal_of({}), signal_of({})
    assert uuid.UUID(first.id) != uuid.UUID(second.id)
    assert first.part is not None
    assert first.part.id == first.id


def test_what_is_known_of_the_part_comes_along() -> None:
    signal = signal_of({"trigger_id": "t1", "id": "part-7", "serial": "S7", "attempt": 2})
    assert signal.part is not None
    assert (signal.id, signal.part.id, signal.part.serial, signal.part.attempt) == ("t1", "part-7", "S7", 2)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"colour": "red"}, "unknown field colour; allowed: attempt, id"),
        ({"attempt": True}, "attempt must be a whole number from 1"),
        ({"attempt": 0}, "attempt must be a whole number from 1"),
        ({"attempt": "2"}, "attempt must be a whole number from 1"),
        ({"serial": ""}, "serial must be text of 1 to 200 characters"),
        ({"serial": "x" * 201}, "serial must be text of 1 to 200 characters"),
        ({"serial": 7}, "serial must be text"),
        ({"trigger_id": "\ud800"}, "trigger_id must be text"),
    ],
)
def test_what_could_not_be_written_down_later_is_refused_at_once(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(StationError) as caught:
        signal_of(request_)
    assert message in str(caught.value)
