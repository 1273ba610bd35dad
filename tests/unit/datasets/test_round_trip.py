"""Any format into any other, and what each of them keeps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.fingerprint import fingerprint
from edgevision.datasets.formats import FORMATS, read_dataset, write_dataset

CLASSES = ("dent", "Öl & Fett", "<none>")
number = st.floats(0, 60, width=32, allow_nan=False)
side = st.floats(0.5, 30, width=32)
box = st.tuples(number, number, side, side, st.integers(0, len(CLASSES) - 1))
one_picture = st.tuples(st.lists(box, max_size=4), st.sampled_from(["train", "val", "test"]))


@settings(max_examples=40, deadline=None)
@given(
    pictures=st.lists(one_picture, min_size=1, max_size=3),
    way=st.lists(st.sampled_from(FORMATS), min_size=2, max_size=4),
)
def test_boxes_classes_and_splits_survive_any_way_through_the_formats(
    pictures: list[tuple[list[tuple[float, ...]], str]], way: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        samples = []
        for index, (boxes, split) in enumerate(pictures):
            corners = [(x, y, x + w, y + h, label) for x, y, w, h, label in boxes]
            samples.append(sample(Path(folder, "in"), f"p{index}.png", corners, split))
        first = DataSet(CLASSES, tuple(samples), root=Path(folder, "in"))
        data = first
        for step, name in enumerate(way):
            write_dataset(data, Path(folder, str(step)), name)
            data = read_dataset(Path(folder, str(step)), name)
            assert [item for item in data.findings if item.severity == "error"] == []
        assert data.classes == CLASSES
        by_stem = {item.file.stem: item for item in data.samples}
        for item in first.samples:
            other = by_stem[item.file.stem]
            assert (other.split, other.label.tolist()) == (item.split, item.label.tolist())
            assert np.abs(other.xyxy - item.xyxy).max(initial=0) <= 0.001


def test_whole_pixels_keep_their_fingerprint_and_pictures_of_one_name_stay_apart(tmp_path: Path) -> None:
    samples = [
        sample(tmp_path / "in" / folder, name, [(1, 2, 30, 40, 0), (5.5, 6, 7, 9, 1)], "train")
        for folder, name in (("left", "a.png"), ("right", "a.png"), ("left", "A.jpg"))
    ]
    data = DataSet(("dent", "stain"), tuple(samples), root=tmp_path / "in")
    wanted = fingerprint(data)
    for name in FORMATS:
        write_dataset(data, tmp_path / name, name, link=True)
        again = read_dataset(tmp_path / name)
        assert len({item.file for item in again.samples}) == 3
        assert fingerprint(again) == wanted
