"""Every way in which this machine could run a bundle: its artefacts on the backends that are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edgevision.bundle import Artefact, Bundle, Target
from edgevision.errors import BundleError
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.places import Thresholds, places


@dataclass(frozen=True, slots=True)
class Choice:
    """An artefact on a backend.

    Attributes:
        backend: E.g. ``onnx cpu``.
        artefact: What it runs.
        open: Makes the detector; raises ``BackendError`` where it does not work after all.
    """

    backend: str
    artefact: Artefact
    open: Callable[[], BundleDetector]


def choices(
    bundle: Bundle,
    thresholds: Thresholds | None = None,
    *,
    threads: int = 0,
    max_batch: int | None = None,
    undecided: bool = False,
) -> Iterator[Choice]:
    """All of them; opening one of TensorRT may build for minutes.

    Args:
        bundle: The model.
        thresholds: Scores by class name that go before the bundle's.
        threads: Of one inference on a CPU; 0 for all.
        max_batch: Most pictures in one call; the backends' own without it.
        undecided: Also artefacts that could not show that they are as good as what was trained.
    """
    for place in places(threads=threads, max_batch=max_batch):
        for item in _artefacts(bundle, place.target):
            if item.gate == "not decidable" and not undecided:
                continue
            yield Choice(place.name, item, partial(place.open, bundle, item.precision, thresholds))


def _artefacts(bundle: Bundle, target: Target) -> list[Artefact]:
    """One of each precision that is meant for a device."""
    found = []
    for precision in ("fp32", "fp16", "int8"):
        with suppress(BundleError):
            found.append(bundle.artefact(target, precision))
    return found
