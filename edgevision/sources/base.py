"""The port every source implements, and the settings all of them share."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Protocol

from edgevision.types import Frame


class Source(Protocol):
    """Frames of one camera.

    A source is opened by the first step of ``frames()`` and used by one thread; ``close()`` may come from another thread
    and makes ``frames()`` end soon. The iterator ends when the source is exhausted (a file). It raises
    ``SourceUnavailable`` when it cannot be opened, ``SourceLost`` when it breaks or stalls, ``SourceInvalid`` when it
    can never work. After ``SourceUnavailable`` or ``SourceLost``, ``frames()`` may be called again to reconnect.
    """

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
