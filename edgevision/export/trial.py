"""Tries artefacts where they are meant to run, against what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgevision.bundle import Target, Tolerance
from edgevision.datasets.base import DataSet
from edgevision.evaluation.predict import Predictions, predict
from edgevision.export.drafts import LOW, draft
from edgevision.export.gate import Budget, Check, Judgement, judge_artefact
from edgevision.export.kinds import FP32, Kind
from edgevision.inference.base import Detector
from edgevision.inference.bench import speeds
from edgevision.inference.places import Place
from edgevision.inference.selftest import GoldenResult, selftest, tolerance
from edgevision.training.base import Told

ROUNDS = 25  # of one picture each, for the latency
SLOWER = 1.02  # times the 32-bit graph, from which on an artefact is slower


@dataclass(frozen=True, slots=True)
class Tried:
    """An artefact at one place.

    Attributes:
        place: Its name.
        target: What it stands for there; where the device itself is not here, ``for_others`` is true.
        judgement: Of the gate, and of the golden pictures as the self-test of a device will see them.
        latency_ms: Of one picture.
        fp32_ms: The same of the 32-bit graph, measured in turns with it.
        for_others: Only its numbers were looked at, for devices that are not here.
        tolerance: How far the golden pictures may come out otherwise.
    """

    place: str
    target: Target
    judgement: Judgement
    latency_ms: float
    fp32_ms: float
    for_others: bool = False
    tolerance: Tolerance = field(default_factory=Tolerance)

    @property
    def slower(self) -> bool:
        """Whether it gains nothing here."""
        return not self.for_others and self.latency_ms > SLOWER * self.fp32_ms

    @property
    def offered(self) -> bool:
        """Whether it may be taken here."""
        return self.judgement.outcome != "failed" and not self.slower


@dataclass(frozen=True, slots=True)
class Trial:
    """What artefacts are compared with, and where.

    Attributes:
        manifest: Of the bundle, with what the 32-bit graph sees in its golden pictures.
        pictures: The golden pictures, by path inside of the bundle.
        judged: The pictures.
        thresholds: Those that are deployed, by class name.
        trained: What the trained network saw.
        source: The 32-bit graph.
        places: What is here, the reference first.
        budget: How much worse an artefact may be.
        defects: Classes that make a part ng; ``None`` for all.
        steps: Who is told.
    """

    manifest: Mapping[str, Any]
    pictures: Mapping[str, Path | bytes]
    judged: DataSet
    thresholds: dict[str, float]
    trained: Predictions
    source: bytes
    places: Sequence[Place]
    budget: Budget
    defects: tuple[str, ...] | None
    steps: Told

    def of(self, kind: Kind, content: bytes) -> list[Tried]:
        """Try an artefact wherever it is meant for; what is not here is stood in for by the reference."""
        here = [place for place in self.places if not kind.targets or place.target in kind.targets]
        return [self._at(place, kind, content, for_others=not here) for place in here or self.places[:1]]

    def _at(self, place: Place, kind: Kind, content: bytes, *, for_others: bool) -> Tried:
        with (
            draft(self.manifest, content, kind.precision, self.pictures) as bundle,
            draft(self.manifest, self.source) as before,
        ):
            detector, plain = (place.open(item, thresholds=LOW) for item in (bundle, before))
            found = self._predicted(detector, f"{kind.name}, {place.name}")
            mine, other = (speed.p50_ms for speed in speeds([detector, plain], (), ROUNDS))
            if kind == FP32:
                other = mine
            limits = tolerance(bundle, detector)
            golden = _golden(selftest(bundle, detector, limits=limits))
            detector.close()
            plain.close()
        judgement = judge_artefact(self.trained, found, self.thresholds, self.budget, self.defects)
        judgement = replace(judgement, checks=(*judgement.checks, golden))
        return Tried(place.name, place.target, judgement, mine, other, for_others, limits)

    def _predicted(self, detector: Detector, what: str) -> Predictions:
        with self.steps.bar(what, len(self.judged)) as advance:
            return predict(detector, self.judged, advance=advance)


def _golden(results: Sequence[GoldenResult]) -> Check:
    """What the self-test of a device will say, where the tolerance cannot help."""
    problems = [f"{item.file}: {problem}" for item in results for problem in item.problems]
    if not problems:
        return Check("golden pictures", "passed", f"golden pictures: all {len(results)} come out as they should")
    more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
    return Check("golden pictures", "failed", f"the self-test would refuse it: {problems[0]}{more}")
