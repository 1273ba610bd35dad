"""What a settings file says of data."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import data_set, text

from edgevision.config.load import load
from edgevision.datasets.formats import write_dataset
from edgevision.datasets.settings import DataSettings, load_data
from edgevision.errors import ConfigError, DatasetError


def test_classes_are_chosen_and_their_order_too(tmp_path: Path) -> None:
    write_dataset(data_set(tmp_path / "in"), tmp_path / "out", "yolo")
    both = load_data(DataSettings(path=tmp_path / "out"))
    turned = load_data(DataSettings(path=tmp_path / "out", classes=["dent", "scratch"]))
    one = load_data(DataSettings(path=tmp_path / "out", classes=["dent"]))
    assert both.counts() == turned.counts()[::-1]
    assert (one.classes, one.counts(), len(one)) == (("dent",), [both.counts()[1]], len(both))
    assert all(len(item.origins) == len(item) for item in one.samples)
    with pytest.raises(DatasetError, match="there is no class 'ding'; there are scratch, dent"):
        load_data(DataSettings(path=tmp_path / "out", classes=["ding"]))
    with pytest.raises(DatasetError, match="'dent' is given twice"):
        load_data(DataSettings(path=tmp_path / "out", classes=["dent", "dent"]))


def test_a_file_of_settings_counts_its_paths_from_its_folder(tmp_path: Path) -> None:
    write_dataset(data_set(tmp_path / "in"), tmp_path / "out", "coco")
    file = text(tmp_path / "data.yaml", "path: out\nsplit: {group_column: lot, assign: {train: [a], test: [b]}}\n")
    data = load_data(load(file, DataSettings))
    assert {item.columns["lot"]: item.split for item in data.samples} == {"a": "train", "b": "test"}
    text(file, "path: out\nsplit: {assign: {train: [a]}}\nformat: csv\n")
    with pytest.raises(ConfigError, match=r"data\.yaml:2: split.*`assign` needs groups"):
        load(file, DataSettings)


def test_a_set_of_which_nothing_can_be_used_says_what_is_wrong_first(tmp_path: Path) -> None:
    write_dataset(data_set(tmp_path / "in"), tmp_path / "out", "yolo")
    for file in (tmp_path / "out/images").rglob("*.*"):
        file.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"no picture can be used; the first problem: .*the file is empty"):
        load_data(DataSettings(path=tmp_path / "out"))
