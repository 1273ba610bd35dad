"""Judges from sequence numbers whether something is missing: one set of holes a (boot, topic)."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any

MOST_HOLES = 10_000  # kept for one stream; beyond, the oldest are told at once


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequence numbers that were passed over.

    Attributes:
        first: The first missing one.
        last: The last missing one.
        since_s: When the hole was noticed or last got smaller, seconds of the caller's clock.
    """

    first: int
    last: int
    since_s: float

    @property
    def count(self) -> int:
        """How many are missing."""
        return self.last - self.first + 1


@dataclass(slots=True)
class Stream:
    """The numbers of one topic and boot.

    Attributes:
        first: The first one seen; 1 when the stream is owed from there.
        highest: The highest one seen or promised.
        holes: What is missing.
        unsure: What is missing below ``first``; a hole only if the start of the boot is heard of within the grace.
    """

    first: int
    highest: int
    holes: list[Hole] = field(default_factory=list)
    unsure: list[Hole] = field(default_factory=list)

    @classmethod
    def owed(cls) -> Stream:
        """One whose every number is expected."""
        return cls(1, 0)

    @classmethod
    def joined(cls, sequence: int, now_s: float) -> Stream:
        """One that begins with the first number seen, unless its start is heard of within the grace."""
        return cls(sequence, sequence, unsure=[Hole(1, sequence - 1, now_s)] if sequence > 1 else [])

    @property
    def joined_late(self) -> bool:
        """Whether numbers from before the first one seen are nobody's loss."""
        return self.first > 1 and not self.unsure

    def began(self, now_s: float) -> None:
        """Its start was there to be seen: what is missing below the first number is missed."""
        self.holes[:0] = [Hole(hole.first, hole.last, now_s) for hole in self.unsure]
        self.unsure.clear()
        self.first = 1

    def lacks(self, sequence: int) -> bool:
        """Whether this number has not come yet, nor was told as missing."""
        return sequence > self.highest or any(_find(holes, sequence) is not None for holes in (self.holes, self.unsure))

    def seen(self, sequence: int, now_s: float) -> None:
        """A number came."""
        if sequence > self.highest:
            if sequence > self.highest + 1:
                self.holes.append(Hole(self.highest + 1, sequence - 1, now_s))
            self.highest = sequence
        elif sequence >= self.first:
            _fill(self.holes, sequence, now_s)
        else:
            _fill(self.unsure, sequence, now_s)
            del self.unsure[:-MOST_HOLES]

    def promised(self, last: int, now_s: float) -> None:
        """Numbers up to ``last`` are known to have been given."""
        if last > self.highest:
            self.holes.append(Hole(self.highest + 1, last, now_s))
            self.highest = last

    def ripe(self, now_s: float, grace_s: float, *, more_may_come: bool = False) -> list[Hole]:
        """Holes that nothing has filled for ``grace_s``; they are told once and forgotten.

        While ``more_may_come`` none is but those there is no memory for.
        """
        if self.unsure and all(now_s - hole.since_s >= grace_s for hole in self.unsure):
            self.unsure.clear()
        overflow = len(self.holes) - MOST_HOLES
        told: list[Hole] = []
        kept: list[Hole] = []
        for index, hole in enumerate(self.holes):
            overdue = not more_may_come and now_s - hole.since_s >= grace_s
            (told if overdue or index < overflow else kept).append(hole)
        self.holes = kept
        return told

    def state(self) -> list[Any]:
        """JSON-able."""
        return [self.first, self.highest, _ranges(self.holes), _ranges(self.unsure)]

    @classmethod
    def load(cls, state: list[Any], now_s: float) -> Stream:
        """From an earlier ``state()``; the grace of open holes begins anew."""
        first, highest, *holes = state  # one list of holes in files of before, two now
        return cls(first, highest, *([Hole(a, b, now_s) for a, b in ranges] for ranges in holes))


def _find(holes: list[Hole], sequence: int) -> int | None:
    """Place of the hole that a number is in; the holes are in the order of their numbers."""
    index = bisect.bisect_right(holes, sequence, key=lambda hole: hole.first) - 1
    return index if index >= 0 and sequence <= holes[index].last else None


def _fill(holes: list[Hole], sequence: int, now_s: float) -> None:
    if (index := _find(holes, sequence)) is not None:
        hole = holes[index]
        parts = ((hole.first, sequence - 1), (sequence + 1, hole.last))
        holes[index : index + 1] = [Hole(a, b, now_s) for a, b in parts if a <= b]


def _ranges(holes: list[Hole]) -> list[list[int]]:
    return [[hole.first, hole.last] for hole in holes]
