"""One evaluation from pictures to results: what `edgevision evaluate` and the end of a training call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgevision.datasets.base import DataSet, Finding
from edgevision.errors import DatasetError, EdgevisionError
from edgevision.evaluation.coco import CocoResult, coco_result
from edgevision.evaluation.intervals import Claim, Rate, judge_claim
from edgevision.evaluation.matching import MIN_IOU, Counts, Match, confusion, counts_by_class, false_kinds, match_all
from edgevision.evaluation.notes import notes_of
from edgevision.evaluation.operating import (
    Costs,
    OperatingPoint,
    choose_for_cost,
    choose_for_escape,
    choose_for_f1,
    need,
    sweep,
)
from edgevision.evaluation.parts import PartRates, Parts, part_rates, parts_of, templates_as_good
from edgevision.evaluation.predict import Advance, Predictions, classes_of_both, predict, thresholds_of
from edgevision.evaluation.slices import Slice, slices
from edgevision.evaluation.splits import split_of
from edgevision.inference.base import Detector
from edgevision.types import Detections, IntArray

SWEEP = tuple(round(0.01 * step, 2) for step in range(1, 100))


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an evaluation.

    Attributes:
        split: What is reported on: a split, ``COLUMN=VALUE,VALUE``, or empty for all pictures.
        choose_on: What thresholds are chosen on, likewise; empty to take ``thresholds``.
        escape_rate: Choose for at most this escape rate, 0..1.
        costs: Choose for the least expected cost.
        best_f1: Choose the common threshold of the best F1.
        thresholds: By class name, ``default`` for the others: taken unless others are chosen.
        defects: Classes that make a part ng; ``None`` for all.
        with_templates: Whether templates join as good parts.
        claim_escape: Escape rate to be shown, 0..1.
        claim_overkill: Overkill rate to be shown, 0..1.
        min_iou: From this overlap on, a detection finds a box.
    """

    split: str = "test"
    choose_on: str = ""
    escape_rate: float | None = None
    costs: Costs | None = None
    best_f1: bool = False
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"default": 0.25})
    defects: tuple[str, ...] | None = None
    with_templates: bool = False
    claim_escape: float | None = None
    claim_overkill: float | None = None
    min_iou: float = MIN_IOU


@dataclass(frozen=True, slots=True)
class Results:
    """What an evaluation found.

    Attributes:
        request: What was asked.
        data: The whole data set, all splits.
        predictions: The pictures of the split, templates among them where asked.
        templates: How many of them are templates.
        coco: Average precision on the labelled pictures, without the templates.
        thresholds: Minimum score of every class, in the order of the classes.
        point: How the thresholds came about.
        parts: The parts of the split.
        rates: Escape and overkill at the thresholds.
        right_place: Defective parts on which at least one defect was found where it is, of all of them.
        matches: One a picture.
        by_class: Found, false and missed, in the order of the classes.
        false_kinds: False detections by what they are.
        confusion: (K + 1, K + 1), rows labelled, columns reported, background last.
        sweep: Rates at the common thresholds ``SWEEP``.
        slices: Where it is weak.
        claims: Answers to the claims.
        notes: What the reader should know, a sentence each.
    """

    request: Request
    data: DataSet
    predictions: Predictions
    templates: int
    coco: CocoResult
    thresholds: tuple[float, ...]
    point: OperatingPoint
    parts: Parts
    rates: PartRates
    right_place: Rate
    matches: tuple[Match, ...]
    by_class: tuple[Counts, ...]
    false_kinds: dict[str, int]
    confusion: IntArray
    sweep: tuple[PartRates, ...]
    slices: tuple[Slice, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]

    @property
    def unusable(self) -> tuple[Finding, ...]:
        """Pictures and labels that were left out, by the reader of the data set or by the evaluation, and why."""
        broken = tuple(finding for finding in self.data.findings if finding.severity == "error")
        return (*broken, *self.predictions.unreadable)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that labels and detections refer to."""
        return self.predictions.data.classes


def pictures_of(data: DataSet, request: Request) -> int:
    """How many pictures the model will look at, for a progress bar.

    Raises:
        DatasetError: A split does not exist, or there are no templates where they were asked for.
    """
    _check(request)
    return sum(len(part) for part in _splits(data, request).values())


def evaluate(detector: Detector, data: DataSet, request: Request, *, advance: Advance | None = None) -> Results:
    """Run a detector over a split and judge what it says.

    Args:
        detector: The model, opened with low thresholds (``open_model``).
        data: Labelled pictures.
        request: What is asked.
        advance: Told how many pictures are done.

    Raises:
        DatasetError: A split does not exist or holds nothing, classes do not fit, there are no templates or parts of a
            kind that is needed.
        EdgevisionError: The request contradicts itself.
        BackendError: The model failed.
    """
    _check(request)
    splits = _splits(data, request)
    _foresee(detector, splits, request)
    if request.choose_on and request.choose_on != request.split:
        chosen = predict(detector, splits[request.choose_on], advance=advance)
        predictions = predict(detector, splits[request.split], advance=advance)
    else:
        predictions = predict(detector, splits[request.split], advance=advance)
        chosen = predictions
    return judge(predictions, data, request, choose_on=chosen if request.choose_on else None)


def judge(
    predictions: Predictions, data: DataSet, request: Request, *, choose_on: Predictions | None = None
) -> Results:
    """Judge what a detector said; ``evaluate`` without the detector.

    Args:
        predictions: Of the split that is reported on.
        data: The whole data set, for its description.
        request: What is asked.
        choose_on: Predictions of the split that thresholds are chosen on.

    Raises:
        DatasetError: A class of ``defects`` does not exist, or parts of a kind that is needed are missing.
    """
    point = _point(request, choose_on)
    classes = predictions.data.classes
    thresholds = thresholds_of(classes, {**request.thresholds, **point.thresholds})
    parts = parts_of(predictions, request.defects)
    defect_thresholds = [thresholds[index] for index in parts.label]
    rates = part_rates(parts, defect_thresholds)
    matches = tuple(match_all(predictions, thresholds, request.min_iou))
    labelled = _without_templates(predictions, data) if request.with_templates else predictions
    coco = coco_result(labelled)
    return Results(
        request=request,
        data=data,
        predictions=predictions,
        templates=len(predictions.data) - len(labelled.data),
        coco=coco,
        thresholds=thresholds,
        point=point,
        parts=parts,
        rates=rates,
        right_place=_right_place(predictions, parts, matches),
        matches=matches,
        by_class=tuple(counts_by_class(predictions, matches)),
        false_kinds=false_kinds(matches),
        confusion=confusion(predictions, matches),
        sweep=tuple(sweep(parts, SWEEP)),
        slices=tuple(slices(predictions, matches, parts, defect_thresholds, coco, labelled)),
        claims=tuple(_claims(request, rates)),
        notes=(*notes_of(predictions, data, parts, choose_on), *point.notes),
    )


def _check(request: Request) -> None:
    wished = [request.escape_rate is not None, request.costs is not None, request.best_f1]
    if request.choose_on and sum(wished) != 1:
        msg = "to choose thresholds give either a wanted escape rate or the costs of both mistakes"
        raise EdgevisionError(msg)
    if any(wished) and not request.choose_on:
        msg = "a wanted escape rate or costs need a split to choose the thresholds on, e.g. val"
        raise EdgevisionError(msg)


def _foresee(detector: Detector, splits: Mapping[str, DataSet], request: Request) -> None:
    """Find by the labels alone what would end the evaluation after the long work."""
    for name, part in splits.items():
        classes, *_ = classes_of_both(detector.classes, part)
        nothing = (Detections.empty(),) * len(part)
        parts = parts_of(Predictions(replace(part, classes=classes), nothing, (0.0,) * len(part)), request.defects)
        if name == request.choose_on and not request.best_f1:
            need(parts, good=request.costs is not None)


def _splits(data: DataSet, request: Request) -> dict[str, DataSet]:
    if not data.samples:
        msg = f"{data.root}: there are no pictures to evaluate on{data.why_lost()}"
        raise DatasetError(msg)
    whole = templates_as_good(data) if request.with_templates else data
    names = [request.split, *([request.choose_on] if request.choose_on else [])]
    return {name: split_of(whole, name) for name in names}


def _point(request: Request, choose_on: Predictions | None) -> OperatingPoint:
    if choose_on is None:
        return OperatingPoint({}, "as given by the model")
    parts = parts_of(choose_on, request.defects)
    if request.costs is not None:
        return choose_for_cost(parts, request.costs)
    if request.best_f1:
        return choose_for_f1(choose_on, parts)
    return choose_for_escape(parts, request.escape_rate or 0.0)


def _right_place(predictions: Predictions, parts: Parts, matches: tuple[Match, ...]) -> Rate:
    right: set[int] = set()
    for part, found, item in zip(parts.of_sample.tolist(), predictions.found, matches, strict=True):
        labels = found.label[item.kept][item.truth >= 0]
        if set(labels.tolist()) & set(parts.label.tolist()):
            right.add(part)
    return Rate(len(right), int(parts.ng.sum()))


def _without_templates(predictions: Predictions, data: DataSet) -> Predictions:
    own = {sample.file for sample in data.samples}
    return predictions.of(lambda sample: sample.file in own)


def _claims(request: Request, rates: PartRates) -> list[Claim]:
    asked = (
        ("escape rate", rates.escape, request.claim_escape, "defective parts"),
        ("overkill rate", rates.overkill, request.claim_overkill, "good parts"),
    )
    return [judge_claim(what, rate, claimed, things) for what, rate, claimed, things in asked if claimed is not None]
