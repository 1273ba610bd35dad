"""One camera's pure loop: detections in, occurrences out. No threads, no clock, no I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from edgevision.analytics.base import Analysis, Tracker
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import TriggerLedger
from edgevision.types import Detections, Frame, FrameTime, Occurrence


class CameraPipeline:
    """Tracker, analyses and open triggers of one camera. Used by one thread.

    Args:
        camera: Name of the camera.
        tracker: Gives detections lasting ids.
        analyses: What looks at the tracks, in order.
        ledger: Open triggers; ``None`` for a camera that runs free.
    """

    def __init__(
        self, camera: str, tracker: Tracker, analyses: Sequence[Analysis], ledger: TriggerLedger | None = None
    ) -> None:
        self.camera = camera
        self.ledger = ledger
        self._tracker = tracker
        self._analyses = analyses
        self._last: FrameTime | None = None
        self._next_position: int | None = None

    @property
    def position(self) -> int | None:
        """Where a file source stands after the last frame; ``None`` before the first and for live sources."""
        return self._next_position

    def step(self, frame: Frame, detections: Detections) -> list[Occurrence]:
        """One frame with what was detected in it."""
        tracks = self._tracker.update(detections, frame.time.t_s)
        occurrences: list[Occurrence] = []
        for analysis in self._analyses:
            occurrences.extend(analysis.update(frame, tracks))
        self._last = frame.time
        self._next_position = frame.position
        return self._settled(occurrences)

    def advance(self, elapsed_s: float) -> list[Occurrence]:
        """``elapsed_s`` seconds have passed since the last frame came; nothing happens before the first one."""
        if self._last is None:
            return []
        time_utc, t_s = self._after_last(elapsed_s)
        occurrences: list[Occurrence] = []
        for analysis in self._analyses:
            occurrences.extend(analysis.advance(time_utc, t_s))
        return self._settled(occurrences)

    def finish(self) -> list[Occurrence]:
        """The source has ended for good: what is still open is closed."""
        if self._last is None:
            return []
        time_utc, t_s = self._after_last(0.0)
        occurrences: list[Occurrence] = []
        for analysis in self._analyses:
            occurrences.extend(analysis.finish(time_utc, t_s))
        return self._settled(occurrences)

    def opened(self, signal: TriggerSignal) -> bool:
        """A trigger fired; ``False`` when it is known already or the camera has none."""
        return self.ledger is not None and self.ledger.opened(signal)

    def overdue(self, t_s: float) -> list[Occurrence]:
        """Verdicts of the triggers whose deadline is reached at ``t_s`` (the daemon's monotonic clock, seconds)."""
        return [] if self.ledger is None else self.ledger.give_up(self.ledger.overdue(t_s), "timeout")

    def give_up(self, reason: str) -> list[Occurrence]:
        """Verdicts for every open trigger."""
        return [] if self.ledger is None else self.ledger.give_up(self.ledger.all_open(), reason)

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, JSON-able."""
        last = self._last
        return {
            "tracker": self._tracker.state(),
            "analyses": [analysis.state() for analysis in self._analyses],
            "ledger": None if self.ledger is None else self.ledger.state(),
            "last": None if last is None else [last.time_utc.isoformat(), last.t_s, last.source, last.uncertainty_ms],
        }

    def restore(self, state: dict[str, Any], position: int | None) -> None:
        """Go on from an earlier ``state()`` of a camera with the same settings."""
        self._tracker.restore(state["tracker"])
        for analysis, saved in zip(self._analyses, state["analyses"], strict=True):
            analysis.restore(saved)
        if self.ledger is not None and state["ledger"] is not None:
            self.ledger.restore(state["ledger"])
        if state["last"] is not None:
            time_utc, t_s, source, uncertainty_ms = state["last"]
            self._last = FrameTime(datetime.fromisoformat(time_utc), t_s, source, uncertainty_ms)
        self._next_position = position

    def _after_last(self, elapsed_s: float) -> tuple[datetime, float]:
        last = self._last
        assert last is not None  # noqa: S101 - the callers have looked
        return last.time_utc + timedelta(seconds=elapsed_s), last.t_s + elapsed_s

    def _settled(self, occurrences: list[Occurrence]) -> list[Occurrence]:
        """Verdicts close their triggers and carry what is known of the part; a second one is dropped."""
        if self.ledger is None:
            return occurrences
        triggers = {item.part.trigger_id for item in occurrences if item.part is not None and item.part.trigger_id}
        parts = {trigger_id: part for trigger_id in triggers if (part := self.ledger.part(trigger_id)) is not None}
        kept = []
        for occurrence in occurrences:
            trigger_id = occurrence.part.trigger_id if occurrence.part is not None else None
            if trigger_id is None:
                kept.append(occurrence)
            elif trigger_id in parts and (occurrence.name != "verdict" or self.ledger.answered(trigger_id)):
                part = parts[trigger_id]
                kept.append(dataclasses.replace(occurrence, part=part, key=part.id if occurrence.key else None))
        return kept
