"""How fast detectors are on this machine: latency of one picture, and pictures a second by size of the batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgevision.inference.base import Batch, Detector
from edgevision.inference.power import watts
from edgevision.types import Letterbox


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        p50_ms: Half of the single pictures took less, ms; decoding of the output among it, scaling of pictures not.
        p90_ms: Nine of ten.
        p99_ms: Ninety-nine of a hundred.
        per_second: Pictures a second by size of the batch.
        watts: Mean power by rail or card while it ran; empty where nothing can be read.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    per_second: dict[int, float] = field(default_factory=dict)
    watts: dict[str, float] = field(default_factory=dict)


def speeds(detectors: Sequence[Detector], sizes: Sequence[int] = (1, 2, 4, 8), rounds: int = 50) -> list[Speed]:
    """Measure detectors of one input size in turns, so that what else the machine does hits all of them.

    Args:
        detectors: The detectors.
        sizes: Of batches; those that a detector does not take are left out.
        rounds: How often each has its turn with one picture; fewer for larger batches.
    """
    one = _noise(detectors[0], 1)
    taken = np.zeros((rounds, len(detectors)))
    power: list[list[dict[str, float]]] = [[] for _ in detectors]
    for detector in detectors:
        detector.infer(one)
    for turn, row in enumerate(taken):
        for place, detector in enumerate(detectors):
            row[place] = _seconds(detector, one)
            if turn % 10 == 0:
                power[place].append(watts())
    found = []
    for place, detector in enumerate(detectors):
        p50, p90, p99 = (float(value) * 1000 for value in np.percentile(taken[:, place], (50, 90, 99)))
        many = _per_second(detector, sizes, max(2, rounds // 10))
        found.append(Speed(p50, p90, p99, many, _mean(power[place])))
    return found


def _per_second(detector: Detector, sizes: Sequence[int], rounds: int) -> dict[int, float]:
    found = {}
    for size in sizes:
        if size <= detector.max_batch:
            batch = _noise(detector, size)
            detector.infer(batch)
            found[size] = size / float(np.median([_seconds(detector, batch) for _ in range(rounds)]))
    return found


def _noise(detector: Detector, count: int) -> Batch:
    spec = detector.input
    images = np.random.default_rng(0).integers(0, 256, (count, spec.height, spec.width, 3), dtype=np.uint8)
    return Batch(images, [Letterbox.fit((spec.width, spec.height), (spec.width, spec.height))] * count)


def _seconds(detector: Detector, batch: Batch) -> float:
    began = time.perf_counter()
    detector.infer(batch)
    return time.perf_counter() - began


def _mean(readings: Sequence[dict[str, float]]) -> dict[str, float]:
    names = {name for reading in readings for name in reading}
    return {name: float(np.mean([reading[name] for reading in readings if name in reading])) for name in sorted(names)}
