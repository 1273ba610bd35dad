"""What a batch is made of: cameras' frames that wait, and the two halves that take turns."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from edgevision.errors import EdgevisionError
from edgevision.inference.preprocess import BatchBuffer
from edgevision.types import Frame

Policy = Literal["latest", "block"]


@dataclass(slots=True, eq=False)
class Entry:
    """An accepted frame.

    Attributes:
        failures: How often the model failed on it; the second time it was alone.
    """

    frame: Frame
    lane: Lane
    arrived_s: float
    failures: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """One camera's frames that wait for a place in a batch."""

    policy: Policy
    capacity: int
    waiting: deque[Entry] = field(default_factory=deque)
    gone: bool = False

    def full(self) -> bool:
        """Whether the source has to wait."""
        return self.policy == "block" and len(self.waiting) >= self.capacity

    def push(self, entry: Entry) -> Entry | None:
        """Queue ``entry``; returns what it replaces."""
        replaced = self.waiting.popleft() if self.policy == "latest" and self.waiting else None
        self.waiting.append(entry)
        return replaced


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A frame that is being scaled into its slot."""

    entry: Entry
    slot: int
    scaled: Future[float]


@dataclass(slots=True, eq=False)
class Half:
    """A batch: its memory and the frames in it that have not been answered yet."""

    buffer: BatchBuffer
    pool: ThreadPoolExecutor
    jobs: deque[Job] = field(default_factory=deque)

    def share(self, lane: Lane, lanes: int) -> int:
        """How many places ``lane`` may still take: a live camera one in all, a lossless one its fair part."""
        allowed = 1 if lane.policy == "latest" else max(1, self.buffer.capacity // lanes)
        return allowed - sum(job.entry.lane is lane for job in self.jobs)

    def take(self, entry: Entry) -> None:
        """Have a frame scaled into the next free slot."""
        slot = len(self.jobs)
        self.jobs.append(Job(entry, slot, self.pool.submit(_scale, self.buffer, slot, entry.frame)))


def _scale(buffer: BatchBuffer, slot: int, frame: Frame) -> float:
    began = time.perf_counter()
    buffer.fill(slot, frame)
    return (time.perf_counter() - began) * 1e3


def why_unreadable(job: Job) -> str | None:
    """Wait for a frame's pixels; what is wrong with them, if anything: whatever it is, only this frame pays."""
    error = job.scaled.exception()
    if error is None:
        return None
    return str(error) if isinstance(error, EdgevisionError) else f"{type(error).__name__}: {error}"
