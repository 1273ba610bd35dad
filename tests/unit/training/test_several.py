"""What one process writes down another passes on, once and in order, and why it failed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgevision.training.base import Epoch, Progress, Watcher
from edgevision.training.several import EVERY_S, following, tell_failure, telling

ROW = Epoch(1, 2.5, 0.01, {"box": 1.0}, {"map50": 0.5})


def test_epochs_come_once_and_batches_now_and_then(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    file.write_text("of an earlier run\n", "utf-8")
    seen: list[object] = []
    with following(file, Watcher(seen.append, seen.append)):
        told = telling(file)
        for batch in range(1, 51):
            told.progress(Progress(0, 3, batch, 50, {"box": 1.0}))
        told.epoch(ROW)
        time.sleep(3 * EVERY_S)
        assert seen == [Progress(0, 3, 1, 50, {"box": 1.0}), ROW], "while it runs, not at its end"
        told.epoch(ROW)
    assert seen[2:] == [ROW]


def test_the_first_failure_is_the_reason(tmp_path: Path) -> None:
    def fail(*reasons: str) -> None:
        with following(tmp_path / "told.jsonl", Watcher(print, print)):
            for reason in reasons:
                tell_failure(tmp_path / "told.jsonl", reason)
            raise OSError("status 1")

    with pytest.raises(RuntimeError, match=r"^memory$"):
        fail("memory", "the other one is gone")
    with pytest.raises(OSError, match="status 1"):
        fail()
