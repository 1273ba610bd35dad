"""What every trigger does, run over those that ship; ``fire`` is how a test makes it go off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edgevision.station.base import Trigger
from edgevision.station.request import signal_of
from edgevision.station.software import SoftwareTrigger

Fire = Callable[[str], None]


def _software() -> tuple[Trigger, Fire]:
    trigger = SoftwareTrigger()
    return trigger, lambda name: trigger.fire(signal_of({"trigger_id": name}))


@pytest.fixture(params=[_software], ids=["software"])
def made(request: pytest.FixtureRequest) -> tuple[Trigger, Fire]:
    return request.param()  # type: ignore[no-any-return]


def test_every_signal_comes_out_once_and_in_order(made: tuple[Trigger, Fire]) -> None:
    trigger, fire = made
    for name in "abc":
        fire(name)
    assert [signal.id for _ in range(3) if (signal := trigger.wait(1.0)) is not None] == ["a", "b", "c"]


def test_waiting_ends_without_a_signal(made: tuple[Trigger, Fire]) -> None:
    assert made[0].wait(0.01) is None


def test_a_signal_carries_when_it_was_fired_on_both_clocks(made: tuple[Trigger, Fire]) -> None:
    trigger, fire = made
    before = time.monotonic()
    fire("a")
    signal = trigger.wait(1.0)
    assert signal is not None
    assert before <= signal.t_s <= time.monotonic()
    assert signal.time_utc.tzinfo is not None


def test_close_wakes_whoever_waits(made: tuple[Trigger, Fire]) -> None:
    trigger, _ = made
    waiter = threading.Thread(target=trigger.wait, args=(60.0,))
    waiter.start()
    trigger.close()
    waiter.join(5.0)
    assert not waiter.is_alive()
