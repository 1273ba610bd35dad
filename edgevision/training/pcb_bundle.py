r"""Makes ``models/pcb-defects`` of weights that ``edgevision.training.pcb_defects`` trained.

    python -m edgevision.training.pcb_bundle --data runs/pcb/data --weights runs/pcb/fit/weights/best.pt \
        --metrics runs/pcb/metrics.json --card runs/pcb/notes.md --version 1

``metrics.json`` is what ``pcb_defects score`` printed. Pre-processing goes into the graph (uint8 NHWC in), NMS stays
outside.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2

from edgevision.bundle import Bundle, write_bundle
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.selftest import golden_boxes
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.pcb_defects import KINDS
from edgevision.training.pcb_defects import SIZE
from edgevision.training.yolo import yolo_graph

GOLDEN_SEED = 900_000
GOLDEN = 4
FILE = "model.onnx"


def fingerprint(data: Path) -> str:
    """SHA-256 over names and contents of all pictures and labels of the data set."""
    digest = hashlib.sha256()
    for file in sorted(item for item in data.rglob("*") if item.suffix in {".png", ".txt"}):
        digest.update(file.relative_to(data).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def make(data: Path, weights: Path, metrics: dict[str, Any], card: str, version: str, out: Path) -> Bundle:
    """Write the bundle; its golden boxes are what its own ONNX finds."""
    licence = (out / "LICENSE").read_bytes()
    manifest: dict[str, Any] = {
        "name": "pcb-defects",
        "version": version,
        "classes": list(KINDS),
        "input": {"width": SIZE, "height": SIZE, "order": "rgb", "layout": "nhwc-uint8"},
        "family": "yolo",
        "thresholds": {"default": 0.15},
        "nms_iou": 0.5,
        "artefacts": [{"file": FILE, "precision": "fp32"}],
        "metrics": {FILE: metrics},
        "training_data": {
            "fingerprint": fingerprint(data),
            "description": "DeepPCB, split by board, and drawn boards of edgevision.scenes.pcb",
        },
        "licence": "AGPL-3.0-only",
        "tools": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "ultralytics", "onnx")},
        },
    }
    files: dict[str, Path | bytes] = {
        FILE: yolo_graph(weights).content,
        "LICENSE": licence,
        "MODEL_CARD.md": card.encode(),
    }
    for number in range(GOLDEN):
        files[f"golden/board-{number}.png"] = _golden_picture(number)
    draft = write_bundle(out, {**manifest, "golden": [{"file": name} for name in files if "golden" in name]}, files,
                         replace=True)  # fmt: skip
    detector = OnnxDetector(draft)
    golden = [
        {"file": name, "boxes": golden_boxes(detector, out / name)} for name in files if name.startswith("golden/")
    ]
    detector.close()
    return write_bundle(out, {**manifest, "golden": golden}, files, replace=True)


def _golden_picture(number: int) -> bytes:
    scene = PcbConveyor(GOLDEN_SEED + number, boards=1, defect_rate=1.0)
    board = scene.boards[0]
    coded, data = cv2.imencode(".png", scene.render((board.first_full + board.last_full) // 2))
    if not coded:
        msg = "OpenCV cannot write PNG"
        raise RuntimeError(msg)
    return data.tobytes()


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True, help="the model card's text")
    parser.add_argument("--version", default="1")
    parser.add_argument("--out", type=Path, default=Path("models/pcb-defects"))
    options = parser.parse_args()
    metrics = json.loads(options.metrics.read_text("utf-8"))
    bundle = make(options.data, options.weights, metrics, options.card.read_text("utf-8"), options.version, options.out)
    print(bundle.model_ref)  # noqa: T201


if __name__ == "__main__":
    main()
