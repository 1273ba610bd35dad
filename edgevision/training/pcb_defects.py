"""Trains the detector of ``models/pcb-defects`` on the pictures of ``edgevision.training.pcb_data``.

    python -m edgevision.training.pcb_defects fit --data runs/pcb/data --weights START.pt --out runs/pcb --hours 8
    python -m edgevision.training.pcb_defects score --data runs/pcb/data --weights runs/pcb/fit/weights/best.pt

Needs the `train` extra. A tiny run to see that it works: ``fit --hours 0.02``. ``edgevision.training.checkpoint`` makes
a START.pt of the bundle itself.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from edgevision.training.bf16 import compute_in_bf16
from edgevision.training.quiet import hush

SIZE = 512


def fit(
    data: Path, weights: str, out: Path, hours: float, *, batch: int, device: str, precision: str, resume: bool
) -> None:
    """Fine-tune ``weights`` until the wall clock says stop; a checkpoint is written after every epoch.

    The optimiser steps after every batch (``nbs=batch``): the trainer's default of one step per 64 pictures leaves a
    set this small with too few steps.
    """
    hush(out / "home")
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
    import torch

    torch.set_num_threads(os.cpu_count() or 1)  # the trainer leaves one core idle, which is half of two
    compute_in_bf16(trainer.model)


def score(data: Path, weights: str, device: str) -> dict[str, dict[str, float]]:
    """mAP50, mAP50-95 and mAP50 by class on every held-out part."""
    hush(data / "home")
    from ultralytics import YOLO

    table = {}
    for part in sorted(data.glob("*-*.yaml")):
        found = YOLO(weights).val(data=str(part), imgsz=SIZE, device=device, workers=0, plots=False, verbose=False)
        by_class = {found.names[label]: float(found.box.ap50[row]) for row, label in enumerate(found.ap_class_index)}
        table[part.stem] = {"map50": float(found.box.map50), "map50_95": float(found.box.map), **by_class}
    return table


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("fit", "score"):
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path, default=Path("runs/pcb"))
        command.add_argument("--data", type=Path, default=Path("runs/pcb/data"))
        command.add_argument("--weights", default="yolo11n.pt", help="where to start, or what to score")
        command.add_argument("--hours", type=float, default=8.0, help="wall clock, hours")
        command.add_argument("--batch", type=int, default=16)
        command.add_argument("--device", default="cpu")
        command.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="fp32 where bf16 is slow")
        command.add_argument("--resume", action="store_true", help="go on from the last finished epoch")
    options = parser.parse_args()
    if options.command == "fit":
        fit(options.data, options.weights, options.out, options.hours,
            batch=options.batch, device=options.device, precision=options.precision,
            resume=options.resume)  # fmt: skip
    else:
        print(json.dumps(score(options.data, options.weights, options.device), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
