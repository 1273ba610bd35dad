"""`edgevision data` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import edgevision, error_of
from labelled import data_set, picture, text

from edgevision.datasets.formats import read_dataset, write_dataset


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write_dataset(data_set(tmp_path / "pictures"), tmp_path / "set", "yolo")
    return tmp_path / "set"


def broken(folder: Path) -> Path:
    """A box outside, one without area, two wrong lines, an empty picture, one picture in two splits."""
    labels = {
        "train/a": "0 0.9 0.5 0.4 0.5\n0 0.5 0.5 0.0 0.2\n1 0.3 0.3 0.2 0.2\n",
        "train/b": "",
        "val/c": "1 0.5 0.5 0.2 0.2\n",
        "val/d": "",
        "train/e": "0 0.5\n1 0.3 0.3 0.2 0.2\n2 0.3 0.3 0.2 0.2\n",
    }
    for seed, (name, lines) in enumerate(labels.items()):
        picture(folder / "images" / f"{name}.png", 0 if name == "val/c" else seed)
        text(folder / "labels" / f"{name}.txt", lines)
    (folder / "images/val/d.png").write_bytes(b"")
    text(folder / "data.yaml", "train: images/train\nval: images/val\nnames: [dent, scratch]\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_check_tells_every_finding_with_its_line_and_its_copy_is_clean(tmp_path: Path) -> None:
    folder = broken(tmp_path / "set")
    before = contents(folder)
    done = edgevision("data", "check", folder, "--json", "--fix", tmp_path / "clean")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    errors = {(item["kind"], Path(item["where"]).name) for item in report["findings"] if item["severity"] == "error"}
    assert errors == {
        ("outside", "a.txt:1"),
        ("degenerate", "a.txt:2"),
        ("bad_label", "e.txt:1"),
        ("unknown_class", "e.txt:3"),
        ("unreadable", "d.png"),
        ("exact_duplicate_across_splits", "c.png"),
    }
    assert (report["errors"], report["pictures"]) == (6, 3)
    whats = sorted(action["what"] for action in report["actions"])
    assert whats == ["box clipped", "box dropped", "picture dropped", "picture dropped", "picture dropped"]
    dropped = {Path(item["where"]).name for item in report["actions"] if item["what"] == "picture dropped"}
    assert dropped == {"a.png", "d.png", "e.png"}
    assert contents(folder) == before
    again = edgevision("data", "check", tmp_path / "clean", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["errors"] == 0
    assert [item.file.stem for item in read_dataset(tmp_path / "clean").samples] == ["b", "c"], "val keeps the picture"


def test_check_shows_a_few_of_each_kind_and_all_on_demand(tmp_path: Path) -> None:
    folder = broken(tmp_path / "set")
    text(folder / "labels/train/b.txt", "0 0.5 0.5 0.0 0.2\n" * 5)
    few, every = edgevision("data", "check", folder), edgevision("data", "check", folder, "--all")
    assert few.returncode == every.returncode == 1
    assert "and 3 more" in few.stdout
    assert "2 pictures left out, since they or labels of them cannot be used" in few.stdout
    assert "more" not in every.stdout
    assert "labels/train/b.txt:5" in every.stdout


def test_a_sound_set_ends_with_zero(sound: Path) -> None:
    done = edgevision("data", "check", sound)
    assert done.returncode == 0, done.stdout
    assert "0 errors" in done.stdout or "nothing found" in done.stdout


def test_split_keeps_groups_and_says_how_far_off_it_is(tmp_path: Path, sound: Path) -> None:
    assigned = ("--group-column", "lot", "--assign", "train=a", "--assign", "val=b")
    done = edgevision("data", "split", sound, "--out", tmp_path / "out", "--to", "voc", *assigned)
    assert done.returncode == 0, done.stderr
    assert "few groups: train 1, val 1" in " ".join(done.stdout.split())
    assert {item.columns["lot"]: item.split for item in read_dataset(tmp_path / "out").samples} == {
        "a": "train",
        "b": "val",
    }
    checked = edgevision("data", "check", tmp_path / "out", "--group-column", "lot", "--json")
    assert json.loads(checked.stdout)["errors"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ratio", "1,x"), "--ratio"),
        (("--assign", "train"), "write SPLIT=GROUP"),
        (("--assign", "training=a", "--group-column", "lot"), "--assign"),
        (("--assign", "val=z", "--group-column", "lot"), "there is no group 'z'; there are a, b"),
        (("--group-column", "day"), "has no column 'day' to group by; it has lot"),
        (("--group-pattern", "^x"), "does not fit this name"),
        (("--to", "csv"), "there is no format 'csv'"),
    ],
)
def test_a_wrong_split_is_one_clear_error(
    tmp_path: Path, sound: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = edgevision("data", "split", sound, "--out", tmp_path / "out", *arguments)
    assert message in error_of(done)
    assert not (tmp_path / "out").exists()


def test_a_converted_set_has_the_same_fingerprint(tmp_path: Path, sound: Path) -> None:
    done = edgevision("data", "convert", sound, "--to", "coco", "--out", tmp_path / "out")
    assert "4 pictures, 4 boxes: yolo to coco" in done.stdout
    first, second = (edgevision("data", "fingerprint", path).stdout for path in (sound, tmp_path / "out"))
    assert first == second
    assert len(first.strip()) == 64
    again = edgevision("data", "convert", sound, "--to", "coco", "--out", tmp_path / "out")
    assert "nothing is overwritten" in error_of(again)


def test_stats_and_preview_write_pictures(tmp_path: Path, sound: Path) -> None:
    done = edgevision("data", "stats", sound, "--out", tmp_path / "plots", "--json")
    report = json.loads(done.stdout)
    assert [Path(file).name for file in report["plots"]] == ["classes.png", "box-sizes.png", "box-centres.png"]
    assert all(Path(file).stat().st_size > 5000 for file in report["plots"])
    assert "picture sizes: 96x64 (4)" in edgevision("data", "stats", sound).stdout
    shown = edgevision("data", "preview", sound, "--out", tmp_path / "sheet.png", "--count", "2")
    assert shown.returncode == 0, shown.stderr
    assert "2 of 4 pictures" in shown.stdout
    assert "is a PNG file" in error_of(edgevision("data", "preview", sound, "--out", tmp_path / "sheet.gif"))


def test_what_is_no_data_set_says_what_was_looked_for(tmp_path: Path) -> None:
    assert "looked for data.yaml" in error_of(edgevision("data", "check", tmp_path))
    assert "no such file or folder" in error_of(edgevision("data", "check", tmp_path / "nowhere"))
