"""The composition root: with ``building`` and ``registry`` the one place that names concrete classes."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from edgevision import __version__
from edgevision.bundle.signature import read_trusted
from edgevision.config.daemon import CameraSettings, DaemonSettings, ModelSettings
from edgevision.config.load import config_revision
from edgevision.daemon.analytics import AnalyticsStage, Result
from edgevision.daemon.announce import Announcer
from edgevision.daemon.building import Building
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.emit import Emitter
from edgevision.daemon.health import HealthBoard
from edgevision.daemon.http import HttpServer
from edgevision.daemon.loading import Loading
from edgevision.daemon.looks import Looks
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.daemon.registry import BACKENDS
from edgevision.daemon.service import Daemon
from edgevision.daemon.supervisor import Run, Stage
from edgevision.errors import ConfigError, EventError, Problem
from edgevision.events import topics
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import SqliteOutbox
from edgevision.events.times import timestamp
from edgevision.mqtt.commands import Commands, Handler
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import Detections, Frame

log = structlog.get_logger(__name__)


class Assembly:
    """The device of a settings file, put together and ready to start.

    Args:
        settings: What to build.
        folder: Of the settings file.
        fresh: Ignore stored positions and states.
        reload: Reads the settings again and tells what was done, for the `reload` command.

    Raises:
        ConfigError: A class, bundle or source named in the settings cannot work.
        OutboxError: The durable queue cannot be opened.
        BundleError: A bundle cannot be read.
    """

    def __init__(
        self, settings: DaemonSettings, folder: Path, *, fresh: bool = False, reload: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.settings = settings
        self._folder = folder
        self._relay_of_device: Relay | None = None
        self.board = HealthBoard()
        self.metrics = Metrics()
        self._started_utc = datetime.now(timezone.utc)
        self._units: dict[str, CameraUnit] = {}
        self._bundles = {
            name: read_trusted(model.bundle, settings.trusted_keys) for name, model in settings.models.items()
        }
        self._builder = builder = EventBuilder(settings.site, settings.device, config_revision(settings, folder))
        self.outbox = SqliteOutbox(settings.outbox, builder)  # type: ignore[arg-type]
        self._building = Building(self.outbox, builder, self.metrics, self._started_utc, fresh=fresh)
        self._announcer = Announcer(self.outbox, builder)
        self._announcer.started(self.outbox.previous_boot())
        clock = ClockWatch()
        emitter = Emitter(self.outbox, builder, self.metrics, clock, state_interval_s=settings.state_interval_s)
        file = self.outbox.path.with_name(f"{self.outbox.path.name}.looks.json")
        self._looks = Looks(file, settings.site, settings.device, settings.cameras)
        self._analytics = AnalyticsStage(emitter, self.metrics, self._announcer.camera)
        models = {name: self._model(name, model) for name, model in settings.models.items()}
        relay, commands = self._relay(reload) or (None, None)
        self._announcer.retain = None if relay is None else relay.retain
        self.daemon = Daemon(
            settings,
            build_camera=self._camera,
            models=models,
            outbox=self.outbox,
            relay=None if relay is None else relay.run,
            commands=None if commands is None else commands.run,
            analytics=self._analytics,
            clock=clock,
            announcer=self._announcer,
            on_settings=self._settle,
            metrics=self.metrics,
            board=self.board,
        )
        try:
            self._http = self._serve()
        except ConfigError:
            self.outbox.close()
            raise
        self._looks_stage = self._side_stage("looks", self._looks.run)
        self._gauges()

    def delivered(self) -> bool:
        """Whether the broker has every event; true without a broker."""
        if self.settings.mqtt is None:
            return True
        return self.outbox.flush(0.1) and self.outbox.health().facts["depth"] == 0

    def close(self) -> None:
        """Give back what outlives the daemon's own stop."""
        stages = [self._looks_stage] if self._http is None else [self._http[1], self._looks_stage]
        for stage in stages:
            stage.stop()
            stage.join(2.0)
        if self._http is not None:
            self._http[0].close()

    def _model(self, name: str, settings: ModelSettings) -> ModelUnit:
        bundle = self._bundles[name]
        loading = Loading(name, bundle, settings, BACKENDS.__getitem__, self._announcer.selftest)
        self.board.register(f"selftest/{name}", loading.health)
        unit = ModelUnit(
            name,
            bundle.model_ref,
            bundle.manifest.classes,
            load=loading.load,
            metrics=self.metrics,
            on_answer=self._answered,
            on_skip=self._skipped,
            on_input=partial(self._looks.see, bundle.manifest.name),
        )
        self.board.register(f"model/{name}", unit.health)
        return unit

    def _camera(self, name: str, settings: CameraSettings) -> CameraUnit:
        unit = self._units[name] = self._building.camera(name, settings, self._bundles[settings.model])
        return unit

    def _answered(self, frame: Frame, detections: Detections, arrived_t_s: float) -> None:
        self._analytics.post(Result(frame, detections, arrived_t_s))

    def _skipped(self, frame: Frame) -> None:
        self._units[frame.camera].skipped()

    def _relay(self, reload: Callable[[], Mapping[str, Any]]) -> tuple[Relay, Commands | None] | None:
        settings = self.settings
        if not isinstance(settings.mqtt, MqttSettings):
            return None
        commands = None
        if settings.commands.verbs:
            handlers: dict[str, Handler] = {
                "reload": lambda _: reload(),
                "state": lambda _: self.daemon.state(),
                "trigger": self._trigger,
                "resend": self._resend,
                "looks": lambda _: self._looks.document(),
            }
            allowed: dict[str, Handler] = {verb: handlers[verb] for verb in settings.commands.verbs}
            commands = Commands(settings.site, settings.device, allowed)
        relay = Relay(
            self.outbox,
            settings.mqtt,
            site=settings.site,
            device=settings.device,
            birth=self._birth(),
            commands=commands,
        )
        self.board.register("relay", relay.health)
        self._relay_of_device = relay
        return relay, commands

    def _settle(self, settings: DaemonSettings) -> None:
        """Settings were reloaded: from now on events and the birth message speak of these."""
        self.settings = settings
        self._looks.keep(settings.cameras)
        self._builder.configrev = config_revision(settings, self._folder)
        if self._relay_of_device is not None:
            self._relay_of_device.retain(topics.birth(settings.site, settings.device), self._birth())

    def _birth(self) -> dict[str, Any]:
        """The full provenance of what runs, for the retained birth message."""
        return {
            "software": f"edgevision {__version__}",
            "python": platform.python_version(),
            "machine": platform.machine(),
            "site": self.settings.site,
            "device": self.settings.device,
            "bootid": self._builder.bootid,
            "configrev": self._builder.configrev,
            "started": timestamp(self._started_utc),
            "models": {
                name: {"model": bundle.model_ref, "classes": list(bundle.manifest.classes)}
                for name, bundle in self._bundles.items()
            },
            "cameras": {name: {"model": camera.model} for name, camera in self.settings.cameras.items()},
        }

    def _trigger(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        request = dict(document)
        return self.daemon.trigger(str(request.pop("source", "")), request)

    def _resend(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        unknown = set(document) - {"source", "family", "from", "to"}
        texts = {key: str(value) for key, value in document.items() if value is not None}
        if unknown or not {"from", "to"} <= set(texts):
            msg = "resend takes source, family, from and to; from and to are needed"
            raise EventError(msg)
        return self.outbox.resend(texts.get("source"), texts.get("family"), texts["from"], texts["to"]).answer()

    def _serve(self) -> tuple[HttpServer, Stage] | None:
        http = self.settings.http
        if http is None:
            return None
        try:
            server = HttpServer(
                http.host,
                http.port,
                board=self.board,
                metrics=self.metrics,
                trigger=self.daemon.trigger,
                looks=self._looks.document,
            )
        except OSError as exc:
            message = f"cannot listen on {http.host}:{http.port}: {exc.strerror}; take another port, or `http: null`"
            raise ConfigError([Problem("settings", "http.port", message)]) from exc
        stage = self._side_stage("http", server.run)
        log.info("http.listening", host=http.host, port=server.port)
        return server, stage

    def _side_stage(self, name: str, run: Run) -> Stage:
        """A stage that the daemon does not need and that outlives its stop, started."""
        stage = Stage(name, run, critical=False)
        self.board.register(f"stage/{name}", stage.health)
        stage.start()
        return stage

    def _gauges(self) -> None:
        ready = lambda: float(self.board.report().ready)  # noqa: E731 - read when Prometheus asks
        self.metrics.gauge("edgevision_ready", "1 when every critical component does its job", ready)
        for fact, name, text in (
            ("depth", "edgevision_outbox_depth", "Events that wait for the broker"),
            ("bytes", "edgevision_outbox_bytes", "Bytes of events that wait for the broker"),
            ("age_s", "edgevision_outbox_age_seconds", "Age of the oldest event that waits for the broker"),
        ):
            self.metrics.gauge(name, text, lambda fact=fact: float(self.outbox.health().facts[fact]))  # type: ignore[misc]
