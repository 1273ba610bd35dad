"""How long detectors take for a picture, measured in turns so that what else the machine does hits all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from edgevision.inference.base import Batch, Detector
from edgevision.types import Letterbox

ROUNDS = 25


def latencies_ms(detectors: Sequence[Detector], batch: Batch | None = None, rounds: int = ROUNDS) -> list[float]:
    """Median time of one picture in each detector, decoding of its output among it, ms.

    Args:
        detectors: Of one input size.
        batch: A picture that they all take; noise without one.
        rounds: How often each of them has its turn.
    """
    spec = detectors[0].input
    if batch is None:
        noise = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3), dtype=np.uint8)
        batch = Batch(noise, [Letterbox.fit((spec.width, spec.height), (spec.width, spec.height))])
    for detector in detectors:
        detector.infer(batch)
    taken = np.zeros((rounds, len(detectors)))
    for row in taken:
        for place, detector in enumerate(detectors):
            began = time.perf_counter()
            detector.infer(batch)
            row[place] = time.perf_counter() - began
    return [float(value) * 1000 for value in np.median(taken, axis=0)]
