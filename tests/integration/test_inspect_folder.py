"""`edgevision inspect` on folders of drawn boards: what it writes, and what one bad picture does to the rest."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_process import edgevision, error_of
from onnx_models import COLOURS, colour_bundle

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.formats import write_dataset
from edgevision.scenes.pcb import PcbConveyor

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"


@pytest.fixture(name="shots", scope="module")
def _shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six boards in full view as ``ok-3.png`` or ``ng-4.png``, half of them in a folder of their own."""
    folder = tmp_path_factory.mktemp("shots")
    (folder / "late").mkdir()
    belt = PcbConveyor(31, boards=6, defect_rate=0.6)
    for board in belt.boards:
        middle = (board.first_full + board.last_full) // 2
        place = folder / "late" if board.part_id > 2 else folder
        cv2.imwrite(str(place / f"{board.verdict}-{board.part_id}.png"), belt.render(middle))
    return folder


@pytest.fixture(name="results", scope="module")
def _results(shots: Path) -> Path:
    out = shots.parent / "results"
    done = edgevision("inspect", shots, "--model", BUNDLE, "--out", out, "--json")
    assert done.returncode == 1, done.stderr  # not all are ok
    summary = json.loads(done.stdout)
    assert summary["pictures"] == 6
    assert summary["unreadable"] == 0
    return out


def _rows(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


def test_each_board_gets_its_verdict(results: Path) -> None:
    rows = _rows(results)
    assert len(rows) == 6
    assert {str(row["result"]) for row in rows} == {"ok", "ng"}
    for row in rows:
        assert Path(str(row["file"])).name.startswith(str(row["result"])), row


def test_what_an_evaluation_counts_is_what_an_inspection_does(tmp_path: Path) -> None:
    """At whatever thresholds a bundle has: scores here are 0.1 to 0.9, and 0.2 rejects."""
    bundle = colour_bundle(tmp_path, thresholds={"default": 0.2})
    (tmp_path / "pictures").mkdir()
    samples = []
    for number, (share, ng) in enumerate([(0.1, True), (0.3, True), (0.9, True), (0.1, False), (0.3, False)]):
        file = tmp_path / "pictures" / f"{number}.png"
        cv2.imwrite(str(file), np.full((48, 64, 3), (0, 0, round(255 * share)), np.uint8))
        boxes = np.array([[24, 20, 40, 28]] if ng else [], np.float32).reshape(-1, 4)
        samples.append(Sample(file, (64, 48), boxes, np.zeros(len(boxes), np.int64)))
    write_dataset(DataSet(COLOURS, tuple(samples), root=tmp_path), tmp_path / "set", "yolo")
    done = edgevision("evaluate", bundle.folder, "--data", tmp_path / "set", "--split", "all", "--json")
    parts = json.loads(done.stdout[done.stdout.index("{") :])["parts"]
    edgevision("inspect", tmp_path / "set", "--model", bundle.folder, "--out", tmp_path / "out", "--json")
    labels = {file.stem: file.read_text("ascii").strip() for file in (tmp_path / "set" / "labels").rglob("*.txt")}
    called = {Path(str(row["file"])).stem: row["result"] for row in _rows(tmp_path / "out")}
    escapes = sum(bool(text) and called[name] == "ok" for name, text in labels.items())
    overkills = sum(not text and called[name] == "ng" for name, text in labels.items())
    assert (escapes, overkills) == (parts["escape"]["count"], parts["overkill"]["count"]) == (1, 1)


def test_names_are_relative_and_in_natural_order(results: Path, shots: Path) -> None:
    names = [str(row["file"]) for row in _rows(results)]
    assert sorted(names) == sorted(path.relative_to(shots).as_posix() for path in shots.rglob("*.png"))
    assert sum(name.startswith("late/") for name in names) == 3


def test_the_table_says_the_same_as_the_lines(results: Path) -> None:
    with (results / "results.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for row, line in zip(table, _rows(results), strict=True):
        defects = line["defects"]
        assert isinstance(defects, list)
        assert (row["file"], row["result"], int(row["defects"])) == (line["file"], line["result"], len(defects))
        assert row["labels"].split() == sorted({defect["label"] for defect in defects})


def test_coco_results_fit_their_images_table(results: Path) -> None:
    found = json.loads((results / "coco_results.json").read_text("utf-8"))
    tables = json.loads((results / "coco_images.json").read_text("utf-8"))
    sizes = {image["file_name"]: (image["width"], image["height"]) for image in tables["images"]}
    assert len(sizes) == 6
    assert found
    for row in found:
        width, height = sizes[row["image_id"]]
        x, y, w, h = row["bbox"]
        assert 0 <= x < x + w <= width + 0.02
        assert 0 <= y < y + h <= height + 0.02
        assert row["category_id"] in {category["id"] for category in tables["categories"]}
        assert 0 < row["score"] <= 1


def test_pictures_of_one_name_and_two_formats_are_both_annotated(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture = cv2.imread(str(next(shots.glob("*.png"))))
    assert picture is not None
    for name in ("a.png", "a.bmp"):
        cv2.imwrite(str(tmp_path / "in" / name), picture)
    done = edgevision("inspect", tmp_path / "in", "--model", BUNDLE, "--out", tmp_path / "out")
    assert "Traceback" not in done.stderr
    assert {file.name for file in (tmp_path / "out/annotated").iterdir()} == {"a.png.jpg", "a.bmp.jpg"}


def test_annotated_pictures_show_the_defects(results: Path, shots: Path) -> None:
    for line in _rows(results):
        name = Path(str(line["file"]))
        drawn = cv2.imread(str(results / "annotated" / f"{name}.jpg"))
        plain = cv2.imread(str(shots / name))
        assert drawn is not None
        assert plain is not None
        assert drawn.shape == plain.shape
        defects = line["defects"]
        assert isinstance(defects, list)
        for defect in defects:
            x1, y1, x2, _ = (round(value) for value in defect["box"])
            edge = np.abs(drawn[y1, x1:x2].astype(int) - plain[y1, x1:x2])
            assert edge.max() > 60


def test_a_bad_picture_is_a_result_and_stops_nothing(shots: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = next(iter(shots.glob("*.png"))).read_bytes()
    (folder / "1-good.png").write_bytes(good)
    (folder / "2-empty.png").write_bytes(b"")
    (folder / "3-cut.png").write_bytes(good[: len(good) // 3])
    (folder / "4-text.jpg").write_text("this is no picture")
    (folder / "5-good.png").write_bytes(good)
    header = bytearray(good)
    header[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height of a PNG: 3.6 thousand million pixels
    (folder / "6-huge.png").write_bytes(header)
    done = edgevision("inspect", folder, "--model", BUNDLE, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "4 unreadable" in done.stdout
    rows = _rows(tmp_path / "out")
    assert [row["result"] is None for row in rows] == [False, True, True, True, False, True]
    assert all(row["reason"] for row in rows if row["result"] is None)
    assert rows[0]["result"] == rows[4]["result"]


def test_rules_decide(shots: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - {labels: [open], min_score: 0.99, max_count: 50}\n", encoding="utf-8")
    done = edgevision("inspect", shots, "--model", BUNDLE, "--out", tmp_path / "out", "--rules", rules, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] == 6


def test_earlier_results_are_never_overwritten(results: Path, shots: Path) -> None:
    before = (results / "results.jsonl").read_bytes()
    assert "is not empty" in error_of(edgevision("inspect", shots, "--model", BUNDLE, "--out", results))
    assert (results / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("path", "model", "message"),
    [
        ("nowhere", str(BUNDLE), "nowhere: there is no such file or folder"),
        (".", str(BUNDLE), "no pictures in"),
        ("a.png", "no-model", "no-model"),
    ],
)
def test_wrong_use_is_said_in_a_line(tmp_path: Path, path: str, model: str, message: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    target = empty if path == "." else tmp_path / path
    assert message in error_of(edgevision("inspect", target, "--model", model, "--out", tmp_path / "out", cwd=tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_rules_file_with_a_wrong_key_is_refused_with_its_line(shots: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - {minimum_score: 0.9}\n", encoding="utf-8")
    done = edgevision("inspect", shots, "--model", BUNDLE, "--out", tmp_path / "out", "--rules", rules)
    assert "rules.yaml:2" in error_of(done)
