"""Rules of acceptance: from the defects of a part to its verdict. Pure functions; batch inspection uses them too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgevision.analytics.measure import Measure
from edgevision.config.settings import Name, Settings, Unit

Result = Literal["ok", "ng", "review"]
Severity = Literal["ng", "review", "minor"]


class FrameCount(Settings):
    """In how many frames of a part a defect must be seen."""

    seen: Annotated[int, Field(ge=1, le=100)] = 1
    """At least this many frames ..."""
    of: Annotated[int, Field(ge=1, le=300)] | None = None
    """... out of this many frames in a row; out of all when not given."""
    share: Unit = 0.0
    """At least this share of the frames in which the part was inspected, 0..1."""

    @model_validator(mode="after")
    def _possible(self) -> FrameCount:
        if self.of is not None and self.of < self.seen:
            msg = f"{self.seen} frames out of {self.of} can never be seen; `of` must be at least `seen`"
            raise ValueError(msg)
        return self


class Rule(Settings):
    """More than `max_count` defects that fit a rule make a part `ng`."""

    labels: list[str] = []
    """Defect classes it is about; all when empty."""
    region: Name | None = None
    """Only defects in this region of the part; everywhere when not given."""
    min_score: Unit = 0.0
    """A defect counts from this score, 0..1; without it whatever the model reports, by the thresholds that were chosen
    and judged for it."""
    review_score: Unit | None = None
    """From this score up to `min_score` a defect makes the part `review`, 0..1; off when not given."""
    min_length_px: Annotated[float, Field(ge=0)] = 0.0
    """A defect counts from this length, pixels of the source."""
    min_length_mm: Annotated[float, Field(ge=0)] = 0.0
    """A defect counts from this length, mm; needs `mm_per_px`."""
    min_area_px: Annotated[float, Field(ge=0)] = 0.0
    """A defect counts from this area, square pixels of the source."""
    min_area_mm2: Annotated[float, Field(ge=0)] = 0.0
    """A defect counts from this area, mm²; needs `mm_per_px`."""
    max_count: Annotated[int, Field(ge=0)] = 0
    """How many such defects a good part may have."""
    frames: FrameCount = FrameCount()
    """In how many frames a defect must be seen to count."""

    @model_validator(mode="after")
    def _ordered(self) -> Rule:
        if self.review_score is not None and self.review_score > self.min_score:
            msg = f"review_score {self.review_score} must not be above min_score {self.min_score}; give both"
            raise ValueError(msg)
        return self

    @property
    def floor(self) -> float:
        """Scores below this mean nothing to the rule."""
        return self.min_score if self.review_score is None else self.review_score


@dataclass(frozen=True, slots=True)
class Sighted:
    """A defect as the rules see it.

    Attributes:
        label: Class name.
        sightings: (number of the inspected frame from 0, score) of every frame that shows it, in order.
        size: As it was measured.
        regions: Names of the regions its centre lies in.
    """

    label: str
    sightings: Sequence[tuple[int, float]]
    size: Measure
    regions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a part.

    Attributes:
        result: The verdict.
        reason: Why, when it is not ``ok``.
        severity: Of each defect; ``None``: no rule takes it for a defect.
    """

    result: Result
    reason: str | None
    severity: tuple[Severity | None, ...]


_RANK: Mapping[Severity | None, int] = {None: 0, "minor": 1, "review": 2, "ng": 3}


def judge(
    rules: Sequence[Rule],
    defects: Sequence[Sighted],
    frames: int,
    *,
    min_frames: int = 1,
    mm_per_px: float | None = None,
) -> Judgement:
    """The verdict on one part.

    Args:
        rules: All are asked; the worst answer holds.
        defects: What was seen on the part.
        frames: In how many frames the part was inspected.
        min_frames: With fewer, a part that breaks no rule is to be reviewed.
        mm_per_px: Size of a pixel on the part, mm.
    """
    severity: list[Severity | None] = [None] * len(defects)
    broken: dict[Severity, str] = {}
    for rule in rules:
        sure = [i for i, defect in enumerate(defects) if _fits(rule, defect, mm_per_px) and holds(rule, defect, frames)]
        maybe = [
            i
            for i, defect in enumerate(defects)
            if i not in sure and _fits(rule, defect, mm_per_px) and _borderline(rule, defect, frames)
        ]
        outcome: Severity = "minor"
        if len(sure) > rule.max_count:
            outcome, maybe = "ng", []
        elif len(sure) + len(maybe) > rule.max_count:
            outcome = "review"
        concerned = sure + maybe
        for i in concerned:
            severity[i] = max(severity[i], outcome, key=_RANK.__getitem__)
        if outcome != "minor":
            broken.setdefault(outcome, _reason(rule, [defects[i].label for i in concerned], certain=outcome == "ng"))
    if "ng" in broken:
        return Judgement("ng", broken["ng"], tuple(severity))
    if "review" in broken:
        return Judgement("review", broken["review"], tuple(severity))
    if frames < min_frames:
        reason = f"inspected in {frames} of at least {min_frames} frames" if frames else "never fully in view"
        return Judgement("review", reason, tuple(severity))
    return Judgement("ok", None, tuple(severity))


def holds(rule: Rule, defect: Sighted, frames: int, score: float | None = None) -> bool:
    """Whether the defect was seen with ``score`` (the rule's ``min_score``) in enough frames."""
    least = rule.min_score if score is None else score
    seen = [number for number, value in defect.sightings if value >= least]
    need = rule.frames.seen
    if len(seen) < max(need, math.ceil(rule.frames.share * frames - 1e-9)):
        return False
    if rule.frames.of is None:
        return True
    return any(seen[i + need - 1] - seen[i] < rule.frames.of for i in range(len(seen) - need + 1))


def _fits(rule: Rule, defect: Sighted, mm_per_px: float | None) -> bool:
    if rule.labels and defect.label not in rule.labels:
        return False
    if rule.region is not None and rule.region not in defect.regions:
        return False
    size, scale = defect.size, mm_per_px or 0.0
    long_enough = size.length_px >= rule.min_length_px and size.length_px * scale >= rule.min_length_mm
    return long_enough and size.area_px >= rule.min_area_px and size.area_px * scale**2 >= rule.min_area_mm2


def _borderline(rule: Rule, defect: Sighted, frames: int) -> bool:
    if rule.review_score is not None and holds(rule, defect, frames, rule.review_score):
        return True
    strong = any(score >= rule.min_score for _, score in defect.sightings)
    return strong and frames < rule.frames.seen  # too few frames to be sure either way


def _reason(rule: Rule, labels: Sequence[str], *, certain: bool) -> str:
    names = ", ".join(f"{labels.count(name)} {name}" for name in dict.fromkeys(labels))
    where = f" in {rule.region}" if rule.region else ""
    return f"{names}{where}; {rule.max_count} allowed" if certain else f"uncertain: {names}{where}"
