"""What a reader is told about the pictures that the numbers come from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgevision.datasets.base import DataSet, Finding
from edgevision.evaluation.evaluate import Request, judge

BOX = (0, 0, 9, 9, 0)


def test_a_part_in_two_splits_is_told(labels: Any, dets: Any, preds: Any) -> None:
    good = labels([], "a.png", split="test", columns={"part": "1"})
    other = labels([], "b.png", split="test", columns={"part": "2"})
    bad = labels([BOX], "c.png", split="train", columns={"part": "1"})
    seen = preds([(good, dets([])), (other, dets([]))])
    notes = judge(seen, DataSet(seen.data.classes, (good, other, bad)), Request()).notes
    assert notes == ("Parts of which other pictures are in another split, and judged without them: 1.",)
    whole = DataSet(seen.data.classes, (good, other, replace(bad, columns={"part": "3"})))
    assert judge(seen, whole, Request()).notes == ()


def test_errors_of_the_data_set_are_counted_and_warnings_are_not(labels: Any, dets: Any, preds: Any) -> None:
    seen = preds([(labels([]), dets([]))])
    findings = (
        Finding("bad_label", "error", "a.txt:1", "expected a class and numbers"),
        Finding("no_picture", "error", "b.txt", "is a label file without a picture"),
        Finding("no_label", "warning", "c.png", "has no label file"),
    )
    notes = judge(seen, replace(seen.data, findings=findings), Request(split="")).notes
    assert notes == ("Errors in the data set; what they are about is in no number: 2.",)
    assert judge(seen, replace(seen.data, findings=findings[2:]), Request(split="")).notes == ()
