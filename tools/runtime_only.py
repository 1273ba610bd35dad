"""Fail when the environment this runs in could train: the daemon must need none of it.

.venv/bin/python tools/runtime_only.py
"""

from __future__ import annotations

import importlib.util
import sys

FORBIDDEN = ("torch", "torchvision", "ultralytics", "diffusers", "albumentations", "matplotlib", "scipy", "onnx")


def main() -> None:
    """Look for each; exit code 1 when one is there."""
    found = [name for name in FORBIDDEN if importlib.util.find_spec(name) is not None]
    if found:
        sys.exit(f"error: a runtime without extras brings {', '.join(found)}")
    print(f"none of {', '.join(FORBIDDEN)} is installed")


if __name__ == "__main__":
    main()
