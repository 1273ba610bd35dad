"""Chooses the thresholds that a line works with, on validation parts.

A common threshold comes first. Then one class after the other moves, as little as it must, and only where that gains
something and enough defective parts show the class: a threshold of its own from a handful of parts is chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from edgevision.errors import DatasetError
from edgevision.evaluation.intervals import Rate, asked, needed
from edgevision.evaluation.matching import counts_by_class, match_all, total
from edgevision.evaluation.parts import PartRates, Parts, part_rates
from edgevision.evaluation.predict import Predictions
from edgevision.types import BoolArray, FloatArray

MIN_PARTS = 20  # defective parts that must show a class before it gets a threshold of its own
ROUNDS = 10  # over the classes, at most; each one gains at least a part, and few have that many to gain
MOST_TRIED = 500  # thresholds of one class, in one go
F1_TRIED = tuple(round(0.05 * step, 2) for step in range(1, 19))
LOWEST = 0.001
HIGHEST = 1.0
_DECIMALS = 4

Worth = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """What mistakes cost.

    Attributes:
        escape: Of a defective part that passes.
        overkill: Of a good part that is rejected, in the same unit.
        ng_share: Share of defective parts on the line, 0..1; a data set's own share means nothing.
    """

    escape: float
    overkill: float
    ng_share: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Thresholds, and what they do where they were chosen.

    Attributes:
        thresholds: Minimum score by class name, of the classes that count as defects.
        how: How they were chosen, for a person.
        chosen_on: The rates on the parts they were chosen on; ``None`` when they were given.
        notes: What to be careful about, a sentence each.
    """

    thresholds: dict[str, float]
    how: str
    chosen_on: PartRates | None = None
    notes: tuple[str, ...] = ()


def choose_for_f1(predictions: Predictions, parts: Parts) -> OperatingPoint:
    """The common threshold of the best F1 over all boxes; of equal ones the lowest, since an escape costs more.

    Args:
        predictions: Of the validation pictures.
        parts: Of the same pictures.
    """

    def f1(threshold: float) -> float:
        matches = match_all(predictions, [threshold] * len(predictions.data.classes))
        counts = total(counts_by_class(predictions, matches))
        return 2 * counts.found / max(1, 2 * counts.found + counts.false + counts.missed)

    best = max(F1_TRIED, key=lambda threshold: (f1(threshold), -threshold))
    notes = () if f1(best) else (f"No threshold finds a labelled box: {best:g} is merely the lowest that was tried.",)
    chosen = dict.fromkeys(predictions.data.classes, best)
    rates = part_rates(parts, [best] * len(parts.classes))
    return OperatingPoint(chosen, "the common threshold of the best F1 over all boxes", rates, notes)


def choose_for_escape(parts: Parts, wanted: float) -> OperatingPoint:
    """The largest common threshold whose escape rate is at most ``wanted``, then less overkill class by class.

    Args:
        parts: Validation parts.
        wanted: Escape rate, 0..1.

    Raises:
        DatasetError: There are no defective parts.
    """
    need(parts, good=False)
    allowed = math.floor(wanted * int(parts.ng.sum()) + 1e-9)

    def worth(rates: PartRates) -> Worth:
        return float(max(0, rates.escape.count - allowed)), float(rates.overkill.count)

    common = _common(parts, lambda rates: (max(0.0, float(rates.escape.count - allowed)),), highest=True)
    thresholds, frozen = _by_class(parts, common, worth)
    notes = [*_frozen_note(frozen), *_escape_notes(wanted, part_rates(parts, thresholds), allowed)]
    how = f"the largest common threshold with at most {asked(wanted)} escapes, then the least overkill class by class"
    return _point(parts, thresholds, how, notes)


def choose_for_cost(parts: Parts, costs: Costs) -> OperatingPoint:
    """The thresholds of the least expected cost a part.

    Args:
        parts: Validation parts.
        costs: What mistakes cost, and how many defective parts are expected.

    Raises:
        DatasetError: There are no defective or no good parts.
    """
    need(parts, good=True)

    def worth(rates: PartRates) -> Worth:
        return (round(expected_cost(rates, costs), 12),)

    thresholds, frozen = _by_class(parts, _common(parts, worth, highest=False), worth)
    cost = expected_cost(part_rates(parts, thresholds), costs)
    how = (
        f"least expected cost where an escape costs {costs.escape:g}, an overkill {costs.overkill:g} and "
        f"{asked(costs.ng_share)} of the parts are defective: {cost:.4g} a part"
    )
    return _point(parts, thresholds, how, _frozen_note(frozen))


def expected_cost(rates: PartRates, costs: Costs) -> float:
    """Cost of the mistakes, a part; both rates must be measurable."""
    escape, overkill = rates.escape.value or 0.0, rates.overkill.value or 0.0
    return costs.ng_share * escape * costs.escape + (1 - costs.ng_share) * overkill * costs.overkill


def sweep(parts: Parts, steps: Sequence[float]) -> list[PartRates]:
    """The rates at common thresholds."""
    return _rates_at(parts, parts.best.max(axis=1, initial=0.0), np.zeros(len(parts.ng), np.bool_), steps)


def _rates_at(parts: Parts, score: FloatArray, called: BoolArray, steps: Sequence[float]) -> list[PartRates]:
    """The rates where the parts are rejected that are called ng anyway, and those whose score reaches a step.

    Scores are sorted once: there may be hundreds of thousands, and thousands of steps.
    """
    limits = np.asarray(steps, np.float32)
    ng, good = parts.ng, ~parts.ng
    passed, kept = (np.searchsorted(np.sort(score[these & ~called]), limits).tolist() for these in (ng, good))
    bad, fine = int(ng.sum()), int(good.sum())
    return [PartRates(Rate(few, bad), Rate(fine - many, fine)) for few, many in zip(passed, kept, strict=True)]


def need(parts: Parts, *, good: bool) -> None:
    """Whether there is what thresholds are chosen by.

    Args:
        parts: Validation parts.
        good: Whether good parts are needed as well as defective ones.

    Raises:
        DatasetError: There are none.
    """
    if not parts.ng.any():
        msg = "no part of the split to choose on is defective, so no escape rate can be measured there"
        raise DatasetError(msg)
    if good and parts.ng.all():
        msg = (
            "no part of the split to choose on is good, so overkill is not measurable and has no cost; add good parts "
            "(--templates-as-good where there are templates), or choose by --escape-rate"
        )
        raise DatasetError(msg)


def _common(parts: Parts, worth: Callable[[PartRates], Worth], *, highest: bool) -> float:
    """The common threshold of the least worth; of equal ones the highest, or the middle of the widest run of them."""
    candidates = _candidates(parts.best.max(axis=1, initial=0.0))
    values = [worth(rates) for rates in sweep(parts, candidates)]
    least = min(values)
    best = [value == least for value in values]
    if highest:
        return max(threshold for threshold, good in zip(candidates, best, strict=True) if good)
    runs = [[candidates[place] for place, _ in run] for good, run in groupby(enumerate(best), itemgetter(1)) if good]
    widest = max(runs, key=lambda run: run[-1] - run[0])  # nothing changes between two candidates
    return round((widest[0] + widest[-1]) / 2, _DECIMALS)


def _by_class(parts: Parts, common: float, worth: Callable[[PartRates], Worth]) -> tuple[list[float], list[str]]:
    """Coordinate search from a common threshold; also names the classes that are shown too rarely to move."""
    thresholds = [common] * len(parts.classes)
    shown = parts.labelled[parts.ng].sum(axis=0)
    frozen = [name for name, count in zip(parts.classes, shown, strict=True) if count < MIN_PARTS]
    moving = [place for place, count in enumerate(shown) if count >= MIN_PARTS] if len(parts.classes) > 1 else []
    now = worth(part_rates(parts, thresholds))
    for _ in range(ROUNDS):
        before = now
        for place in moving:
            thresholds[place], now = _moved(parts, thresholds, place, worth)
        if now == before:
            break
    return thresholds, frozen if moving else []


def _moved(
    parts: Parts, thresholds: Sequence[float], place: int, worth: Callable[[PartRates], Worth]
) -> tuple[float, Worth]:
    """The nearest threshold of one class that is worth most, the others kept."""
    own = thresholds[place]
    best, now = own, worth(part_rates(parts, thresholds))
    every = _candidates(parts.best[:, place])
    few = sorted(every[:: max(1, len(every) // MOST_TRIED)], key=lambda value: abs(value - own))
    others = np.arange(len(thresholds)) != place
    called = ((parts.best >= np.asarray(thresholds, np.float32)) & others).any(axis=1)
    for candidate, rates in zip(few, _rates_at(parts, parts.best[:, place], called, few), strict=True):
        if (value := worth(rates)) < now:
            best, now = candidate, value
    return best, now


def _candidates(scores: FloatArray) -> list[float]:
    """Every threshold that can make a difference, rising, of few digits: just reached by a score, or just above it."""
    steps = 10**_DECIMALS
    floors = np.floor(np.asarray(scores, np.float64) * steps + 1e-3)  # a float32 score of 0.7 is a little less than 0.7
    floors -= (floors / steps).astype(np.float32) > scores
    every = np.clip(np.concatenate([floors, floors + 1]) / steps, LOWEST, HIGHEST)
    return [float(value) for value in np.unique([*every.round(_DECIMALS), LOWEST, HIGHEST])]


def _point(parts: Parts, thresholds: Sequence[float], how: str, notes: Sequence[str]) -> OperatingPoint:
    named = dict(zip(parts.classes, (round(value, _DECIMALS) for value in thresholds), strict=True))
    return OperatingPoint(named, how, part_rates(parts, thresholds), tuple(notes))


def _frozen_note(frozen: Sequence[str]) -> list[str]:
    if not frozen:
        return []
    return [f"Fewer than {MIN_PARTS} defective parts show {', '.join(frozen)}: the common threshold is kept there."]


def _escape_notes(wanted: float, rates: PartRates, allowed: int) -> list[str]:
    notes = []
    if rates.escape.count > allowed:
        notes.append(f"No threshold lets as few as {asked(wanted)} escape; this is the one with the fewest.")
    if not rates.overkill.total:
        notes.append("No good parts to choose on: what the thresholds reject of good parts is not measurable.")
    if 0 < wanted < 1 and rates.escape.total < (enough := needed(wanted)):
        total = rates.escape.total
        notes.append(f"{total} defective parts cannot show {asked(wanted)}; that takes {enough:,} without an escape.")
    return notes
