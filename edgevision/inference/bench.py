"""How fast detectors are on this machine: latency of one picture, and pictures a second by size of the batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgevision.inference.base import Batch, Detector
from edgevision.types import Letterbox

POWER_S = 2.0  # of one detector alone; power is read in the second half, since some sensors tell the mean of a second


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        p50_ms: Half of the single pictures took less, ms; decoding of the output among it, scaling of pictures not.
        p90_ms: Nine of ten.
        p99_ms: Ninety-nine of a hundred.
        per_second: Pictures a second by size of the batch.
        watts: Mean power by rail or card while it alone ran; empty where nothing can be read.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    per_second: dict[int, float] = field(default_factory=dict)
    watts: dict[str, float] = field(default_factory=dict)


def speeds(
    detectors: Sequence[Detector],
    sizes: Sequence[int] = (1, 2, 4, 8),
    rounds: int = 50,
    *,
    power: Callable[[], dict[str, float]] | None = None,
) -> list[Speed]:
    """Measure detectors of one input size in turns, so that what else the machine does hits all of them.

    Args:
        detectors: The detectors.
        sizes: Of batches; those that a detector does not take are left out.
        rounds: How often each has its turn with one picture; fewer for larger batches.
        power: Reads watts by rail or card; where there are some, each detector then runs alone for ``POWER_S``.
    """
    one = _noise(detectors[0], 1)
    taken = np.zeros((rounds, len(detectors)))
    for detector in detectors:
        detector.infer(one)
    for row in taken:
        for place, detector in enumerate(detectors):
            row[place] = _seconds(detector, one)
    found = []
    for place, detector in enumerate(detectors):
        p50, p90, p99 = (float(value) * 1000 for value in np.percentile(taken[:, place], (50, 90, 99)))
        many = _per_second(detector, sizes, max(2, rounds // 10))
        found.append(Speed(p50, p90, p99, many, _drawn(detector, one, power) if power is not None and power() else {}))
    return found


def _drawn(detector: Detector, one: Batch, power: Callable[[], dict[str, float]]) -> dict[str, float]:
    readings: list[dict[str, float]] = []
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < POWER_S or not readings:
        detector.infer(one)
        if passed >= POWER_S / 2:
            readings.append(power())
    return _mean(readings)


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
