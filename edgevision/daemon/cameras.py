"""The cameras that run: each started, followed to its end, and taken away without losing what it led to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from edgevision.config.daemon import CameraSettings
from edgevision.daemon.analytics import AnalyticsStage, Attached, Detached
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.capturing import Capturing
from edgevision.daemon.health import HealthBoard
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.daemon.supervisor import Run, Stage, contained
from edgevision.sources.base import SourceState

log = structlog.get_logger(__name__)

SETTLE_S = 1.0  # for handing over a state when the time for draining is used up


class StageMaker(Protocol):
    """Makes a supervised stage whose health is registered."""

    def __call__(
        self, name: str, run: Run, *, critical: bool = True, on_failed: Callable[[str], None] | None = None
    ) -> Stage:
        """See ``Stage``."""
        ...


@dataclass(slots=True)
class _Entry:
    unit: CameraUnit
    capture: Stage
    actuate: Stage | None
    detached: Detached | None = None

    def end(self) -> None:
        """Ask for the end of its frames; does not wait. A driver that crashes at that costs no other camera its end."""
        contained(f"close/{self.unit.name}", self.unit.source.close)
        self.capture.stop()

    def holds(self) -> bool:
        """Whether a thread or a frame of it is still under way."""
        return self.capture.running or self.unit.in_flight > 0

    def let_go(self, deadline: float) -> bool:
        """Give the machine the verdicts that wait, then let go of it; whether all were given in time."""
        if self.actuate is None or self.unit.actuation is None:
            return True
        self.actuate.stop()
        given = self.actuate.join(left_s(deadline))
        self.unit.actuation.close()
        return given


class Cameras:
    """Used by the main thread; ``get`` and ``units`` by any.

    Args:
        build: Makes a camera's unit from its settings.
        models: Models by name.
        analytics: The analytics stage.
        make_stage: Makes supervised stages.
        announce: Hears of every change of a camera's state.
        metrics: Counters.
        board: Where health is registered.
    """

    def __init__(
        self,
        build: Callable[[str, CameraSettings], CameraUnit],
        models: Mapping[str, ModelUnit],
        analytics: AnalyticsStage,
        make_stage: StageMaker,
        announce: Callable[[CameraUnit], None],
        *,
        metrics: Metrics,
        board: HealthBoard,
    ) -> None:
        self._build = build
        self._models = models
        self._analytics = analytics
        self._make_stage = make_stage
        self._announce = announce
        self._metrics = metrics
        self._board = board
        self._entries: dict[str, _Entry] = {}
        self._stuck: dict[str, _Entry] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> CameraUnit | None:
        """A camera that runs."""
        entry = self._entries.get(name)
        return None if entry is None else entry.unit

    def units(self) -> list[CameraUnit]:
        """All cameras that run."""
        return [entry.unit for entry in list(self._entries.values())]

    def stuck(self) -> list[str]:
        """Names that cannot be used: a camera that was taken away has not let go of its frames."""
        self._stuck = {name: entry for name, entry in self._stuck.items() if entry.holds()}
        return list(self._stuck)

    def start(self, name: str, settings: CameraSettings) -> None:
        """Build a camera and let it run.

        Raises:
            EdgevisionError: It cannot be built.
        """
        unit = self._build(name, settings)
        capturing = Capturing(
            unit, self._models[settings.model].batcher, self._analytics, self._metrics, self._announce
        )
        # Frames and triggers may only come once the analytics stage knows the camera.
        self._analytics.post(Attached(unit))
        capture = self._make_stage(f"capture/{name}", capturing.run, critical=False, on_failed=capturing.gave_up)
        actuate = None
        if unit.actuation is not None:
            actuate = self._make_stage(f"actuate/{name}", unit.actuation.run, critical=False)
            actuate.start()
        self._entries[name] = _Entry(unit, capture, actuate)
        self._board.register(f"camera/{name}", unit.health)
        capture.start()

    def poll(self) -> None:
        """Close the books of cameras whose source is exhausted."""
        for entry in self._entries.values():
            unit = entry.unit
            # A live camera that has failed is still watched for: its intervals say that nobody saw anything.
            over = unit.state is SourceState.ENDED or (unit.state is SourceState.FAILED and not unit.live)
            if entry.detached is None and over and unit.in_flight == 0:
                # What a failed model has not answered is still to come: the next start goes on there.
                entry.detached = Detached(unit, over=not self._models[unit.settings.model].batcher.abandoned)
                self._analytics.post(entry.detached)
                log.info("camera.ended", camera=unit.name)

    def done(self) -> bool:
        """Whether every source is exhausted (or failed for good) and everything it led to is in the outbox."""
        return all(
            (entry.detached is not None and entry.detached.settled.is_set()) or (entry.unit.failed and entry.unit.live)
            for entry in self._entries.values()
        )

    def failed(self) -> list[str]:
        """Cameras that can never work as they are configured."""
        return [name for name, entry in self._entries.items() if entry.unit.failed]

    def take_away(self, names: Sequence[str], timeout_s: float, *, over: bool) -> list[str]:
        """Stop some cameras, all at once, while the others go on.

        Args:
            names: Which.
            timeout_s: How long their frames may take to drain, seconds.
            over: Whether they will not come back, so that what is open is closed.

        Returns:
            Those that did not let go of their frames; a camera of that name cannot run now.
        """
        deadline = time.monotonic() + timeout_s
        for name in names:
            self._entries[name].end()
        return [name for name in names if not self._remove(name, deadline, over=over)]

    def end_frames(self, deadline: float) -> bool:
        """Let no more frames in; whether every capture has ended by ``deadline`` (monotonic seconds)."""
        for entry in self._entries.values():
            entry.end()
        ended = [entry.capture.join(left_s(deadline)) for entry in self._entries.values()]
        return all(ended)

    def detach(self, deadline: float) -> None:
        """Have every camera's state stored once what was posted before is dealt with."""
        for entry in self._entries.values():
            if entry.detached is None:
                self._analytics.post(Detached(entry.unit, over=False), deadline)

    def let_go(self, deadline: float) -> bool:
        """Give the machines the verdicts that wait, then let go of them; whether all were given in time."""
        given = [entry.let_go(deadline) for entry in self._entries.values()]
        return all(given)

    def _remove(self, name: str, deadline: float, *, over: bool) -> bool:
        entry = self._entries.pop(name)
        unit = entry.unit
        ended = entry.capture.join(left_s(deadline))
        while unit.in_flight > 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        self._models[unit.settings.model].batcher.remove(name)  # skips what still waits
        settled = ended and unit.in_flight == 0
        if entry.detached is None:
            detached = Detached(unit, over=over)
            self._analytics.post(detached, deadline + SETTLE_S)
            detached.settled.wait(left_s(deadline) + SETTLE_S)
        entry.let_go(deadline + SETTLE_S)
        for component in (f"stage/capture/{name}", f"stage/actuate/{name}", f"camera/{name}"):
            self._board.forget(component)
        self._metrics.forget_camera(name)
        if not settled:
            log.error("camera.stuck", camera=name, frames=unit.in_flight)
            self._stuck[name] = entry
        return settled


def left_s(deadline: float) -> float:
    """Seconds until ``deadline`` (monotonic), 0 when it has passed."""
    return max(0.0, deadline - time.monotonic())
