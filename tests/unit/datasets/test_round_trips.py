"""Any format, and from there any other: boxes stay the same numbers, and so does the fingerprint."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.datasets.base import SPLITS, DataSet, Sample
from edgevision.datasets.fingerprint import fingerprint
from edgevision.datasets.formats import FORMATS, read_dataset, write_dataset

WIDTH, HEIGHT = 641, 479  # shares of them have no end
CLASSES = ("Riß", "pin hole", "<&'\"", "10", "no")

side_px = st.one_of(
    st.integers(0, 640).map(float),
    st.floats(0, 640, width=32),
    st.sampled_from([0.0, 0.1, 0.063, 1 / 3, 1e-3, 640.99994]),
)
boxes_px = st.lists(st.tuples(side_px, side_px, side_px, side_px, st.integers(0, len(CLASSES) - 1)), max_size=5)


def known(data: DataSet) -> dict[str, tuple[str, list[str], np.ndarray]]:
    """Split, class names and boxes of each picture."""
    return {
        item.file.stem: (item.split, [data.classes[label] for label in item.label], item.xyxy) for item in data.samples
    }


@st.composite
def data_sets(draw: st.DrawFn) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Split, boxes and labels of up to three pictures, one box with the last class among them."""
    out = []
    for number in range(draw(st.integers(1, 3))):
        split = draw(st.sampled_from(("", *SPLITS)))
        rows = draw(boxes_px) + ([(1.0, 2.0, 3.0, 4.0, label) for label in range(len(CLASSES))] if not number else [])
        x1, y1, x2, y2, label = np.array(rows, np.float64).reshape(-1, 5).T
        x, y = np.sort([x1, x2], axis=0), np.minimum(np.sort([y1, y2], axis=0), HEIGHT)
        out.append((split, np.stack([x[0], y[0], x[1], y[1]], 1).astype(np.float32), label.astype(np.int64)))
    return out


@settings(max_examples=15, deadline=None)
@given(made=data_sets(), formats=st.lists(st.sampled_from(FORMATS), min_size=1, max_size=3))
def test_what_is_written_in_any_formats_one_after_the_other_is_read_as_it_was(
    made: list[tuple[str, np.ndarray, np.ndarray]], formats: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = []
        for number, (split, xyxy, label) in enumerate(made):
            file = folder / f"{number}.png"
            cv2.imwrite(str(file), np.full((HEIGHT, WIDTH), number, np.uint8))
            samples.append(Sample(file, (WIDTH, HEIGHT), xyxy, label, split))
        data = DataSet(CLASSES, tuple(samples), (), folder)
        again = data
        for step, format_ in enumerate(formats):
            out = folder / f"step {step}"
            write_dataset(again, out, format_)
            again = read_dataset(out, format_)
            assert not [str(item) for item in again.findings if item.severity == "error"]
        before, after = known(data), known(again)
        assert before.keys() == after.keys()
        for stem, (split, names, xyxy) in before.items():
            assert after[stem][:2] == (split, names)
            np.testing.assert_allclose(after[stem][2], xyxy, rtol=0, atol=1e-8)  # float32 beyond 0.1 is equal then
        assert set(again.classes) == set(CLASSES)
        assert fingerprint(again) == fingerprint(data)


def test_a_box_that_reaches_one_pixel_out_is_written_as_it_is(tmp_path: Path) -> None:
    box = np.array([[-1, -1, 9, 9]], np.float32)  # in VOC, which counts from 1, a 0
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), np.zeros((HEIGHT, WIDTH), np.uint8))
    data = DataSet(CLASSES, (Sample(file, (WIDTH, HEIGHT), box, np.zeros(1, np.int64)),), (), tmp_path)
    for name in FORMATS:
        write_dataset(data, tmp_path / name, name)
        again = read_dataset(tmp_path / name)
        np.testing.assert_array_equal(again.samples[0].xyxy, box, err_msg=name)
        assert [item.kind for item in again.findings if item.kind != "no_template"] == []
