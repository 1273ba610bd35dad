"""What the gate found, for the model card, for machines and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgevision.evaluation.paired import Difference
from edgevision.evaluation.words import ap_words
from edgevision.export.kinds import FP32
from edgevision.export.making import Artefact
from edgevision.export.trial import Trial, Tried

BEGIN, END = "<!-- gate -->", "<!-- end of gate -->"
HEADINGS = ("artefact", "backend", "MB", "ms", "mAP50-95", "change", "at worst", "escapes", "overkill", "gate")


def gate_document(artefact: Artefact) -> list[dict[str, Any]]:
    """For machines: an item for each place."""
    return [_document(item) for item in artefact.tried]


def rows(artefacts: Sequence[Artefact]) -> list[tuple[str, ...]]:
    """A row for each artefact and place, under ``HEADINGS``."""
    return [_row(artefact, item) for artefact in artefacts for item in artefact.tried]


def with_gate(card: str, artefacts: Sequence[Artefact], trial: Trial) -> str:
    """A model card with the gate's section, in the place of an older one or before its licence."""
    lines = [BEGIN, "## Artefacts", "", _introduction(trial), ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows(artefacts)]
    lines += [
        "",
        *(f"- **{names}:** {sentence}" for names, sentence in sentences(artefacts)),
        "",
        END,
    ]
    section = "\n".join(lines)
    if BEGIN in card and END in card:
        return card[: card.index(BEGIN)] + section + card[card.index(END) + len(END) :]
    before, licence, after = card.partition("\n## Licence")
    return f"{before.rstrip()}\n\n{section}\n{licence}{after}"


def sentences(artefacts: Sequence[Artefact]) -> list[tuple[str, str]]:
    """(artefacts, sentence): how they were made, why they are not offered somewhere, and at last what is not decided.

    What holds for several is said once.
    """
    said: dict[str, list[str]] = {}
    for part in (_made, _undecided):
        for item in artefacts:
            for sentence in part(item):
                said.setdefault(sentence, []).append(item.kind.name)
    return [(", ".join(names), sentence) for sentence, names in said.items()]


def _made(artefact: Artefact) -> list[str]:
    said = [f"{artefact.how}." if artefact.content is not None else f"refused. {artefact.how}."]
    tried = {item.target for item in artefact.tried if not item.for_others}
    if artefact.content is not None and (absent := [name for name in artefact.kind.targets if name not in tried]):
        star = "* its numbers in ONNX Runtime on a CPU; " if any(item.for_others for item in artefact.tried) else ""
        are = "are" if absent[1:] else "is"
        said.append(f"{star}not tried on {' and '.join(absent)}, which {are} not here: judge it on the device too.")
    return said + [f"not offered on {reason}." for reason in artefact.reasons]


def _undecided(artefact: Artefact) -> list[str]:
    offered = [item for item in artefact.tried if item.offered]
    every = [item.place for item in offered]
    places: dict[str, list[str]] = {}
    for item in offered:
        for check in item.judgement.checks:
            if check.outcome == "not decidable":
                places.setdefault(check.words, []).append(item.place)
    said = [
        f"not decidable: {words}." if where == every else f"not decidable on {' and '.join(where)}: {words}."
        for words, where in places.items()
    ]
    by_name = f"taken by devices only where their settings say `precision: {artefact.kind.precision}`."
    return [*said, by_name] if said and artefact.kind != FP32 else said


def _introduction(trial: Trial) -> str:
    budget = trial.budget
    return (
        f"Each compared with what was trained, on {len(trial.judged):,} pictures at the deployed thresholds, through "
        f"the runtime's own detector. Allowed with 95 % confidence (paired bootstrap): a loss of {budget.map50_95:g} "
        f"in mAP50-95 and of {budget.recall:g} in a class's recall, which so many boxes must be able to show; "
        f"{budget.flips} defective parts that pass instead of being rejected. Latency: median of one picture on the "
        "machine that exported, all its cores."
    )


def _document(item: Tried) -> dict[str, Any]:
    judgement = item.judgement
    return {
        "backend": item.place,
        "outcome": judgement.outcome,
        "offered": item.offered,
        "for_others": item.for_others,
        "pictures": judgement.pictures,
        "latency_ms": round(item.latency_ms, 2),
        "fp32_ms": round(item.fp32_ms, 2),
        "map50": judgement.map50,
        "map50_95": judgement.map50_95,
        "change": _numbers(judgement.change),
        "recall": {
            name: {"boxes": found.boxes, "lost": found.lost, "won": found.won, "change": _numbers(found.difference)}
            for name, found in judgement.recall.items()
        },
        "escapes": [judgement.rates.escape.count, judgement.rates.escape.total],
        "overkills": [judgement.rates.overkill.count, judgement.rates.overkill.total],
        "passed_now": list(judgement.passed_now),
        "checks": [{"what": check.what, "outcome": check.outcome, "words": check.words} for check in judgement.checks],
    }


def _numbers(change: Difference | None) -> list[float] | None:
    """The difference, and what it is above with 95 % confidence."""
    return None if change is None else [round(change.value, 5), round(change.lower, 5)]


def _row(artefact: Artefact, item: Tried) -> tuple[str, ...]:
    judgement = item.judgement
    change, rates = judgement.change, judgement.rates
    size = "" if artefact.content is None else f"{len(artefact.content) / 1e6:.1f}"
    return (
        artefact.kind.name,
        f"{item.place} *" if item.for_others else item.place,
        size,
        f"{item.latency_ms:.1f}",
        ap_words(judgement.map50_95),
        "" if change is None else f"{change.value:+.4f}",
        "" if change is None else f"{change.lower:+.4f}",
        f"{rates.escape.count}/{rates.escape.total}",
        f"{rates.overkill.count}/{rates.overkill.total}",
        "slower" if item.slower and judgement.outcome != "failed" else judgement.outcome,
    )
