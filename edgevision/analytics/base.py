"""The ports of this package: what turns detections into tracks, and tracks into occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from edgevision.errors import ConfigError, Problem
from edgevision.types import BoolArray, Detections, Frame, IntArray, Occurrence, Tracks

State = dict[str, Any]  # JSON-able


@dataclass(frozen=True, slots=True)
class AnalysisContext:
    """What an analysis knows of its surroundings.

    Attributes:
        camera: Name of the camera.
        classes: Class names of the model; a label is an index into them.
    """

    camera: str
    classes: tuple[str, ...]

    def labels(self, names: Sequence[str], path: str) -> IntArray:
        """Indices of class ``names``.

        Args:
            names: Class names from the settings.
            path: Key path of the settings they stand at, for the error.

        Raises:
            ConfigError: Names that the model does not have.
        """
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            allowed = ", ".join(self.classes)
            message = f"the model has no class {', '.join(map(repr, unknown))}; it has: {allowed}"
            raise ConfigError([Problem(f"camera {self.camera}", path, message)])
        return np.array([self.classes.index(name) for name in names], dtype=np.int64)

    def wanted(self, names: Sequence[str], path: str) -> BoolArray:
        """(classes,) mask of ``names``; of all classes when ``names`` is empty.

        Raises:
            ConfigError: Names that the model does not have.
        """
        mask: BoolArray = np.full(len(self.classes), not names)
        mask[self.labels(names, path)] = True
        return mask


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
    """Looks at the tracks of one camera and says what it noticed. Pure: no clock, no I/O, no identity.

    Two more members are optional: ``judges``, true where it answers triggers with verdicts; and ``inherit(state)``, for
    what must go on from an earlier ``state()`` even when the settings have changed, such as the revisions of intervals.
    """

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
