"""What runs on the device imports nothing that trains, plots or serves development."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import edgevision

HEAVY = {"torch", "torchvision", "ultralytics", "albumentations", "diffusers", "transformers", "matplotlib", "pandas",
         "scipy", "sklearn", "onnx", "amqtt", "psycopg", "tensorrt", "gi"}  # fmt: skip
ELSEWHERE = ("edgevision.training", "edgevision.evaluation")


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
        if not module.name.startswith(ELSEWHERE) and not module.name.endswith("__main__")
    ]
    assert len(modules) > 80
    assert _loaded_by(f"import {', '.join(modules)}") & HEAVY == set()


def test_the_command_line_answers_without_loading_the_daemon() -> None:
    loaded = _loaded_by("import edgevision.cli.main")
    assert loaded & {"numpy", "cv2", "onnxruntime", "av", "paho"} == set()
