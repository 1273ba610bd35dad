"""Plots of a report, from a training's table among others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from edgevision.errors import DatasetError
from edgevision.evaluation.evaluate import Request, judge
from edgevision.evaluation.plots import curves_plot, read_curves, sweep_plot, training_plots
from edgevision.training.base import Epoch
from edgevision.training.curves import append_epoch


def text_of(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own


def test_a_trainings_table_is_plotted_with_epochs_that_were_not_validated(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    scores = {"map50": 0.5, "map50_95": 0.25, "precision": 0.6, "recall": 0.7}
    for number in range(4):
        losses = {"box_loss": 1.0 / (1 + number), "cls_loss": 2.0}
        append_epoch(file, Epoch(number, 2.0, 0.001, losses, scores if number % 2 else {}))
    assert np.isnan(read_curves(file)["map50"]).tolist() == [True, False, True, False]
    losses_, validation, rate = training_plots(file)
    assert "training loss" in text_of(losses_)
    assert re.search(r"box.*cls", text_of(losses_), re.DOTALL)
    for name in ("mAP50", "mAP50-95", "precision", "recall"):
        assert name in text_of(validation)
    assert "learning rate" in text_of(rate)


def test_what_was_never_measured_has_no_plot(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    file.write_text("epoch, loss_box, map50\n0, 1.5,\n")
    assert len(training_plots(file)) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a column epoch, got nothing"),
        ("step,loss\n1,2\n", "expected a column epoch, got step, loss"),
        ("epoch,speed\n1,2\n", r"nothing to plot: expected any of loss_\*, map50, map50_95"),
        ("epoch,loss_box\n1,many\n", "not a table of numbers"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DatasetError, match=words):
        read_curves(tmp_path / "x.csv")


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        training_plots(tmp_path / "x.csv")


def test_names_of_classes_are_names_in_any_script(labels: Any, dets: Any, preds: Any) -> None:
    names = ("$x_{", "缺口", "_hidden <b>")
    boxes = [(10.0 + 20 * index, 10.0, 20.0 + 20 * index, 20.0, index) for index in range(3)]
    pair = preds([(labels(boxes), dets([(*box, 0.9) for box in boxes]))], names)
    results = judge(pair, pair.data, Request(split=""))
    text = text_of(curves_plot(results))
    assert "$x_{ 1.000" in text
    assert "缺口 1.000" in text
    assert "hidden <b> 1.000" in text
    assert "thresholds in use" in text_of(sweep_plot(results))
