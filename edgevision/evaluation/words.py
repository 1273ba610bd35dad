"""Results as words and tables: for the head of a report, a terminal, a model card and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgevision.evaluation.coco import AveragePrecision
from edgevision.evaluation.evaluate import SWEEP, Results
from edgevision.evaluation.intervals import Rate, needed, percent, upper_bound
from edgevision.evaluation.slices import Slice

_BAR = r"\|"  # in a markdown table
_WISHED = (0.01, 0.001, 0.0001)  # rates that people ask for

SOME = 5  # parts, from which on "all of them" and "none of them" mean something


@dataclass(frozen=True, slots=True)
class About:
    """Where results come from.

    Attributes:
        model: Which model, e.g. ``name@version#hash``.
        data: Which data set.
        fingerprint: Of the data set; empty when unknown.
        date: When, ISO 8601; empty when unknown.
    """

    model: str
    data: str
    fingerprint: str = ""
    date: str = ""


def verdict(results: Results) -> list[str]:
    """The answer in plain sentences, the one that makes the others worthless first."""
    rates = results.rates
    return [
        *useless(results),
        _of_100(rates.escape, "defective parts", "pass", "How many defective parts pass"),
        _of_100(rates.overkill, "good parts", "are rejected", "How many good parts are rejected"),
    ]


def useless(results: Results) -> list[str]:
    """Why the rates say nothing of a detector, if so: who rejects everything lets nothing pass."""
    escape, overkill = results.rates.escape, results.rates.overkill
    if overkill.total >= SOME and overkill.count == overkill.total and not escape.count:
        return [f"Not usable: it rejects every part, all {overkill.total:,} good ones among them."]
    right = results.right_place
    if right.total >= SOME and not right.count:
        return [f"Not usable: on none of {right.total:,} defective parts does it find a defect where one is."]
    if escape.total >= SOME and escape.count == escape.total:
        return [f"Not usable: it lets every part pass, all {escape.total:,} defective ones among them."]
    return []


def _of_100(rate: Rate, things: str, happens: str, what: str) -> str:
    kind = things.removesuffix(" parts")
    if rate.value is None:
        return f"{what} is not measurable: there is no {kind} part among the pictures."
    if not rate.count:
        return no_mistake(rate.total, kind)
    low, high = (_number(100 * value) for value in rate.interval)
    about = _number(100 * rate.value)
    counted = f"{rate.count} of {rate.total:,} were counted"
    return f"Of 100 {things} about {about} {happens} (between {low} and {high}; {counted})."


def _number(value: float) -> str:
    if 10 <= value <= 99 or value == round(value):  # noqa: PLR2004 - a digit behind the point tells nothing there
        return f"{value:.0f}"
    if 0.1 <= value < 10:  # noqa: PLR2004
        return f"{value:.1f}"
    return percent(value / 100).removesuffix(" %")  # neither none nor all, and not to be rounded to it


def rate_words(rate: Rate | None) -> str:
    """``1.9 % (0.5 to 4.8), 4 of 211``, or ``not measurable``."""
    if rate is None or rate.value is None:
        return "not measurable"
    low, high = rate.interval
    low_text, high_text = percent(low).removesuffix(" %"), percent(high).removesuffix(" %")
    return f"{percent(rate.value)} ({low_text} to {high_text}), {rate.count:,} of {rate.total:,}"


def ap_words(value: float | None) -> str:
    """Three digits; a dash where nothing is labelled."""
    return "-" if value is None else f"{value:.3f}"


def weak_slices(results: Results) -> list[Slice]:
    """The slices that are worse than the rest of their kind beyond chance."""
    return [item for item in results.slices if item.worst]


def weak_words(item: Slice) -> str:
    """One slice in a sentence."""
    said = {
        "recall": f"{rate_words(item.recall)} of the labelled boxes are found, fewer than elsewhere",
        "escape": f"{rate_words(item.escape)} defective parts pass, more than elsewhere",
        "overkill": f"{rate_words(item.overkill)} good parts are rejected, more than elsewhere",
    }
    return f"{item.by} {item.value}: {'; '.join(said[what] for what in item.worst)}."


def card_sections(results: Results) -> str:
    """Markdown for a model card: what it reaches, its limits, where it is weak."""
    coco = results.coco
    split = results.request.split or "all pictures"
    lines = ["## What it reaches", "", f"On {split}: {len(results.predictions.data):,} pictures"]
    lines[-1] += f", {results.templates:,} of them templates taken as good parts." if results.templates else "."
    lines += ["", "| class | boxes | mAP50 | mAP50-95 | threshold | found | false |", "|---|---|---|---|---|---|---|"]
    for name, threshold, counts in zip(results.classes, results.thresholds, results.by_class, strict=True):
        cells = (
            name.replace("|", _BAR),
            str(counts.found + counts.missed),
            _ap_cells(coco.by_class[name]),
            f"{threshold:.4g}",
            rate_words(Rate(counts.found, counts.found + counts.missed)),
            str(counts.false),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| all | {sum(c.found + c.missed for c in results.by_class)} | {_ap_cells(coco.overall)} | | | |")
    lines += [
        "",
        "COCO's average precision, at most 300 detections a picture. Rates with 95 % Clopper-Pearson intervals.",
        "",
    ]
    lines += [f"- **Escape:** {_card_rate(results.rates.escape, 'defective', 'pass')}"]
    lines += [f"- **Overkill:** {_card_rate(results.rates.overkill, 'good', 'are rejected')}"]
    lines += [f"- **Thresholds:** {results.point.how}."]
    lines += [f"- {claim.words}" for claim in results.claims]
    return "\n".join([*lines, "", "## Limits", "", *limits(results)]) + "\n"


def _card_rate(rate: Rate, kind: str, happens: str) -> str:
    if rate.value is None:
        return f"not measurable: there was no {kind} part."
    return f"{rate_words(rate)} {kind} parts {happens}."


def no_mistake(total: int, things: str) -> str:
    """What so many parts without a mistake show, and how many would show more.

    Args:
        total: How many parts there were.
        things: ``defective`` or ``good``.
    """
    bound = upper_bound(0, total)
    more = [f"{needed(rate):,} for less than {percent(rate)}" for rate in _WISHED if rate < bound][:2]
    happens = "was rejected" if things == "good" else "passed"
    words = f"None of {total:,} {things} parts {happens}, which only shows a rate below {percent(bound)}"
    return f"{words}; without a mistake it takes {', '.join(more)}." if more else f"{words}."


def limits(results: Results) -> list[str]:
    """What these numbers do not show, a markdown item each."""
    lines = [f"- {note}" for note in results.notes]
    for rate, things in ((results.rates.escape, "defective"), (results.rates.overkill, "good")):
        if rate.total and not rate.count:
            lines.append(f"- {no_mistake(rate.total, things)}")
    lines += [f"- Weak: {weak_words(item)}" for item in weak_slices(results)]
    return lines or ["- None came to light on these pictures."]


def _ap_cells(item: AveragePrecision) -> str:
    return f"{ap_words(item.map50)} | {ap_words(item.map50_95)}"


def document(results: Results, about: About) -> dict[str, Any]:
    """Everything as JSON; rates are 0..1, ``curves`` precision at recall 0, 0.01, ... 1 at IoU 0.5."""
    coco, request = results.coco, results.request
    return {
        "model": about.model,
        "data": {"name": about.data, "fingerprint": about.fingerprint or None, "split": request.split or None},
        "date": about.date or None,
        "pictures": len(results.predictions.data),
        "templates": results.templates,
        "unusable": [{"file": item.where, "reason": item.message} for item in results.unusable],
        "verdict": verdict(results),
        "map50": coco.overall.map50,
        "map50_95": coco.overall.map50_95,
        "by_class": {name: _class(results, index) for index, name in enumerate(results.classes)},
        "by_size": {name: {"map50": ap.map50, "map50_95": ap.map50_95} for name, ap in coco.by_size.items()},
        "parts": {
            "total": len(results.parts.names),
            "escape": _rate(results.rates.escape),
            "overkill": _rate(results.rates.overkill),
            "right_place": _rate(results.right_place),
        },
        "operating_point": _point(results),
        "claims": [
            {"what": c.what, "claimed": c.claimed, "supported": c.supported, "bound": c.bound, "words": c.words}
            for c in results.claims
        ],
        "false_detections": results.false_kinds,
        "confusion": {"classes": [*results.classes, "background"], "matrix": results.confusion.tolist()},
        "sweep": [
            {"threshold": at, "escape": rates.escape.value, "overkill": rates.overkill.value}
            for at, rates in zip(SWEEP, results.sweep, strict=True)
        ],
        "curves": {name: [round(value, 5) for value in line] for name, line in coco.curves.items()},
        "slices": [_slice(item) for item in results.slices],
        "notes": list(results.notes),
    }


def _class(results: Results, index: int) -> dict[str, Any]:
    ap, counts = results.coco.by_class[results.classes[index]], results.by_class[index]
    return {
        "map50": ap.map50,
        "map50_95": ap.map50_95,
        "threshold": results.thresholds[index],
        "recall": _rate(Rate(counts.found, counts.found + counts.missed)),
        "precision": _rate(Rate(counts.found, counts.found + counts.false)),
    }


def _point(results: Results) -> dict[str, Any]:
    point, request = results.point, results.request
    return {
        "how": point.how,
        "chosen_on": request.choose_on or None,
        "thresholds": dict(zip(results.classes, results.thresholds, strict=True)),
        "there": point.chosen_on
        and {"escape": _rate(point.chosen_on.escape), "overkill": _rate(point.chosen_on.overkill)},
    }


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None or rate.value is None:
        return None
    return {"count": rate.count, "total": rate.total, "value": rate.value, "interval_95": list(rate.interval)}


def _slice(item: Slice) -> dict[str, Any]:
    cells = {"by": item.by, "value": item.value, "pictures": item.pictures, "map50": item.map50}
    rates = {"recall": item.recall, "precision": item.precision, "escape": item.escape, "overkill": item.overkill}
    return {**cells, **{name: _rate(rate) for name, rate in rates.items()}, "worst": list(item.worst)}


def slice_groups(items: Sequence[Slice]) -> dict[str, list[Slice]]:
    """Slices by their kind, in order."""
    return {by: [item for item in items if item.by == by] for by in dict.fromkeys(item.by for item in items)}
