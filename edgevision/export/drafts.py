"""Bundles of one artefact, to be tried and gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevision.bundle import Bundle, Precision, write_bundle
from edgevision.evaluation.predict import LOWEST_SCORE

FILE = "model.onnx"
LOW = {"default": LOWEST_SCORE}  # thresholds under which an average precision is right


@contextmanager
def draft(
    manifest: Mapping[str, Any],
    content: bytes,
    precision: Precision = "fp32",
    pictures: Mapping[str, Path | bytes] | None = None,
) -> Iterator[Bundle]:
    """A bundle of one artefact that is meant for everything; with its golden pictures where they are given."""
    with tempfile.TemporaryDirectory(prefix="edgevision-") as room:
        golden = manifest["golden"] if pictures else []
        document = {**manifest, "golden": golden, "artefacts": [{"file": FILE, "precision": precision}]}
        yield write_bundle(Path(room) / "draft", document, {FILE: content, **(pictures or {})})
