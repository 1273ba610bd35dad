"""The report: one page that needs nothing else, and the same numbers for machines."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgevision.datasets.base import DataSet
from edgevision.errors import DatasetError, EdgevisionError
from edgevision.evaluation.evaluate import Request, Results, evaluate
from edgevision.evaluation.report import new_folder, render, write_report
from edgevision.evaluation.words import About, card_sections, document, verdict
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Image, Letterbox

ABOUT = About("colours@1#abc", "<b>boards</b>", "f" * 64, "2026-01-01")
ROWS = (
    [("val", 200, True)] * 25
    + [("val", 90, False)] * 5
    + [("test", 230, True)] * 4
    + [("test", 20, True), ("test", 150, False)]
)


def look(image: Image, _: Letterbox) -> Detections:
    import numpy as np

    box = np.array([[24, 20, 40, 28]], np.float32)
    return Detections(box, np.array([image[24, 32, 0] / 255], np.float32), np.zeros(1, np.int64))


def judged(data: DataSet, **asked: Any) -> Results:
    return evaluate(ScriptedDetector(look, classes=data.classes), data, Request(**asked))


class Addresses(HTMLParser):
    """Everything that a page would load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data"}]
        assert tag not in {"script", "link", "iframe", "object"}


def test_the_page_loads_nothing_and_shows_the_mistakes(coloured: Any, tmp_path: Path) -> None:
    results = judged(coloured(ROWS, camera="1"), choose_on="val", escape_rate=0.0, claim_escape=0.01)
    curves = tmp_path / "curves.csv"
    curves.write_text("epoch, train/box_loss, metrics/mAP50(B)\n0, 2.0, 0.1\n1, 1.0, 0.5\n")
    folder = tmp_path / "out"
    new_folder(folder)
    text = write_report(results, folder, ABOUT, curves=curves).read_text("utf-8")
    page = Addresses()
    page.feed(text)
    assert page.found
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.found)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert "&lt;b&gt;boards&lt;/b&gt;" in text
    assert "Of 100 defective parts about 20 pass (between 0.5 and 72; 1 of 5 were counted)." in text
    assert "Refused: escape rate below 1 %" in text
    assert "metrics/mAP50(B)" in text
    assert text.count("<figure>") == 1
    numbers = json.loads((folder / "report.json").read_text("utf-8"))
    assert numbers["parts"]["escape"]["count"] == 1
    assert numbers["operating_point"]["chosen_on"] == "val"
    assert numbers["claims"][0]["supported"] is False
    assert len(json.loads((folder / "predictions.json").read_text("utf-8"))) == 6


def test_what_cannot_be_measured_is_said_and_never_a_zero(coloured: Any) -> None:
    results = judged(coloured([("test", 200, True)]))
    assert verdict(results)[1].startswith("How many good parts are rejected is not measurable")
    assert document(results, ABOUT)["parts"]["overkill"] is None
    assert "not measurable" in render(results, ABOUT)
    good = judged(coloured([("test", 10, False)]))
    assert "there is no defective part" in verdict(good)[0]
    assert document(good, ABOUT)["map50"] is None
    assert render(good, ABOUT)


def test_one_class_only(coloured: Any) -> None:
    from dataclasses import replace

    data = replace(coloured(ROWS), classes=("red",))
    results = judged(data, choose_on="val", escape_rate=0.0)
    assert results.confusion.shape == (2, 2)
    assert "red" in render(results, ABOUT)


def test_the_sections_of_a_model_card(coloured: Any) -> None:
    text = card_sections(judged(coloured(ROWS), choose_on="val", escape_rate=0.0))
    assert text.startswith("## What it reaches\n")
    assert "| red | 5 |" in text
    assert "## Limits" in text
    assert "25 defective parts" not in text
    table = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(set(table)) == 1


def test_splits_that_do_not_exist_are_answered_with_those_that_do(coloured: Any, tmp_path: Path) -> None:
    data = coloured(ROWS, board="7")
    with pytest.raises(DatasetError, match="there is no split train; it has val, test"):
        judged(data, split="train")
    assert len(judged(data, split="board=7").predictions.data) == len(ROWS)
    with pytest.raises(DatasetError, match="no picture has board 8; it has 7"):
        judged(data, split="board=7,8")
    with pytest.raises(DatasetError, match="no picture has lot A; columns are board"):
        judged(data, split="lot=A")
    with pytest.raises(DatasetError, match="no picture says which one it is in"):
        judged(coloured([("", 9, False)]))
    with pytest.raises(DatasetError, match="no pictures to evaluate on"):
        judged(DataSet(("red",), (), root=tmp_path))


def test_requests_that_contradict_themselves(coloured: Any) -> None:
    data = coloured(ROWS)
    with pytest.raises(EdgevisionError, match="either a wanted escape rate or the costs"):
        judged(data, choose_on="val")
    with pytest.raises(EdgevisionError, match="need a split to choose the thresholds on"):
        judged(data, escape_rate=0.1)
    with pytest.raises(DatasetError, match="no picture has a template"):
        judged(data, with_templates=True)
    flattering = judged(data, split="val", choose_on="val", escape_rate=0.0)
    assert "the rates flatter" in flattering.notes[0]


def test_templates_are_parts_but_not_in_the_average_precision(coloured: Any) -> None:
    from dataclasses import replace

    data = coloured([("test", 200, True), ("test", 250, False)])
    pair = replace(data, samples=(replace(data.samples[0], template=data.samples[1].file),))
    results = judged(pair, with_templates=True)
    assert results.templates == 1
    assert results.rates.overkill.total == results.rates.overkill.count == 1
    assert results.coco.overall.map50 == pytest.approx(1.0)


def test_a_folder_that_is_used_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").touch()
    with pytest.raises(EdgevisionError, match="is not empty"):
        new_folder(tmp_path / "used")
    with pytest.raises(EdgevisionError, match="cannot be written"):
        new_folder(tmp_path / "used" / "x" / "below")


@pytest.mark.parametrize(
    ("text", "words"),
    [("step,loss\n1,2\n", "expected a column epoch"), ("epoch,loss\n1,x\n", "not a table of numbers"),
     ("epoch,rate\n1,2\n", "no column has loss or mAP"), ("", "expected a column epoch"), (None, "cannot be read")],
)  # fmt: skip
def test_curves_that_are_none(coloured: Any, tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "curves.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DatasetError, match=words):
        render(judged(coloured([("test", 9, True)])), ABOUT, curves=file)


def test_a_picture_that_is_gone_leaves_its_caption(coloured: Any) -> None:
    data = coloured([("test", 9, True)])
    results = judged(data)
    data.samples[0].file.unlink()
    text = render(results, ABOUT)
    assert '<div class="gone">' in text
    assert "0.png" in text
