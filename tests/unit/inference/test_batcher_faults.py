"""Broken frames and crashing models: the others are answered, and nothing lossless is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from batching import SPEC, Record, Running, frame, read_number, run_to_the_end

from edgevision.errors import BackendError, ImageError, SourceLost
from edgevision.inference.base import Batch
from edgevision.inference.batcher import Batcher
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections


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


class Forgetful(ScriptedDetector):
    """A detector that gives no answer for picture 1."""

    def infer(self, batch: Batch) -> list[Detections]:
        return [answer for answer in super().infer(batch) if answer.label[0] != 1]


def test_a_model_that_answers_too_few_pictures_has_failed_and_gives_no_frame_anothers_answer() -> None:
    record, stop = Record(), threading.Event()
    batcher = Batcher(record.result, record.skip)
    batcher.add("file", "block")
    for number in range(3):
        batcher.put(frame("file", number))
    stop.set()
    detector = Forgetful(read_number, spec=SPEC, max_batch=3)
    for _ in range(2):
        with pytest.raises(BackendError, match="answers for"):
            batcher.run(detector, stop)
    batcher.run(detector, stop)
    assert record.of("file") == [0, 2]
    assert record.skips == [("file", 1, "failed", "")]


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
