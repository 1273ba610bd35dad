"""The port every source implements, and what all sources are given."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, Protocol

from edgevision.types import Frame, Position

Policy = Literal["latest", "block"]

CORRUPT = "corrupt"
"""Why a frame was dropped by its source: it cannot be decoded, or only in part."""


def utc_now() -> datetime:
    """The wall clock, timezone-aware."""
    return datetime.now(timezone.utc)


def uncounted(reason: str, count: int) -> None:
    """Where nobody asks for the frames that were lost."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is told beside its settings.

    Attributes:
        camera: Name of the camera.
        resume: ``Frame.position`` to go on from; ``None`` starts at the beginning. Live sources ignore it.
        started_utc: When the process started: the time of a recording that knows no other.
        monotonic: Seconds on a clock that never steps.
        now_utc: The wall clock.
        dropped: Hears of frames that never become a ``Frame``: why (``corrupt``) and how many. Called by the thread
            that iterates ``frames()``.
    """

    camera: str
    resume: Position | None
    started_utc: datetime
    monotonic: Callable[[], float] = time.monotonic
    now_utc: Callable[[], datetime] = utc_now
    dropped: Callable[[str, int], None] = uncounted


class Source(Protocol):
    """Frames of one camera, made by ``XSource(settings, context)``.

    A source is opened by the first step of ``frames()`` and used by one thread; ``close()`` may come from another
    thread and makes ``frames()`` end soon: after the frame under way, or after the stall or open timeout where a
    camera is silent. The iterator ends when the source is exhausted (a file). It raises ``SourceUnavailable`` when it
    cannot be opened, ``SourceLost`` when it breaks or stalls, ``SourceInvalid`` when it can never work. After
    ``SourceUnavailable`` or ``SourceLost``, ``frames()`` may be called again to reconnect: indexes and ``t_s`` go on.

    One more member is optional: ``recorded``, true where the frames tell the time of a recording, which is not now.
    """

    @property
    def policy(self) -> Policy:
        """``latest``: frames may be dropped for newer ones; ``block``: every frame counts, the source waits."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield frames, oldest first."""
        ...

    def close(self) -> None:
        """Release everything; safe to call twice and from another thread."""
        ...


class SourceState(enum.Enum):
    """Where a camera stands."""

    STARTING = "starting"
    ONLINE = "online"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"
