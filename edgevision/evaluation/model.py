"""Opens what a command line calls MODEL, and writes chosen thresholds into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgevision.bundle import MANIFEST, Bundle, read_bundle, verify_files, write_bundle
from edgevision.errors import BundleError, EdgevisionError
from edgevision.evaluation.predict import LOWEST_SCORE
from edgevision.inference.base import Detector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.selftest import golden_boxes, selftest

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


def write_thresholds(folder: Path, thresholds: Mapping[str, float]) -> Bundle:
    """Write thresholds into a bundle; everything else in its folder stays.

    The golden pictures are run first: what they must show is written anew at the new thresholds, which is only honest
    while they show what they should at the old ones.

    Args:
        folder: The bundle's folder.
        thresholds: Minimum score by class name; classes that are not named keep theirs.

    Raises:
        BundleError: It is no bundle, a file differs from the manifest, a class does not exist, or a golden picture
            does not come out as it should.
        BackendError: The model cannot be run.
    """
    bundle = read_bundle(folder)
    verify_files(bundle)
    detector = OnnxDetector(bundle)
    bad = [result for result in selftest(bundle, detector) if not result.ok]
    detector.close()
    if bad:
        msg = f"{folder}: nothing is written, {bad[0].file} does not come out as the bundle says: {bad[0].problems[0]}"
        raise BundleError(msg)
    own = dict(bundle.manifest.thresholds)
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    manifest["thresholds"] = {**own, **thresholds}
    detector = OnnxDetector(bundle, thresholds={"default": 0.25, **own, **thresholds})
    for item in manifest.get("golden", ()):
        item["boxes"] = golden_boxes(detector, bundle.path(item["file"]))
    detector.close()
    files: dict[str, Path | bytes] = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST
    }
    return write_bundle(folder, manifest, files, replace=True, portable=False)


def _no_bundle(path: Path) -> str:
    if path.suffix.lower() in _WEIGHTS:
        return f"{path} holds weights, no bundle: make one with `edgevision export {path} --out models/NAME`"
    if path.suffix.lower() == ".onnx":
        return f"{path} is a bare ONNX file: make a bundle with `edgevision models import {path} --out models/NAME`"
    return f"{path} is a file; a model is the folder of a bundle"
