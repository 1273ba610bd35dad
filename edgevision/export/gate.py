"""The gate: what an artefact must show on labelled pictures before anybody is offered it.

It is compared with what was trained, on the same pictures and at the thresholds that are deployed, and it has to show
that it is no worse: a sample that is too small shows nothing, and that is said.

Recall has two bounds to keep. The paired bootstrap draws whole parts, whose boxes are often lost together, but where
nothing was lost all its samples are the same, however few the boxes are; ``net_loss_bound`` counts what so many boxes
can exclude. Who keeps the first and not the second is not decidable. A loss that even few boxes show is none of that:
it fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgevision.evaluation.coco import coco_result
from edgevision.evaluation.intervals import apart, asked, needed_pairs, net_loss_bound, net_loss_shown
from edgevision.evaluation.paired import Difference, Recall, compare
from edgevision.evaluation.parts import PartRates, part_rates, parts_of
from edgevision.evaluation.predict import Predictions, thresholds_of

Outcome = Literal["passed", "not decidable", "failed"]
_ORDER: tuple[Outcome, ...] = ("passed", "not decidable", "failed")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much worse an artefact may be than what was trained.

    Attributes:
        map50_95: Loss of mean average precision, 0..1.
        recall: Loss of a class's recall at its threshold, 0..1.
        flips: Defective parts that were rejected and now pass.
        boxes: A class with fewer labelled boxes than this never passes.
    """

    map50_95: float = 0.01
    recall: float = 0.02
    flips: int = 0
    boxes: int = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    Attributes:
        what: ``mAP50-95``, ``recall of NAME`` or ``verdicts``.
        outcome: The answer.
        words: The answer for a person.
    """

    what: str
    outcome: Outcome
    words: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an artefact has shown.

    Attributes:
        pictures: How many it was judged on.
        map50: Mean average precision at IoU 0.5; ``None`` without labelled boxes.
        map50_95: The same over 0.5 to 0.95.
        change: Of the latter against what was trained.
        recall: By class, at its threshold, against what was trained.
        rates: Escape and overkill at the thresholds.
        passed_now: Defective parts that were rejected and now pass, by name.
        checks: All questions.
    """

    pictures: int
    map50: float | None
    map50_95: float | None
    change: Difference | None
    recall: Mapping[str, Recall]
    rates: PartRates
    passed_now: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst answer."""
        return max((check.outcome for check in self.checks), key=_ORDER.index)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not passed, what failed first; empty when it is passed."""
        open_ = [check for check in self.checks if check.outcome != "passed"]
        return tuple(check.words for check in sorted(open_, key=lambda check: -_ORDER.index(check.outcome)))


def judge_artefact(
    trained: Predictions,
    artefact: Predictions,
    thresholds: dict[str, float],
    budget: Budget | None = None,
    defects: Sequence[str] | None = None,
) -> Judgement:
    """Compare an artefact with what was trained.

    Args:
        trained: What the trained weights saw.
        artefact: What the artefact saw on the same pictures, by the runtime's own detector.
        thresholds: Those that are deployed, by class name.
        budget: How much worse it may be.
        defects: Classes that make a part ng; ``None`` for all.
    """
    budget = budget or Budget()
    scores = thresholds_of(trained.data.classes, thresholds)
    paired = compare(trained, artefact, scores)
    recall = dict(zip(trained.data.classes, paired.recall, strict=True))
    before, after = (parts_of(item, defects) for item in (trained, artefact))
    limits = [scores[label] for label in before.label]
    passes = before.ng & before.called_ng(limits) & ~after.called_ng(limits)
    passed_now = tuple(before.names[place] for place in np.flatnonzero(passes))
    coco = coco_result(artefact).overall
    checks = (
        _precision(paired.map50_95, budget),
        *(_found(name, item, budget) for name, item in recall.items()),
        _verdicts(passed_now, int(before.ng.sum()), budget),
    )
    rates = part_rates(after, limits)
    return Judgement(len(trained.data), coco.map50, coco.map50_95, paired.map50_95, recall, rates, passed_now, checks)


def _precision(change: Difference | None, budget: Budget) -> Check:
    what = "mAP50-95"
    if change is None:
        return Check(what, "not decidable", f"{what}: no picture has a labelled box")
    words = f"{what} {change.value:+.4f}, above {change.lower:+.4f} with 95 % confidence"
    if change.lower >= -budget.map50_95:
        return Check(what, "passed", words)
    return Check(what, "failed", f"{words}: a loss of {budget.map50_95:g} is allowed")


def _found(name: str, item: Recall, budget: Budget) -> Check:
    what = f"recall of {name}"
    if item.difference is None:
        return Check(what, "not decidable", f"{what}: no picture has a labelled box of it")
    counted = f"{item.lost} of {item.boxes:,} boxes lost, {item.won} won"
    words = f"{what} {item.difference.value:+.4f} ({counted}), above {item.difference.lower:+.4f} with 95 % confidence"
    bound = net_loss_bound(item.lost, item.won, item.boxes)
    if item.boxes >= budget.boxes and item.difference.lower < -budget.recall:
        return Check(what, "failed", f"{words}: a loss of {budget.recall:g} is allowed")
    if (shown := net_loss_shown(item.lost, item.won, item.boxes)) > budget.recall:
        loss = f"{counted}: a loss above {apart(shown, budget.recall)} with 95 % confidence"
        return Check(what, "failed", f"{what}: {loss}, {budget.recall:g} is allowed")
    if item.boxes >= budget.boxes and bound <= budget.recall:
        return Check(what, "passed", words)
    few = f"{what}: {counted}; so few only show a loss below {apart(bound, budget.recall)}"
    return Check(what, "not decidable", f"{few}, {_would_do(item, budget)}")


def _would_do(item: Recall, budget: Budget) -> str:
    if not budget.recall:
        return "and no number of boxes shows that nothing is ever lost"
    if budget.recall >= 1:
        return f"{budget.boxes} are asked for"
    boxes = max(budget.boxes, needed_pairs(budget.recall, item.lost, item.won))
    alike = " with as many lost and won" if item.lost or item.won else ""
    return f"{boxes:,}{alike} would show {asked(budget.recall)}"


def _verdicts(passed_now: Sequence[str], defective: int, budget: Budget) -> Check:
    if not defective:
        return Check("verdicts", "not decidable", "verdicts: no part is defective")
    words = f"verdicts: {len(passed_now)} of {defective:,} defective parts that were rejected now pass"
    if len(passed_now) <= budget.flips:
        return Check("verdicts", "passed", words)
    some = ", ".join(passed_now[:3]) + (", ..." if len(passed_now) > 3 else "")  # noqa: PLR2004
    return Check("verdicts", "failed", f"{words} ({some})")
