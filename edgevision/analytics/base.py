"""The ports of this package: what turns detections into tracks, and tracks into occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from edgevision.types import Detections, Frame, Occurrence, Tracks

State = dict[str, Any]  # JSON-able


class Tracker(Protocol):
    """Gives detections ids that last over frames. Ids belong to the instance, never to the class."""

    def update(self, detections: Detections, t_s: float) -> Tracks:
        """Tracks seen in this frame; ``t_s`` is the frame's monotonic time in seconds."""
        ...

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        ...

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        ...


class Analysis(Protocol):
    """Looks at the tracks of one camera and says what it noticed. Pure: no clock, no I/O, no identity."""

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        """One frame."""
        ...

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Time passed without frames: close intervals, let "for N seconds" fire. Times as in ``FrameTime``."""
        ...

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """The source has ended for good: say what is still open."""
        ...

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        ...

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        ...
