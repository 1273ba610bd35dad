"""What the reader of an evaluation should know before the numbers are believed."""

from __future__ import annotations

import numpy as np

from edgevision.datasets.base import DataSet
from edgevision.evaluation.parts import Parts
from edgevision.evaluation.predict import Predictions

MANY_DEFECTS = 1.5  # on a part, on average, from which on the escape rate says little about parts with one


def notes_of(predictions: Predictions, data: DataSet, parts: Parts, choose_on: Predictions | None) -> list[str]:
    """A sentence each.

    Args:
        predictions: What is reported on.
        data: The whole data set.
        parts: The parts of ``predictions``.
        choose_on: What thresholds were chosen on, if they were.
    """
    notes = [*predictions.notes, *_errors(data), *_divided(predictions, data)]
    if predictions.unreadable:
        notes.append(f"Pictures that could not be used, and are in no number: {len(predictions.unreadable)}.")
    if choose_on is not None:
        notes += _chosen(predictions, choose_on)
    return [*notes, *_many_defects(predictions, parts)]


def _chosen(predictions: Predictions, choose_on: Predictions) -> list[str]:
    notes = []
    if choose_on is not predictions and choose_on.unreadable:
        notes.append(f"Pictures to choose thresholds on that could not be used: {len(choose_on.unreadable)}.")
    reported = {sample.part for sample in predictions.data.samples}
    if shared := len(reported & {sample.part for sample in choose_on.data.samples}):
        of = "all" if shared == len(reported) else f"{shared:,} of {len(reported):,}"
        notes.append(f"Thresholds were chosen on {of} of the very parts that are reported here: the rates flatter.")
    return notes


def _errors(data: DataSet) -> list[str]:
    errors = sum(finding.severity == "error" for finding in data.findings)
    return [f"Errors in the data set; what they are about is in no number: {errors}."] if errors else []


def _divided(predictions: Predictions, data: DataSet) -> list[str]:
    """Whether parts have pictures that are not looked at: the defect may be on those."""
    looked_at = {sample.file for sample in predictions.data.samples}
    elsewhere = {sample.part for sample in data.samples if sample.file not in looked_at}
    if divided := len({sample.part for sample in predictions.data.samples} & elsewhere):
        return [f"Parts of which other pictures are in another split, and judged without them: {divided:,}."]
    return []


def _many_defects(predictions: Predictions, parts: Parts) -> list[str]:
    """What a part with several defects hides: one that is found rejects it, however many are missed."""
    boxes = sum(int(np.isin(sample.label, parts.label).sum()) for sample in predictions.data.samples)
    defective = int(parts.ng.sum())
    if boxes < MANY_DEFECTS * defective or not defective:
        return []
    note = f"A defective part has {boxes / defective:.1f} labelled defects here, and any one that is found rejects it"
    return [f"{note}: of parts with a single defect more would pass."]
