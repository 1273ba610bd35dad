"""`edgevision data` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from labelled import data_set
from typer.testing import CliRunner, Result

from edgevision.cli.data import app
from edgevision.datasets.formats import read_dataset, write_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(data_set(tmp_path / "pictures"), tmp_path / "set", "yolo")
    return tmp_path / "set"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_check_ends_with_one_when_something_is_wrong_and_fixes_a_copy(folder: Path, tmp_path: Path) -> None:
    assert call("check", folder).exit_code == 0
    (file,) = folder.rglob("a1.txt")
    file.write_text("0 0.5 0.5 0.1 0.1\n5 0.5 0.5 0.1 0.1\n", "utf-8")
    found = call("check", folder)
    assert found.exit_code == 1
    assert "a1.txt:2" in found.output.replace("\n", "")
    told = json.loads(call("check", folder, "--json").output)
    assert any(item["kind"] == "unknown_class" for item in told["findings"])
    assert call("check", folder, "--fix", tmp_path / "clean").exit_code in {0, 1}
    assert call("check", tmp_path / "clean").exit_code == 0


def test_split_convert_and_fingerprint(folder: Path, tmp_path: Path) -> None:
    done = call(
        "split", folder, "--out", tmp_path / "s", "--assign", "train=a", "--assign", "val=b", "--group-column", "lot"
    )
    assert done.exit_code == 0, done.output
    assert {(item.columns["lot"], item.split) for item in read_dataset(tmp_path / "s").samples} == {
        ("a", "train"),
        ("b", "val"),
    }
    assert call("convert", folder, "--to", "coco", "--out", tmp_path / "c").exit_code == 0
    first, second = (call("fingerprint", path).output.strip() for path in (folder, tmp_path / "c"))
    assert first == second
    assert len(first) == 64


def test_stats_and_preview_are_drawn(folder: Path, tmp_path: Path) -> None:
    assert call("stats", folder, "--out", tmp_path / "plots").exit_code == 0
    plots = sorted((tmp_path / "plots").glob("*.png"))
    assert len(plots) >= 3
    assert call("preview", folder, "--out", tmp_path / "sheet.png", "--count", "4").exit_code == 0
    for file in (*plots, tmp_path / "sheet.png"):
        assert cv2.imread(str(file)).std() > 3
    told = json.loads(call("stats", folder, "--json").output)
    assert (told["pictures"], told["boxes"]) == (4, 4)


def test_an_augmented_preview_shows_what_a_pipeline_does(folder: Path, tmp_path: Path) -> None:
    plain, varied = tmp_path / "plain.png", tmp_path / "varied.png"
    assert call("preview", folder, "--out", plain).exit_code == 0
    done = call("preview", folder, "--out", varied, "--augment", "inspection")
    assert done.exit_code == 0, done.output
    assert plain.read_bytes() != varied.read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("convert", "SET", "--to", "tfrecord", "--out", "OUT"), "there is no format 'tfrecord'"),
        (("check", "OUT"), "no such file or folder"),
        (("preview", "SET", "--out", "OUT.gif"), "a preview is a PNG"),
        (("split", "SET", "--out", "OUT", "--assign", "nonsense"), "write SPLIT=GROUP"),
        (("fuse", "SET", "--out", "OUT"), "not one picture has a template"),
    ],
)
def test_wrong_words_are_told(folder: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    real = {"SET": str(folder), "OUT": str(tmp_path / "out"), "OUT.gif": str(tmp_path / "out.gif")}
    done = call(*(real.get(word, word) for word in words))
    assert done.exit_code != 0
    assert says in str(done.exception)
