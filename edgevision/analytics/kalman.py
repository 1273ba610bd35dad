"""A constant-velocity Kalman filter for many boxes at once, with real time steps.

Centre, width and height are four independent axes, so that a filter is four 2x2 blocks in closed form: arrays of shape
(N, 4) instead of N small matrix products. Noise grows with the size of the box, as in SORT (Bewley et al. 2016,
arXiv:1602.00763) and ByteTrack, but is a density per second, so that frames may come at any rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevision.types import FloatArray

Array = NDArray[np.float64]

MEASURED = 0.05  # standard deviation of a measured position, box sizes
WALK = 0.15  # standard deviation of what the motion model misses, box sizes per sqrt(second)
ACCELERATION = 0.2  # density of the acceleration noise, box sizes / s^1.5
START_SPEED = 1.5  # standard deviation of an unknown speed, box sizes / s
SIZE_SHARE = 0.3  # how much of that holds for width and height
_TO_AXES = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])
_AXES = np.array([1.0, 1.0, SIZE_SHARE, SIZE_SHARE])


def to_axes(xyxy: FloatArray) -> Array:
    """(N, 4) corner boxes as (N, 4) centre x, centre y, width, height."""
    out: Array = xyxy.astype(np.float64) @ _TO_AXES
    return out


def to_xyxy(axes: Array) -> FloatArray:
    """The inverse of ``to_axes``; sizes below one pixel become one."""
    half = np.maximum(axes[:, 2:], 1.0) / 2
    return np.concatenate([axes[:, :2] - half, axes[:, :2] + half], axis=1).astype(np.float32)


def _size(mean: Array) -> Array:
    """(N, 1) how large each box is, px: all noise is in shares of it."""
    out: Array = np.maximum((mean[:, 0, 2:3] + mean[:, 0, 3:4]) / 2, 1.0)
    return out


def start(measured: Array) -> tuple[Array, Array]:
    """Mean (N, 2, 4): position and speed, and covariance (N, 3, 4): p00, p01, p11, of boxes seen for the first time."""
    mean = np.zeros((len(measured), 2, 4))
    mean[:, 0] = measured
    cov = np.zeros((len(measured), 3, 4))
    size = _size(mean)
    cov[:, 0] = (MEASURED * size) ** 2
    cov[:, 2] = (START_SPEED * size * _AXES) ** 2
    return mean, cov


def predict(mean: Array, cov: Array, dt_s: float) -> tuple[Array, Array]:
    """Mean and covariance ``dt_s`` seconds later."""
    motion = np.array([[1.0, dt_s], [0.0, 1.0]])
    spread = np.array([[1.0, 2 * dt_s, dt_s**2], [0.0, 1.0, dt_s], [0.0, 0.0, 1.0]])
    density = ACCELERATION**2
    added = np.array([density * dt_s**3 / 3 + WALK**2 * dt_s, density * dt_s**2 / 2, density * dt_s])
    noise = (_size(mean) * _AXES) ** 2
    return motion @ mean, spread @ cov + noise[:, None] * added[:, None]


def correct(mean: Array, cov: Array, measured: Array) -> tuple[Array, Array]:
    """Mean and covariance after measuring (N, 4) axes."""
    gain = cov[:, :2] / (cov[:, :1] + ((MEASURED * _size(mean)) ** 2)[:, None])  # of position and speed
    better = mean + gain * (measured - mean[:, 0])[:, None]
    smaller = cov.copy()
    smaller[:, :2] -= gain[:, :1] * cov[:, :2]
    smaller[:, 2] -= gain[:, 1] * cov[:, 1]
    return better, smaller
