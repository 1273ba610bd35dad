"""How fast the backends are against each other, and against ``ultralytics`` with the same weights.

    python benchmarks/backends.py [--model models/pcb-defects] [--weights FILE.pt] [--rounds 40] [--threads 1]

Every artefact of the bundle on every backend that is installed, in turns within one run, one picture at a time: ratios
to the 32-bit graph in ONNX Runtime. ``preprocess``: pixels scaled inside of the graph against outside of it, same
network. With ``--weights`` and ``ultralytics``: its predict on the same picture, scaling of the picture and suppression
among it, against ours from the picture too. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgevision.bundle import Bundle, read_bundle, write_bundle
from edgevision.errors import BackendError
from edgevision.inference.bench import speeds
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.choices import choices
from edgevision.inference.golden import read_picture
from edgevision.inference.ort import Placement, Session
from edgevision.inference.preprocess import single_batch
from edgevision.logs import setup_logging

BUNDLE = Path(__file__).parents[1] / "models" / "pcb-defects"


def backends(bundle: Bundle, rounds: int, threads: int) -> dict[str, float]:
    """Median ms a picture, by backend and artefact."""
    opened = []
    for choice in choices(bundle, threads=threads):
        try:
            opened.append((f"{choice.backend}, {choice.artefact.precision}", choice.open()))
        except BackendError as exc:
            print(f"left out: {exc}")
    measured = speeds([detector for _, detector in opened], (), rounds)
    return {name: round(speed.p50_ms, 2) for (name, _), speed in zip(opened, measured, strict=True)}


def preprocess(bundle: Bundle, rounds: int, threads: int) -> dict[str, float]:
    """Median ms of the same network with pixels as they are, and with floats made of them outside."""
    import onnx

    content = bundle.load(bundle.artefact("cpu", "fp32"))
    model = onnx.load_from_string(content)
    spec = bundle.manifest.input
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[0]
    outside = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model([first], ["output"])
    sessions = {
        "inside": Session("inside", content, Placement(threads=threads)),
        "outside": Session("outside", outside.SerializeToString(), Placement(threads=threads)),
    }
    pixels = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3), dtype=np.uint8)
    planes = np.empty((1, 3, spec.height, spec.width), np.float32)

    def scaled() -> None:
        np.multiply(pixels.transpose(0, 3, 1, 2), np.float32(1 / 255), out=planes)
        sessions["outside"].run(planes)

    return _in_turns({"inside": lambda: sessions["inside"].run(pixels), "outside": scaled}, rounds)


def peers(bundle: Bundle, weights: Path, rounds: int, threads: int) -> dict[str, float]:
    """Median ms from a picture to its detections, ours and ``ultralytics``'."""
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    import torch
    from ultralytics import YOLO

    if threads:
        torch.set_num_threads(threads)
    file = bundle.path(bundle.manifest.golden[0].file)
    frame, size = read_picture(file), bundle.manifest.input.width
    with tempfile.TemporaryDirectory() as room:
        os.environ["YOLO_CONFIG_DIR"] = room
        other = YOLO(weights)
        picture = frame.pixels.bgr()
        runs: dict[str, Callable[[], Any]] = {
            "ultralytics": lambda: other.predict(picture, imgsz=size, conf=0.25, verbose=False, device="cpu"),
        }
        ours = {
            f"{choice.backend}, {choice.artefact.precision}": choice.open()
            for choice in choices(bundle, threads=threads)
        }
        ours |= _openvino(bundle, Path(room), threads)
        for name, detector in ours.items():
            runs[name] = lambda detector=detector: detector.infer(single_batch([frame], detector.input))
        return _in_turns(runs, rounds)


def _openvino(bundle: Bundle, room: Path, threads: int) -> dict[str, BundleDetector]:
    """Every precision on OpenVINO, those that an export does not offer there too."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings

    manifest = bundle.manifest.model_dump(mode="json", by_alias=True, exclude={"artefacts", "metrics", "golden"})
    found = {}
    for name, file, compute in (
        ("fp32", "model.onnx", "f32"),
        ("bf16", "model.onnx", "bf16"),
        ("int8", "model.int8-cpu.onnx", "auto"),
    ):
        alone = write_bundle(
            room / name, {**manifest, "artefacts": [{"file": "model.onnx"}]}, {"model.onnx": bundle.path(file)}
        )
        settings = OpenVinoSettings.model_validate({"kind": "openvino", "compute": compute, "threads": threads})
        try:
            found[f"openvino cpu, {name}"] = OpenVinoDetector(alone, settings)
        except BackendError:  # a processor without bf16
            continue
    return found


def _in_turns(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    return {name: round(1000 * statistics.median(values), 2) for name, values in taken.items()}


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLE)
    parser.add_argument("--weights", type=Path, help="the same network as a checkpoint, for ultralytics")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    setup_logging("warning", "console")
    bundle = read_bundle(options.model)
    parts = {"backends": backends(bundle, options.rounds, options.threads)}
    if importlib.util.find_spec("onnx") is not None:
        parts["preprocess"] = preprocess(bundle, options.rounds, options.threads)
    if options.weights is not None and importlib.util.find_spec("ultralytics") is not None:
        parts["peers"] = peers(bundle, options.weights, options.rounds, options.threads)
    for title, values in parts.items():
        table = Table("", "ms", "ratio", title=title, title_justify="left")
        first = next(iter(values.values()))
        for name, value in values.items():
            table.add_row(name, f"{value:.2f}", f"{value / first:.2f}")
        Console().print(table)
    print(json.dumps({"model": bundle.model_ref, "threads": options.threads, **parts}))


if __name__ == "__main__":
    main()
