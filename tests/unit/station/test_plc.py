"""The fake PLC."""

from __future__ import annotations

import time

from edgevision.station.base import Verdict
from edgevision.station.plc import FakePlc
from edgevision.types import Part


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
