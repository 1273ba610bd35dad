"""Defective parts that pass and good parts that are rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgevision.datasets.base import DataSet, Sample
from edgevision.errors import DatasetError
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.parts import part_rates, parts_of, templates_as_good


def test_pictures_of_a_part_are_judged_together(labels: Any, dets: Any, preds: Any) -> None:
    one, two = {"part": "P1"}, {"part": "P2"}
    pairs = preds([
        (labels([(0, 0, 9, 9, 0)], "a.png", columns=one), dets([])),
        (labels([], "b.png", columns=one), dets([(50, 50, 60, 60, 1, 0.9)])),
        (labels([], "c.png", columns=two), dets([(0, 0, 9, 9, 0, 0.4)])),
        (labels([(0, 0, 9, 9, 2)], "d.png"), dets([])),
    ])  # fmt: skip
    parts = parts_of(pairs)
    assert parts.names == ("P1", "P2", "d.png")
    assert parts.ng.tolist() == [True, False, True]
    rates = part_rates(parts, (0.5, 0.5, 0.5))
    assert rates.escape == Rate(1, 2)
    assert rates.overkill == Rate(0, 1)
    assert part_rates(parts, (0.4, 0.5, 0.5)).overkill == Rate(1, 1)


def test_only_some_classes_are_defects(labels: Any, dets: Any, preds: Any) -> None:
    pairs = preds([(labels([(0, 0, 9, 9, 2)]), dets([(0, 0, 9, 9, 2, 0.9)]))])
    parts = parts_of(pairs, ("open", "short"))
    assert parts.classes == ("open", "short")
    assert part_rates(parts, (0.1, 0.1)).overkill == Rate(0, 1)
    with pytest.raises(DatasetError, match="dent: no such class; classes are open, short, spur"):
        parts_of(pairs, ("dent",))


def test_without_good_parts_overkill_has_no_value(scored: Any) -> None:
    rates = part_rates(parts_of(scored([(True, (0.9,))])), (0.5, 0.5, 0.5))
    assert rates.overkill.value is None
    assert rates.overkill.interval == (0.0, 1.0)


def test_templates_are_good_parts_of_the_same_split_and_columns(labels: Any) -> None:
    columns = {"board": "7", "part": "P1"}
    pair = [
        labels([(0, 0, 9, 9, 0)], f"{name}.png", split="val", columns=columns, template=Path("t.png")) for name in "ab"
    ]
    whole = templates_as_good(DataSet(("open",), tuple(pair)))
    assert len(whole) == 3
    good = whole.samples[2]
    assert (good.file, good.split, len(good), dict(good.columns)) == (Path("t.png"), "val", 0, {"board": "7"})
    assert good.part != pair[0].part
    assert len(templates_as_good(whole)) == 3


def test_without_templates_there_are_no_good_parts_to_take() -> None:
    with pytest.raises(DatasetError, match="no picture has a template"):
        templates_as_good(DataSet(("open",), (Sample(Path("a.png"), (8, 8)),)))


def test_a_score_reaches_a_threshold_that_is_a_little_more_in_float64(scored: Any) -> None:
    parts = parts_of(scored([(True, (0.7,)), (False, (0.7,))]))
    assert part_rates(parts, [0.7] * 3).escape == Rate(0, 1)
    assert part_rates(parts, [0.7001] * 3).escape == Rate(1, 1)
