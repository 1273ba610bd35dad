"""Makes artefacts and tries them; where 8 bits everywhere are too few, the most sensitive units stay in 32."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from edgevision.bundle import Target
from edgevision.errors import ExportError
from edgevision.evaluation.predict import frame_of
from edgevision.export.half import half_graph
from edgevision.export.kinds import FP32, Kind
from edgevision.export.quantize import Quantiser, Scheme
from edgevision.export.sensitivity import by_sensitivity
from edgevision.export.trial import Trial, Tried
from edgevision.export.units import Unit
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.drivers import eight_bit_words
from edgevision.inference.preprocess import single_batch
from edgevision.sources.images import read_image

KEPT_SHARES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)  # of the units, the most sensitive ones, that stay in 32 bits
LOOKED_AT = 16  # pictures, for the sensitivity


@dataclass(frozen=True, slots=True)
class Artefact:
    """An artefact with what it showed.

    Attributes:
        kind: What it is.
        content: Its graph; ``None`` when it may not be used anywhere.
        how: How it was made, for a person.
        tried: Where it was tried.
        targets: What it is offered for; empty for everything, or for nothing where it has no content.
    """

    kind: Kind
    content: bytes | None
    how: str
    tried: tuple[Tried, ...]
    targets: tuple[Target, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not offered where it was tried, a sentence each."""
        return tuple(_reason(self.kind, item) for item in self.tried if not item.offered)


def artefacts(trial: Trial, kinds: Sequence[Kind], calibration: Sequence[Path], spec: InputSpec) -> Iterator[Artefact]:
    """Make and try each kind, the 32-bit graph first.

    Args:
        trial: What they are compared with.
        kinds: Which ones; 8-bit kinds need ``calibration``.
        calibration: Pictures to measure ranges on.
        spec: What the model wants.
    """
    yield _judged(trial, FP32, trial.source, "32-bit floats")
    yield from (_half(trial, kind) for kind in kinds if kind.scheme is None and kind != FP32)
    if eight := [(kind, kind.scheme) for kind in kinds if kind.scheme is not None]:
        trial.steps.say(f"measuring ranges on {len(calibration)} pictures")
        looked_at = [_batch(file, spec) for file in calibration[:: max(1, len(calibration) // LOOKED_AT)]]
        quantiser = cache(lambda: Quantiser(trial.source, (_batch(file, spec).images for file in calibration)))
        for kind, scheme in eight:
            try:
                made = _eight_bits(trial, kind, scheme, quantiser(), looked_at)
            except ExportError as exc:
                made = Artefact(kind, None, str(exc), ())
            yield made


def _judged(trial: Trial, kind: Kind, content: bytes, how: str) -> Artefact:
    tried = tuple(trial.of(kind, content))
    offered = [item for item in tried if item.offered]
    if not offered:
        return Artefact(kind, None, how, tried)
    here = {item.target for item in tried if not item.for_others}
    fit = {item.target for item in offered}
    if here <= fit:
        return Artefact(kind, content, how, tried, kind.targets)
    every: tuple[Target, ...] = kind.targets or get_args(Target)  # without a word it would be meant for all of them
    targets = tuple(target for target in every if target in fit or target not in here)
    return Artefact(kind, content, how, tried, targets)


def _half(trial: Trial, kind: Kind) -> Artefact:
    try:
        content = half_graph(trial.source)
    except ExportError as exc:
        return Artefact(kind, None, str(exc), ())
    return _judged(trial, kind, content, "16-bit floats, boxes put together in 32")


def _eight_bits(trial: Trial, kind: Kind, scheme: Scheme, quantiser: Quantiser, looked_at: Sequence[Batch]) -> Artefact:
    """The first share of kept units with which nothing fails; where some place always fails, what the others offer."""
    made: list[Artefact] = []
    order: Sequence[Unit] = ()
    for share in KEPT_SHARES:
        if share and not order:
            with trial.steps.bar(f"{kind.name}, sensitivity", len(quantiser.units)) as advance:
                order = by_sensitivity(quantiser, scheme, trial.manifest, trial.places[0], looked_at, advance)
        keep = order[: math.ceil(share * len(quantiser.units))]
        if share and len(keep) == len(quantiser.units):
            break  # of one unit, say: nothing would be held in 8 bits
        made.append(_judged(trial, kind, quantiser.graph(scheme, keep), _how(keep, len(quantiser.units))))
        failed = [item for item in made[-1].tried if item.judgement.outcome == "failed"]
        if not failed:
            return made[-1]
        trial.steps.say(f"{kind.name}, {made[-1].how}, {failed[0].place}: {failed[0].judgement.reasons[0]}")
    return max(made, key=lambda item: sum(tried.judgement.outcome != "failed" for tried in item.tried))


def _how(keep: Sequence[Unit], units: int) -> str:
    if not keep:
        return "8 bits everywhere but at the ends"
    named = ", ".join(unit.name for unit in keep[:3]) + (", ..." if len(keep) > 3 else "")  # noqa: PLR2004
    return f"8 bits, the {len(keep)} most sensitive of {units} units in 32 ({named})"


def _reason(kind: Kind, item: Tried) -> str:
    if item.judgement.outcome == "failed":
        return f"{item.place}: {item.judgement.reasons[0]}"
    slower = f"{item.place}: {item.latency_ms:.3g} ms a picture, slower than 32 bits with {item.fp32_ms:.3g} ms"
    told = eight_bit_words() if kind.precision == "int8" and item.target in {"cpu", "openvino"} else ""
    return f"{slower}; {told}" if told else slower


def _batch(file: Path, spec: InputSpec) -> Batch:
    """A picture as the runtime feeds it."""
    return single_batch([frame_of(file, read_image(file))], spec)
