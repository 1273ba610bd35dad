"""Small labelled pictures for tests: noise with bright rectangles, so that no two look alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.predict import Predictions
from edgevision.scenes.pcb_defects import KINDS
from edgevision.training.pcb_data import drawn_picture
from edgevision.types import Detections, Image

CLASSES = ("scratch", "dent")


def noise(seed: int, size: tuple[int, int] = (96, 64)) -> Image:
    """(H, W, 3) uint8: large random blocks, of which each seed has its own."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (8, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def sample(folder: Path, name: str, boxes: list[tuple[float, ...]], split: str = "", **columns: str) -> Sample:
    """A picture on disk with boxes (x1, y1, x2, y2, label)."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, name))
    coded, data = cv2.imencode(file.suffix, noise(seed))
    assert coded
    file.write_bytes(data.tobytes())
    table = np.array(boxes, np.float32).reshape(-1, 5)
    return Sample(file, (96, 64), table[:, :4], table[:, 4].astype(np.int64), split, columns)


def data_set(folder: Path) -> DataSet:
    """Three splits, one empty picture, a name beyond ASCII, a column."""
    samples = (
        sample(folder, "a1.png", [(10, 10, 30, 20, 0), (40, 20, 60, 60, 1)], "train", lot="a"),
        sample(folder, "a2.png", [(0, 0, 96, 64, 1)], "train", lot="a"),
        sample(folder, "Prüfling 3.jpg", [(5.5, 6.25, 17, 18, 0)], "val", lot="b"),
        sample(folder, "b4.png", [], "test", lot="b"),
    )
    return DataSet(CLASSES, samples, (), folder)


def yolo_folder(folder: Path, label: str = "0 0.5 0.5 0.5 0.5\n", *, described: str | None = None) -> Path:
    """A YOLO data set of one picture, 96x64."""
    sample(folder / "images", "p.png", [])
    (folder / "labels").mkdir()
    (folder / "labels" / "p.txt").write_text(label, "utf-8")
    text = "train: images\nnames: [scratch, dent]\n" if described is None else described
    (folder / "data.yaml").write_text(text, "utf-8")
    return folder


def voc_folder(folder: Path, xml: bytes) -> Path:
    """A VOC data set of one picture, 96x64."""
    sample(folder / "JPEGImages", "p.png", [])
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "p.xml").write_bytes(xml)
    return folder


def coco_folder(folder: Path, **tables: object) -> Path:
    """A COCO data set of one picture, 96x64; ``tables`` replace those of the file."""
    sample(folder / "images", "p.png", [])
    images = [{"id": 1, "file_name": "p.png", "width": 96, "height": 64}]
    document = {"images": images, "categories": [{"id": 1, "name": "dent"}], "annotations": [], **tables}
    (folder / "all.json").write_text(json.dumps(document), "utf-8")
    return folder


def picture(file: Path, seed: int = 0, width: int = 64, height: int = 48) -> Path:
    """Write a picture; its folders too. Names may hold any letters."""
    file.parent.mkdir(parents=True, exist_ok=True)
    coded, data = cv2.imencode(file.suffix, noise(seed, (width, height)))
    assert coded
    file.write_bytes(data.tobytes())
    return file


def text(file: Path, content: str) -> Path:
    """Write a text file; its folders too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return file


def kinds(data: DataSet, severity: str = "error") -> list[tuple[str, str]]:
    """(kind, file:line without its folder) of the findings."""
    return [(item.kind, Path(item.where).name) for item in data.findings if item.severity == severity]


def drawn_boards(folder: Path, seeds: Iterable[int], split: str = "") -> DataSet:
    """Drawn circuit boards as a camera sees them, on disk, with their defects."""
    samples = []
    for seed in seeds:
        picture, labels = drawn_picture(seed)
        file = folder / f"{seed}.png"
        cv2.imwrite(str(file), picture)
        boxes = np.array([box for _, box in labels], np.float32).reshape(-1, 4)
        index = np.array([KINDS.index(kind) for kind, _ in labels], np.int64)
        samples.append(Sample(file, (picture.shape[1], picture.shape[0]), boxes, index, split))
    return DataSet(tuple(KINDS), tuple(samples), root=folder)


def noisy_predictions(rng: np.random.Generator, pictures: int, classes: int) -> Predictions:
    """Labels of all sizes with detections near them, doubled, of a wrong class or anywhere; many scores are equal."""
    samples, found = [], []
    for number in range(pictures):
        count = int(rng.integers(0, 12))
        corner, side = rng.uniform(0, 400, (count, 2)), rng.uniform(5, 200, (count, 2))
        truth = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        label = rng.integers(0, classes, count)
        samples.append(Sample(Path(f"{number}.png"), (640, 640), truth, label))
        near = np.repeat(truth, 3, axis=0) + rng.normal(0, 6, (3 * count, 4)).astype(np.float32)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        names = np.where(rng.random(3 * count) < 0.2, rng.integers(0, classes, 3 * count), np.repeat(label, 3))
        found.append(Detections(near, rng.random(3 * count).round(2).astype(np.float32), names))
    data = DataSet(tuple(f"class {index}" for index in range(classes)), tuple(samples))
    return Predictions(data, tuple(found), (0.0,) * pictures)
