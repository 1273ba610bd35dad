"""The closed form agrees with the textbook filter, and box conversions with themselves."""

from __future__ import annotations

import numpy as np

from edgevision.analytics import kalman


def test_axes_and_boxes_are_inverse() -> None:
    boxes = np.array([[10, 20, 50, 120], [0, 0, 3, 4]], np.float32)
    np.testing.assert_allclose(kalman.to_xyxy(kalman.to_axes(boxes)), boxes)


def test_the_closed_form_is_the_matrix_filter() -> None:
    measured = np.array([[100.0, 200.0, 40.0, 80.0]])
    mean, cov = kalman.start(measured)
    dt, scale = 0.1, 60.0
    step = np.array([[1, dt], [0, 1]])
    q = (kalman.ACCELERATION * scale) ** 2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    q[0, 0] += (kalman.WALK * scale) ** 2 * dt
    state, p = mean[0, :, 0].copy(), np.array([[cov[0, 0, 0], cov[0, 1, 0]], [cov[0, 1, 0], cov[0, 2, 0]]])
    state, p = step @ state, step @ p @ step.T + q
    mean, cov = kalman.predict(mean, cov, dt)
    seen = measured + np.array([[5.0, -3.0, 0.0, 0.0]])
    s = p[0, 0] + (kalman.MEASURED * scale) ** 2
    gain = p[:, 0] / s
    state, p = state + gain * (seen[0, 0] - state[0]), p - np.outer(gain, p[0])
    mean, cov = kalman.correct(mean, cov, seen)
    np.testing.assert_allclose(mean[0, :, 0], state)
    np.testing.assert_allclose(cov[0, :, 0], [p[0, 0], p[0, 1], p[1, 1]])


def test_a_steady_speed_is_learnt() -> None:
    mean, cov = kalman.start(np.array([[0.0, 0.0, 40.0, 80.0]]))
    for i in range(1, 40):
        mean, cov = kalman.predict(mean, cov, 0.1)
        mean, cov = kalman.correct(mean, cov, np.array([[3.0 * i, -2.0 * i, 40.0, 80.0]]))
    np.testing.assert_allclose(mean[0, 1, :2], [30, -20], rtol=0.02)
