"""The assignment is the best one, whatever the shortcut takes out first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgevision.analytics.assignment import assign


def _best(value: np.ndarray, least: float) -> float:
    """The greatest sum by trying everything."""
    rows, cols = value.shape
    if rows > cols:
        return _best(value.T, least)
    usable = np.where(value > least, value, 0.0)
    return max(sum(usable[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(cols), rows))


@pytest.mark.parametrize("seed", range(60))
def test_the_sum_is_the_greatest_possible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.random((rng.integers(1, 6), rng.integers(1, 6))).astype(np.float32)
    value[rng.random(value.shape) < 0.4] = 0
    if seed % 3 == 0:
        value = np.round(value, 1)  # ties
    rows, cols = assign(value, 0.2)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(cols.tolist())) == len(cols)
    assert (value[rows, cols] > 0.2).all()
    assert float(value[rows, cols].sum()) == pytest.approx(_best(value, 0.2), abs=1e-5)


def test_the_values_are_left_as_they_are() -> None:
    value = np.array([[0.9, 0.1], [0.8, 0.7]], np.float32)
    before = value.copy()
    assign(value, 0.2)
    np.testing.assert_array_equal(value, before)


def test_nothing_to_match() -> None:
    rows, cols = assign(np.zeros((3, 2), np.float32), 0.0)
    assert (len(rows), len(cols)) == (0, 0)
