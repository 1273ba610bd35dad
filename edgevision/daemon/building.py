"""Cameras made of their settings, as they go on from what is stored."""

from __future__ import annotations

from datetime import datetime

import structlog

from edgevision.analytics.base import Analysis, AnalysisContext, Tracker
from edgevision.analytics.inspection import Inspection
from edgevision.analytics.parts import ByTrigger
from edgevision.analytics.tracking import ByteTrack, Untracked
from edgevision.bundle import Bundle
from edgevision.config.daemon import CameraSettings
from edgevision.daemon.actuation import Actuation
from edgevision.daemon.camera import CameraUnit, Fingerprint
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.pipeline import CameraPipeline, Kept
from edgevision.daemon.registry import ACTUATORS, ANALYSES, SOURCES, TRACKERS, TRIGGERS, build
from edgevision.daemon.supervisor import contained
from edgevision.daemon.triggered import Burst
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import SqliteOutbox
from edgevision.sources.base import SourceContext
from edgevision.station.ledger import TriggerLedger

log = structlog.get_logger(__name__)


class Building:
    """Makes cameras.

    Args:
        outbox: Holds what is stored of them.
        builder: Knows what can become an event.
        metrics: Counters.
        started_utc: Start of the daemon.
        fresh: Ignore stored positions and states.
    """

    def __init__(
        self, outbox: SqliteOutbox, builder: EventBuilder, metrics: Metrics, started_utc: datetime, *, fresh: bool
    ) -> None:
        self._outbox = outbox
        self._builder = builder
        self._metrics = metrics
        self._started_utc = started_utc
        self._fresh = fresh

    def camera(self, name: str, settings: CameraSettings, bundle: Bundle) -> CameraUnit:
        """A camera that has not begun; ``bundle`` is its model.

        Raises:
            EdgevisionError: Its settings cannot work.
        """
        fingerprint = Fingerprint.of(settings, bundle.model_ref)
        pipeline, saved = self._pipeline(name, settings, bundle, fingerprint)
        station = settings.station
        trigger = None if station.trigger is None else build(TRIGGERS, station.trigger)
        actuator = None if station.actuator is None else build(ACTUATORS, station.actuator)
        dropped = lambda reason, frames: self._metrics.drops.labels(name, reason).inc(frames)  # noqa: E731 - two words
        context = SourceContext(name, pipeline.position, self._started_utc, dropped=dropped)
        source = build(SOURCES, settings.source, context)
        return CameraUnit(
            name,
            settings,
            source,
            pipeline,
            model=bundle.model_ref,
            live=source.policy == "latest",
            fingerprint=fingerprint,
            recorded=getattr(source, "recorded", False),
            trigger=trigger,
            burst=_burst(settings),
            actuation=None if actuator is None else Actuation(name, actuator, self._metrics),
            ended=saved,
        )

    def _pipeline(
        self, name: str, settings: CameraSettings, bundle: Bundle, fingerprint: Fingerprint
    ) -> tuple[CameraPipeline, bool]:
        """A camera's loop as it goes on from what is stored, and whether its source had come to its end."""
        saved = self._outbox.state(name)
        made = self._new_pipeline(name, settings, bundle)
        if saved is None or "of" not in saved.body:
            return made, False
        kept = fingerprint.kept(saved.body["of"])
        if self._fresh:
            kept = Kept(source=False, tracker=False, analyses={})
        state, position = saved.body["pipeline"], saved.position if kept.source else None
        read = kept.readable(state, _tracker(settings), _analyses(name, settings, bundle))
        error = contained(f"restore/{name}", lambda: made.restore(state, read, position))
        if error is not None or read != kept:
            log.error("camera.state_unreadable", camera=name, error=error)
        started = "the beginning" if made.position is None else f"position {made.position}"
        analyses = f"{len(read.analyses)} of {len(settings.analyses)}"
        log.info("camera.restored", camera=name, goes_on_from=started, tracks=read.tracker, analyses=analyses)
        return made, bool(kept.source and saved.body["ended"])

    def _new_pipeline(self, name: str, settings: CameraSettings, bundle: Bundle) -> CameraPipeline:
        station = settings.station
        deadline_s = None if station.deadline_ms is None else station.deadline_ms / 1000
        ledger = None if station.trigger is None else TriggerLedger(deadline_s, station.on_timeout)
        analyses = _analyses(name, settings, bundle)
        crashes = self._metrics.restarts.labels(f"analyses/{name}")
        return CameraPipeline(
            name, _tracker(settings), analyses, ledger, on_crash=crashes.inc, check=self._builder.check
        )


def _analyses(name: str, settings: CameraSettings, bundle: Bundle) -> list[Analysis]:
    context = AnalysisContext(name, bundle.manifest.classes)
    return [build(ANALYSES, item, context) for item in settings.analyses]


def _burst(settings: CameraSettings) -> Burst:
    """What an inspection by trigger wants of each."""
    for item in settings.analyses:
        if isinstance(item, Inspection.Settings) and isinstance(item.part, ByTrigger):
            return Burst(item.part.frames, item.part.window_ms / 1000)
    return Burst()


def _tracker(settings: CameraSettings) -> Tracker:
    """The configured tracker; inspection follows parts itself and wants every detection, also one seen only once."""
    if settings.tracker is not None:
        tracker: Tracker = build(TRACKERS, settings.tracker)
        return tracker
    only_inspects = all(isinstance(item, Inspection.Settings) for item in settings.analyses)
    return Untracked(Untracked.Settings()) if only_inspects else ByteTrack(ByteTrack.Settings())
