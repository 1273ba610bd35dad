"""What is known of one part while it is inspected: its defects, each merged over all frames that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.analytics.assignment import Pairs, assign
from edgevision.analytics.measure import Measure, measure
from edgevision.analytics.rules import Sighted
from edgevision.geometry import Points, inside
from edgevision.types import Frame, Tracks

MAX_FRAMES = 300  # a part that stands still teaches nothing more
MAX_DEFECTS = 300
_REACH = 0.75  # how far a defect may seem to wander on its part from frame to frame, defect sizes ...
_REACH_PART = 0.01  # ... and shares of the part's diagonal
_BETTER = 0.05  # so much must the score rise before a defect is measured again


@dataclass(slots=True)
class PartDefect:
    """One defect of a part.

    Attributes:
        label: Index of its class.
        sightings: [number of the inspected frame, score] of each frame that shows it.
        score: Best score.
        box: Its box in that frame, px.
        place: That box in shares of the part's box.
        latest: Its box in the latest frame that shows it, in shares of the part's box.
        size: length, width, area in px, measured where the score was high.
        measured: Score at which it was measured.
    """

    label: int
    sightings: list[list[float]] = field(default_factory=list)
    score: float = 0.0
    box: list[float] = field(default_factory=list)
    place: list[float] = field(default_factory=list)
    latest: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    measured: float = -1.0

    def see(self, number: int, score: float, box: NDArray[np.float64], place: NDArray[np.float64]) -> None:
        """Another frame shows it."""
        self.sightings.append([number, score])
        self.latest = place.tolist()
        if score > self.score:
            self.score, self.box, self.place = score, box.tolist(), place.tolist()

    @property
    def measure(self) -> Measure:
        """Its size."""
        return Measure(*self.size)

    def sighted(self, name: str, regions: Mapping[str, Points]) -> Sighted:
        """The defect as the rules see it; ``regions`` are polygons in shares of the part."""
        x1, y1, x2, y2 = self.place
        centre = np.array([[(x1 + x2) / 2, (y1 + y2) / 2]])
        within = frozenset(region for region, polygon in regions.items() if bool(inside(centre, polygon)[0]))
        return Sighted(name, [(int(number), score) for number, score in self.sightings], self.measure, within)


@dataclass(slots=True)
class PartRecord:
    """One part on its way through the inspection window.

    Attributes:
        id: Its identity, unique over restarts.
        serial: What is known of it from elsewhere, e.g. the name of the picture.
        trigger_id: The trigger that asked for it.
        since_s: When it was first seen, seconds of the stream's clock.
        seen_s: When it was last seen.
        near: Its centre has been in the window.
        inspected: In how many frames it was fully in the window.
        out_s: Since when it is no longer fully in the window.
        judged: It has its verdict.
        box: Its box in the last frame in which it was inspected, px.
        defects: What was seen on it.
    """

    id: str
    serial: str | None
    trigger_id: str | None
    since_s: float
    seen_s: float
    near: bool = False
    inspected: int = 0
    out_s: float | None = None
    judged: bool = False
    box: list[float] = field(default_factory=list)
    defects: list[PartDefect] = field(default_factory=list)

    def inspect(self, frame: Frame, box: NDArray[np.float64], marks: Tracks) -> None:
        """The part is fully in the window.

        Args:
            frame: The frame.
            box: (4,) the part, px.
            marks: Possible defects; those whose centre is outside ``box`` are other parts'.
        """
        self.box, self.out_s = box.tolist(), None
        if self.inspected >= MAX_FRAMES:
            return
        number = self.inspected
        self.inspected += 1
        if not len(marks):
            return
        boxes = marks.xyxy.astype(np.float64)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        own = np.flatnonzero(np.all((centre >= box[:2]) & (centre < box[2:]), axis=1))
        if not len(own):
            return
        size = np.tile(box[2:] - box[:2], 2)
        places = (boxes[own] - np.tile(box[:2], 2)) / size
        which = self._recognise(places, marks.label[own], size)
        for row, place, index in zip(own.tolist(), places, which, strict=True):
            if index < 0:
                if len(self.defects) >= MAX_DEFECTS:
                    continue
                self.defects.append(PartDefect(int(marks.label[row])))
            defect = self.defects[index]
            defect.see(number, round(float(marks.score[row]), 4), boxes[row], place)
            if defect.score > defect.measured + _BETTER:
                found = measure(frame.pixels.bgr(), boxes[row])
                defect.size = [found.length_px, found.width_px, found.area_px]
                defect.measured = defect.score

    def _recognise(
        self, places: NDArray[np.float64], labels: Sequence[int] | NDArray[np.int64], size: Points
    ) -> list[int]:
        """Index of the known defect that each place shows; -1: a new one."""
        which = np.full(len(places), -1, np.int64)
        if self.defects:
            known = np.array([defect.latest for defect in self.defects]) * size
            seen = places * size
            reach = np.maximum(_largest_side(known)[:, None], _largest_side(seen)) * _REACH
            reach += _REACH_PART * float(np.hypot(size[0], size[1]))
            off = _centre(known)[:, None] - _centre(seen)
            likeness = np.maximum(1 - np.hypot(off[..., 0], off[..., 1]) / reach, 0).astype(np.float32)
            same = np.array([defect.label for defect in self.defects])[:, None] == np.asarray(labels)
            rows, cols, _ = assign(Pairs.of(likeness * same))
            which[cols] = rows
        return which.tolist()

    def state(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return asdict(self)

    @classmethod
    def load(cls, state: dict[str, Any]) -> PartRecord:
        """The inverse of ``state``."""
        return cls(**{**state, "defects": [PartDefect(**defect) for defect in state["defects"]]})


def _centre(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = (boxes[:, :2] + boxes[:, 2:]) / 2
    return out


def _largest_side(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return out
