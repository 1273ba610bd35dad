"""Which units of a network suffer most from 8 bits: each is quantised alone, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgevision.evaluation.agreement import agreement
from edgevision.export.drafts import LOW, draft
from edgevision.export.quantize import Quantiser, Scheme
from edgevision.export.units import Unit
from edgevision.inference.base import Batch
from edgevision.inference.places import Place
from edgevision.types import Detections

LOWEST_SCORE = 0.05  # what lies below makes no difference to anybody


def by_sensitivity(
    quantiser: Quantiser,
    scheme: Scheme,
    manifest: Mapping[str, Any],
    place: Place,
    batches: Sequence[Batch],
    advance: Callable[[int], None] | None = None,
) -> list[Unit]:
    """All units, the one that changes most first.

    Args:
        quantiser: Of the network.
        scheme: How it is quantised.
        manifest: Of the bundle.
        place: Where the graphs run.
        batches: Pictures, letterboxed.
        advance: Told when a unit is done.
    """
    reference = _answers(manifest, quantiser.source, place, batches)
    changes: dict[str, float] = {}
    for unit in quantiser.units:
        others = [other for other in quantiser.units if other is not unit]
        found = _answers(manifest, quantiser.graph(scheme, others), place, batches)
        changes[unit.name] = 1 - agreement(reference, found)
        if advance is not None:
            advance(1)
    return sorted(quantiser.units, key=lambda unit: -changes[unit.name])


def _answers(manifest: Mapping[str, Any], content: bytes, place: Place, batches: Sequence[Batch]) -> list[Detections]:
    with draft(manifest, content) as bundle:
        detector = place.open(bundle, thresholds=LOW)
        found = [item for batch in batches for item in detector.infer(batch)]
        detector.close()
    return [item[item.score >= LOWEST_SCORE] for item in found]
