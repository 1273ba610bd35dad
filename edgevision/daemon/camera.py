"""One camera at run time: its source, its pipeline and what is known of its condition."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from edgevision.config.daemon import CameraSettings
from edgevision.daemon.actuation import Actuation
from edgevision.daemon.pipeline import CameraPipeline, Kept
from edgevision.daemon.triggered import Burst
from edgevision.events.base import CameraState
from edgevision.sources.base import Source, SourceState
from edgevision.station.base import Trigger
from edgevision.types import FrameTime, Health

FPS_WINDOW_S = 10.0
DEGRADED = "degraded"
"""The condition of a camera of whose analyses some are asked no more."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What of the settings a stored state depends on.

    Attributes:
        source: Of the source: while it is equal, the position holds, so that nothing is seen twice.
        tracker: Of model and tracker: while it is equal, track ids mean something, to the analyses too.
        analyses: Of each analysis: while one is equal, its state holds.
    """

    source: str
    tracker: str
    analyses: tuple[str, ...]

    @classmethod
    def of(cls, settings: CameraSettings, model: str) -> Fingerprint:
        """Fingerprint of a camera's settings and of ``model`` (``name@version#hash12``)."""
        document = settings.model_dump()
        only_inspects = all(item.get("kind") == "inspection" for item in document["analyses"])  # decides the default
        tracker = [model, document["tracker"], only_inspects]
        return cls(_digest(document["source"]), _digest(tracker), tuple(map(_digest, document["analyses"])))

    def document(self) -> dict[str, Any]:
        """JSON-able."""
        return {"source": self.source, "tracker": self.tracker, "analyses": list(self.analyses)}

    def kept(self, saved: Mapping[str, Any]) -> Kept:
        """What still holds of a state that was stored under the fingerprint ``saved``."""
        source = saved["source"] == self.source
        if saved["tracker"] != self.tracker:
            return Kept(source=source, tracker=False, analyses={})
        old = list(saved["analyses"])
        pairs = {new: old.index(digest) for new, digest in enumerate(self.analyses) if digest in old}
        return Kept(source=source, tracker=True, analyses=pairs)


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=_plain).encode()).hexdigest()[:16]


def _plain(value: object) -> str:
    """Secrets count too: another address is another source."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@dataclass(slots=True)
class CameraUnit:
    """What the analytics stage keeps for one camera.

    Attributes:
        name: Name of the camera.
        settings: Its settings.
        source: Where its frames come from.
        pipeline: Its pure loop.
        model: ``name@version#hash`` of the model that looks at its frames.
        live: Whether time goes on for it without frames.
        recorded: Whether its frames tell the time of a recording, which is not now.
        fingerprint: Of ``settings``.
        trigger: What asks for inspections.
        burst: How many frames answer a trigger.
        actuation: What acts on verdicts.
        dropped: Frames that were accepted and not analysed, so far.
    """

    name: str
    settings: CameraSettings
    source: Source
    pipeline: CameraPipeline
    model: str
    live: bool
    fingerprint: Fingerprint
    recorded: bool = False
    trigger: Trigger | None = None
    burst: Burst = field(default_factory=Burst)
    actuation: Actuation | None = None
    state: SourceState = SourceState.STARTING
    reason: str = ""
    ended: bool = False
    last_time: FrameTime | None = None
    last_arrival_t_s: float | None = None
    stored_t_s: float = 0.0
    told_broken: str = ""
    dropped: int = 0
    _in_flight: int = 0
    _arrivals: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, time_of_frame: FrameTime) -> None:
        """A frame came through."""
        now = time.monotonic()
        self.last_time = time_of_frame
        self.last_arrival_t_s = now
        with self._lock:
            self._arrivals.append(now)
            self._forget(now)

    def entered(self) -> None:
        """A frame is handed to inference."""
        with self._lock:
            self._in_flight += 1

    def left(self) -> None:
        """A frame has been analysed, or will not be."""
        with self._lock:
            self._in_flight -= 1

    def skipped(self) -> None:
        """A frame will not be analysed."""
        with self._lock:
            self._in_flight -= 1
            self.dropped += 1

    @property
    def in_flight(self) -> int:
        """Frames between source and outbox."""
        with self._lock:
            return self._in_flight

    def fps(self) -> float:
        """Frames per second over the last ten seconds."""
        with self._lock:
            self._forget(time.monotonic())
            if len(self._arrivals) < 2:  # noqa: PLR2004 - a rate needs two
                return 0.0
            return (len(self._arrivals) - 1) / max(1e-9, self._arrivals[-1] - self._arrivals[0])

    @property
    def failed(self) -> bool:
        """Whether it can never work again as it is."""
        return self.pipeline.dead or self.state is SourceState.FAILED

    @property
    def condition(self) -> str:
        """``ok``, or what is the matter, in a word."""
        if self.failed:
            return SourceState.FAILED.value
        if self.pipeline.broken:
            return DEGRADED
        return "ok" if self.state in {SourceState.ONLINE, SourceState.ENDED} else self.state.value

    def health(self) -> Health:
        """Whether frames come, or came to their end, and are analysed."""
        good = self.condition == "ok"
        told = self.state.value if good else self.condition
        detail = f"{told}: {self.trouble}" if self.trouble else told
        return Health(f"camera/{self.name}", good, detail, critical=False, facts={"fps": round(self.fps(), 1)})

    @property
    def trouble(self) -> str:
        """What is the matter, for a person; empty when nothing is."""
        return "; ".join(text for text in (self.reason, self.pipeline.broken) if text)

    def snapshot(self) -> CameraState:
        """What the outbox stores together with the events this camera led to."""
        body = {"of": self.fingerprint.document(), "ended": self.ended, "pipeline": self.pipeline.state()}
        return CameraState(self.name, self.pipeline.position, body)

    def _forget(self, now: float) -> None:
        while self._arrivals and self._arrivals[0] < now - FPS_WINDOW_S:
            self._arrivals.popleft()
