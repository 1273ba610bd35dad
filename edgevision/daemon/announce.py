"""The device's own events: started, camera states, clock steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from edgevision import __version__
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockChange
from edgevision.daemon.load import Load
from edgevision.events.base import Outbox
from edgevision.events.build import EventBuilder
from edgevision.events.topics import DEVICE, camera_state
from edgevision.sources.base import SourceState
from edgevision.types import FrameTime, Occurrence

Retain = Callable[[str, Mapping[str, Any]], None]


class Announcer:
    """Appends ``health`` events; every method may be called from any thread.

    Args:
        outbox: Where they go.
        builder: Makes events.

    Attributes:
        retain: Keeps a camera's state retained at the broker; ``None`` without one.
    """

    def __init__(self, outbox: Outbox, builder: EventBuilder) -> None:
        self._outbox = outbox
        self._builder = builder
        self.retain: Retain | None = None
        self._lock = threading.Lock()
        self._camera_states: dict[str, str] = {}

    def started(self, previous: Mapping[str, Any] | None) -> None:
        """The daemon runs; ``previous`` is where the boot before ended."""
        self._append("started", {"version": __version__, "previous": previous})

    def camera(self, unit: CameraUnit) -> None:
        """A camera's source changed its state; the same state twice is told once."""
        with self._lock:
            state = unit.state.value if unit.condition == "ok" else unit.condition
            self._camera(unit.name, state, unit.trouble or None)

    def failed(self, camera: str, reason: str) -> None:
        """A camera of the settings does not run: whoever looks at its state must not take it for alive."""
        with self._lock:
            self._camera(camera, SourceState.FAILED.value, reason)

    def removed(self, camera: str) -> None:
        """A camera is no longer in the settings: nor must that one be taken for alive."""
        with self._lock:
            self._camera(camera, "removed", "no longer in the settings")

    def _camera(self, camera: str, state: str, reason: str | None) -> None:
        """Needs the lock to its end: what is told last is what the broker keeps."""
        before = self._camera_states.get(camera)
        if before == state:
            return
        self._camera_states[camera] = state
        data = {"state": state, "reason": reason}
        self._append("camera", {**data, "previous": before}, camera=camera)
        if self.retain is not None:
            self.retain(camera_state(self._builder.site, self._builder.device, camera), data)

    def clock(self, change: ClockChange) -> None:
        """The wall clock was stepped, or gained or lost what keeps it right."""
        self._append("clock", change.document())

    def load(self, camera: str, load: Load) -> None:
        """A camera, or the ``device``, is overloaded, too hot, or well again."""
        self._append("load", load.document(), camera=camera)

    def selftest(self, model: str, backend: str, problems: Sequence[str], pictures: int) -> None:
        """``model`` (``name@version#hash``) was checked on ``pictures`` golden pictures."""
        data = {"backend": backend, "passed": not problems, "pictures": pictures, "detail": "; ".join(problems) or None}
        self._append("selftest", data, model=model)

    def _append(self, name: str, data: Mapping[str, Any], *, camera: str = DEVICE, model: str | None = None) -> None:
        occurrence = Occurrence("health", name, FrameTime(datetime.now(timezone.utc), time.monotonic()), data)
        self._outbox.append([self._builder.draft(occurrence, camera=camera, model=model)])
