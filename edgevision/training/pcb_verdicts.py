"""Judges a bundle by whole boards: drawn ones it has never seen, through the daemon's own inspection and rules.

    python -m edgevision.training.pcb_verdicts --bundle models/pcb-defects --boards 200

Prints escape rate (defective boards passed) and overkill rate (good boards rejected) under the rules of ``--settings``,
the daemon's settings file of the demo, and which kinds of defects were found.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection, InspectionSettings
from edgevision.analytics.tracking import Untracked
from edgevision.bundle import read_bundle
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.preprocess import single_batch
from edgevision.media.pixels import ArrayPixels
from edgevision.scenes.pcb import Board, PcbConveyor
from edgevision.types import Detections, Frame, FrameTime, Occurrence

SEED = 500_000  # apart from training's, validation's, test's and the demo's
START = datetime(2026, 1, 1, tzinfo=timezone.utc)

Seen = list[tuple[Frame, Detections]]


def look(detector: OnnxDetector, scene: PcbConveyor, index: int) -> tuple[Frame, Detections]:
    """One frame of the scene with what the detector sees in it."""
    time = FrameTime(START + timedelta(seconds=index / scene.fps), index / scene.fps, "file")
    frame = Frame("belt", index, time, ArrayPixels(scene.render(index)))
    return frame, detector.infer(single_batch([frame], detector.input))[0]


def judged(seen: Seen, settings: InspectionSettings, classes: tuple[str, ...]) -> Iterator[Occurrence]:
    """What inspection says of these frames."""
    inspection = Inspection(settings, AnalysisContext("belt", classes))
    tracker = Untracked(Untracked.Settings())
    for frame, detections in seen:
        yield from inspection.update(frame, tracker.update(detections, frame.time.t_s))
    last = seen[-1][0].time
    yield from inspection.finish(last.time_utc, last.t_s)


def board_of(occurrence: Occurrence, boards: tuple[Board, ...], fps: float) -> Board | None:
    """The board that has left the full view last."""
    index = round((occurrence.time.time_utc - START).total_seconds() * fps)
    before = [board for board in boards if board.last_full < index]
    return before[-1] if before else None


def rates(scene: PcbConveyor, seen: Seen, settings: InspectionSettings, classes: tuple[str, ...]) -> dict[str, Any]:
    """Escape and overkill over the boards of a scene, and defects by kind: a board's second report of one is false."""
    boards = scene.boards
    results: dict[int, str] = {}
    reported: Counter[tuple[int, str]] = Counter()
    for occurrence in judged(seen, settings, classes):
        board = board_of(occurrence, boards, scene.fps)
        if board is None:
            continue
        if occurrence.name == "verdict":
            results[board.part_id] = str(occurrence.data["result"])
        else:
            reported[board.part_id, str(occurrence.data["label"])] += 1
    bad = [board for board in boards if board.verdict == "ng"]
    good = [board for board in boards if board.verdict == "ok"]
    drawn = Counter((board.part_id, defect.kind) for board in boards for defect in board.defects)
    total, found, false = (_by_kind(counts) for counts in (drawn, drawn & reported, reported - drawn))
    return {
        "boards": len(boards),
        "no_verdict": sum(board.part_id not in results for board in boards),
        "escapes": f"{sum(results.get(board.part_id) == 'ok' for board in bad)}/{len(bad)}",
        "overkill": f"{sum(results.get(board.part_id) == 'ng' for board in good)}/{len(good)}",
        "review": sum(result == "review" for result in results.values()),
        "found": {kind: f"{found[kind]}/{total[kind]}" for kind in sorted(total)},
        "false": dict(false),
    }


def _by_kind(counts: Counter[tuple[int, str]]) -> Counter[str]:
    out: Counter[str] = Counter()
    for (_, kind), count in counts.items():
        out[kind] += count
    return out


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("models/pcb-defects"))
    parser.add_argument("--boards", type=int, default=100)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--settings", type=Path, default=Path("configs/demo.yaml"))
    options = parser.parse_args()
    document = yaml.safe_load(options.settings.read_text("utf-8"))
    settings = InspectionSettings.model_validate(document["cameras"]["conveyor"]["analyses"][0])
    scene = PcbConveyor(options.seed, boards=options.boards)
    detector = OnnxDetector(read_bundle(options.bundle))
    seen = [look(detector, scene, index) for index in range(scene.frames)]
    print(json.dumps(rates(scene, seen, settings, tuple(detector.classes)), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
