"""Decoders against outputs made by hand, suppression against a naive reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevision.bundle import Family
from edgevision.errors import BackendError, BundleError
from edgevision.inference.decode import MAX_DETECTIONS, Decoder, check_output, nms, yolox_grid
from edgevision.types import Detections, FloatArray

SIZE = (64, 64)


def _decoder(family: Family, thresholds: tuple[float, ...] = (0.5, 0.5), nms_iou: float = 0.5) -> Decoder:
    return Decoder(family, SIZE, np.array(thresholds, np.float32), nms_iou)


def _columns(*rows: list[float], anchors: int = 20) -> NDArray[np.float32]:
    """(1, values, anchors) as YOLOv8 has it: the given candidates, the rest zero."""
    out = np.zeros((1, len(rows[0]), anchors), np.float32)
    for at, row in enumerate(rows):
        out[0, :, at] = row
    return out


def naive_nms(found: Detections, limit: float) -> list[int]:
    """The definition, one pair at a time, in double precision."""
    kept: list[int] = []
    for at in sorted(range(len(found)), key=lambda index: -found.score[index]):
        x1, y1, x2, y2 = found.xyxy[at].astype(float)
        for other in kept:
            a1, b1, a2, b2 = found.xyxy[other].astype(float)
            inter = max(0.0, min(x2, a2) - max(x1, a1)) * max(0.0, min(y2, b2) - max(y1, b1))
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inter
            if found.label[at] == found.label[other] and inter > limit * union:
                break
        else:
            kept.append(at)
    return kept


@st.composite
def _boxes(draw: st.DrawFn) -> Detections:
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = rng.choice([[0, 0], [30, 10], [300, 200]], size=count) if count else np.zeros((0, 2))
    corner = centres + rng.uniform(-25, 25, (count, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(1, 60, (count, 2))], axis=1).astype(np.float32)
    score = rng.permutation(np.linspace(0.01, 1, count)).astype(np.float32)
    return Detections(xyxy, score, rng.integers(0, 3, count))


@settings(max_examples=200, deadline=None)
@given(found=_boxes(), limit=st.sampled_from([0.3, 0.45, 0.7]))
def test_suppression_agrees_with_its_definition(found: Detections, limit: float) -> None:
    assert nms(found, limit).tolist() == naive_nms(found, limit)


def test_class_rows_give_corners_in_input_pixels() -> None:
    (found,) = _decoder("yolo")(_columns([30, 20, 10, 4, 0.1, 0.9], [50, 50, 8, 8, 0.6, 0.2]))
    assert found.xyxy.tolist() == [[25, 18, 35, 22], [46, 46, 54, 54]]
    assert found.score == pytest.approx([0.9, 0.6])
    assert found.label.tolist() == [1, 0]


def test_duplicates_go_and_other_classes_stay() -> None:
    output = _columns([30, 20, 10, 10, 0.9, 0], [31, 20, 10, 10, 0.8, 0], [30, 20, 10, 10, 0, 0.7])
    (found,) = _decoder("yolo")(output)
    assert found.score == pytest.approx([0.9, 0.7])
    assert found.label.tolist() == [0, 1]


def test_every_class_has_its_threshold() -> None:
    output = _columns([10, 10, 4, 4, 0.4, 0], [30, 30, 4, 4, 0, 0.4], [50, 50, 4, 4, 0, 0.8])
    (found,) = _decoder("yolo", thresholds=(0.3, 0.6))(output)
    assert found.label.tolist() == [1, 0]


def test_a_score_at_the_threshold_counts() -> None:
    (found,) = _decoder("yolo")(_columns([10, 10, 4, 4, 0.5, 0]))
    assert len(found) == 1


def test_pictures_of_a_batch_are_kept_apart() -> None:
    output = np.concatenate(
        [_columns([10, 10, 4, 4, 0.9, 0]), _columns([0, 0, 1, 1, 0, 0]), _columns([5, 5, 2, 2, 0, 1])]
    )
    assert [found.label.tolist() for found in _decoder("yolo")(output)] == [[0], [], [1]]


def test_objectness_multiplies_the_class_score() -> None:
    output = np.zeros((1, 30, 7), np.float32)
    output[0, 3] = [30, 20, 10, 4, 0.9, 0.2, 0.8]
    output[0, 7] = [10, 10, 4, 4, 0.6, 0.7, 0.1]
    (found,) = _decoder("yolo")(output)
    assert found.xyxy.tolist() == [[25, 18, 35, 22]]
    assert found.score == pytest.approx([0.72])
    assert found.label.tolist() == [1]


def test_end_to_end_rows_are_taken_as_they_are() -> None:
    rows = [[1, 2, 3, 4, 0.6, 1], [1, 2, 3, 4, 0.9, 0], [1, 2, 3, 4, 0.2, 0]]
    (found,) = _decoder("yolo-e2e")(np.array([rows], np.float32))
    assert found.score == pytest.approx([0.9, 0.6])
    assert found.label.tolist() == [0, 1]


def test_end_to_end_thresholds_by_class() -> None:
    rows = [[1, 2, 3, 4, 0.6, 1], [1, 2, 3, 4, 0.6, 0]]
    (found,) = _decoder("yolo-e2e", thresholds=(0.5, 0.7))(np.array([rows], np.float32))
    assert found.label.tolist() == [0]


def test_a_class_the_bundle_does_not_have() -> None:
    with pytest.raises(BackendError, match="returned class 7, the bundle has 2 classes"):
        _decoder("yolo-e2e")(np.array([[[1, 2, 3, 4, 0.9, 7]]], np.float32))


def test_yolox_boxes_lie_on_a_grid() -> None:
    """Cell (row 2, column 3) of stride 8 has anchor 2 * 8 + 3; the first of stride 16 comes after 8 * 8 of them.

    The first box: centre ((3 + 0.5) * 8, (2 + 0.25) * 8), 16 wide, 32 high.
    """
    output = np.zeros((1, 64 + 16 + 4, 7), np.float32)
    output[0, 2 * 8 + 3] = [0.5, 0.25, np.log(2), np.log(4), 1, 0.9, 0]
    output[0, 64] = [0, 0, 0, 0, 0.8, 0, 1]
    (found,) = _decoder("yolox")(output)
    assert found.xyxy[0] == pytest.approx([20, 2, 36, 34])
    assert found.xyxy[1] == pytest.approx([-8, -8, 8, 8])
    assert found.label.tolist() == [0, 1]


def test_dense_corners_hold_a_box_for_every_class_that_reaches_its_threshold() -> None:
    output = np.zeros((1, 3, 6), np.float32)
    output[0, 0] = [10, 20, 30, 40, 0.9, 0.6]  # one place, two classes
    output[0, 1] = [11, 20, 30, 40, 0.8, 0]  # overlaps the first of its class
    output[0, 2] = [100, 100, 120, 130, 0.1, 0.2]
    (found,) = _decoder("dense-xyxy", thresholds=(0.5, 0.5))(output)
    assert found.xyxy.tolist() == [[10, 20, 30, 40]] * 2
    assert found.score == pytest.approx([0.9, 0.6])
    assert found.label.tolist() == [0, 1]


def test_the_grid_of_a_wide_input() -> None:
    grid = yolox_grid((96, 64))
    assert len(grid) == 12 * 8 + 6 * 4 + 3 * 2
    assert grid[12].tolist() == [0, 1, 8]
    assert grid[-1].tolist() == [2, 1, 32]


def test_nothing_found() -> None:
    for family, shape in (
        ("yolo", (1, 6, 20)),
        ("yolo-e2e", (1, 300, 6)),
        ("yolox", (1, 84, 7)),
        ("dense-xyxy", (1, 9, 6)),
    ):
        (found,) = _decoder(family)(np.zeros(shape, np.float32))  # type: ignore[arg-type]
        assert len(found) == 0


@pytest.mark.parametrize(
    ("family", "shape", "at"), [("yolo", (1, 6, 20), 4), ("yolo", (1, 20, 7), 4), ("yolo-e2e", (1, 300, 6), 4)]
)
def test_nan_is_an_error_and_no_empty_picture(family: Family, shape: tuple[int, ...], at: int) -> None:
    output = np.zeros(shape, np.float32)
    output[(0, at, 3) if shape[1] == 6 else (0, 3, at)] = np.nan
    with pytest.raises(BackendError, match="NaN"):
        _decoder(family)(output)


def test_half_precision_outputs() -> None:
    (found,) = _decoder("yolo")(_columns([30, 20, 10, 4, 0.125, 0.875]).astype(np.float16))
    assert found.xyxy.dtype == np.float32
    assert found.score.tolist() == [0.875]


def test_an_output_without_end_is_capped() -> None:
    rng = np.random.default_rng(0)
    output = np.zeros((1, 6, 8000), np.float32)
    output[0, :2] = rng.uniform(0, 100_000, (2, 8000))
    output[0, 2:4], output[0, 4] = 1, rng.uniform(0.5, 1, 8000)
    (found,) = _decoder("yolo")(output)
    assert len(found) == MAX_DETECTIONS
    assert found.score.min() >= np.sort(output[0, 4])[-MAX_DETECTIONS - 50]
    assert (np.diff(found.score) <= 0).all()


@pytest.mark.parametrize(
    ("family", "shape", "fits"),
    [
        ("yolo", (1, 6, 8400), True),
        ("yolo", ("batch", 6, "anchors"), True),
        ("yolo", (1, 25200, 7), True),
        ("yolo", (1, 84, 8400), False),
        ("yolo", (1, 6), False),
        ("yolo-e2e", (1, 300, 6), True),
        ("yolo-e2e", (1, 300, 7), False),
        ("yolox", (1, 84, 7), True),
        ("dense-xyxy", ("N", "A", 6), True),
        ("dense-xyxy", (1, 84, 7), False),
        ("yolox", (1, 85, 7), False),
        ("yolox", ("N", "A", 7), True),
    ],
)
def test_shapes_of_the_families(family: Family, shape: tuple[int | str, ...], *, fits: bool) -> None:
    if fits:
        check_output(family, shape, 2, SIZE)
    else:
        with pytest.raises(BundleError, match=r"with 2 classes at 64x64: expected \(N, .*, got \(1, "):
            check_output(family, shape, 2, SIZE)


def test_a_wrong_output_at_run_time_is_the_backends_error() -> None:
    with pytest.raises(BackendError, match=r"expected \(N, 6, A\) or \(N, A, 7\), got \(1, 9, 20\)"):
        _decoder("yolo")(np.zeros((1, 9, 20), np.float32))


def test_boxes_below_zero_do_not_meet_those_of_another_class() -> None:
    xyxy: FloatArray = np.array([[0, 0, 10, 10], [-11, -11, -1, -1]], np.float32)
    assert len(nms(Detections(xyxy, np.array([0.9, 0.8], np.float32), np.array([0, 1])), 0.1)) == 2
