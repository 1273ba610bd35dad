"""Writes a report: one HTML page that needs nothing else, the same numbers as JSON, and the detections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgevision.datasets.base import SPLITS
from edgevision.errors import EdgevisionError
from edgevision.evaluation import gallery, plots
from edgevision.evaluation.coco import SIZES, size_names
from edgevision.evaluation.evaluate import Results
from edgevision.evaluation.intervals import Rate, percent
from edgevision.evaluation.predict import coco_results
from edgevision.evaluation.words import About, ap_words, document, rate_words, slice_groups, verdict
from edgevision.geometry import area

REPORT, NUMBERS, DETECTIONS = "report.html", "report.json", "predictions.json"
_KINDS = {
    "duplicate": "second report of a box that is found already",
    "wrong_class": "on a box of another class",
    "bad_place": "near a box, but overlapping it too little",
    "nothing_there": "where nothing is labelled",
}


def write_report(results: Results, folder: Path, about: About, *, curves: Path | None = None) -> Path:
    """Write ``report.html``, ``report.json`` and ``predictions.json`` into an existing folder.

    Args:
        results: What to report.
        folder: Where to; files of these names are replaced.
        about: Where the results come from.
        curves: CSV of a training: epoch, losses, mAP.

    Returns:
        The page.

    Raises:
        EdgevisionError: A file cannot be written.
        DatasetError: ``curves`` cannot be read.
    """
    page = render(results, about, curves=curves)
    files = {
        REPORT: page,
        NUMBERS: json.dumps(document(results, about), indent=1) + "\n",
        DETECTIONS: json.dumps(coco_results(results.predictions)) + "\n",
    }
    for name, text in files.items():
        try:
            (folder / name).write_text(text, encoding="utf-8", errors="replace")  # a file name may be no Unicode
        except OSError as exc:
            msg = f"{folder / name}: cannot be written: {exc.strerror}"
            raise EdgevisionError(msg) from exc
    return folder / REPORT


def render(results: Results, about: About, *, curves: Path | None = None) -> str:
    """The page as text.

    Raises:
        DatasetError: ``curves`` cannot be read.
    """
    environment = Environment(
        loader=PackageLoader("edgevision.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(rate=rate_words, ap=ap_words, percent=percent)
    missed, false = gallery.missed(results), gallery.false(results)
    plot = {"sweep": plots.sweep_plot(results), "curves": plots.curves_plot(results) if results.coco.curves else ""}
    return environment.get_template("report.html.j2").render(
        about=about,
        results=results,
        verdict=verdict(results),
        classes=_class_rows(results),
        plots={name: Markup(text) for name, text in plot.items()},  # noqa: S704 - made here, of numbers and class names
        most_curves=plots.MOST_CURVES,
        training=[Markup(text) for text in plots.training_plots(curves)] if curves is not None else [],  # noqa: S704 - the same
        kinds=[(_KINDS[kind], count) for kind, count in results.false_kinds.items()],
        confusion=_confusion_rows(results),
        slices=slice_groups(results.slices),
        galleries=(
            ("missed", "Missed", missed, gallery.shown(results, missed)),
            ("false", "Reported without cause", false, gallery.shown(results, false)),
        ),
        card=_card(results),
    )


def _class_rows(results: Results) -> list[dict[str, Any]]:
    rows = []
    for index, name in enumerate(results.classes):
        counts, ap = results.by_class[index], results.coco.by_class[name]
        rows.append({
            "name": name,
            "boxes": counts.found + counts.missed,
            "ap": ap,
            "threshold": results.thresholds[index],
            "recall": Rate(counts.found, counts.found + counts.missed),
            "precision": Rate(counts.found, counts.found + counts.false),
            "counts": counts,
        })  # fmt: skip
    return rows


def _confusion_rows(results: Results) -> list[dict[str, Any]]:
    """Rows of cells with their count and their share of the row, 0..1."""
    names = [*results.classes, "background"]
    rows = []
    for index, name in enumerate(names):
        counts = results.confusion[index]
        whole = max(1, int(counts.sum()))
        cells = [
            {"count": int(count), "share": count / whole, "right": index == place} for place, count in enumerate(counts)
        ]
        rows.append({"name": name, "cells": cells, "background": index == len(results.classes)})
    return rows


def _card(results: Results) -> dict[str, Any]:
    """Pictures, boxes by class and split, sizes."""
    data = results.data
    known = {sample.split for sample in data.samples}
    splits = [name for name in (*SPLITS, "") if name in known] + sorted(known - {*SPLITS, ""})
    parts = [data.of(split) for split in splits]
    widths, heights = (np.array([sample.size[axis] for sample in data.samples]) for axis in (0, 1))
    ends = (f"{widths.min()}x{heights.min()}", f"{widths.max()}x{heights.max()}")
    areas = [area(sample.xyxy) for sample in data.samples]
    names = size_names(np.concatenate(areas)) if areas else []
    return {
        "splits": [split or "(none)" for split in splits],
        "pictures": [len(part) for part in parts],
        "parts": [len({sample.part for sample in part.samples}) for part in parts],
        "boxes": _boxes(data.classes, [part.counts() for part in parts]),
        "picture_sizes": " to ".join(dict.fromkeys(ends)) + " px",
        "box_sizes": ", ".join(f"{names.count(size):,} {size}" for size in SIZES),
    }


def _boxes(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, list[int]]]:
    return [(name, [split[index] for split in counts]) for index, name in enumerate(classes)]
