"""Ports to the machine: what asks for an inspection and what acts on its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from edgevision.types import Part

VerdictResult = Literal["ok", "ng", "review"]


@dataclass(frozen=True, slots=True)
class TriggerSignal:
    """One request to inspect the part that is in front of the camera now.

    Attributes:
        id: Unique id; every id gets exactly one verdict.
        time_utc: When it fired, UTC.
        t_s: The same on the daemon's monotonic clock, seconds.
        part: What is known of the part, e.g. its serial number.
    """

    id: str
    time_utc: datetime
    t_s: float
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an actuator hears.

    Attributes:
        part: The part.
        result: ``ok``, ``ng`` or ``review``.
        reason: Why, when it is not ``ok``.
        deadline_t_s: Absolute monotonic time by which it must have acted, seconds; ``None`` for no deadline.
        data: The verdict event's payload.
    """

    part: Part
    result: VerdictResult
    reason: str
    deadline_t_s: float | None
    data: Mapping[str, object]


class Trigger(Protocol):
    """Where inspection requests come from."""

    def wait(self, timeout_s: float) -> TriggerSignal | None:
        """The next request, or ``None`` after ``timeout_s``.

        Raises:
            StationError: The line to the machine is broken.
        """
        ...

    def close(self) -> None:
        """Release the line."""
        ...


class Actuator(Protocol):
    """What acts on a verdict: an ejector, a lamp, a PLC."""

    def act(self, verdict: Verdict) -> None:
        """Act now; returns when the machine has taken it.

        Raises:
            StationError: The machine did not take it.
        """
        ...

    def close(self) -> None:
        """Release the line."""
        ...
