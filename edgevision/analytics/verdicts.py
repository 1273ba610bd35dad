"""From a part's record to its events: one `verdict`, and `detected` for every defect that a rule takes for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgevision.analytics.payload import score
from edgevision.analytics.record import PartDefect, PartRecord
from edgevision.analytics.rules import Rule, Severity, Sighted, judge
from edgevision.config.settings import RelativePoint
from edgevision.geometry import Points
from edgevision.types import FrameTime, Occurrence, Part

NAMED = 5  # so many defects stand in the verdict itself; all are counted
_WORST: Sequence[Severity] = ("ng", "review", "minor")

Payload = dict[str, object]


class Verdicts:
    """Judges records.

    Args:
        rules: Rules of acceptance; with none, any defect of the default score makes a part `ng`.
        regions: Polygons by name, in shares of the part.
        classes: Class names of the model.
        min_frames: With fewer frames a part that breaks no rule is to be reviewed.
        mm_per_px: Size of a pixel on the part, mm.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        regions: Mapping[str, Sequence[RelativePoint]],
        classes: Sequence[str],
        *,
        min_frames: int = 1,
        mm_per_px: float | None = None,
    ) -> None:
        self._rules = tuple(rules) or (Rule(),)
        self._regions: dict[str, Points] = {name: np.array(points, np.float64) for name, points in regions.items()}
        self._classes = classes
        self._min_frames, self._mm_per_px = min_frames, mm_per_px

    @property
    def floor(self) -> float:
        """Detections below this score matter to no rule."""
        return min(rule.floor for rule in self._rules)

    def judge(self, record: PartRecord, time: FrameTime, size: tuple[int, int] | None) -> list[Occurrence]:
        """The events of a part that gets its verdict now.

        Args:
            record: All that was seen of it.
            time: When it is decided.
            size: (width, height) of the frames, px.
        """
        sighted = [defect.sighted(self._classes[defect.label], self._regions) for defect in record.defects]
        judgement = judge(
            self._rules, sighted, record.inspected, min_frames=self._min_frames, mm_per_px=self._mm_per_px
        )
        rows = [
            (_WORST.index(severity), -defect.score, self._defect(defect, seen, severity))
            for defect, seen, severity in zip(record.defects, sighted, judgement.severity, strict=True)
            if severity is not None
        ]
        rows.sort(key=lambda row: row[:2])
        defects = [payload for _, _, payload in rows]
        part = Part(record.id, serial=record.serial, trigger_id=record.trigger_id)
        found = [Occurrence("defect", "detected", time, payload, part=part, size=size) for payload in defects]
        data: Payload = {"result": judgement.result, "reason": judgement.reason}
        data |= {"defects": [_short(payload) for payload in defects[:NAMED]], "defect_count": len(defects)}
        data["frames"] = record.inspected
        if record.box:
            data["box"] = [round(value, 1) for value in record.box]
        return [*found, Occurrence("defect", "verdict", time, data, key=record.id, part=part, size=size)]

    def _defect(self, defect: PartDefect, seen: Sighted, severity: Severity) -> Payload:
        size = defect.measure
        payload: Payload = {
            "label": seen.label,
            "score": score(defect.score),
            "box": [round(value, 1) for value in defect.box],
            "frames": len(defect.sightings),
            "severity": severity,
            "length_px": round(size.length_px, 1),
            "width_px": round(size.width_px, 1),
            "area_px": round(size.area_px, 1),
        }
        if seen.regions:
            payload["region"] = min(seen.regions)
        if self._mm_per_px is not None:
            payload["length_mm"] = round(size.length_px * self._mm_per_px, 3)
            payload["width_mm"] = round(size.width_px * self._mm_per_px, 3)
            payload["area_mm2"] = round(size.area_px * self._mm_per_px**2, 4)
        return payload


def _short(payload: Payload) -> Payload:
    return {name: payload[name] for name in ("label", "score", "box", "severity")}
