"""Inspects separate pictures with the daemon's own detector and rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection, InspectionSettings
from edgevision.analytics.tracking import Untracked
from edgevision.errors import ImageError
from edgevision.inference.base import Detector
from edgevision.inference.preprocess import single_batch
from edgevision.media.pixels import ArrayPixels
from edgevision.sources.images import read_image
from edgevision.types import Detections, Frame, FrameTime

CAMERA = "batch"


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What became of one picture.

    Attributes:
        file: The picture.
        size: (width, height), px; ``None`` when it could not be read.
        result: ``ok``, ``ng`` or ``review``; ``None`` when it could not be read.
        reason: Why it is not ok, or could not be read.
        detections: All detections, source pixels.
        defects: Payloads of the defects that a rule takes for one, the worst first.
    """

    file: Path
    size: tuple[int, int] | None
    result: str | None
    reason: str
    detections: Detections = field(default_factory=Detections.empty)
    defects: tuple[dict[str, Any], ...] = ()


class PictureInspector:
    """One model and one set of rules.

    Args:
        detector: The model.
        settings: Rules; ``part`` must be ``{by: picture}``.
    """

    def __init__(self, detector: Detector, settings: InspectionSettings) -> None:
        self._detector = detector
        context = AnalysisContext(CAMERA, tuple(detector.classes))
        self._inspection = Inspection(settings, context)
        self._tracker = Untracked(Untracked.Settings())
        self._count = 0

    def inspect(self, files: Iterable[Path]) -> Iterator[PictureResult]:
        """Results in the order of ``files``; a picture that cannot be read is a result too."""
        files = iter(files)
        while chunk := list(islice(files, self._detector.max_batch)):
            yield from self._chunk(chunk)

    def _chunk(self, files: Sequence[Path]) -> list[PictureResult]:
        frames: list[Frame] = []
        results: dict[Path, PictureResult] = {}
        for file in files:
            try:
                frames.append(self._frame(file))
            except ImageError as exc:
                results[file] = PictureResult(file, None, None, str(exc))
        if frames:
            answers = self._detector.infer(single_batch(frames, self._detector.input))
            for frame, detections in zip(frames, answers, strict=True):
                results[Path(frame.name or "")] = self._judge(frame, detections)
        return [results[file] for file in files]

    def _frame(self, file: Path) -> Frame:
        pixels = ArrayPixels(read_image(file))
        time = FrameTime(datetime.fromtimestamp(file.stat().st_mtime, timezone.utc), float(self._count), "file")
        self._count += 1
        return Frame(CAMERA, self._count - 1, time, pixels, name=str(file))

    def _judge(self, frame: Frame, detections: Detections) -> PictureResult:
        tracks = self._tracker.update(detections, frame.time.t_s)
        occurrences = self._inspection.update(frame, tracks)
        defects = tuple(dict(item.data) for item in occurrences if item.name == "detected")
        (verdict,) = [item for item in occurrences if item.name == "verdict"]
        result, reason = str(verdict.data["result"]), str(verdict.data.get("reason") or "")
        return PictureResult(Path(frame.name or ""), frame.size, result, reason, detections, defects)
