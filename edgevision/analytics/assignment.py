"""Who belongs to whom: exact assignment that solves only what is ambiguous."""

from __future__ import annotations

import lap  # type: ignore[import-untyped]
import numpy as np

from edgevision.types import BoolArray, FloatArray, IntArray

Pairs = tuple[IntArray, IntArray]
_TIE = np.float32(1.00001)  # equal rivals are ambiguous, rounding or not


def assign(value: FloatArray, rows: BoolArray, cols: BoolArray, least: float) -> Pairs:
    """Pairs of the masked rows and columns with the greatest sum of ``value``, each greater than ``least``.

    A pair that is worth as much as all its rivals in row and column together is part of a best solution (exchanging it
    for them gains nothing), so it is taken at once; only the ambiguous rest is an assignment problem.
    """
    part = np.where((value > least) & rows[:, None] & cols, value, np.float32(0))
    rivals = part.sum(axis=1)[:, None] + part.sum(axis=0)
    r, c = np.nonzero(3 * part > rivals * _TIE)
    part[r] = 0
    part[:, c] = 0
    rest_r, rest_c = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if len(rest_r):
        some = part[rest_r][:, rest_c].astype(np.float64)
        _, x, _ = lap.lapjv(np.where(some > 0, 1 - some, 2.0), extend_cost=True, cost_limit=1.0)
        got = (x >= 0).nonzero()[0]
        r, c = np.concatenate([r, rest_r[got]]), np.concatenate([c, rest_c[x[got]]])
    return r, c
