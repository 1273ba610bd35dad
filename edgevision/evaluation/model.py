"""Opens what a command line calls MODEL, and writes chosen thresholds into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgevision.bundle import MANIFEST, Bundle, read_bundle, verify_files, write_bundle
from edgevision.errors import BundleError, EdgevisionError
from edgevision.evaluation.predict import LOWEST_SCORE
from edgevision.inference.base import Detector
from edgevision.inference.golden import golden_items
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.selftest import selftest

_WEIGHTS = frozenset({".pt", ".pth"})
_FILES = _WEIGHTS | {".onnx"}


def open_model(path: Path, backend: Any = OnnxDetector, **settings: object) -> Detector:  # noqa: ANN401 - see below
    """A bundle as a detector that reports down to ``LOWEST_SCORE``, whatever the thresholds of its manifest.

    Args:
        path: Folder of a bundle.
        backend: A detector's class with its ``Settings`` model, built as ``backend(bundle, settings, thresholds)``.
        settings: What its settings shall be, e.g. ``device="cpu"``.

    Raises:
        EdgevisionError: The backend has no such setting.
        BundleError: No bundle, or a broken one; for weights it says how to make a bundle of them.
        BackendError: The backend cannot load the model.
    """
    if path.is_file() or path.suffix.lower() in _FILES:
        raise BundleError(_no_bundle(path))
    bundle = read_bundle(path)
    try:
        made = backend.Settings.model_validate(settings)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in exc.errors())
        raise EdgevisionError(f"settings of the backend: {problems}") from exc
    detector: Detector = backend(bundle, made, {"default": LOWEST_SCORE})
    return detector


def write_thresholds(folder: Path, thresholds: Mapping[str, float]) -> Bundle:
    """Write thresholds into a bundle; everything else in its folder stays.

    The golden pictures are run first: what they must show is written anew at the new thresholds, which is only honest
    while they show what they should at the old ones.

    Args:
        folder: The bundle's folder.
        thresholds: Minimum score by class name; classes that are not named keep theirs.

    Raises:
        BundleError: It is no bundle, a file differs from the manifest, a class does not exist, a golden picture does
            not come out as it should, or the folder cannot be written.
        BackendError: The model cannot be run.
    """
    bundle = read_bundle(folder)
    verify_files(bundle)
    plain = _plain(bundle)
    detector = OnnxDetector(bundle, plain)
    bad = [result for result in selftest(bundle, detector) if not result.ok]
    detector.close()
    if bad:
        msg = f"{folder}: nothing is written, {bad[0].file} does not come out as the bundle says: {bad[0].problems[0]}"
        raise BundleError(msg)
    own = dict(bundle.manifest.thresholds)
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    manifest["thresholds"] = {**own, **thresholds}
    detector = OnnxDetector(bundle, plain, {"default": 0.25, **own, **thresholds})
    manifest["golden"] = golden_items(bundle, detector)
    detector.close()
    files: dict[str, Path | bytes] = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST
    }
    return write_bundle(folder, manifest, files, replace=True, portable=False)


def _plain(bundle: Bundle) -> OnnxSettings:
    """The floats that everything else was made of, where they are there: golden pictures show what those see."""
    there = any(
        item.precision == "fp32" and (not item.targets or "cpu" in item.targets) for item in bundle.manifest.artefacts
    )
    return OnnxSettings(device="cpu", precision="fp32") if there else OnnxSettings()


def _no_bundle(path: Path) -> str:
    if not path.exists():
        return f"{path}: there is no such file or folder"
    if path.suffix.lower() in _WEIGHTS:
        return (
            f"{path} holds weights, which are not evaluated by themselves; a model is the folder of a bundle: "
            "`edgevision train` makes one, `edgevision models import` makes one of an ONNX file"
        )
    if path.suffix.lower() == ".onnx":
        return f"{path} is a bare ONNX file: make a bundle with `edgevision models import {path} --out models/NAME`"
    return f"{path} is a file; a model is the folder of a bundle"
