"""Writes the pictures that train and judge ``models/pcb-defects``, as a YOLO data set with a table of columns.

    python -m edgevision.training.pcb_data --deeppcb DEEPPCB --out runs/deeppcb-and-drawn

Needs nothing but the runtime. A tiny set to see that it works: ``--drawn 8 --limit 16``.

DeepPCB's real boards are split by board, since pictures of one board resemble each other: 00041, 13000 and 20085
train, 44000 and 50600 validate, 77000 and 92000 test. Defect-free templates of the training boards join as good
boards, and so do drawn boards in colour, as the demo's camera sees them.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np

from edgevision.scenes.base import BoxTuple
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.pcb_defects import KINDS
from edgevision.sources.images import read_image
from edgevision.types import Image

SPLITS = {"00041": "train", "13000": "train", "20085": "train", "44000": "val", "50600": "val", "77000": "test",
          "92000": "test"}  # fmt: skip
SEEDS = {"train": 100_000, "val": 200_000, "test": 300_000}  # of the drawn boards; demo and tests stay far below
TEMPLATE_EVERY = 5  # of the training boards' templates, every fifth joins as a good board

Labels = list[tuple[str, BoxTuple]]
Sample = tuple[Image, Labels]


def write_data(
    deeppcb: Path, out: Path, *, drawn: int, drawn_val: int | None = None, limit: int | None = None
) -> dict[str, int]:
    """Write pictures, labels, ``data.yaml`` and ``columns.csv`` (source, board); returns how many each split has.

    Args:
        deeppcb: DeepPCB as ``images/``, ``templates/`` and ``labels_yolo/``.
        out: Folder to write.
        drawn: Drawn colour pictures for training; validation and test get a fifth each.
        drawn_val: So many for validation in place of a fifth: an export's gate can decide more with more boxes.
        limit: At most so many real pictures; ``None`` for all.
    """
    files = sorted((deeppcb / "images").glob("*.png"))
    files = files if limit is None else files[:: max(1, len(files) // limit)][:limit]
    writer = _Writer(out)
    trained = 0
    for file in files:
        board, sample = file.stem[:5], _real(file)
        split = SPLITS[board]
        writer.put(split, file.stem, sample, board)
        if split == "train":
            if trained % TEMPLATE_EVERY == 0:
                writer.put(split, f"good-{file.stem}", (read_image(deeppcb / "templates" / file.name), []), board)
            trained += 1
    counts = {"train": drawn, "val": drawn // 5 if drawn_val is None else drawn_val, "test": drawn // 5}
    for split, seed in SEEDS.items():
        for number in range(counts[split]):
            writer.put(split, f"drawn-{split}-{number:05d}", drawn_picture(seed + number))
    return writer.close()


def drawn_picture(seed: int) -> Sample:
    """A drawn frame with most of a board in it, (576, 768, 3) uint8 BGR."""
    rng = np.random.default_rng(seed)
    scene = PcbConveyor(seed, boards=1, defect_rate=0.85, speed_px=12.0)
    board = scene.boards[0]
    reach = (board.last_full - board.first_full) // 3
    index = int(rng.integers(max(0, board.first_full - reach), board.last_full + reach + 1))
    return scene.render(index), [(box.label, box.xyxy) for view in scene.truth(index) for box in view.defects]


def _real(file: Path) -> Sample:
    picture = read_image(file)
    height, width = picture.shape[:2]
    labels: Labels = []
    for line in (file.parent.parent / "labels_yolo" / f"{file.stem}.txt").read_text("ascii").splitlines():
        label, x, y, w, h = (float(value) for value in line.split())
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        labels.append((KINDS[int(label)], box))
    return picture, labels


class _Writer:
    """Puts pictures one after the other and what describes them at the end."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._rows: list[dict[str, str]] = []

    def put(self, split: str, name: str, sample: Sample, board: str = "") -> None:
        image, text = self._out / "images" / split / f"{name}.png", self._out / "labels" / split / f"{name}.txt"
        for file in (image, text):
            file.parent.mkdir(parents=True, exist_ok=True)
        picture, labels = sample
        height, width = picture.shape[:2]
        lines = []
        for kind, (x1, y1, x2, y2) in labels:
            shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            lines.append(" ".join([str(KINDS.index(kind)), *(f"{value:.6f}" for value in shares)]))
        if not cv2.imwrite(str(image), picture):
            msg = f"{image}: cannot be written"
            raise OSError(msg)
        text.write_text("\n".join(lines), encoding="ascii")
        source = "DeepPCB" if board else "drawn"
        self._rows.append({"file": f"images/{split}/{name}.png", "source": source, "board": board})

    def close(self) -> dict[str, int]:
        counts = {split: len(list((self._out / "images" / split).iterdir())) for split in SEEDS}
        document = {**{split: f"images/{split}" for split in counts}, "names": list(KINDS)}
        (self._out / "data.yaml").write_text(json.dumps(document), encoding="utf-8")
        with (self._out / "columns.csv").open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, list(self._rows[0]))
            table.writeheader()
            table.writerows(self._rows)
        return counts


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deeppcb", type=Path, required=True, help="folder of the DeepPCB pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/deeppcb-and-drawn"))
    parser.add_argument("--drawn", type=int, default=400, help="drawn colour pictures for training")
    parser.add_argument("--drawn-val", type=int, help="drawn pictures for validation; a fifth of --drawn without it")
    parser.add_argument("--limit", type=int, help="at most so many real pictures")
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty; name a new folder")
    how = {"drawn": options.drawn, "drawn_val": options.drawn_val, "limit": options.limit}
    print(json.dumps(write_data(options.deeppcb, options.out, **how)))  # noqa: T201


if __name__ == "__main__":
    main()
