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
    rows, cols = assign(value, np.ones(len(value), np.bool_), np.ones(value.shape[1], np.bool_), 0.2)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(cols.tolist())) == len(cols)
    assert (value[rows, cols] > 0.2).all()
    assert float(value[rows, cols].sum()) == pytest.approx(_best(value, 0.2), abs=1e-5)


def test_masked_rows_and_columns_stay_free() -> None:
    value = np.ones((3, 3), np.float32)
    rows, cols = assign(value, np.array([False, True, False]), np.array([True, False, False]), 0.5)
    assert (rows.tolist(), cols.tolist()) == ([1], [0])
