"""The daemon: starts the stages, follows the cameras, reloads, drains and stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from edgevision.config.daemon import CameraSettings, DaemonSettings
from edgevision.daemon.analytics import AnalyticsStage, Attached, Detached, Opened
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.capturing import Capturing
from edgevision.daemon.clock import ClockChange, ClockWatch
from edgevision.daemon.health import HealthBoard
from edgevision.daemon.load import Load, LoadWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.daemon.supervisor import Run, Stage
from edgevision.errors import StationError
from edgevision.events.base import CameraState, Outbox
from edgevision.sources.base import SourceState
from edgevision.station.request import signal_of
from edgevision.station.software import SoftwareTrigger

log = structlog.get_logger(__name__)


class Announcer(Protocol):
    """Appends the device's own events."""

    def camera(self, unit: CameraUnit) -> None:
        """A camera changed its state."""

    def clock(self, change: ClockChange) -> None:
        """The wall clock was stepped, or gained or lost what keeps it right."""

    def load(self, camera: str, load: Load) -> None:
        """A camera, or the ``device``, is overloaded, too hot, or well again."""


@dataclass(slots=True)
class _Camera:
    unit: CameraUnit
    stages: list[Stage]
    detached: Detached | None = None


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
        metrics: Metrics,
        board: HealthBoard,
    ) -> None:
        self.settings = settings
        self._build_camera = build_camera
        self._models = models
        self._outbox = outbox
        self._analytics = analytics
        self._announcer = announcer
        self._metrics = metrics
        self._board = board
        self._cameras: dict[str, _Camera] = {}
        self._clock = clock
        self._load = LoadWatch(settings.load, announcer.load)
        self._analytics_stage = self._stage("analytics", analytics.run)
        self._relay_stage = None if relay is None else self._stage("relay", relay, critical=False)
        self._commands_stage = None if commands is None else self._stage("commands", commands, critical=False)
        self._infer_stages = {name: self._stage(f"infer/{name}", model.run) for name, model in models.items()}
        board.register("outbox", outbox.health)

    def start(self) -> None:
        """Start every stage and every camera."""
        self._analytics_stage.start()
        for stage in self._infer_stages.values():
            stage.start()
        for extra in (self._relay_stage, self._commands_stage):
            if extra is not None:
                extra.start()
        for name, camera in self.settings.cameras.items():
            self._start_camera(name, camera)

    def poll(self) -> None:
        """Housekeeping; call it a few times a second."""
        change = self._clock.check()
        if change is not None:
            log.warning("clock.changed", **change.document())
            if change.offset_s is not None:
                self._metrics.clock_steps.inc()
            self._announcer.clock(change)
        self._load.check(camera.unit for camera in self._cameras.values())
        for camera in list(self._cameras.values()):
            unit = camera.unit
            if camera.detached is None and not unit.broken and unit.state is SourceState.ENDED and unit.in_flight == 0:
                camera.detached = Detached(unit, ended=True)
                self._analytics.post(camera.detached)
                log.info("camera.ended", camera=unit.name)

    def done(self) -> bool:
        """Whether every source is exhausted (or failed for good) and everything it led to is in the outbox."""
        return all(
            (camera.detached is not None and camera.detached.settled.is_set()) or camera.unit.failed
            for camera in self._cameras.values()
        )

    def failed_cameras(self) -> list[str]:
        """Cameras that can never work as they are configured."""
        return [name for name, camera in self._cameras.items() if camera.unit.failed]

    def reload(self, settings: DaemonSettings) -> dict[str, list[str]]:
        """Take over new settings: cameras whose settings changed are restarted, the others are not touched.

        Returns:
            What was done: names under ``started``, ``stopped``, ``restarted``, ``kept``; and under ``needs_restart``
            the sections that only a restart of the daemon takes over.
        """
        old = self.settings
        sections = ("site", "device", "models", "mqtt", "outbox", "http", "commands", "load", "log")
        needs = [name for name in sections if getattr(old, name) != getattr(settings, name)]
        done: dict[str, list[str]] = {"started": [], "stopped": [], "restarted": [], "kept": [], "needs_restart": needs}
        for name in [name for name in self._cameras if name not in settings.cameras]:
            self._stop_camera(name)
            done["stopped"].append(name)
        for name, camera in settings.cameras.items():
            if camera.model not in self._models:
                needs.append(f"cameras.{name}")
                continue
            if name not in self._cameras:
                done["started"].append(name)
            elif camera == self._cameras[name].unit.settings:
                done["kept"].append(name)
                continue
            else:
                self._stop_camera(name)
                done["restarted"].append(name)
            self._start_camera(name, camera)
        self.settings = settings
        log.info("daemon.reloaded", **done)
        return done

    def trigger(self, camera: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Fire a camera's software trigger; returns once the trigger is on disk, so that its verdict is promised.

        Args:
            camera: Name of the camera.
            request: ``trigger_id`` (drawn when absent) and what is known of the part (``serial``, ``lot``, ...).

        Raises:
            StationError: There is no such camera, it has no software trigger, or the request is wrong.
        """
        entry = self._cameras.get(camera)
        if entry is None or not isinstance(entry.unit.trigger, SoftwareTrigger):
            msg = f"there is no camera {camera!r} with a software trigger"
            raise StationError(msg)
        signal = signal_of(request)
        opened = Opened(camera, signal)
        self._analytics.post(opened)
        if not opened.known.wait(5.0) or not self._outbox.flush(5.0):
            msg = f"trigger {signal.id} could not be stored"
            raise StationError(msg)
        entry.unit.trigger.fire(signal)
        return {"trigger_id": signal.id}

    def state(self) -> dict[str, Any]:
        """The device at this moment, JSON-able."""
        cameras = {
            name: {"state": item.unit.state.value, "fps": item.unit.fps()} for name, item in self._cameras.items()
        }
        return {"cameras": cameras, **self._board.report().document()}

    def stop(self, *, forget: bool = False) -> bool:
        """Drain frames, then events, then stop.

        Args:
            forget: Drop positions and states, since the work is done and the next run shall start over.

        Returns:
            Whether all of it was done in time.
        """
        deadline = time.monotonic() + self.settings.drain_timeout_s
        for camera in self._cameras.values():
            camera.unit.source.close()
            for stage in camera.stages:
                stage.stop()
        clean = all(stage.join(_left(deadline)) for camera in self._cameras.values() for stage in camera.stages)
        for stage in self._infer_stages.values():
            stage.stop()
        clean &= all(stage.join(_left(deadline)) for stage in self._infer_stages.values())
        for camera in self._cameras.values():
            if camera.detached is None:
                self._analytics.post(Detached(camera.unit, ended=False))
        self._analytics_stage.stop()
        clean &= self._analytics_stage.join(_left(deadline))
        for camera in self._cameras.values() if forget else ():
            self._outbox.append([], CameraState(camera.unit.name, None, {}))
        clean &= self._outbox.flush(_left(deadline))
        if self._relay_stage is not None:
            self._relay_stage.stop()
            clean &= self._relay_stage.join(self.settings.drain_timeout_s)
        if self._commands_stage is not None:
            self._commands_stage.stop()
            self._commands_stage.join(1.0)
        self._outbox.close()
        log.info("daemon.stopped", clean=clean)
        return clean

    def _start_camera(self, name: str, settings: CameraSettings) -> None:
        unit = self._build_camera(name, settings)
        batcher = self._models[settings.model].batcher
        capturing = Capturing(unit, batcher, self._analytics, self._metrics, self._announcer.camera)
        # Frames and triggers may only come once the analytics stage knows the camera.
        self._analytics.post(Attached(unit))
        stages = [self._stage(f"capture/{name}", capturing.run, critical=False)]
        if unit.actuation is not None:
            stages.append(self._stage(f"actuate/{name}", unit.actuation.run, critical=False))
        self._cameras[name] = _Camera(unit, stages)
        self._board.register(f"camera/{name}", unit.health)
        for stage in stages:
            stage.start()

    def _stop_camera(self, name: str) -> None:
        camera = self._cameras.pop(name)
        unit = camera.unit
        unit.source.close()
        for stage in camera.stages:
            stage.stop()
        deadline = time.monotonic() + self.settings.drain_timeout_s
        for stage in camera.stages:
            stage.join(_left(deadline))
            self._board.forget(f"stage/{stage.name}")
        while unit.in_flight > 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        if camera.detached is None:
            detached = Detached(unit, ended=False)
            self._analytics.post(detached)
            detached.settled.wait(_left(deadline))
        self._models[unit.settings.model].batcher.remove(name)
        self._outbox.flush(_left(deadline))
        if unit.actuation is not None:
            unit.actuation.close()
        self._board.forget(f"camera/{name}")
        self._metrics.forget_camera(name)

    def _stage(self, name: str, run: Run, *, critical: bool = True) -> Stage:
        stage = Stage(name, run, critical=critical, on_restart=self._restarted)
        self._board.register(f"stage/{name}", stage.health)
        return stage

    def _restarted(self, stage: str) -> None:
        self._metrics.restarts.labels(stage).inc()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
