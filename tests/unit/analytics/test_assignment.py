"""The assignment is the best one, whatever the shortcut takes out first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgevision.analytics.assignment import Pairs, assign


def _best(value: np.ndarray) -> float:
    """The greatest sum by trying everything."""
    rows, cols = value.shape
    if rows > cols:
        return _best(value.T)
    return max(sum(value[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(cols), rows))


@pytest.mark.parametrize("seed", range(60))
def test_the_sum_is_the_greatest_possible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.random((rng.integers(1, 6), rng.integers(1, 6))).astype(np.float32)
    value[rng.random(value.shape) < 0.4] = 0
    if seed % 3 == 0:
        value = np.round(value, 1)  # ties
    rows, cols, worth = assign(Pairs.of(value))
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(cols.tolist())) == len(cols)
    np.testing.assert_array_equal(worth, value[rows, cols])
    assert float(worth.sum()) == pytest.approx(_best(value), abs=1e-5)


def test_the_pairs_are_left_as_they_are() -> None:
    pairs = Pairs.of(np.array([[0.9, 0.1], [0.8, 0.7]], np.float32))
    before = [part.copy() for part in pairs]
    assign(pairs)
    for part, old in zip(pairs, before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_nothing_to_match() -> None:
    assert len(assign(Pairs.of(np.zeros((3, 2), np.float32))).row) == 0
