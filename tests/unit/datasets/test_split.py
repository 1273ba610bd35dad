"""Splits: groups stay together, classes keep their shares, a seed repeats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.split import SplitSettings, shares, split
from edgevision.errors import DatasetError


def many(count: int, groups: int, seed: int = 0) -> DataSet:
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        label = rng.choice(3, size=int(rng.integers(1, 5)), p=[0.6, 0.3, 0.1])
        boxes = np.tile(np.float32([0, 0, 8, 8]), (len(label), 1))
        group = int(rng.integers(groups))
        columns = {"lot": f"g{group:03}"}
        samples.append(
            Sample(Path(f"g{group:03}-{number:05}.png"), (64, 64), boxes, label.astype(np.int64), "", columns)
        )
    return DataSet(("a", "b", "c"), tuple(samples))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), groups=st.integers(3, 60))
def test_no_group_is_in_two_splits_and_every_picture_in_one(seed: int, groups: int) -> None:
    data = many(200, groups, seed)
    divided = split(data, SplitSettings(group_pattern=r"^(g\d+)", seed=seed))
    where: dict[str, set[str]] = {}
    for item in divided.samples:
        where.setdefault(item.columns["lot"], set()).add(item.split)
    assert all(len(splits) == 1 for splits in where.values())
    assert {item.split for item in divided.samples} <= {"train", "val", "test"}
    assert [item.file for item in divided.samples] == [item.file for item in data.samples]


def test_classes_keep_their_shares_and_sizes_come_out(tmp_path: Path) -> None:
    del tmp_path
    divided = split(many(600, 600), SplitSettings(ratio=(0.7, 0.15, 0.15)))
    sizes = [len(divided.of(name)) for name in ("train", "val", "test")]
    assert sizes == pytest.approx([420, 90, 90], abs=4)
    whole = np.array(divided.counts()) / sum(divided.counts())
    for part in shares(divided):
        assert np.array(part.boxes) / sum(part.boxes) == pytest.approx(whole, abs=0.02)


def test_a_seed_repeats_and_another_differs() -> None:
    data = many(100, 100)
    first, again, other = (split(data, SplitSettings(seed=seed)) for seed in (1, 1, 2))
    assert [item.split for item in first.samples] == [item.split for item in again.samples]
    assert [item.split for item in first.samples] != [item.split for item in other.samples]


def test_the_same_shot_stored_again_stays_in_one_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(12):
        shot = cv2.resize(rng.integers(0, 255, (12, 12, 3)).astype(np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
        for form in ("a.png", "b.jpg"):
            cv2.imwrite(str(tmp_path / f"{number}{form}"), shot)
            boxes, label = np.zeros((1, 4), np.float32), np.zeros(1, np.int64)
            samples.append(Sample(tmp_path / f"{number}{form}", (160, 160), boxes, label))
    data = DataSet(("a",), tuple(samples))

    def apart(settings: SplitSettings) -> int:
        divided = split(data, settings).samples
        return sum(first.split != second.split for first, second in zip(divided[::2], divided[1::2], strict=True))

    assert apart(SplitSettings(near_duplicates_together=True)) == 0
    assert apart(SplitSettings()) > 0
    divided = split(data, SplitSettings(near_duplicates_together=True))
    assert [len(divided.of(name)) for name in ("train", "val", "test")] == [16, 4, 4]


def test_groups_can_be_named() -> None:
    data = many(50, 3)
    assign = {"train": ["g000"], "val": ["g001"], "test": ["g002"]}
    divided = split(data, SplitSettings(group_column="lot", assign=assign))  # type: ignore[arg-type]
    assert {(item.columns["lot"], item.split) for item in divided.samples} == {
        ("g000", "train"), ("g001", "val"), ("g002", "test")}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"group_column": "lot", "assign": {"train": ["g000"], "val": ["g001"]}}, "g002"),
        ({"group_column": "board"}, "has no column 'board'"),
        ({"group_pattern": r"^(x\d+)"}, "does not fit this name"),
    ],
)
def test_what_cannot_be_divided_is_told(settings: dict[str, object], says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        split(many(50, 3), SplitSettings.model_validate(settings))


def test_settings_that_make_no_sense() -> None:
    twice = {"assign": {"train": ["a"]}, "group_column": "lot", "near_duplicates_together": True}
    for wrong in ({"group_pattern": "("}, {"ratio": (0, 0, 0)}, {"assign": {"train": ["a"]}}, twice):
        with pytest.raises(ValidationError):
            SplitSettings.model_validate(wrong)


def test_a_part_that_is_in_two_groups_keeps_them_together() -> None:
    data = many(60, 12)
    samples = tuple(replace(item, columns={**item.columns, "part": item.columns["lot"][:3]}) for item in data.samples)
    divided = split(replace(data, samples=samples), SplitSettings(group_column="lot", ratio=(1, 1, 0)))
    assert len({(item.columns["part"], item.split) for item in divided.samples}) == 2
