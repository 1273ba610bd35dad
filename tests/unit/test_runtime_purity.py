"""What runs on the device imports nothing that trains, plots or serves development."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import edgevision

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "torchvision", "ultralytics", "albumentations", "diffusers", "transformers", "matplotlib", "pandas",
         "scipy", "sklearn", "onnx", "amqtt", "psycopg", "tensorrt", "gi"}  # fmt: skip
ELSEWHERE = ("edgevision.training", "edgevision.evaluation", "edgevision.export")
DRIVERS = {"edgevision.inference.trt", "edgevision.inference.cuda"}  # of what is not on every machine


def _loaded_by(statement: str) -> set[str]:
    script = f"import sys, json\n{statement}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def test_the_daemon_imports_nothing_heavy() -> None:
    assert _loaded_by("import edgevision.daemon.main, edgevision.cli.main") & HEAVY == set()


def test_no_module_of_the_runtime_imports_anything_heavy() -> None:
    modules = [
        module.name
        for module in pkgutil.walk_packages(edgevision.__path__, "edgevision.")
        if not module.name.startswith(ELSEWHERE) and not module.name.endswith("__main__") and module.name not in DRIVERS
    ]
    assert len(modules) > 80
    assert _loaded_by(f"import {', '.join(modules)}") & HEAVY == set()


def test_the_command_line_answers_without_loading_the_daemon() -> None:
    loaded = _loaded_by("import edgevision.cli.main")
    assert loaded & {"numpy", "cv2", "onnxruntime", "av", "paho"} == set()


def test_running_a_model_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    """ONNX Runtime would write a device id there and report what it runs."""
    script = (
        "from pathlib import Path; from edgevision.bundle import read_bundle; "
        "from edgevision.inference.onnx import OnnxDetector; "
        "OnnxDetector(read_bundle(Path('models/pcb-defects'))).close()"
    )
    environ = {**os.environ, "HOME": str(tmp_path)}
    environ.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environ, timeout=60, check=True)
    assert list(tmp_path.iterdir()) == []
