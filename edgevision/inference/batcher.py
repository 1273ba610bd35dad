"""One model, many cameras: fair batches, scaled by a small pool while the model runs the batch before.

Two halves take turns: the model reads one while frames that arrive are scaled into the other. A live camera keeps its
newest frame only, a lossless one a short queue that makes its source wait; every frame that is accepted is either
answered or reported as skipped, in order for each camera.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for_all
from dataclasses import dataclass
from typing import Literal

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, Detector
from edgevision.inference.halves import Entry, Half, Lane, Policy, why_unreadable
from edgevision.inference.preprocess import BatchBuffer
from edgevision.types import Detections, Frame, Image

SkipReason = Literal["newer_frame", "unreadable", "removed", "failed"]

_IDLE_S = 0.1


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one frame went; the first three add up to the time from ``put`` to the result.

    Attributes:
        queue_ms: Waiting for the pool and for the model.
        scale_ms: Decoding to pixels and scaling.
        infer_ms: The model with its decoding, for the whole batch.
        batch: Pictures in the batch.
    """

    queue_ms: float
    scale_ms: float
    infer_ms: float
    batch: int


OnResult = Callable[[Frame, Detections, Timings], None]
OnSkip = Callable[[Frame, SkipReason, str], None]
OnInput = Callable[[Frame, Image, Literal["rgb", "bgr"]], None]
"""(frame, (H, W, 3) uint8 that the model was given of it, without padding and good during the call, channel order)."""


class Batcher:
    """Collects frames of many cameras for one detector.

    Every method may be called from any thread; ``run`` is one at a time.

    Args:
        on_result: Called in the thread of ``run`` with each answered frame; its waiting holds the model back.
        on_skip: Called with each accepted frame that gets no answer, why, and a line of detail.
        on_input: Called with each answered frame and its pixels, after the answers of its batch were handed out.
        scale_threads: Threads that scale pixels.

    Attributes:
        abandoned: Whether nobody will answer any more.
    """

    def __init__(
        self, on_result: OnResult, on_skip: OnSkip, *, on_input: OnInput | None = None, scale_threads: int = 2
    ) -> None:
        self._on_result = on_result
        self._on_skip = on_skip
        self._on_input = on_input
        self._scale_threads = scale_threads
        self._lanes: dict[str, Lane] = {}
        self._turns: deque[Lane] = deque()
        self._filling: Half | None = None
        self._refusing = False
        self._closed = False
        self.abandoned = False
        self._changed = threading.Condition()

    def add(self, camera: str, policy: Policy, capacity: int = 4) -> None:
        """Accept frames of a camera: its newest one (``latest``), or up to ``capacity`` waiting (``block``)."""
        with self._changed:
            if camera in self._lanes:
                msg = f"camera {camera} was added already"
                raise ValueError(msg)
            self._lanes[camera] = lane = Lane(policy, capacity)
            self._turns.append(lane)

    def remove(self, camera: str) -> None:
        """Forget a camera; its waiting frames are skipped, those in a batch are still answered."""
        with self._changed:
            lane = self._lanes.pop(camera)
            self._turns.remove(lane)
            lane.gone = True
            waiting = list(lane.waiting)
            lane.waiting.clear()
            self._changed.notify_all()
        for entry in waiting:
            self._on_skip(entry.frame, "removed", "")

    def put(self, frame: Frame) -> bool:
        """Offer a frame of the camera it names; waits while that camera's queue is full.

        Returns:
            Whether it was accepted: not after ``close`` or ``remove``, nor while a stop drains.
        """
        with self._changed:
            lane = self._lanes.get(frame.camera)
            if lane is None:
                return False
            self._changed.wait_for(lambda: self._deaf(lane) or not lane.full())
            if self._deaf(lane):
                return False
            replaced = lane.push(Entry(frame, lane, time.perf_counter()))
            self._fill()
            self._changed.notify_all()
        if replaced is not None:
            self._on_skip(replaced.frame, "newer_frame", "")
        return True

    def close(self) -> None:
        """Accept no more frames; ``run`` returns when those accepted are answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody will answer any more: accept no more frames and skip those that wait."""
        with self._changed:
            self._closed = self.abandoned = True
            waiting = [entry for lane in self._lanes.values() for entry in lane.waiting]
            for lane in self._lanes.values():
                lane.waiting.clear()
            self._changed.notify_all()
        for entry in waiting:
            self._on_skip(entry.frame, "failed", "")

    def run(self, detector: Detector, stop: threading.Event) -> None:
        """Answer frames until ``stop`` is set or the batcher closed, and everything accepted is answered.

        When it raises, frames without an answer wait again, and another ``run`` goes on with them: one at a time, so
        that a frame which makes the model fail is found out; it is skipped after its second failure.

        Raises:
            BackendError: The detector failed.
        """
        with ThreadPoolExecutor(self._scale_threads, "scale") as pool:
            spare, filling = (Half(BatchBuffer(detector.input, detector.max_batch), pool) for _ in range(2))
            with self._changed:
                self._filling = filling
                self._refusing = False
                self._fill()
                self._changed.notify_all()
            try:
                while self._seal(spare, stop):
                    spare, filling = filling, spare
                    self._answer(detector, spare)
            finally:
                self._give_back(spare, filling)

    def _deaf(self, lane: Lane) -> bool:
        return self._closed or self._refusing or lane.gone

    def _fill(self, *, last: bool = False) -> None:
        """Give waiting frames the free places of the half being filled, one a camera in turn. Needs the lock.

        At ``last``, when the model is about to take the half, lossless cameras get the places that nobody else wants,
        unless a live camera is there, whose next frame would wait for the larger batch.
        """
        half = self._filling
        more = last and all(lane.policy == "block" for lane in self._lanes.values())
        while half is not None and len(half.jobs) < half.buffer.capacity:
            lane = self._next_lane(half, more=more)
            if lane is None:
                return
            half.take(lane.waiting.popleft())

    def _next_lane(self, half: Half, *, more: bool) -> Lane | None:
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane.waiting and (more or half.share(lane, len(self._lanes)) > 0):
                return lane
        return None

    def _seal(self, spare: Half, stop: threading.Event) -> bool:
        """Wait for frames, then let ``spare`` be filled instead; ``False`` when there will be none."""
        with self._changed:
            while self._filling is None or not self._filling.jobs:
                if self._refusing or self._closed:
                    return False
                if stop.is_set():
                    self._refusing = True
                else:
                    self._changed.wait(_IDLE_S)
            if stop.is_set():
                self._refusing = True
            self._fill(last=True)
            self._filling = spare
            self._fill()
            self._changed.notify_all()
        return True

    def _answer(self, detector: Detector, half: Half) -> None:
        """Run the model on a half and hand out the answers, each frame leaving the half with its own."""
        unreadable = {job: exc for job in half.jobs if (exc := why_unreadable(job)) is not None}
        slots = [job.slot for job in half.jobs if job not in unreadable]
        began = time.perf_counter()
        answers = iter(self._infer(detector, half, slots))
        ended = time.perf_counter()
        answered = [half.jobs[slot] for slot in slots]
        while half.jobs:
            job = half.jobs[0]
            if job in unreadable:
                self._on_skip(job.entry.frame, "unreadable", unreadable[job])
            else:
                scale_ms = job.scaled.result()
                queue_ms = (began - job.entry.arrived_s) * 1e3 - scale_ms
                timings = Timings(queue_ms, scale_ms, (ended - began) * 1e3, len(slots))
                self._on_result(job.entry.frame, next(answers), timings)
            half.jobs.popleft()
        if self._on_input is not None:
            for job in answered:
                self._on_input(job.entry.frame, half.buffer.picture(job.slot), half.buffer.spec.order)

    def _infer(self, detector: Detector, half: Half, slots: list[int]) -> list[Detections]:
        entries = [half.jobs[slot].entry for slot in slots]
        alone = any(entry.failures for entry in entries)
        answers: list[Detections] = []
        for first in range(0, len(slots), 1 if alone else max(1, len(slots))):
            part = slice(first, first + 1 if alone else None)
            for entry in entries[part]:
                entry.failures += 1  # until it is answered
            answers += _answers(detector, half.buffer.batch(slots[part]))
            for entry in entries[part]:
                entry.failures -= 1
        return answers

    def _give_back(self, *halves: Half) -> None:
        """Put frames without an answer, those of the older half first, back to the heads of their queues."""
        with self._changed:
            self._filling = None
            jobs = [job for half in halves for job in half.jobs]
        wait_for_all([job.scaled for job in jobs])
        skipped: list[tuple[Frame, SkipReason]] = []
        with self._changed:
            for job in reversed(jobs):
                lane = job.entry.lane
                if lane.gone:
                    skipped.append((job.entry.frame, "removed"))
                elif job.entry.failures > 1:
                    skipped.append((job.entry.frame, "failed"))
                elif lane.policy == "latest" and lane.waiting:
                    skipped.append((job.entry.frame, "newer_frame"))
                else:
                    lane.waiting.appendleft(job.entry)
        for frame, reason in reversed(skipped):
            self._on_skip(frame, reason, "")


def _answers(detector: Detector, batch: Batch) -> list[Detections]:
    """One answer a picture: with any other number, frames would get each other's."""
    found = detector.infer(batch)
    if len(found) != len(batch.images):
        msg = f"the model gave {len(found)} answers for {len(batch.images)} pictures"
        raise BackendError(msg)
    return found
