"""Who belongs to whom: exact assignment over the pairs that are possible at all, solving only what is ambiguous."""

from __future__ import annotations

from typing import NamedTuple

import lap  # type: ignore[import-untyped]
import numpy as np

from edgevision.types import BoolArray, FloatArray, IntArray

_TIE = 1.00001  # equal rivals are ambiguous, rounding or not


class Pairs(NamedTuple):
    """Possible pairs, sparse: (P,) rows, (P,) columns, (P,) float32 values above 0; no pair twice."""

    row: IntArray
    col: IntArray
    value: FloatArray

    @classmethod
    def of(cls, value: FloatArray) -> Pairs:
        """The pairs of a dense (N, M) table that are above 0."""
        row, col = value.nonzero()
        return cls(row, col, value[row, col])

    def where(self, keep: BoolArray) -> Pairs:
        """Some of them."""
        return Pairs(self.row[keep], self.col[keep], self.value[keep])


def assign(pairs: Pairs) -> Pairs:
    """The pairs with the greatest sum of values in which every row and every column occurs once at most.

    A pair that is worth as much as all its rivals in row and column together is part of a best solution (exchanging it
    for them gains nothing), so it is taken at once; only the ambiguous rest is an assignment problem.
    """
    row, col, value = pairs
    rivals = np.bincount(row, value)[row] + np.bincount(col, value)[col]  # both count the pair itself
    sure = 3 * value > rivals * _TIE
    if sure.all():
        return pairs
    taken = pairs.where(sure)
    free_row, free_col = np.ones(row.max() + 1, np.bool_), np.ones(col.max() + 1, np.bool_)
    free_row[taken.row] = False
    free_col[taken.col] = False
    rest = free_row[row] & free_col[col]
    if not rest.any():
        return taken
    solved = _solve(pairs.where(rest))
    return Pairs(
        np.concatenate([taken.row, solved.row]),
        np.concatenate([taken.col, solved.col]),
        np.concatenate([taken.value, solved.value]),
    )


def _solve(pairs: Pairs) -> Pairs:
    (rows, r), (cols, c) = _compact(pairs.row), _compact(pairs.col)
    cost, number = np.full((rows, cols), 2.0), np.full((rows, cols), -1)
    cost[r, c] = 1.0 - pairs.value
    number[r, c] = np.arange(len(r))
    _, x, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0)
    got = (x >= 0).nonzero()[0]
    chosen = number[got, x[got]]
    return Pairs(pairs.row[chosen], pairs.col[chosen], pairs.value[chosen])


def _compact(index: IntArray) -> tuple[int, IntArray]:
    """How many different values there are, and each value's rank among them."""
    used = np.zeros(index.max() + 1, np.int64)
    used[index] = 1
    rank = used.cumsum()
    return int(rank[-1]), rank[index] - 1
