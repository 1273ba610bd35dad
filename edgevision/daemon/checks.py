"""What no value of a settings file can tell alone: analyses against the model, triggers against inspections, files."""

from __future__ import annotations

from pathlib import Path

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection
from edgevision.analytics.parts import ByTrigger
from edgevision.analytics.traffic import Traffic
from edgevision.bundle.signature import read_trusted
from edgevision.config.daemon import CameraSettings, DaemonSettings
from edgevision.config.document import Document, KeyPath, read_document
from edgevision.daemon.registry import ANALYSES, build
from edgevision.errors import BundleError, ConfigError


def check_cameras(file: Path, settings: DaemonSettings, *, files_exist: bool = False) -> None:
    """Check cameras as a whole.

    Args:
        file: The settings file, for the lines of problems.
        settings: What was read from it.
        files_exist: Whether the files that sources name must be there now; a daemon waits for them.

    Raises:
        ConfigError: With all problems, each with its line; a model bundle that cannot be read is one.
    """
    document = read_document(file)
    classes = _classes(document, settings)
    for name, camera in settings.cameras.items():
        path: KeyPath = ("cameras", name)
        if camera.model in classes:
            _check_analyses(document, path, camera, AnalysisContext(name, classes[camera.model]))
        _check_station(document, path, camera)
        source = getattr(camera.source, "path", None)
        if files_exist and isinstance(source, Path) and not source.exists():
            document.problem((*path, "source", "path"), f"there is no {source}")
    if document.problems:
        raise ConfigError(document.problems)


def _classes(document: Document, settings: DaemonSettings) -> dict[str, tuple[str, ...]]:
    """What each model that a camera uses can see."""
    classes = {}
    for name in dict.fromkeys(camera.model for camera in settings.cameras.values()):
        try:
            classes[name] = read_trusted(settings.models[name].bundle, settings.trusted_keys).manifest.classes
        except BundleError as exc:
            document.problem(("models", name, "bundle"), str(exc))
    return classes


def _check_analyses(document: Document, path: KeyPath, camera: CameraSettings, context: AnalysisContext) -> None:
    for index, analysis in enumerate(camera.analyses):
        try:
            build(ANALYSES, analysis, context)
        except ConfigError as exc:
            for problem in exc.problems:
                document.problem((*path, "analyses", index, *_keys(problem.path)), problem.message)
    if len([item for item in camera.analyses if isinstance(item, Inspection.Settings)]) > 1:
        document.problem((*path, "analyses"), "at most one inspection a camera: a part has one verdict")
    _check_names(document, path, camera)


def _check_names(document: Document, path: KeyPath, camera: CameraSettings) -> None:
    """An interval is known by camera, line or zone, and start: two of the same name would be one to a consumer."""
    taken: set[tuple[str, str]] = set()
    for index, analysis in enumerate(camera.analyses):
        if not isinstance(analysis, Traffic.Settings):
            continue
        for kind, names in (("lines", analysis.lines), ("zones", analysis.zones)):
            for name in names:
                if (kind, name) in taken:
                    message = "another analysis of this camera has one of this name; give it another name"
                    document.problem((*path, "analyses", index, kind, name), message)
                taken.add((kind, name))


def _check_station(document: Document, path: KeyPath, camera: CameraSettings) -> None:
    """A trigger that nothing judges, and an inspection that waits for triggers that never come."""
    inspections = [item for item in camera.analyses if isinstance(item, Inspection.Settings)]
    by_trigger = [item for item in inspections if isinstance(item.part, ByTrigger)]
    if camera.station.trigger is not None and not by_trigger:
        message = "nothing answers it: add an analysis {kind: inspection, part: {by: trigger}}"
        document.problem((*path, "station", "trigger"), message)
    if by_trigger and camera.station.trigger is None:
        message = "`part: {by: trigger}` needs station.trigger, e.g. {kind: software}"
        document.problem((*path, "analyses", camera.analyses.index(by_trigger[0]), "part"), message)


def _keys(dotted: str) -> KeyPath:
    """``rules.0.labels`` as a path of keys."""
    return tuple(int(key) if key.isdigit() else key for key in dotted.split(".") if key)
