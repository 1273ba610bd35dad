"""Curves: a row an epoch, once, also when a training was broken off in between."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgevision.training.base import Epoch
from edgevision.training.curves import append_epoch, plot_curves, read_curves, spent_s


def epoch(number: int, loss: float) -> Epoch:
    return Epoch(number, number * 2.0, 0.001, {"box_loss": loss}, {"map50": 0.5, "map50_95": 0.25})


def test_a_resumed_training_replaces_the_rows_it_does_again(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    assert read_curves(file) == []
    for number in (1, 2, 3):
        append_epoch(file, epoch(number, 3.0))
    append_epoch(file, epoch(2, 1.0))
    rows = read_curves(file)
    assert [(row["epoch"], row["loss_box"]) for row in rows] == [(1, 3.0), (2, 1.0)]
    assert rows[0]["map50_95"] == 0.25


def test_time_is_summed_up_over_resumptions(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    assert spent_s(file) == 0.0
    for number, seconds in enumerate([10, 20, 30, 8, 16, 9], 1):
        append_epoch(file, Epoch(number, seconds, 0.001, {}, {}))
    assert spent_s(file) == 30 + 16 + 9


def test_they_are_drawn(tmp_path: Path) -> None:
    for number in range(1, 5):
        append_epoch(tmp_path / "curves.csv", epoch(number, 1 / number))
    plot_curves(tmp_path / "curves.csv", tmp_path / "curves.png")
    assert cv2.imread(str(tmp_path / "curves.png")).std() > 5
