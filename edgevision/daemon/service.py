"""The daemon: starts the stages, follows the cameras, reloads, drains and stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Protocol

import structlog

from edgevision.config.daemon import CameraSettings, DaemonSettings
from edgevision.daemon.analytics import AnalyticsStage, Opened
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.cameras import Cameras, left_s
from edgevision.daemon.clock import ClockChange, ClockWatch
from edgevision.daemon.health import HealthBoard
from edgevision.daemon.load import Load, LoadWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.daemon.supervisor import Run, Stage, contained
from edgevision.errors import EdgevisionError, StationError
from edgevision.events.base import Outbox
from edgevision.station.request import signal_of
from edgevision.station.software import SoftwareTrigger
from edgevision.types import Health

log = structlog.get_logger(__name__)


class Announcer(Protocol):
    """Appends the device's own events."""

    def camera(self, unit: CameraUnit) -> None:
        """A camera changed its state."""

    def clock(self, change: ClockChange) -> None:
        """The wall clock was stepped, or gained or lost what keeps it right."""

    def failed(self, camera: str, reason: str) -> None:
        """A camera of the settings does not run."""

    def removed(self, camera: str) -> None:
        """A camera is no longer in the settings."""

    def load(self, camera: str, load: Load) -> None:
        """A camera, or the ``device``, is overloaded, too hot, or well again."""


TRIGGER_TIMEOUT_S = 5.0
NEEDS_RESTART = ("site", "device", "models", "mqtt", "outbox", "http", "commands", "load", "log", "state_interval_s")
"""Sections of the settings that only a new process takes over."""


class Daemon:
    """Everything that runs on the device.

    Args:
        settings: What to run.
        build_camera: Makes a camera's unit from its settings.
        models: Models by name.
        outbox: The durable queue.
        relay: What empties it, as a stage's work; ``None`` without a broker.
        commands: What obeys commands, as a stage's work; ``None`` when there are none.
        analytics: The analytics stage.
        clock: Watches the wall clock.
        announcer: Appends the device's own events.
        on_settings: Hears of the settings as they are taken over, before the cameras that they start.
        metrics: Counters.
        board: Where health is registered.
    """

    def __init__(  # noqa: PLR0913 - the composition root's one call
        self,
        settings: DaemonSettings,
        *,
        build_camera: Callable[[str, CameraSettings], CameraUnit],
        models: Mapping[str, ModelUnit],
        outbox: Outbox,
        relay: Run | None,
        commands: Run | None,
        analytics: AnalyticsStage,
        clock: ClockWatch,
        announcer: Announcer,
        on_settings: Callable[[DaemonSettings], None],
        metrics: Metrics,
        board: HealthBoard,
    ) -> None:
        self.settings = settings
        self._models = models
        self._outbox = outbox
        self._analytics = analytics
        self._announcer = announcer
        self._on_settings = on_settings
        self._metrics = metrics
        self._board = board
        self._cameras = Cameras(
            build_camera, models, analytics, self._stage, announcer.camera, metrics=metrics, board=board
        )
        self._clock = clock
        self._load = LoadWatch(settings.load, announcer.load)
        self._analytics_stage = self._stage("analytics", analytics.run, on_failed=lambda _: analytics.abandon())
        self._relay_stage = None if relay is None else self._stage("relay", relay, critical=False)
        self._commands_stage = None if commands is None else self._stage("commands", commands, critical=False)
        self._infer_stages = {
            name: self._stage(f"infer/{name}", model.run, on_failed=lambda _, model=model: model.batcher.abandon())  # type: ignore[misc]
            for name, model in models.items()
        }
        self._stopping = False
        board.register("outbox", outbox.health)

    def start(self) -> None:
        """Start every stage and every camera.

        Raises:
            EdgevisionError: A camera's settings cannot work. What foreign code raises costs that camera only.
        """
        self._analytics_stage.start()
        for stage in self._infer_stages.values():
            stage.start()
        for extra in (self._relay_stage, self._commands_stage):
            if extra is not None:
                extra.start()
        for name, camera in self.settings.cameras.items():
            self._start(name, camera, passing=(EdgevisionError,))

    def poll(self) -> None:
        """Housekeeping; call it a few times a second."""
        change = self._clock.check()
        if change is not None:
            log.warning("clock.changed", **change.document())
            if change.offset_s is not None:
                self._metrics.clock_steps.inc()
            self._announcer.clock(change)
        self._load.check(self._cameras.units())
        self._cameras.poll()

    def done(self) -> bool:
        """Whether every source is exhausted (or failed for good) and everything it led to is in the outbox."""
        return self._cameras.done()

    def failed_cameras(self) -> list[str]:
        """Cameras that can never work as they are configured, or could not even be built."""
        return [*self._cameras.failed(), *(name for name in self.settings.cameras if name not in self._cameras)]

    def reload(self, settings: DaemonSettings) -> dict[str, list[str]]:
        """Take over new settings: cameras whose settings changed are restarted, the others are not touched.

        Returns:
            What was done: names under ``started``, ``stopped``, ``restarted``, ``kept``; under ``stuck`` cameras that
            did not let go of their frames and are off; under ``failed`` those that could not be built; under
            ``needs_restart`` the sections that only a new process takes over.
        """
        needs = [name for name in NEEDS_RESTART if getattr(self.settings, name) != getattr(settings, name)]
        wanted = {name: camera for name, camera in settings.cameras.items() if camera.model in self._models}
        needs += [f"cameras.{name}" for name in settings.cameras if name not in wanted]
        kept = [unit.name for unit in self._cameras.units() if wanted.get(unit.name) == unit.settings]
        stopped = [name for name in self._cameras if name not in settings.cameras]
        restarted = [name for name in self._cameras if name in wanted and name not in kept]
        started = [name for name in wanted if name not in self._cameras]
        timeout_s = settings.drain_timeout_s
        self._cameras.take_away(stopped, timeout_s, over=True)
        self._cameras.take_away(restarted, timeout_s, over=False)
        for name in [
            name for name in self.settings.cameras if name not in settings.cameras
        ]:  # also one that did not run
            self._board.forget(f"camera/{name}")
            self._announcer.removed(name)
        # What cannot be taken over stays as it is, in the settings too: their revision stands on every event.
        self.settings = settings.model_copy(update={name: getattr(self.settings, name) for name in NEEDS_RESTART})
        self._on_settings(self.settings)
        stuck = [name for name in self._cameras.stuck() if name in wanted]
        for name in stuck:
            self._off(name, "it was taken away and has not let go of its frames")
        failed = [name for name in restarted + started if name not in stuck and not self._start(name, wanted[name])]
        off = {*stuck, *failed}
        done = {"started": [name for name in started if name not in off], "stopped": stopped,
                "restarted": [name for name in restarted if name not in off], "kept": kept, "stuck": stuck,
                "failed": failed, "needs_restart": needs}  # fmt: skip
        log.info("daemon.reloaded", **done)
        return done

    def _start(self, name: str, settings: CameraSettings, *, passing: tuple[type[Exception], ...] = ()) -> bool:
        """Start a camera; one that cannot be built is reported and stops nothing, but for exceptions ``passing``."""
        error = contained(f"start/{name}", lambda: self._cameras.start(name, settings), passing=passing)
        if error is not None:
            self._off(name, error)
        return error is None

    def _off(self, name: str, why: str) -> None:
        """A camera of the settings does not run: it must not look well, neither here nor at the broker."""
        self._board.register(f"camera/{name}", lambda: Health(f"camera/{name}", ok=False, detail=why, critical=False))
        self._announcer.failed(name, why)

    def trigger(self, camera: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Fire a camera's software trigger; returns once the trigger is on disk, so that its verdict is promised.

        Args:
            camera: Name of the camera.
            request: ``trigger_id`` (drawn when absent) and what is known of the part (``serial``, ``lot``, ...).

        Raises:
            StationError: There is no such camera, it has no software trigger, or the request is wrong.
        """
        unit = self._cameras.get(camera)
        if self._stopping:
            msg = "the daemon is stopping and takes no more triggers"
            raise StationError(msg)
        if unit is None or not isinstance(unit.trigger, SoftwareTrigger):
            msg = f"there is no camera {camera!r} with a software trigger"
            raise StationError(msg)
        signal = signal_of(request)
        opened = Opened(camera, signal)
        self._analytics.post(opened)
        try:
            accepted = opened.accepted.result(TRIGGER_TIMEOUT_S)
        except FutureTimeout as exc:
            msg = f"trigger {signal.id}: the daemon is too busy to take it"
            raise StationError(msg) from exc
        if not accepted:
            msg = f"camera {camera!r} takes no triggers now: its source has ended, or it is being taken away"
            raise StationError(msg)
        if not self._outbox.flush(TRIGGER_TIMEOUT_S):
            msg = f"trigger {signal.id} could not be stored"
            raise StationError(msg)
        unit.trigger.fire(signal)
        return {"trigger_id": signal.id}

    def state(self) -> dict[str, Any]:
        """The device at this moment, JSON-able."""
        cameras = {unit.name: {"state": unit.state.value, "fps": unit.fps()} for unit in self._cameras.units()}
        return {"cameras": cameras, **self._board.report().document()}

    def stop(self) -> bool:
        """Drain frames, then verdicts, then events, then stop; whether all of it was done in time."""
        self._stopping = True
        deadline = time.monotonic() + self.settings.drain_timeout_s
        clean = self._cameras.end_frames(deadline)
        for stage in self._infer_stages.values():
            stage.stop()
        answered = [stage.join(left_s(deadline)) for stage in self._infer_stages.values()]
        self._cameras.detach(deadline)
        self._analytics_stage.stop()
        clean &= all(answered) & self._analytics_stage.join(left_s(deadline)) & self._cameras.let_go(deadline)
        clean &= self._board.report().alive  # a stage that has failed for good has left work undone
        clean &= self._outbox.flush(left_s(deadline))
        if self._relay_stage is not None:
            self._relay_stage.stop()
            clean &= self._relay_stage.join(self.settings.drain_timeout_s)
        if self._commands_stage is not None:
            self._commands_stage.stop()
            self._commands_stage.join(1.0)
        self._outbox.close()
        log.info("daemon.stopped", clean=clean)
        return clean

    def _stage(
        self, name: str, run: Run, *, critical: bool = True, on_failed: Callable[[str], None] | None = None
    ) -> Stage:
        stage = Stage(name, run, critical=critical, on_restart=self._restarted, on_failed=on_failed)
        self._board.register(f"stage/{name}", stage.health)
        return stage

    def _restarted(self, stage: str) -> None:
        self._metrics.restarts.labels(stage).inc()
