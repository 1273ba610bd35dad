"""Who belongs to whom: exact assignment that solves only what is ambiguous."""

from __future__ import annotations

import lap  # type: ignore[import-untyped]
import numpy as np

from edgevision.types import FloatArray, IntArray

Pairs = tuple[IntArray, IntArray]
_TIE = np.float32(1.00001)  # equal rivals are ambiguous, rounding or not


def assign(value: FloatArray, least: float) -> Pairs:
    """Pairs of rows and columns with the greatest sum of ``value``, each greater than ``least`` ≥ 0.

    A pair that is worth as much as all its rivals in row and column together is part of a best solution (exchanging it
    for them gains nothing), so it is taken at once; only the ambiguous rest is an assignment problem.

    Args:
        value: (N, M) float32, not negative; left as it is.
        least: What a pair must be worth more than.
    """
    part = value * (value > least)
    per_row, per_col = part.sum(axis=1), part.sum(axis=0)
    r, c = np.nonzero(3 * part > (per_row[:, None] + per_col) * _TIE)
    per_row[r] = 0
    per_col[c] = 0
    rest_r, rest_c = np.flatnonzero(per_row), np.flatnonzero(per_col)
    if len(rest_r) and len(rest_c):
        some = part[rest_r][:, rest_c]
        _, x, _ = lap.lapjv(np.where(some > 0, 1 - some, 2).astype(np.float64), extend_cost=True, cost_limit=1.0)
        got = np.flatnonzero(x >= 0)
        r, c = np.concatenate([r, rest_r[got]]), np.concatenate([c, rest_c[x[got]]])
    return r, c
