"""Variations: boxes stay on their objects, seeds repeat, and what is no transform is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.errors import ConfigError
from edgevision.geometry import iou
from edgevision.training.augment import PRESETS, Pipeline, load_pipeline
from edgevision.types import FloatArray, Image

GEOMETRIC = """
- SquareSymmetry: {p: 1.0}
- HorizontalFlip: {p: 0.5}
- Affine: {scale: [0.7, 1.3], translate_percent: [-0.1, 0.1], rotate: [-20, 20], shear: [-5, 5], p: 1.0}
- Perspective: {scale: [0.02, 0.05], p: 0.5}
"""


def discs(seed: int) -> tuple[Image, FloatArray]:
    """Bright ellipses on black, and their boxes."""
    rng = np.random.default_rng(seed)
    image, boxes = np.zeros((192, 192, 3), np.uint8), []
    for row, column in ((48, 48), (48, 144), (144, 48), (144, 144)):
        a, b = (int(value) for value in rng.integers(12, 36, 2))
        cv2.ellipse(image, (column, row), (a, b), 0, 0, 360, (255, 255, 255), -1)
        boxes.append((column - a, row - b, column + a + 1, row + b + 1))
    return image, np.array(boxes, np.float32)


def extent(image: Image, box: FloatArray) -> FloatArray:
    """Box of the bright pixels about a box."""
    x1, y1, x2, y2 = (int(value) for value in (box[0] - 8, box[1] - 8, box[2] + 9, box[3] + 9))
    left, top = max(0, x1), max(0, y1)
    rows, columns = np.nonzero(image[top:y2, left:x2].max(axis=2) > 100)
    return np.array(
        [columns.min() + left, rows.min() + top, columns.max() + left + 1, rows.max() + top + 1], np.float32
    )


@pytest.fixture(scope="module")
def geometric(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    file = tmp_path_factory.mktemp("pipeline") / "geometric.yaml"
    file.write_text(GEOMETRIC, "utf-8")
    return load_pipeline(file)


@given(seed=st.integers(0, 2**31 - 1))
def test_boxes_stay_on_their_objects_whatever_turns_and_bends_them(geometric: Pipeline, seed: int) -> None:
    image, boxes = discs(seed)
    varied, moved, labels = geometric.apply(image, boxes, np.arange(4), seed)
    assert varied.shape == image.shape
    for box, label in zip(moved, labels, strict=True):
        assert 0 <= box[0] < box[2] <= 192
        assert 0 <= box[1] < box[3] <= 192
        seen = extent(varied, box)
        inner = np.minimum(box[2:], seen[2:]) - np.maximum(box[:2], seen[:2])
        held = float(inner.clip(0).prod() / (seen[2:] - seen[:2]).prod())
        overlap = iou(box[None], seen[None])[0, 0]
        assert held > 0.8, f"box {label} of seed {seed} holds {held:.2f} of its object"
        assert overlap > 0.45, f"box {label} of seed {seed} lies {overlap:.2f} on its object"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_keep_every_object_with_its_label(preset: str) -> None:
    pipeline = load_pipeline(preset)
    for seed in range(40):
        image, boxes = discs(seed)
        varied, moved, labels = pipeline.apply(image, boxes, np.arange(4), seed)
        assert varied.dtype == np.uint8
        assert len(moved) == len(labels)
        assert len(moved) >= 2
        assert set(labels.tolist()) <= {0, 1, 2, 3}


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_turns_a_dark_picture_black_or_a_bright_one_white(preset: str) -> None:
    pipeline, rng = load_pipeline(preset), np.random.default_rng(0)
    box = np.array([[40, 40, 70, 70]], np.float32)
    for grey in (45, 210):
        image = rng.normal(grey, 12, (128, 128, 3)).clip(0, 255).astype(np.uint8)
        image[40:70, 40:70] = grey + (25 if grey < 128 else -60)
        for seed in range(80):
            varied, boxes, _ = pipeline.apply(image, box, np.zeros(1, np.int64), seed)
            assert 8 < varied.mean() < 247, f"{preset}, seed {seed}"
            assert len(boxes) == 1


def test_a_seed_repeats_a_variation_and_the_picture_given_is_left_alone() -> None:
    pipeline, (image, boxes) = load_pipeline("inspection"), discs(1)
    before = image.copy()
    first, again, other = (pipeline.apply(image, boxes, np.arange(4), seed) for seed in (7, 7, 8))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()
    assert (image == before).all()


def test_a_picture_without_objects_is_varied_too() -> None:
    image, _ = discs(2)
    _, boxes, labels = load_pipeline("retail").apply(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 1)
    assert (boxes.shape, labels.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "- HorizontlFlip: {p: 1}\n",
            "[0]: 'HorizontlFlip' is no transform of albumentations; did you mean HorizontalFlip?",
        ),
        ("- HorizontalFlip: {prob: 1}\n", "[0].HorizontalFlip: "),
        ("- OneOf: {transforms: [Nonsense], p: 1}\n", "[0].OneOf[0]: 'Nonsense' is no transform"),
        ("- BoxBlur\n- {A: {}, B: {}}\n", "[1]: expected one `Name: {argument: value}`"),
        ("HorizontalFlip: {p: 1}\n", "expected a list of transforms"),
        ("- [\n", ":2: not YAML"),
    ],
)
def test_what_is_no_transform_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_pipeline(file)
    assert says in str(refused.value)


def test_a_pipeline_that_is_not_there_names_the_presets() -> None:
    with pytest.raises(ConfigError, match="inspection, retail, low_light, fused"):
        load_pipeline("inspektion")


@pytest.mark.parametrize("preset", PRESETS)
@given(seed=st.integers(0, 2**31 - 1))
def test_whole_pictures_keep_every_object_and_its_size(preset: str, seed: int) -> None:
    image, boxes = discs(seed)
    varied, moved, labels = load_pipeline(preset).whole().apply(image, boxes, np.arange(4), seed)
    assert varied.shape == image.shape
    assert labels.tolist() == [0, 1, 2, 3]
    for before, after in zip(boxes, moved, strict=True):
        assert sorted(after[2:] - after[:2]) == pytest.approx(sorted(before[2:] - before[:2]), abs=0.01)


def test_a_group_with_something_that_moves_is_left_out_of_whole_pictures(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "- OneOf: {transforms: [{Rotate: {}}, {GaussNoise: {}}]}\n"
        "- OneOf: {transforms: [{HorizontalFlip: {}}, {GaussNoise: {}}]}\n"
        "- ColorJitter\n"
        "- RandomResizedCrop: {size: [9, 9]}",
        "utf-8",
    )
    assert [type(item).__name__ for item in load_pipeline(file).whole().transforms] == ["OneOf", "ColorJitter"]
