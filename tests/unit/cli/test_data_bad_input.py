"""`edgevision data` given what is broken, odd or in the wrong place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cli_process import edgevision
from labelled import coco_folder, data_set, sample, yolo_folder
from typer.testing import CliRunner, Result

from edgevision.cli.data import app
from edgevision.datasets.formats import write_dataset
from edgevision.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(data_set(tmp_path / "pictures"), tmp_path / "set", "yolo")
    return tmp_path / "set"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_all_that_is_printed(folder: Path, tmp_path: Path) -> None:
    (next(folder.rglob("a1.txt"))).write_text("0 0.5 0.5 0.1 0.1\n5 0.5 0.5 0.1 0.1\n", "utf-8")
    for words in (
        ("check", folder, "--fix", tmp_path / "fixed"),
        ("split", folder, "--out", tmp_path / "split", "--ratio", "2,1,1"),
        ("stats", folder, "--out", tmp_path / "plots"),
        ("convert", folder, "--to", "voc", "--out", tmp_path / "voc"),
        ("fingerprint", folder),
    ):
        done = call(*words, "--json")
        told = json.loads(done.stdout)
        assert (told["format"], told["pictures"], told["boxes"]) == ("yolo", 3, 2), words
        assert done.exit_code == (1 if words[0] == "check" else 0)
    told = json.loads(call("check", folder, "--json").stdout)
    assert told["errors"] == 1
    assert {"kind", "severity", "where", "message"} == set(told["findings"][0])


def test_what_a_reader_left_out_is_told_by_what_goes_on_without_it(folder: Path, tmp_path: Path) -> None:
    (next(folder.rglob("a1.txt"))).write_text("nonsense\n", "utf-8")
    for words in (
        ("split", folder, "--out", tmp_path / "split"),
        ("convert", folder, "--to", "coco", "--out", tmp_path / "coco"),
        ("fingerprint", folder),
        ("stats", folder),
        ("preview", folder, "--out", tmp_path / "sheet.png"),
    ):
        done = call(*words)
        assert (done.exit_code, "1 error while reading, 1 picture left out: see" in done.stderr) == (0, True), words
    assert len(call("fingerprint", folder).stdout.strip()) == 64


def test_an_original_is_never_touched_and_nothing_is_written_into_it(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for words in (
        ("check", folder, "--fix", folder / "clean"),
        ("split", folder, "--out", folder / "images" / "split"),
        ("convert", folder, "--to", "coco", "--out", folder / "coco"),
        ("fuse", folder, "--out", folder / "fused"),
    ):
        assert "lies inside of the data set" in str(call(*words).exception)
    for words in (("check", folder, "--fix", folder), ("split", folder, "--out", folder)):
        assert "nothing is overwritten" in str(call(*words).exception)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_seed_repeats_a_split(folder: Path, tmp_path: Path) -> None:
    prints = []
    for number, seed in enumerate((3, 3)):
        out = tmp_path / f"s{number}"
        assert call("split", folder, "--out", out, "--ratio", "1,1,0", "--seed", seed).exit_code == 0
        prints.append(call("fingerprint", out).stdout)
    assert prints[0] == prints[1]


def test_a_list_of_findings_is_short_unless_all_are_asked_for(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "nonsense\n" * 9)
    short, long = call("check", folder).stdout, call("check", folder, "--all").stdout
    assert ("and 6 more" in short, "p.txt:9" in short) == (True, False)
    assert ("more" in long, "p.txt:9" in long) == (False, True)


def test_one_part_is_shown_once(tmp_path: Path) -> None:
    stats = call("stats", yolo_folder(tmp_path)).stdout
    assert ("all" in stats, "train" in stats) == (True, False)


def test_a_preview_varies_also_what_has_bad_boxes(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path / "set", "0 0.9 0.5 0.5 0.5\n1 0.5 0.5 0 0.1\n1 3 3 0.1 0.1\n")
    done = call("preview", folder, "--out", tmp_path / "sheet.png", "--augment", "inspection")
    assert done.exit_code == 0, done.exception
    file = tmp_path / "mine.yaml"
    file.write_text("- HorizontalFlip: {p: 1}\n", "utf-8")
    assert call("preview", folder, "--out", tmp_path / "mine.png", "--augment", file).exit_code == 0
    file.write_text("- HorizontalFlop: {}\n", "utf-8")
    wrong = call("preview", folder, "--out", tmp_path / "no.png", "--augment", file)
    assert "did you mean HorizontalFlip" in str(wrong.exception)
    assert not (tmp_path / "no.png").exists()


def test_names_that_are_no_utf8_and_classes_like_markup_are_printed(tmp_path: Path) -> None:
    odd = b"latin \xe4.png"
    item = sample(tmp_path / "set" / "images", "p.png", [])
    shutil.move(str(item.file), tmp_path / "set" / "images" / odd.decode(errors="surrogateescape"))
    (tmp_path / "set" / "labels").mkdir()
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: ['[red]', '[/]']\n", "utf-8")
    done = call("check", tmp_path / "set")
    assert done.exit_code == 0, done.exception
    assert "[red], [/]" in done.stdout
    assert call("stats", tmp_path / "set").exit_code == 0
    assert call("preview", tmp_path / "set", "--out", tmp_path / "sheet.png").exit_code == 0
    assert call("convert", tmp_path / "set", "--to", "voc", "--out", tmp_path / "voc").exit_code == 0


def test_groups_that_cannot_be_told_are_told_before_pictures_are_read(folder: Path) -> None:
    assert "has no column 'board'" in str(call("check", folder, "--group-column", "board").exception)
    assert "does not fit this name" in str(call("check", folder, "--group-pattern", "^x").exception)
    assert "is no regular expression" in str(call("check", folder, "--group-pattern", "(").exception)
    assert "finds an empty name" in str(call("check", folder, "--group-pattern", "^(x*)").exception)


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        ("0.8,0.2", "--ratio"),
        ("a,b,c", "--ratio"),
        ("0,0,0", "needs a share"),
        ("-1,1,1", "--ratio"),
        ("inf,1,1", "--ratio"),
        ("1e308,1e308,1e308", "--ratio"),
    ],
)
def test_ratios_that_are_none(folder: Path, tmp_path: Path, ratio: str, says: str) -> None:
    assert says in str(call("split", folder, "--out", tmp_path / "out", f"--ratio={ratio}").exception)


def test_a_set_in_which_nothing_can_be_read_is_an_error_and_never_a_traceback(tmp_path: Path) -> None:
    folder = coco_folder(tmp_path / "set")
    (folder / "images" / "p.png").write_bytes(b"")
    found = call("check", folder)
    assert (found.exit_code, "the file is empty" in found.stdout) == (1, True)
    for words in (
        ("check", folder, "--fix", tmp_path / "fix"),
        ("split", folder, "--out", tmp_path / "split"),
        ("convert", folder, "--to", "yolo", "--out", tmp_path / "yolo"),
        ("preview", folder, "--out", tmp_path / "p.png"),
    ):
        assert isinstance(call(*words).exception, DatasetError), words
    assert call("stats", folder, "--out", tmp_path / "plots").exit_code == 0
    assert [item.name for item in tmp_path.iterdir()] in (["set", "plots"], ["plots", "set"])


def test_nothing_is_drawn_among_the_pictures(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    images = folder / "images"
    for words in (("stats", folder, "--out", images), ("preview", folder, "--out", images / "p.png")):
        assert "lies inside of the data set" in str(call(*words).exception)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert call("preview", folder, "--out", folder / "sheet.png").exit_code == 0


def test_folders_whose_names_are_no_utf8_are_printed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as where a language is set
    out = tmp_path / os.fsdecode(b"out \xff")
    done = edgevision("data", "convert", folder, "--to", "coco", "--out", out)
    assert (done.returncode, "out \\udcff" in done.stdout) == (0, True), done.stderr


def test_a_set_of_which_every_picture_is_left_out_is_told(tmp_path: Path) -> None:
    folder, lines = yolo_folder(tmp_path / "set", "9 0.5 0.5 0.1 0.1\nnonsense\n"), "labels/p.txt:1: class 9"
    done = call("check", folder)
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    for says in ("0 pictures, 0 boxes", lines, "2 errors, 0 warnings", "1 picture left out, since it or a label of it"):
        assert says in done.stdout
    for words in (
        ("check", folder, "--fix", tmp_path / "fixed"),
        ("split", folder, "--out", tmp_path / "split"),
        ("convert", folder, "--to", "voc", "--out", tmp_path / "voc"),
    ):
        done = call(*words)
        assert isinstance(done.exception, DatasetError), words
        assert lines in str(done.exception), words
    assert [item.name for item in tmp_path.iterdir()] == ["set"]
    assert call("stats", folder).exit_code == 0
