"""What the processes of torch's launcher tell the one that started them, line by line in a file."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from edgevision.training.base import Epoch, Progress, Watcher

EVERY_S = 0.5  # between two words about batches, and between two looks


def telling(file: Path) -> Watcher:
    """A watcher that writes down what it is told; batches no more often than a person can read."""
    told_s = [0.0]

    def progress(now: Progress) -> None:
        if time.monotonic() - told_s[0] >= EVERY_S:
            told_s[0] = time.monotonic()
            _append(file, {"progress": asdict(now)})

    return Watcher(progress, lambda done: _append(file, {"epoch": asdict(done)}))


def tell_failure(file: Path, message: str) -> None:
    """Why a process ends."""
    _append(file, {"failure": message})


@contextmanager
def following(file: Path, watcher: Watcher) -> Iterator[None]:
    """Passes on what is written while the body runs. What an earlier one left is dropped.

    Raises:
        RuntimeError: The body failed, and a process had written why.
    """
    file.unlink(missing_ok=True)
    ended = threading.Event()
    reader = _Reader(file, watcher)
    thread = threading.Thread(target=reader.until, args=(ended,), name="follow-training", daemon=True)
    thread.start()
    try:
        yield
    except Exception as exc:
        ended.set()
        thread.join()
        if reader.failure:
            raise RuntimeError(reader.failure) from exc
        raise
    finally:
        ended.set()
        thread.join()


class _Reader:
    """Reads whole lines as they come."""

    def __init__(self, file: Path, watcher: Watcher) -> None:
        self._file = file
        self._watcher = watcher
        self._read = 0
        self.failure = ""

    def until(self, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            self._pass_on()
        self._pass_on()

    def _pass_on(self) -> None:
        with suppress(FileNotFoundError), self._file.open("rb") as stream:
            stream.seek(self._read)
            whole, end, _ = stream.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            for line in whole.splitlines():
                self._told(json.loads(line))

    def _told(self, item: dict[str, dict[str, object]]) -> None:
        if "progress" in item:
            self._watcher.progress(Progress(**item["progress"]))  # type: ignore[arg-type]
        elif "epoch" in item:
            self._watcher.epoch(Epoch(**item["epoch"]))  # type: ignore[arg-type]
        elif not self.failure:  # the first process to fail knows why; the others only miss it
            self.failure = str(item["failure"])


def _append(file: Path, item: dict[str, object]) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(item) + "\n")
