"""One camera at run time: its source, its pipeline and what is known of its condition."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from edgevision.config.daemon import CameraSettings
from edgevision.daemon.actuation import Actuation
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.daemon.supervisor import Budget
from edgevision.events.base import CameraState
from edgevision.sources.base import Source, SourceState
from edgevision.station.base import Trigger
from edgevision.types import FrameTime, Health

FPS_WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What of the settings a stored state depends on.

    Attributes:
        source: Of the source: while it is equal, the position holds.
        analyses: Of tracker, analyses and station: while it is equal, their state holds.
    """

    source: str
    analyses: str

    @classmethod
    def of(cls, settings: CameraSettings) -> Fingerprint:
        """Fingerprint of a camera's settings."""
        document = settings.model_dump()
        source = document.pop("source")
        return cls(_digest(source), _digest(document))


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
        fingerprint: Of ``settings``.
        trigger: What asks for inspections.
        actuation: What acts on verdicts.
        broken: Why its frames are analysed no more; empty while they are.
        dropped: Frames that were accepted and not analysed, so far.
    """

    name: str
    settings: CameraSettings
    source: Source
    pipeline: CameraPipeline
    model: str
    live: bool
    fingerprint: Fingerprint
    trigger: Trigger | None = None
    actuation: Actuation | None = None
    state: SourceState = SourceState.STARTING
    reason: str = ""
    ended: bool = False
    budget: Budget = field(default_factory=Budget)
    last_time: FrameTime | None = None
    last_arrival_t_s: float | None = None
    stored_t_s: float = 0.0
    broken: str = ""
    dropped: int = 0
    _stored: tuple[dict[str, Any], int | None] = field(default_factory=lambda: ({}, None))
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
        return bool(self.broken) or self.state is SourceState.FAILED

    @property
    def condition(self) -> str:
        """``ok``, or what is the matter, in a word."""
        if self.failed:
            return SourceState.FAILED.value
        return "ok" if self.state in {SourceState.ONLINE, SourceState.ENDED} else self.state.value

    def health(self) -> Health:
        """Whether frames come, or came to their end, and are analysed."""
        reason = self.broken or self.reason
        state = SourceState.FAILED if self.failed else self.state
        detail = f"{state.value}: {reason}" if reason else state.value
        facts = {"fps": round(self.fps(), 1)}
        return Health(f"camera/{self.name}", self.condition == "ok", detail, critical=False, facts=facts)

    def snapshot(self) -> CameraState:
        """What the outbox stores together with the events this camera led to.

        Once the analyses are broken, only the open triggers go on: the rest stays as it was last.
        """
        if not self.broken:
            self._stored = self.pipeline.state(), self.pipeline.position
        state, position = self._stored
        if self.broken and self.pipeline.ledger is not None:
            state = {**state, "ledger": self.pipeline.ledger.state()}
        body: dict[str, Any] = {
            "source": self.fingerprint.source,
            "analyses": self.fingerprint.analyses,
            "ended": self.ended,
            "pipeline": state,
        }
        return CameraState(self.name, position, body)

    def _forget(self, now: float) -> None:
        while self._arrivals and self._arrivals[0] < now - FPS_WINDOW_S:
            self._arrivals.popleft()
