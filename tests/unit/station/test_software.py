"""The software trigger and the fake PLC."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

from edgevision.station.base import TriggerSignal, Verdict
from edgevision.station.plc import FakePlc
from edgevision.station.software import SoftwareTrigger
from edgevision.types import Part

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_signals_come_out_in_order() -> None:
    trigger = SoftwareTrigger()
    for name in "abc":
        trigger.fire(TriggerSignal(name, NOW, 0.0))
    names = [signal.id for _ in range(3) if (signal := trigger.wait(1.0)) is not None]
    assert names == ["a", "b", "c"]
    assert trigger.wait(0.01) is None


def test_close_wakes_whoever_waits() -> None:
    trigger = SoftwareTrigger()
    waiter = threading.Thread(target=trigger.wait, args=(60.0,))
    waiter.start()
    trigger.close()
    waiter.join(5.0)
    assert not waiter.is_alive()


def test_the_fake_plc_knows_what_came_late() -> None:
    plc = FakePlc()
    now = time.monotonic()
    for name, deadline in (("early", now + 60), ("late", now - 1), ("any", None)):
        plc.act(Verdict(Part(name), "ok", "", deadline, {}))
    assert [(action.verdict.part.id, action.late) for action in plc.actions] == [
        ("early", False),
        ("late", True),
        ("any", False),
    ]
