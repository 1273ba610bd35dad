"""What a GPU makes of a bundle: ONNX Runtime's CUDA provider with its binding against the bare session, and TensorRT.

    python benchmarks/gpu.py [--model models/pcb-defects] [--rounds 50]

Pictures a second by batch, 1 to 32, in turns within one run. ``bound`` is our session (one copy there and one back),
``bare`` the same session through ``run``; ``tensorrt`` its own engines, built first. It has not run on a GPU yet. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgevision.bundle import Bundle, read_bundle
from edgevision.errors import BackendError
from edgevision.inference.ort import Placement, Session
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings
from edgevision.logs import setup_logging

BUNDLE = Path(__file__).parents[1] / "models" / "pcb-defects"
SIZES = (1, 2, 4, 8, 16, 32)


def ways(bundle: Bundle) -> dict[str, Callable[[Any], Any]]:
    """What there is to measure, by name."""
    item = bundle.artefact("cuda", "fp32")
    runs: dict[str, Callable[[Any], Any]] = {}
    try:
        session = Session(bundle.model_ref, bundle.load(item), Placement("cuda"))
        runs |= {"bound": session.run, "bare": session._run}  # noqa: SLF001 - what the binding is measured against
    except BackendError as exc:
        print(f"no CUDA here: {exc}")
    for precision in ("fp32", "fp16", "int8"):
        try:
            wanted = TensorRtSettings.model_validate({"kind": "tensorrt", "precision": precision, "max_batch": 32})
            runs[f"tensorrt {precision}"] = TensorRtDetector(bundle, wanted)._engine.run  # noqa: SLF001 - without decoding
        except BackendError as exc:
            print(f"left out: {exc}")
    return runs


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLE)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    setup_logging("warning", "console")
    bundle = read_bundle(options.model)
    spec, runs = bundle.manifest.input, ways(bundle)
    if not runs:
        sys.exit("nothing to measure: this needs a GPU with edgevision[gpu] or TensorRT")
    rates: dict[str, dict[int, float]] = {name: {} for name in runs}
    for size in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (size, spec.height, spec.width, 3), dtype=np.uint8)
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(options.rounds + 3):
            for name, run in runs.items():
                began = time.perf_counter()
                run(pixels)
                if turn >= 3:
                    taken[name].append(time.perf_counter() - began)
        for name, values in taken.items():
            rates[name][size] = round(size / float(np.median(values)), 1)
    table = Table("pictures a second", *(f"batch {size}" for size in SIZES))
    for name, values in rates.items():
        table.add_row(name, *(f"{values[size]:.0f}" for size in SIZES))
    Console().print(table)
    print(json.dumps({"model": bundle.model_ref, "rates": rates}))


if __name__ == "__main__":
    main()
