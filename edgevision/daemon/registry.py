"""Which kinds there are: ours by name, foreign ones by entry point."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from edgevision.analytics.detection import Detection
from edgevision.analytics.inspection import Inspection
from edgevision.analytics.tracking import ByteTrack, Untracked
from edgevision.analytics.traffic import Traffic
from edgevision.config.daemon import Kinds, Registry, daemon_model
from edgevision.config.reference import pages
from edgevision.config.settings import Settings
from edgevision.errors import ConfigError, Problem
from edgevision.events.outbox import OutboxSettings
from edgevision.inference.auto import AutoBackend
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.openvino import OpenVinoDetector
from edgevision.inference.tensorrt import TensorRtDetector
from edgevision.mqtt.settings import MqttSettings
from edgevision.sources.file import FileSource
from edgevision.sources.gstreamer import GStreamerSource
from edgevision.sources.images import ImagesSource
from edgevision.sources.rtsp import RtspSource
from edgevision.sources.scene import SceneSource
from edgevision.sources.v4l2 import V4l2Source
from edgevision.station.http import HttpActuator
from edgevision.station.plc import FakePlc
from edgevision.station.software import SoftwareTrigger

Classes = dict[str, Any]
"""By the name that ``kind:`` takes: a class with a ``Settings`` model, built as ``cls(settings, *context)``."""


def _with_foreign(group: str, ours: Classes) -> Classes:
    classes = dict(ours)
    for point in entry_points(group=group):
        try:
            classes[point.name] = point.load()
        except (ImportError, AttributeError) as exc:
            problem = Problem(f"entry point {group}", point.name, f"cannot be loaded from {point.value}: {exc}")
            raise ConfigError([problem]) from exc
    return classes


SOURCES: Classes = _with_foreign(
    "edgevision.sources",
    {
        "file": FileSource,
        "rtsp": RtspSource,
        "images": ImagesSource,
        "scene": SceneSource,
        "v4l2": V4l2Source,
        "gstreamer": GStreamerSource,
    },
)
BACKENDS: Classes = _with_foreign(
    "edgevision.backends",
    {"onnx": OnnxDetector, "openvino": OpenVinoDetector, "tensorrt": TensorRtDetector, "auto": AutoBackend},
)
ANALYSES: Classes = _with_foreign(
    "edgevision.analyses", {"inspection": Inspection, "traffic": Traffic, "detection": Detection}
)
TRACKERS: Classes = {"bytetrack": ByteTrack, "none": Untracked}
TRIGGERS: Classes = {"software": SoftwareTrigger}
ACTUATORS: Classes = {"http": HttpActuator, "fake": FakePlc}


def build(classes: Classes, settings: Settings, *context: object) -> Any:  # noqa: ANN401 - one of many ports
    """The component that ``settings.kind`` names."""
    return classes[settings.kind](settings, *context)  # type: ignore[attr-defined]


def config_reference() -> str:
    """The daemon's settings file as a page for people, Markdown."""
    return f"# The settings file\n\n{_REFERENCE}\n{pages(daemon_model(registry()).model_json_schema(), 'The file')}"


_REFERENCE = """\
Every key of the file that `edgevision run` takes; written by `edgevision config schema --markdown`. Units stand in the
names. A value may be `${NAME}` (environment), `${NAME:-default}` or `${file:/run/secrets/x}` (a file's content);
relative paths count from the file's own folder.

For completion and checks while you type, put `# yaml-language-server: $schema=configs/schema/daemon.schema.json` (with
the way to that file) into the first line and let your editor's YAML plug-in read it.
"""


@cache
def registry() -> Registry:
    """The kinds that a settings file may name."""
    return Registry(
        sources=_settings(SOURCES),
        backends=_settings(BACKENDS),
        trackers=_settings(TRACKERS),
        analyses=_settings(ANALYSES),
        triggers=_settings(TRIGGERS),
        actuators=_settings(ACTUATORS),
        mqtt=MqttSettings,
        outbox=OutboxSettings,
    )


def config_schema() -> str:
    """JSON Schema of the daemon's settings file."""
    schema = daemon_model(registry()).model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "edgevision daemon settings"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _settings(classes: Classes) -> Kinds:
    return {kind: cls.Settings for kind, cls in classes.items()}
