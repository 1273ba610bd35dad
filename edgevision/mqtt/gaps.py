"""Judges from sequence numbers whether something is missing: one set of holes a (boot, topic)."""

from __future__ import annotations

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
    """The numbers of one topic and boot, from the first one seen."""

    first: int
    highest: int
    holes: list[Hole] = field(default_factory=list)

    def seen(self, sequence: int, now_s: float) -> None:
        """A number came."""
        if sequence > self.highest:
            if sequence > self.highest + 1:
                self.holes.append(Hole(self.highest + 1, sequence - 1, now_s))
            self.highest = sequence
            return
        for index, hole in enumerate(self.holes):
            if hole.first <= sequence <= hole.last:
                parts = ((hole.first, sequence - 1), (sequence + 1, hole.last))
                self.holes[index : index + 1] = [Hole(a, b, now_s) for a, b in parts if a <= b]
                return

    def promised(self, last: int, now_s: float) -> None:
        """Numbers up to ``last`` are known to have been given."""
        if last > self.highest:
            self.holes.append(Hole(self.highest + 1, last, now_s))
            self.highest = last

    def ripe(self, now_s: float, grace_s: float) -> list[Hole]:
        """Holes that nothing has filled for ``grace_s``; they are told once and forgotten."""
        overflow = len(self.holes) - MOST_HOLES
        told = [hole for index, hole in enumerate(self.holes) if index < overflow or now_s - hole.since_s >= grace_s]
        if told:
            self.holes = [hole for hole in self.holes if hole not in told]
        return told

    def state(self) -> list[Any]:
        """JSON-able."""
        return [self.first, self.highest, [[hole.first, hole.last] for hole in self.holes]]

    @classmethod
    def load(cls, state: list[Any], now_s: float) -> Stream:
        """From an earlier ``state()``; the grace of open holes begins anew."""
        first, highest, holes = state
        return cls(first, highest, [Hole(a, b, now_s) for a, b in holes])
