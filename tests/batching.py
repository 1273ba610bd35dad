"""A batcher to play with: numbered frames, a model that waits for permits, and a record of what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

import numpy as np

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.batcher import Batcher, SkipReason, Timings
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Frame, FrameTime, Image, Letterbox

NOW = FrameTime(datetime(2026, 1, 1, tzinfo=timezone.utc), 0.0)
SPEC = InputSpec(8, 8)
TIMEOUT_S = 10.0


class Numbered:
    """Pixels that carry a number, so that a detector can tell which frame it sees."""

    def __init__(self, number: int, error: Exception | None = None) -> None:
        self.number = number
        self.error = error
        self.scaled_times = 0

    @property
    def size(self) -> tuple[int, int]:
        return 8, 8

    def bgr(self) -> Image:
        return np.full((8, 8, 3), self.number, np.uint8)

    def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:  # noqa: ARG002 - grey
        self.scaled_times += 1
        if self.error is not None:
            raise self.error
        return np.full((height, width, 3), self.number, np.uint8)


def frame(camera: str, number: int, error: Exception | None = None) -> Frame:
    return Frame(camera, number, NOW, Numbered(number, error))


def read_number(image: Image, letterbox: Letterbox) -> Detections:  # noqa: ARG001 - a script's signature
    """The picture's number as the label."""
    return Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.array([int(image[0, 0, 0])]))


@dataclass
class Record:
    """What a batcher reported."""

    results: list[tuple[str, int, int]] = field(default_factory=list)
    skips: list[tuple[str, int, SkipReason, str]] = field(default_factory=list)
    timings: list[Timings] = field(default_factory=list)

    def result(self, item: Frame, detections: Detections, timings: Timings) -> None:
        self.results.append((item.camera, item.index, int(detections.label[0])))
        self.timings.append(timings)

    def skip(self, item: Frame, reason: SkipReason, detail: str) -> None:
        self.skips.append((item.camera, item.index, reason, detail))

    def of(self, camera: str) -> list[int]:
        assert all(index == seen for _, index, seen in self.results), "an answer went to another frame"
        return [index for name, index, _ in self.results if name == camera]


class Gate:
    """A detector that waits for a permit before each batch and remembers the batches."""

    def __init__(self, max_batch: int = 4) -> None:
        self.detector = ScriptedDetector(read_number, spec=SPEC, max_batch=max_batch)
        self.classes, self.input, self.max_batch = ("thing",), SPEC, max_batch
        self.entered, self.permits = threading.Semaphore(0), threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.crash = False

    def infer(self, batch: Batch) -> list[Detections]:
        self.entered.release()
        assert self.permits.acquire(timeout=TIMEOUT_S)
        if self.crash:
            msg = "the driver died"
            raise BackendError(msg)
        self.batches.append([int(image[0, 0, 0]) for image in batch.images])
        return self.detector.infer(batch)

    def close(self) -> None:
        self.detector.close()

    def open(self) -> None:
        """Let everything through from now on."""
        self.permits.release(1000)


@dataclass
class Running:
    """A batcher in a thread of its own."""

    batcher: Batcher
    record: Record
    gate: Gate
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    error: BaseException | None = None

    def start(self) -> None:
        self.stop.clear()
        self.error = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def busy(self) -> None:
        """Wait until the model has begun a batch."""
        assert self.gate.entered.acquire(timeout=TIMEOUT_S)

    def join(self) -> None:
        assert self.thread is not None
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()

    def finish(self) -> None:
        self.stop.set()
        self.gate.open()
        self.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self.batcher.run(self.gate, self.stop)
        except BackendError as exc:
            self.error = exc


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def run_to_the_end(batcher: Batcher, detector: ScriptedDetector, stop: threading.Event) -> int:
    """Start again after every crash; how many there were."""
    crashes = 0
    while True:
        try:
            batcher.run(detector, stop)
        except BackendError:
            crashes += 1
        else:
            return crashes
