"""A scratch is named by what it does to the copper."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest

from edgevision.scenes.pcb_defects import KINDS
from edgevision.training.pcb_scratches import BORDER, Mask, outcome, scratched


def trace() -> Mask:
    """A trace of 20 px across a board of 160 px, with a pad of 60 px in its middle."""
    metal = np.zeros((160, 160), np.uint8)
    metal[70:90] = 1
    metal[50:110, 50:110] = 1
    return metal


def line(start: tuple[int, int], end: tuple[int, int], width: int = 4) -> Mask:
    return np.asarray(cv2.line(np.zeros((160, 160), np.uint8), start, end, 1, width), np.uint8)


@pytest.mark.parametrize(
    ("stroke", "kind"),
    [
        (line((25, 60), (30, 100)), "open"),  # across the trace
        (line((44, 69), (69, 44)), "open"),  # a corner of the pad is cut off
        (line((80, 45), (82, 65), 6), "mousebite"),
        (line((75, 80), (85, 80), 5), "pin-hole"),
        (line((60, 50), (100, 50), 1), None),  # skims the edge
        (line((25, 60), (28, 82)), "mousebite"),  # not quite through
    ],
)
def test_what_a_stroke_makes_of_the_copper(stroke: Mask, kind: str | None) -> None:
    cut = trace() & stroke
    rows, columns = np.nonzero(cut)
    box = tuple(float(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert outcome(trace(), stroke, box) == kind  # type: ignore[arg-type]


def board() -> np.ndarray:
    picture = np.full((400, 400, 3), 255, np.uint8)
    for y in range(30, 380, 50):
        cv2.line(picture, (20, y), (380, y), (0, 0, 0), 16)
    cv2.rectangle(picture, (150, 150), (250, 250), (0, 0, 0), -1)
    return picture


def test_all_six_kinds_come_out_and_nothing_else_changes() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(6):
        good = board()
        bad, boxes = scratched(good, np.random.default_rng(seed), 8)
        kinds.update(kind for kind, _ in boxes)
        changed = (bad != good).any(axis=2)
        for kind, (x1, y1, x2, y2) in boxes:
            window = np.s_[int(y1) : int(y2), int(x1) : int(x2)]
            adds_copper = kind in {"short", "spur", "copper"}
            assert changed[window].any()
            assert set(np.unique(bad[window][changed[window]])) == {0 if adds_copper else 255}
            inner = np.s_[int(y1 + BORDER) : int(y2 - BORDER), int(x1 + BORDER) : int(x2 - BORDER)]
            assert changed[window].sum() == changed[inner].sum()
            changed[window] = False
        assert not changed.any()
    assert set(kinds) == set(KINDS)


def test_the_same_seed_scratches_the_same() -> None:
    first, second = (scratched(board(), np.random.default_rng(3), 6) for _ in range(2))
    assert first[1] == second[1]
    assert (first[0] == second[0]).all()
