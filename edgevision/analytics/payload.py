"""How numbers are written into payloads: short, and the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def box(xyxy: NDArray[np.floating]) -> list[float]:
    """A (4,) box as four floats, rounded to 0.1 px."""
    return [round(value, 1) for value in xyxy.tolist()]


def score(value: float) -> float:
    """A score with three digits."""
    return round(float(value), 3)
