"""Where artefacts can be tried on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgevision.bundle import Bundle, Precision, Target, write_bundle
from edgevision.evaluation.predict import LOWEST_SCORE
from edgevision.inference import ort
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings

FILE = "model.onnx"  # the one artefact of a draft


@dataclass(frozen=True, slots=True)
class Place:
    """A backend with a device.

    Attributes:
        name: For tables, e.g. ``onnx cpu``.
        target: What artefacts call it.
        open: Makes a detector of a bundle that reports down to ``LOWEST_SCORE``.
    """

    name: str
    target: Target
    open: Callable[[Bundle], BundleDetector]


def places(threads: int = 0) -> list[Place]:
    """What there is here; the first one, ONNX Runtime on a CPU, is the reference for what is not here.

    Args:
        threads: Of one inference on a CPU; 0 for all.
    """
    low = {"default": LOWEST_SCORE}
    cpu = OnnxSettings(device="cpu", threads=threads)
    found = [Place("onnx cpu", "cpu", partial(OnnxDetector, settings=cpu, thresholds=low))]
    if ort.available("cuda"):
        found.append(
            Place("onnx cuda", "cuda", partial(OnnxDetector, settings=OnnxSettings(device="cuda"), thresholds=low))
        )
    if find_spec("openvino") is not None:
        mine = OpenVinoSettings(kind="openvino", threads=threads)
        found.append(Place("openvino cpu", "openvino", partial(OpenVinoDetector, settings=mine, thresholds=low)))
    return found


@contextmanager
def draft(manifest: Mapping[str, Any], content: bytes, precision: Precision = "fp32") -> Iterator[Bundle]:
    """A bundle of one artefact that is meant for everything, to be tried and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgevision-") as room:
        document = {**manifest, "golden": [], "artefacts": [{"file": FILE, "precision": precision}]}
        yield write_bundle(Path(room) / "draft", document, {FILE: content})
