"""Opens what a command line calls MODEL."""

from __future__ import annotations

from pathlib import Path

from edgevision.bundle import read_bundle
from edgevision.errors import BundleError, EdgevisionError
from edgevision.evaluation.predict import LOWEST_SCORE
from edgevision.inference.base import Detector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings

BACKENDS = ("onnx",)
_WEIGHTS = frozenset({".pt", ".pth"})


def open_model(path: Path, *, backend: str = "onnx", device: str = "auto", threads: int = 0) -> Detector:
    """A bundle as a detector that reports down to ``LOWEST_SCORE``, whatever the thresholds of its manifest.

    Args:
        path: Folder of a bundle.
        backend: One of ``BACKENDS``.
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.
        threads: Threads of one inference on a CPU; 0 takes one for each core.

    Raises:
        EdgevisionError: The backend is not known.
        BundleError: No bundle, or a broken one; for weights it says how to make a bundle of them.
        BackendError: The backend cannot load the model.
    """
    if backend not in BACKENDS:
        msg = f"--backend {backend} is not known; allowed: {', '.join(BACKENDS)}"
        raise EdgevisionError(msg)
    if path.is_file():
        raise BundleError(_no_bundle(path))
    settings = OnnxSettings.model_validate({"device": device, "threads": threads})
    return OnnxDetector(read_bundle(path), settings, {"default": LOWEST_SCORE})


def _no_bundle(path: Path) -> str:
    if path.suffix.lower() in _WEIGHTS:
        return f"{path} holds weights, no bundle: make one with `edgevision export {path} --out models/NAME`"
    if path.suffix.lower() == ".onnx":
        return f"{path} is a bare ONNX file: make a bundle with `edgevision models import {path} --out models/NAME`"
    return f"{path} is a file; a model is the folder of a bundle"
