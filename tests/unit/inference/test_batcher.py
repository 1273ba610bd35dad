"""Fair batches over cameras: nothing lossless is lost, live cameras show their newest frame, crashes keep all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import BackendError, ImageError, SourceLost
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


@pytest.fixture(name="make")
def _make() -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(max_batch: int = 4, **cameras: Literal["latest", "block"]) -> Running:
        record = Record()
        batcher = Batcher(record.result, record.skip)
        for camera, policy in cameras.items():
            batcher.add(camera, policy)
        made.append(Running(batcher, record, Gate(max_batch)))
        return made[-1]

    yield make
    for running in made:
        running.batcher.close()
        running.gate.open()
        if running.thread is not None:
            running.thread.join(TIMEOUT_S)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_live_camera_shows_its_newest_frame_and_drops_are_told(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, door="latest")
    running.start()
    assert running.batcher.put(frame("door", 0))
    running.busy()
    for number in range(1, 6):
        assert running.batcher.put(frame("door", number))
    running.finish()
    assert running.record.of("door") == [0, 1, 5], "1 was scaled already when 2 came"
    assert running.record.skips == [("door", number, "newer_frame", "") for number in (2, 3, 4)]


def test_a_dropped_frame_costs_no_scaling(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, door="latest")
    frames = [frame("door", number) for number in range(6)]
    running.start()
    running.batcher.put(frames[0])
    running.busy()
    for item in frames[1:]:
        running.batcher.put(item)
    running.finish()
    scaled = [item.pixels.scaled_times for item in frames if isinstance(item.pixels, Numbered)]
    assert scaled == [1, 1, 0, 0, 0, 1]


def test_a_lossless_camera_loses_nothing_and_keeps_its_order(make: Callable[..., Running]) -> None:
    running = make(file="block")
    running.gate.open()
    running.start()
    for number in range(100):
        assert running.batcher.put(frame("file", number))
    running.finish()
    assert running.record.of("file") == list(range(100))
    assert running.record.skips == []


def test_a_full_queue_makes_the_source_wait(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, file="block")
    running.start()
    running.batcher.put(frame("file", 0))
    running.busy()
    for number in range(1, 6):
        running.batcher.put(frame("file", number))
    source = in_background(lambda: running.batcher.put(frame("file", 6)))
    source.join(0.2)
    assert source.is_alive(), "one runs, one is scaled, four wait: there is no room for a seventh"
    running.gate.permits.release()
    source.join(TIMEOUT_S)
    assert not source.is_alive()
    running.finish()
    assert running.record.of("file") == list(range(7))


def test_cameras_take_turns_when_one_picture_runs_at_a_time(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, a="block", b="block", c="block")
    for number in range(4):
        for offset, camera in enumerate("abc"):
            running.batcher.put(frame(camera, 10 * number + offset))
    running.start()
    running.finish()
    cameras = [camera for camera, _, _ in running.record.results]
    assert cameras == ["a", "b", "c"] * 4


def test_a_fast_file_leaves_room_for_a_slow_camera(make: Callable[..., Running]) -> None:
    running = make(max_batch=4, file="block", door="latest")
    for number in range(4):
        running.batcher.put(frame("file", number))
    running.start()
    running.busy()
    for number in range(4, 8):
        running.batcher.put(frame("file", number))
    running.batcher.put(frame("door", 200))
    running.finish()
    assert running.gate.batches[0] == [0, 1]
    assert running.gate.batches[1] == [2, 3, 200]


def test_one_batch_takes_one_frame_of_each_live_camera(make: Callable[..., Running]) -> None:
    cameras = {f"cam{number}": "latest" for number in range(4)}
    running = make(max_batch=8, **cameras)
    for number, camera in enumerate(cameras):
        running.batcher.put(frame(camera, number))
    running.start()
    running.finish()
    assert running.gate.batches == [[0, 1, 2, 3]]
    assert [timings.batch for timings in running.record.timings] == [4] * 4


def test_more_cameras_than_places_all_come_to_their_turn(make: Callable[..., Running]) -> None:
    cameras = {f"cam{number}": "block" for number in range(5)}
    running = make(max_batch=2, **cameras)
    for round_ in range(3):
        for number, camera in enumerate(cameras):
            running.batcher.put(frame(camera, 10 * round_ + number))
    running.start()
    running.finish()
    first_five = [camera for camera, _, _ in running.record.results[:5]]
    assert sorted(first_five) == sorted(cameras)
    assert all(running.record.of(camera) == [number, 10 + number, 20 + number] for number, camera in enumerate(cameras))


def test_the_next_batch_is_scaled_while_the_model_runs(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, file="block")
    running.start()
    running.batcher.put(frame("file", 0))
    running.busy()
    ready = threading.Event()

    class Watched(Numbered):
        def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:
            ready.set()
            return super().scaled(width, height, order)

    running.batcher.put(Frame("file", 1, NOW, Watched(1)))
    assert ready.wait(TIMEOUT_S), "the model still holds frame 0"
    assert running.record.results == []
    running.finish()
    assert running.record.of("file") == [0, 1]


@pytest.mark.parametrize("error", [SourceLost("corrupt packet"), ImageError("truncated")])
def test_broken_pixels_disturb_nobody_else(make: Callable[..., Running], error: Exception) -> None:
    running = make(max_batch=4, a="block", b="block")
    running.batcher.put(frame("a", 0))
    running.batcher.put(frame("b", 100, error))
    running.batcher.put(frame("a", 1))
    running.batcher.put(frame("b", 101))
    running.start()
    running.finish()
    assert running.record.of("a") == [0, 1]
    assert running.record.of("b") == [101]
    assert running.record.skips == [("b", 100, "unreadable", str(error))]


def test_a_batch_of_broken_frames_does_not_reach_the_model(make: Callable[..., Running]) -> None:
    running = make(a="block")
    running.batcher.put(frame("a", 0, ImageError("truncated")))
    running.start()
    running.finish()
    assert running.gate.batches == []
    assert [skip[2] for skip in running.record.skips] == ["unreadable"]


def test_a_stop_drains_what_was_accepted(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, file="block", door="latest")
    running.start()
    for number in range(4):
        running.batcher.put(frame("file", number))
    running.batcher.put(frame("door", 100))
    running.busy()
    running.finish()
    assert running.record.of("file") == [0, 1, 2, 3]
    assert running.record.of("door") == [100]


def test_a_live_camera_cannot_hold_up_a_stop(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, door="latest")
    running.gate.open()
    running.start()
    over = threading.Event()

    def shoot() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 250
            running.batcher.put(frame("door", number))

    source = in_background(shoot)
    try:
        running.busy()
        running.finish()
    finally:
        over.set()
        source.join(TIMEOUT_S)
    assert not running.batcher.put(frame("door", 0)), "nobody would answer it"


def test_closing_frees_a_source_that_waits(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, file="block")
    accepted = [running.batcher.put(frame("file", number)) for number in range(4)]
    answers: list[bool] = []
    source = in_background(lambda: answers.append(running.batcher.put(frame("file", 4))))
    running.batcher.close()
    source.join(TIMEOUT_S)
    assert accepted == [True] * 4
    assert answers == [False]
    running.gate.open()
    running.start()
    running.join()
    assert running.record.of("file") == [0, 1, 2, 3], "a closed batcher still answers what it took"


def test_a_crash_of_the_detector_keeps_every_lossless_frame(make: Callable[..., Running]) -> None:
    running = make(max_batch=2, file="block")
    running.start()
    for number in range(6):
        running.batcher.put(frame("file", number))
    running.busy()
    running.gate.crash = True
    running.gate.permits.release()
    running.join()
    assert isinstance(running.error, BackendError)
    assert running.record.results == []
    running.gate.crash = False
    running.start()
    running.finish()
    assert running.record.of("file") == [0, 1, 2, 3, 4, 5]


def test_after_a_crash_a_live_camera_goes_on_with_its_newest(make: Callable[..., Running]) -> None:
    running = make(max_batch=1, door="latest")
    running.start()
    running.batcher.put(frame("door", 0))
    running.busy()
    running.batcher.put(frame("door", 1))
    running.gate.crash = True
    running.gate.permits.release()
    running.join()
    running.gate.crash = False
    running.batcher.put(frame("door", 2))
    running.start()
    running.finish()
    assert running.record.of("door") == [2]
    assert sorted(skip[1] for skip in running.record.skips) == [0, 1]


def test_answers_given_before_a_crash_are_not_given_again(make: Callable[..., Running]) -> None:
    running = make(max_batch=2, file="block")
    for number in range(4):
        running.batcher.put(frame("file", number))
    running.start()
    running.busy()
    running.gate.permits.release()
    running.busy()
    running.gate.crash = True
    running.gate.permits.release()
    running.join()
    assert running.record.of("file") == [0, 1]
    running.gate.crash = False
    running.start()
    running.finish()
    assert running.record.of("file") == [0, 1, 2, 3]


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


def test_a_frame_that_kills_the_model_is_found_out_and_the_others_are_answered() -> None:
    class Allergic(ScriptedDetector):
        def infer(self, batch: Batch) -> list[Detections]:
            if any(int(image[0, 0, 0]) == 3 for image in batch.images):
                msg = "no threes"
                raise BackendError(msg)
            return super().infer(batch)

    record = Record()
    batcher = Batcher(record.result, record.skip)
    batcher.add("file", "block", 8)
    for number in range(7):
        assert batcher.put(frame("file", number))
    batcher.close()
    crashes = run_to_the_end(batcher, Allergic(read_number, spec=SPEC, max_batch=4), threading.Event())
    assert record.of("file") == [0, 1, 2, 4, 5, 6]
    assert [(camera, index, reason) for camera, index, reason, _ in record.skips] == [("file", 3, "failed")]
    assert crashes == 2


def test_a_removed_camera_frees_its_source_and_its_frames(make: Callable[..., Running]) -> None:
    running = make(a="block", b="block")
    for number in range(4):
        running.batcher.put(frame("a", number))
    running.batcher.put(frame("b", 100))
    answers: list[bool] = []
    source = in_background(lambda: answers.append(running.batcher.put(frame("a", 4))))
    running.batcher.remove("a")
    source.join(TIMEOUT_S)
    running.start()
    running.finish()
    assert answers == [False]
    assert running.record.of("a") == []
    assert running.record.of("b") == [100]
    assert [skip[1:3] for skip in running.record.skips] == [(number, "removed") for number in range(4)]


def test_a_camera_can_come_back(make: Callable[..., Running]) -> None:
    running = make(a="block")
    with pytest.raises(ValueError, match="camera a was added already"):
        running.batcher.add("a", "block")
    running.batcher.remove("a")
    assert not running.batcher.put(frame("a", 0))
    running.batcher.add("a", "latest")
    assert running.batcher.put(frame("a", 1))
    running.start()
    running.finish()
    assert running.record.of("a") == [1]


def test_timings_are_whole(make: Callable[..., Running]) -> None:
    running = make(a="block")
    running.batcher.put(frame("a", 0))
    running.start()
    running.finish()
    (timings,) = running.record.timings
    assert timings.queue_ms >= 0
    assert timings.scale_ms > 0
    assert timings.infer_ms > 0
    assert timings.batch == 1


@settings(max_examples=15, deadline=None)
@given(
    counts=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    max_batch=st.integers(1, 6),
    crashes=st.sets(st.integers(0, 12), max_size=3),
)
def test_whatever_happens_each_lossless_frame_is_answered_once(
    counts: list[int], max_batch: int, crashes: set[int]
) -> None:
    record, calls = Record(), iter(range(10_000))

    class Moody(ScriptedDetector):
        def infer(self, batch: Batch) -> list[Detections]:
            if next(calls) in crashes:
                msg = "moody"
                raise BackendError(msg)
            return super().infer(batch)

    batcher, stop = Batcher(record.result, record.skip), threading.Event()
    detector = Moody(read_number, spec=SPEC, max_batch=max_batch)

    def feed(camera: str, count: int) -> None:
        for number in range(count):
            assert batcher.put(frame(camera, number))

    for number in range(len(counts)):
        batcher.add(str(number), "block", 2)
    sources = [in_background(lambda n=number, c=count: feed(str(n), c)) for number, count in enumerate(counts)]
    model = in_background(lambda: run_to_the_end(batcher, detector, stop))
    for source in sources:
        source.join(TIMEOUT_S)
    stop.set()
    model.join(TIMEOUT_S)
    assert not model.is_alive()
    assert all(reason == "failed" for _, _, reason, _ in record.skips), "only a frame that failed twice is given up"
    assert len(record.skips) <= max(0, len(crashes) - 1)
    for number, count in enumerate(counts):
        given_up = {index for camera, index, _, _ in record.skips if camera == str(number)}
        assert record.of(str(number)) == [index for index in range(count) if index not in given_up]
