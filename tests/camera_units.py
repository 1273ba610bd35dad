"""Camera units for tests of the daemon: a pipeline of given analyses, no source unless one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgevision.analytics.base import Analysis
from edgevision.analytics.tracking import Untracked
from edgevision.config.daemon import CameraSettings, StationSettings
from edgevision.config.settings import Settings
from edgevision.daemon.camera import CameraUnit, Fingerprint
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.sources.base import SourceState
from edgevision.station.ledger import TriggerLedger
from edgevision.types import Occurrence

MODEL = "m@1#0"


def camera_unit(
    name: str,
    analyses: Sequence[Analysis] = (),
    *,
    source: Any = None,
    ledger: TriggerLedger | None = None,
    station: StationSettings | None = None,
    live: bool = False,
    recorded: bool = False,
    check: Callable[[Occurrence], None] = lambda _: None,
) -> CameraUnit:
    """A camera that is online."""
    settings = CameraSettings(source=Settings(), model="m", station=station or StationSettings())
    pipeline = CameraPipeline(name, Untracked(Untracked.Settings()), analyses, ledger, check=check)
    fingerprint = Fingerprint.of(settings, MODEL)
    unit = CameraUnit(name, settings, source, pipeline, MODEL, live=live, recorded=recorded, fingerprint=fingerprint)
    unit.state = SourceState.ONLINE
    return unit
