"""Fair batches over cameras: nothing lossless is lost, live cameras show their newest frame, crashes keep all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import pytest
from batching import (
    NOW,
    SPEC,
    TIMEOUT_S,
    Numbered,
    Record,
    Running,
    frame,
    in_background,
    read_number,
    run_to_the_end,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.batcher import Batcher
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Frame, Image


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


def test_a_file_takes_the_places_that_other_files_leave(make: Callable[..., Running]) -> None:
    running = make(max_batch=4, a="block", b="block")
    for number in range(4):
        running.batcher.put(frame("a", number))
    running.start()
    running.busy()
    for number in (10, 11):
        running.batcher.put(frame("b", number))
        running.batcher.put(frame("a", number + 10))
    running.finish()
    assert running.gate.batches == [[0, 1, 2, 3], [10, 20, 11, 21]]


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


def test_what_the_model_was_given_is_shown_once_its_batch_is_answered() -> None:
    record, shown = Record(), list[tuple[int, int, tuple[int, ...], str, int]]()

    def show(item: Frame, picture: Image, order: str) -> None:
        shown.append((item.index, int(picture.min()), picture.shape, order, len(record.results)))

    batcher, stop = Batcher(record.result, record.skip, on_input=show), threading.Event()
    batcher.add("file", "block", 4)
    for item in (frame("file", 0), frame("file", 1, BackendError("broken")), frame("file", 2)):
        assert batcher.put(item)
    stop.set()
    batcher.run(ScriptedDetector(read_number, spec=SPEC, max_batch=4), stop)
    assert shown == [(0, 0, (8, 8, 3), "rgb", 2), (2, 2, (8, 8, 3), "rgb", 2)]


def test_what_is_shown_has_no_padding() -> None:
    shapes: list[tuple[int, ...]] = []
    record, stop = Record(), threading.Event()
    show = lambda _frame, picture, _order: shapes.append(picture.shape)  # noqa: E731 - two words
    batcher = Batcher(record.result, record.skip, on_input=show)
    batcher.add("file", "block")
    batcher.put(frame("file", 1))
    stop.set()
    batcher.run(ScriptedDetector(read_number, spec=InputSpec(16, 8, align="corner"), max_batch=1), stop)
    assert shapes == [(8, 8, 3)]
