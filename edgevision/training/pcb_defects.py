"""Trains the detector of ``models/pcb-defects``: DeepPCB's boards and drawn boards together, six kinds of defects.

    python -m edgevision.training.pcb_defects data --deeppcb DEEPPCB --out runs/pcb/data
    python -m edgevision.training.pcb_defects fit --data runs/pcb/data --weights START.pt --out runs/pcb --hours 8
    python -m edgevision.training.pcb_defects score --data runs/pcb/data --weights runs/pcb/fit/weights/best.pt

``data`` needs nothing but the runtime; ``fit`` and ``score`` need the `train` extra. A tiny run to see that it works:
``data --pictures 8 --limit 16`` and ``fit --hours 0.02``. The split is by board, since pictures of one board resemble
each other: DeepPCB's boards 00041, 13000 and 20085 train, 44000 and 50600 validate, 77000 and 92000 test. Defect-free
templates of training boards, training pictures a quarter turn round and drawn boards from separate seeds join them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgevision.scenes.pcb import BoardInView, PcbConveyor
from edgevision.scenes.pcb_defects import KINDS
from edgevision.types import Image

SIZE = 512
SPLITS = {"00041": "train", "13000": "train", "20085": "train", "44000": "val", "50600": "val", "77000": "test",
          "92000": "test"}  # fmt: skip
SEEDS = {"train": 100_000, "val": 200_000, "test": 300_000}  # of the drawn boards; demo and tests stay far below
TEMPLATE_EVERY = 5  # of the training boards' templates, every fifth joins as a good board


def write_data(deeppcb: Path, out: Path, pictures: int, limit: int | None) -> dict[str, int]:
    """Write pictures and YOLO labels; returns how many pictures each part has.

    Args:
        deeppcb: DeepPCB as ``images/``, ``templates/`` and ``labels_yolo/``.
        out: Folder to write.
        pictures: Drawn pictures for training; validation and test get a fifth each.
        limit: At most so many real pictures; ``None`` for all.
    """
    counts: dict[str, int] = {}
    files = sorted((deeppcb / "images").glob("*.png"))
    for file in files if limit is None else files[:: max(1, len(files) // limit)]:
        split = SPLITS[file.stem[:5]]
        _put(out, f"{split}-real", file.stem, file, (deeppcb / "labels_yolo" / f"{file.stem}.txt").read_text("ascii"))
    for file in [item for item in files if SPLITS[item.stem[:5]] == "train"]:
        labels = (deeppcb / "labels_yolo" / f"{file.stem}.txt").read_text("ascii")
        _put(out, "train-real", f"{file.stem}-turned", *_turned(_read(file), labels))
    for file in [item for item in files if SPLITS[item.stem[:5]] == "train"][::TEMPLATE_EVERY]:
        _put(out, "train-real", f"good-{file.stem}", deeppcb / "templates" / file.name, "")
    for split, seed in SEEDS.items():
        for number in range(pictures if split == "train" else pictures // 5):
            picture, views = drawn_picture(seed + number)
            _put(out, f"{split}-drawn", f"drawn-{number:05d}", picture, _labels(picture, views))
    for folder in sorted((out / "images").iterdir()):
        counts[folder.name] = len(list(folder.iterdir()))
    names = {"train": ["train-real", "train-drawn"], "val": ["val-real", "val-drawn"]}
    for name, val in (("data", names["val"]), *((part, [part]) for part in counts if not part.startswith("train"))):
        document = {
            "path": str(out.resolve()),
            "train": [f"images/{part}" for part in names["train"]],
            "val": [f"images/{part}" for part in val],
            "names": list(KINDS),
        }
        (out / f"{name}.yaml").write_text(json.dumps(document), encoding="utf-8")
    return counts


def drawn_picture(seed: int) -> tuple[Image, list[BoardInView]]:
    """A drawn frame with most of a board in it, (576, 768, 3) uint8 BGR, and what is in it."""
    rng = np.random.default_rng(seed)
    scene = PcbConveyor(seed, boards=1, defect_rate=0.85, speed_px=12.0)
    board = scene.boards[0]
    reach = (board.last_full - board.first_full) // 3
    index = int(rng.integers(max(0, board.first_full - reach), board.last_full + reach + 1))
    return scene.render(index), list(scene.truth(index))


def _labels(picture: Image, views: list[BoardInView]) -> str:
    height, width = picture.shape[:2]
    lines = []
    for view in views:
        for box in view.defects:
            x1, y1, x2, y2 = box.xyxy
            centre = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            lines.append(" ".join([str(KINDS.index(box.label)), *(f"{value:.6f}" for value in centre)]))
    return "\n".join(lines)


def _read(file: Path) -> Image:
    picture = cv2.imread(str(file))
    if picture is None:
        msg = f"{file}: not a picture"
        raise ValueError(msg)
    return np.asarray(picture, np.uint8)


def _turned(picture: Image, labels: str) -> tuple[Image, str]:
    """Picture and YOLO labels a quarter turn clockwise; with the trainer's flips that makes all eight views."""
    lines = []
    for line in labels.splitlines():
        label, x, y, width, height = line.split()
        lines.append(f"{label} {1 - float(y):.6f} {x} {height} {width}")
    return np.ascontiguousarray(np.rot90(picture, -1)), "\n".join(lines)


def _put(out: Path, part: str, name: str, picture: Path | Image, labels: str) -> None:
    image, text = out / "images" / part / f"{name}.png", out / "labels" / part / f"{name}.txt"
    for file in (image, text):
        file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, Path):
        shutil.copyfile(picture, image)
    else:
        cv2.imwrite(str(image), picture)
    text.write_text(labels, encoding="ascii")


def fit(
    data: Path, weights: str, out: Path, hours: float, *, batch: int, device: str, precision: str, resume: bool
) -> None:
    """Fine-tune ``weights`` until the wall clock says stop; a checkpoint is written after every epoch.

    The optimiser steps after every batch (``nbs=batch``): the trainer's default of one step per 64 pictures leaves a
    set this small with too few steps.
    """
    _quiet(out)
    from ultralytics import YOLO

    model = YOLO(out / "fit" / "weights" / "last.pt" if resume else weights)
    if device == "cpu" and precision == "bf16":
        model.add_callback("on_train_start", _bf16_on_cpu)
    if resume:
        model.train(resume=True)
        return
    model.train(
        data=str(data / "data.yaml"),
        imgsz=SIZE,
        time=hours,
        batch=batch,
        nbs=batch,
        device=device,
        workers=0 if device == "cpu" else 8,
        project=str(out.resolve()),
        name="fit",
        exist_ok=True,
        seed=0,
        optimizer="AdamW",
        lr0=0.001,
        lrf=0.02,
        warmup_epochs=1,
        mosaic=0.5,
        close_mosaic=5,
        scale=0.25,
        flipud=0.5,
        fliplr=0.5,
        hsv_h=0.03,
        hsv_s=0.4,
        hsv_v=0.3,
        cache="ram",
        plots=False,
        amp=precision if device != "cpu" else False,
    )


def _bf16_on_cpu(trainer: Any) -> None:  # noqa: ANN401 - the trainer's own type
    """Run forward and backward in bfloat16, which the trainer offers on GPUs only; losses stay in float32.

    Twice as fast on a CPU with AVX512-BF16. The averaged weights, which are validated and saved, are a copy of their
    own and not touched.
    """
    import torch
    from torch.utils._pytree import tree_map

    torch.set_num_threads(os.cpu_count() or 1)  # the trainer leaves one core idle, which is half of two
    model = trainer.model.to(memory_format=torch.channels_last)
    predict = model.predict

    def in_bf16(pixels: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - tensors
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer = predict(pixels.contiguous(memory_format=torch.channels_last), *args, **kwargs)
        return tree_map(lambda item: item.float() if torch.is_tensor(item) else item, answer)

    model.predict = in_bf16


def score(data: Path, weights: str, device: str) -> dict[str, dict[str, float]]:
    """mAP50, mAP50-95 and mAP50 by class on every held-out part."""
    _quiet(data)
    from ultralytics import YOLO

    table = {}
    for part in sorted(data.glob("*-*.yaml")):
        found = YOLO(weights).val(data=str(part), imgsz=SIZE, device=device, workers=0, plots=False, verbose=False)
        by_class = {found.names[label]: float(found.box.ap50[row]) for row, label in enumerate(found.ap_class_index)}
        table[part.stem] = {"map50": float(found.box.map50), "map50_95": float(found.box.map), **by_class}
    return table


def _quiet(folder: Path) -> None:
    """Keep the trainer out of the user's home and off the network."""
    os.environ.setdefault("YOLO_CONFIG_DIR", str(folder.resolve()))
    os.environ.setdefault("YOLO_OFFLINE", "true")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("data", "fit", "score"):
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path, default=Path("runs/pcb"))
        command.add_argument("--data", type=Path, default=Path("runs/pcb/data"))
        command.add_argument("--weights", default="yolo11n.pt", help="where to start, or what to score")
        command.add_argument("--deeppcb", type=Path, help="folder of the DeepPCB pictures")
        command.add_argument("--pictures", type=int, default=1500, help="drawn pictures for training")
        command.add_argument("--limit", type=int, help="at most so many real pictures")
        command.add_argument("--hours", type=float, default=8.0, help="wall clock, hours")
        command.add_argument("--batch", type=int, default=16)
        command.add_argument("--device", default="cpu")
        command.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="fp32 where bf16 is slow")
        command.add_argument("--resume", action="store_true", help="go on from the last finished epoch")
    options = parser.parse_args()
    if options.command == "data":
        print(json.dumps(write_data(options.deeppcb, options.out, options.pictures, options.limit)))  # noqa: T201
    elif options.command == "fit":
        fit(options.data, options.weights, options.out, options.hours,
            batch=options.batch, device=options.device, precision=options.precision,
            resume=options.resume)  # fmt: skip
    else:
        print(json.dumps(score(options.data, options.weights, options.device), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
