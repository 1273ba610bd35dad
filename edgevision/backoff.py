"""One retry policy for cameras and brokers: exponential, jittered, capped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times between tries.

    The n-th wait is drawn evenly from the upper half of ``min(cap_s, first_s * factor**n)``, so that fifty devices
    whose broker comes back do not knock at the same moment and no wait is ever nearly zero.

    Attributes:
        first_s: Upper end of the first wait, seconds.
        cap_s: Upper end of every later wait, seconds.
        factor: Growth from wait to wait.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.cap_s and self.factor >= 1):
            msg = f"backoff: needs 0 < first_s <= cap_s and factor >= 1, got {self}"
            raise ValueError(msg)

    def waits(self, rng: random.Random | None = None) -> Iterator[float]:
        """Endless waits in seconds; start a new iterator after a success."""
        rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        ceiling = self.first_s
        while True:
            yield rng.uniform(ceiling / 2, ceiling)
            ceiling = min(self.cap_s, ceiling * self.factor)
