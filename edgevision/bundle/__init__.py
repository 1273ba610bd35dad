"""The model bundle: the folder ``models/NAME/`` that training and runtime share.

``bundle.yaml`` is the manifest. Every file it names carries a SHA-256, lies inside the folder and is checked before its
bytes reach a backend. Formats that execute code on loading (pickles) are refused by name and by content.
"""

from __future__ import annotations

from edgevision.bundle.folder import (
    MAX_IR_VERSION,
    MAX_OPSET,
    Bundle,
    read_bundle,
    sha256_of,
    verify_files,
    write_bundle,
)
from edgevision.bundle.manifest import (
    MANIFEST,
    Artefact,
    Family,
    Golden,
    GoldenBox,
    InputManifest,
    Manifest,
    Precision,
    Target,
    Tolerance,
    TrainingData,
)
from edgevision.bundle.onnx_file import OnnxHeader, onnx_header, refuse_unsafe

__all__ = [
    "MANIFEST",
    "MAX_IR_VERSION",
    "MAX_OPSET",
    "Artefact",
    "Bundle",
    "Family",
    "Golden",
    "GoldenBox",
    "InputManifest",
    "Manifest",
    "OnnxHeader",
    "Precision",
    "Target",
    "Tolerance",
    "TrainingData",
    "onnx_header",
    "read_bundle",
    "refuse_unsafe",
    "sha256_of",
    "verify_files",
    "write_bundle",
]
