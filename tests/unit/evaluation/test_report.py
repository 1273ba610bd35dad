"""The report: one page that needs nothing else, with the same numbers as its JSON."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx_models import colour_bundle

from edgevision.datasets.base import DataSet
from edgevision.errors import EdgevisionError
from edgevision.evaluation.evaluate import Request, Results, evaluate, judge
from edgevision.evaluation.gallery import MOST, SIDE_PX, false, missed, shown
from edgevision.evaluation.intervals import Rate, percent
from edgevision.evaluation.model import open_model
from edgevision.evaluation.report import render, write_report
from edgevision.evaluation.words import About, ap_words
from edgevision.folders import new_folder

ABOUT = About("colours@1#abc", "boards", "f" * 64, "2026-11-25")
FETCHING = {"src", "href", "srcset", "xlink:href", "poster", "data", "action"}


class Page(HTMLParser):
    """Text, attributes that could fetch something, and elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in FETCHING]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(name="results")
def _results(tmp_path: Path, coloured: Callable[..., DataSet]) -> Results:
    """Two of three defective parts found, one of three good ones rejected; one picture is broken."""
    rows = [("test", 204, True), ("test", 230, True), ("test", 51, True)]
    rows += [("test", 180, False), ("test", 51, False), ("test", 40, False), ("test", 40, False)]
    data = coloured([*rows, ("val", 153, True), ("val", 60, False)])
    data.samples[6].file.write_bytes(b"")
    detector = open_model(colour_bundle(tmp_path / "model").folder, device="cpu")
    request = Request(choose_on="val", escape_rate=0.0, claim_escape=0.01)
    made = evaluate(detector, data, replace(request, thresholds={"default": 0.5}))
    detector.close()
    return made


def test_the_page_fetches_nothing(results: Results) -> None:
    html = render(results, ABOUT)
    page = Page(html)
    assert page.fetched
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in page.fetched)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not re.search(r"url\((?!#)|@import", html)
    assert "None of" not in page.text
    assert "nan" not in page.text.split()


def test_numbers_of_page_and_json_are_the_same(results: Results, tmp_path: Path) -> None:
    page = write_report(results, tmp_path, ABOUT)
    assert page == tmp_path / "report.html"
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))
    text = Page(page.read_text("utf-8")).text
    assert told["parts"]["escape"]["count"] == 1
    assert told["parts"]["overkill"]["total"] == 3
    for name in ("escape", "overkill"):
        rate = told["parts"][name]
        assert rate["interval_95"] == list(Rate(rate["count"], rate["total"]).interval)
        low, high = map(percent, rate["interval_95"])
        assert f"{percent(rate['value'])} {low} \N{EN DASH} {high}" in text
    assert f"mAP50 {ap_words(told['map50'])}" in text
    assert f"mAP50-95 {ap_words(told['map50_95'])}" in text
    red = told["by_class"]["red"]
    assert f"red 3 {ap_words(red['map50'])} {ap_words(red['map50_95'])} {red['threshold']:.4g}" in text
    for sentence in (*told["verdict"], *told["notes"], told["claims"][0]["words"]):
        assert sentence in text
    assert told["unusable"][0]["file"].endswith("6.png")
    assert "6.png: the file is empty" in text
    for row in told["confusion"]["matrix"]:
        for count in row:
            assert not count or str(count) in text
    assert told["data"] == {"name": "boards", "fingerprint": "f" * 64, "split": "test"}


def test_detections_are_written_as_coco_results(results: Results, tmp_path: Path) -> None:
    write_report(results, tmp_path, ABOUT)
    rows = json.loads((tmp_path / "predictions.json").read_text("utf-8"))
    assert {row["image_id"] for row in rows} == {f"{number}.png" for number in range(6)}


def test_the_gallery_shows_the_mistakes(results: Results) -> None:
    (hidden,) = missed(results)
    assert (hidden.name, hidden.title, hidden.detail) == ("2.png", "red", "16x8 px, the part passed")
    (wrong,) = false(results)
    assert (wrong.name, wrong.title) == ("3.png", "red 0.71")
    assert wrong.detail == "nothing there, a good part rejected"
    html = render(results, ABOUT)
    for mistake in (hidden, wrong):
        assert f'alt="{mistake.title} in {mistake.name}"' in html
    picture = shown(results, [hidden])[0].image
    data = np.frombuffer(base64.b64decode(picture.partition(",")[2]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (SIDE_PX, SIDE_PX, 3)
    green = (image[..., 1] > 120) & (image[..., 2] < 110)
    ys, xs = np.nonzero(green)
    assert 0.2 * SIDE_PX < xs.min() < xs.max() < 0.8 * SIDE_PX
    assert ys.max() - ys.min() == pytest.approx((xs.max() - xs.min()) / 2, abs=8)


def test_a_picture_that_is_gone_leaves_its_words(results: Results) -> None:
    for sample in results.predictions.data.samples:
        sample.file.unlink()
    html = render(results, ABOUT)
    assert 'class="gone"' in html
    assert "<b>red</b>: 16x8 px" in html


def test_many_mistakes_of_one_class_do_not_hide_another(labels: Any, dets: Any, preds: Any) -> None:
    pairs = [(labels([], f"{number}.png"), dets([(0, 0, 9, 9, 1, 0.9)])) for number in range(2 * MOST)]
    pairs.append((labels([], "last.png"), dets([(0, 0, 9, 9, 0, 0.4)])))
    results = judge(preds(pairs), preds(pairs).data, Request(split="", thresholds={"default": 0.3}))
    titles = [mistake.title for mistake in false(results)]
    assert titles[:3] == ["short 0.90", "open 0.40", "short 0.90"]
    assert len(shown(results, false(results))) == MOST
    assert f"The worst {MOST}, classes in turn" in render(results, ABOUT)


def test_training_curves_are_in_the_page_when_given(results: Results, tmp_path: Path) -> None:
    assert "<h2>Training</h2>" not in render(results, ABOUT)
    curves = tmp_path / "curves.csv"
    curves.write_text("epoch,seconds,rate,loss_box,map50\n0,1,0.1,2,\n1,1,0.1,1,0.5\n")
    html = render(results, ABOUT, curves=curves)
    assert "<h2>Training</h2>" in html
    assert Page(html).text.count("epoch") >= 3


def test_nothing_good_and_nothing_found_still_make_a_page(labels: Any, dets: Any, preds: Any) -> None:
    bad = preds([(labels([(0, 0, 9, 9, 0)]), dets([]))])
    text = Page(render(judge(bad, bad.data, Request(split="")), ABOUT)).text
    assert "How many good parts are rejected is not measurable" in text
    good = preds([(labels([]), dets([]))])
    text = Page(render(judge(good, good.data, Request(split="")), ABOUT)).text
    assert "How many defective parts pass is not measurable" in text
    assert "Missed: 0" in text


def test_names_from_outside_are_text(labels: Any, dets: Any, preds: Any) -> None:
    names = ("<script>alert(1)</script>", "b", "c")
    pair = preds(
        [(labels([(0, 0, 9, 9, 0)], "<i>.png", columns={"board": "<u>"}), dets([(50, 50, 60, 60, 0, 0.9)]))], names
    )
    page = Page(render(judge(pair, pair.data, Request(split="")), About("<b>m", "<b>d")))
    assert not {"script", "i", "u"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text


def test_a_used_or_impossible_folder_is_refused(tmp_path: Path) -> None:
    new_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").touch()
    with pytest.raises(EdgevisionError, match="is not empty; choose a new folder"):
        new_folder(tmp_path / "used")
    with pytest.raises(EdgevisionError, match="cannot be written: Not a directory"):
        new_folder(tmp_path / "used" / "x" / "out")
    with pytest.raises(EdgevisionError, match="cannot be written: File exists"):
        new_folder(tmp_path / "used" / "x")


def test_a_file_name_that_is_no_unicode_still_makes_a_page(labels: Any, dets: Any, preds: Any, tmp_path: Path) -> None:
    pair = preds([(labels([(0, 0, 9, 9, 0)], os.fsdecode(b"pr\xfcf.png")), dets([]))])
    page = write_report(judge(pair, pair.data, Request(split="")), tmp_path, ABOUT)
    assert "pr?f.png" in page.read_text("utf-8")


def test_pictures_of_one_size_are_not_said_to_differ(results: Results) -> None:
    assert "Pictures of 64x48 px; boxes" in Page(render(results, ABOUT)).text
