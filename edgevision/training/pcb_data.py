"""Writes the pictures that train and judge ``models/pcb-defects``, with YOLO labels.

    python -m edgevision.training.pcb_data --deeppcb DEEPPCB --out runs/pcb/data

Needs nothing but the runtime. A tiny set to see that it works: ``--drawn 8 --limit 16``.

DeepPCB's real boards are split by board, since pictures of one board resemble each other: 00041, 13000 and 20085
train, 44000 and 50600 validate, 77000 and 92000 test. Three designs are few, so the training pictures also come a
quarter turn round. Defect-free templates of the training boards join as good boards, and so do drawn boards in colour,
as the demo's camera sees them. ``--extra`` adds what has been tried and is not in the shipped bundle (docs/LOG.md):

- ``negatives``: where copper and laminate change places, an open is a short, a mousebite a spur, a pin-hole copper;
- ``plans``: drawn boards as 1-bit pictures in DeepPCB's manner;
- ``scratches``: templates of the training boards with scratches (``pcb_scratches``), such as cut off corners of pads.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from edgevision.scenes.base import BoxTuple
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.pcb_board import SCALE, make_layout
from edgevision.scenes.pcb_defects import KINDS, BoardDefect, add_defect
from edgevision.training.pcb_scratches import NEGATIVE, scratched
from edgevision.types import Image

SPLITS = {"00041": "train", "13000": "train", "20085": "train", "44000": "val", "50600": "val", "77000": "test",
          "92000": "test"}  # fmt: skip
SEEDS = {"train": 100_000, "val": 200_000, "test": 300_000}  # of the drawn boards; demo and tests stay far below
PLAN_SEED = 400_000
SCRATCH_SEED = 500_000
SCRATCHED = 2  # pictures of each training board's template with drawn scratches
PLAN = 640  # px, as DeepPCB's pictures
PLAN_BOARD = 420  # shown px of the board that a plan is cut from
PLAN_DEFECTS = 10  # tried on a plan's board
TEMPLATE_EVERY = 5  # of the training boards' templates, every fifth joins as a good board

EXTRA = ("negatives", "plans", "scratches")

Labels = list[tuple[str, BoxTuple]]
Sample = tuple[Image, Labels]


def write_data(
    deeppcb: Path, out: Path, *, drawn: int, limit: int | None, extra: Collection[str] = ()
) -> dict[str, int]:
    """Write pictures and labels; returns how many pictures each part has.

    Args:
        deeppcb: DeepPCB as ``images/``, ``templates/`` and ``labels_yolo/``.
        out: Folder to write.
        drawn: Drawn colour pictures for training; validation and test get a fifth each.
        limit: At most so many real pictures; ``None`` for all.
        extra: Any of ``EXTRA``.
    """
    files = sorted((deeppcb / "images").glob("*.png"))
    files = files if limit is None else files[:: max(1, len(files) // limit)][:limit]
    for file in files:
        if (split := SPLITS[file.stem[:5]]) != "train":
            _put(out, f"{split}-real", file.stem, _real(file))
    for place, file in enumerate(file for file in files if SPLITS[file.stem[:5]] == "train"):
        _put_training(out, place, deeppcb / "templates" / file.name, _real(file), extra)
    for split, seed in SEEDS.items():
        for number in range(drawn if split == "train" else drawn // 5):
            _put(out, f"{split}-drawn", f"drawn-{number:05d}", drawn_picture(seed + number))
    for number in range(drawn if "plans" in extra else 0):
        _put(out, "train-plans", f"plan-{number:05d}", drawn_plan(PLAN_SEED + number))
    counts = {folder.name: len(list(folder.iterdir())) for folder in sorted((out / "images").iterdir())}
    _describe(out, list(counts))
    return counts


def _put_training(out: Path, place: int, template: Path, sample: Sample, extra: Collection[str]) -> None:
    """One picture of a training board in all its forms."""
    name, good = template.stem, read_picture(template)
    _put(out, "train-real", name, sample)
    _put(out, "train-real", f"{name}-turned", turned(sample))
    if place % TEMPLATE_EVERY == 0:
        _put(out, "train-real", f"good-{name}", (good, []))
    if "negatives" in extra:
        _put(out, "train-negatives", name, negative(sample))
        _put(out, "train-negatives", f"{name}-turned", turned(negative(sample)))
    for number in range(SCRATCHED if "scratches" in extra else 0):
        rng = np.random.default_rng([SCRATCH_SEED, place, number])
        scratches = scratched(good, rng, int(rng.integers(4, 11)))
        _put(out, "train-scratches", f"{name}-{number}", negative(scratches) if rng.integers(2) else scratches)


def drawn_picture(seed: int) -> Sample:
    """A drawn frame with most of a board in it, (576, 768, 3) uint8 BGR."""
    rng = np.random.default_rng(seed)
    scene = PcbConveyor(seed, boards=1, defect_rate=0.85, speed_px=12.0)
    board = scene.boards[0]
    reach = (board.last_full - board.first_full) // 3
    index = int(rng.integers(max(0, board.first_full - reach), board.last_full + reach + 1))
    return scene.render(index), [(box.label, box.xyxy) for view in scene.truth(index) for box in view.defects]


def drawn_plan(seed: int) -> Sample:
    """A piece of a drawn board at a drawn scale, copper black on white or the other way, (640, 640, 3) uint8."""
    rng = np.random.default_rng(seed)
    layout = make_layout(PLAN_BOARD, PLAN_BOARD, rng)
    copper = layout.copper.copy()
    kinds = [KINDS[int(kind)] for kind in rng.integers(0, len(KINDS), PLAN_DEFECTS)]
    defects = [defect for kind in kinds if (defect := add_defect(layout, copper, kind, rng)) is not None]
    side = int(rng.integers(PLAN_BOARD // 2, PLAN_BOARD + 1)) * SCALE
    left, top = (int(rng.integers(0, PLAN_BOARD * SCALE - side + 1)) for _ in range(2))
    plan = (copper & ~layout.holes)[top : top + side, left : left + side]
    bits = cv2.threshold(cv2.resize(plan, (PLAN, PLAN), interpolation=cv2.INTER_AREA), 127, 255, cv2.THRESH_BINARY_INV)
    window = (left / SCALE, top / SCALE, (left + side) / SCALE, (top + side) / SCALE)
    labels = [(defect.kind, box) for defect in defects if (box := _cut(defect, window)) is not None]
    sample = (cv2.cvtColor(np.asarray(bits[1], np.uint8), cv2.COLOR_GRAY2BGR).astype(np.uint8), labels)
    return negative(sample) if rng.integers(2) else sample


def _cut(defect: BoardDefect, window: BoxTuple) -> BoxTuple | None:
    """A defect's box in pixels of the plan; ``None`` where less than half of it is on the plan."""
    x1, y1, x2, y2 = defect.xyxy
    cut = max(x1, window[0]), max(y1, window[1]), min(x2, window[2]), min(y2, window[3])
    shown = max(0.0, cut[2] - cut[0]) * max(0.0, cut[3] - cut[1])
    if shown < (x2 - x1) * (y2 - y1) / 2:
        return None
    zoom = PLAN / (window[2] - window[0])
    left, top = window[:2]
    return (cut[0] - left) * zoom, (cut[1] - top) * zoom, (cut[2] - left) * zoom, (cut[3] - top) * zoom


def negative(sample: Sample) -> Sample:
    """Copper and laminate change places, and with them what a defect is called."""
    swapped = {**NEGATIVE, **{other: kind for kind, other in NEGATIVE.items()}}
    picture, labels = sample
    return cv2.bitwise_not(picture).astype(np.uint8), [(swapped[kind], box) for kind, box in labels]


def turned(sample: Sample) -> Sample:
    """A quarter turn clockwise; with the trainer's flips that makes all eight views."""
    picture, labels = sample
    height = picture.shape[0]
    boxes = [(kind, (height - y2, x1, height - y1, x2)) for kind, (x1, y1, x2, y2) in labels]
    return np.ascontiguousarray(np.rot90(picture, -1)), boxes


def read_picture(file: Path) -> Image:
    """(H, W, 3) uint8 BGR.

    Raises:
        ValueError: It is no picture.
    """
    picture = cv2.imread(str(file))
    if picture is None:
        msg = f"{file}: not a picture"
        raise ValueError(msg)
    return np.asarray(picture, np.uint8)


def _real(file: Path) -> Sample:
    picture = read_picture(file)
    height, width = picture.shape[:2]
    labels: Labels = []
    for line in (file.parent.parent / "labels_yolo" / f"{file.stem}.txt").read_text("ascii").splitlines():
        label, x, y, w, h = (float(value) for value in line.split())
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        labels.append((KINDS[int(label)], box))
    return picture, labels


def _put(out: Path, part: str, name: str, sample: Sample) -> None:
    image, text = out / "images" / part / f"{name}.png", out / "labels" / part / f"{name}.txt"
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


def _describe(out: Path, parts: list[str]) -> None:
    """The trainer's data files: ``data.yaml`` to train with, one for each held-out part to score with."""
    held_out = [part for part in parts if not part.startswith("train")]
    for name, judged in (("data", ["val-real", "val-drawn"]), *((part, [part]) for part in held_out)):
        document = {
            "path": str(out.resolve()),
            "train": [f"images/{part}" for part in parts if part.startswith("train")],
            "val": [f"images/{part}" for part in judged],
            "names": list(KINDS),
        }
        (out / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deeppcb", type=Path, required=True, help="folder of the DeepPCB pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/pcb/data"))
    parser.add_argument("--drawn", type=int, default=400, help="drawn colour pictures for training")
    parser.add_argument("--extra", nargs="*", choices=EXTRA, default=[], help="what else to add for training")
    parser.add_argument("--limit", type=int, help="at most so many real pictures")
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty; name a new folder")
    counts = write_data(options.deeppcb, options.out, drawn=options.drawn, limit=options.limit, extra=options.extra)
    print(json.dumps(counts))  # noqa: T201


if __name__ == "__main__":
    main()
