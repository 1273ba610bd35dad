"""What the guides show works as they say."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.tracking import Untracked
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.events.build import EventBuilder
from edgevision.types import Detections, Frame, FrameTime

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def things(count: int) -> Detections:
    boxes = np.zeros((count, 4), np.float32)
    return Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int64))


def test_the_analysis_of_the_guide_says_what_it_says() -> None:
    text = (GUIDES / "extending.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(code, "extending.md", "exec", dont_inherit=True), names)  # noqa: S102 - our own page
    crowd = names["Crowd"]
    analysis = crowd(crowd.Settings(most=2, for_s=3), AnalysisContext("door", ("person",)))
    pipeline = CameraPipeline("door", Untracked(Untracked.Settings()), [analysis])
    builder, said = EventBuilder("s", "d", "c" * 12), []
    for second in range(12):
        time = FrameTime(NOON + timedelta(seconds=second), float(second))
        frame = Frame("door", second, time, PlainPixels.blank(8, 8))
        said += pipeline.step(frame, things(3 if 2 <= second < 9 else 1))
    assert pipeline.broken == ""
    (alarm,) = said
    assert alarm.time.t_s == 5.0
    assert builder.draft(alarm, camera="door").topic == "edgevision/s/d/door/defect/alarm"
    again = crowd(crowd.Settings(most=2, for_s=3), AnalysisContext("door", ("person",)))
    again.restore(analysis.state())
    assert again.state() == analysis.state()
