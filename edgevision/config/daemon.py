"""The daemon's settings. Which sources, backends and analyses there are, a registry tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, create_model

from edgevision.config.settings import Name, PositiveSeconds, Settings

Kinds = Mapping[str, type[Settings]]


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """Which kinds there are, each with its settings model, by the name that ``kind:`` takes.

    Attributes:
        sources: Kinds of sources.
        backends: Kinds of inference backends.
        trackers: Kinds of trackers.
        analyses: Kinds of analyses.
        triggers: Kinds of triggers.
        actuators: Kinds of actuators.
        mqtt: Settings of the connection to the broker.
        outbox: Settings of the durable queue.
    """

    sources: Kinds
    backends: Kinds
    trackers: Kinds
    analyses: Kinds
    triggers: Kinds
    actuators: Kinds
    mqtt: type[Settings]
    outbox: type[Settings]


class ModelSettings(Settings):
    """A model that cameras share; all their frames go through it in common batches."""

    bundle: Path
    """Folder of the model bundle."""
    backend: SerializeAsAny[Settings]
    """What runs it."""
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    """Score thresholds by class name, 0..1, instead of the bundle's; `default` holds for the classes not named."""


class StationSettings(Settings):
    """The machine around one camera."""

    trigger: SerializeAsAny[Settings] | None = None
    """What asks for inspections; without it the camera runs free."""
    actuator: SerializeAsAny[Settings] | None = None
    """What acts on verdicts."""
    deadline_ms: Annotated[float, Field(gt=0, le=600_000)] | None = None
    """Time from trigger (free-running: from the verdict) until the actuator must have acted, milliseconds."""
    on_timeout: Literal["review", "ng"] = "review"
    """The verdict of a trigger that could not be judged: in time, without a frame, after a restart."""
    margin_ms: Annotated[float, Field(ge=0)] = 20.0
    """How long before the deadline a timeout's verdict is given, so that the actuator makes it, milliseconds; at most
    half of the deadline."""

    @property
    def margin_s(self) -> float:
        """``margin_ms`` as it is used, seconds; 0 without a deadline."""
        return 0.0 if self.deadline_ms is None else min(self.margin_ms, self.deadline_ms / 2) / 1000


class CameraSettings(Settings):
    """One camera: where its frames come from and what is looked for."""

    source: SerializeAsAny[Settings]
    """Where frames come from."""
    model: Name
    """Name of the model that looks at them."""
    tracker: SerializeAsAny[Settings] | None = None
    """What gives detections lasting ids; when absent `bytetrack`, or `none` for a camera that only inspects."""
    analyses: list[SerializeAsAny[Settings]] = []
    """What is looked for in the tracks."""
    station: StationSettings = StationSettings()
    """Trigger and actuator."""


class HttpSettings(Settings):
    """The daemon's own small HTTP server: /metrics, /healthz, /readyz, /looks and software triggers."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """TCP port; 0 takes a free one."""


class CommandSettings(Settings):
    """Commands over MQTT, off by default."""

    verbs: list[Literal["reload", "state", "trigger", "resend", "looks"]] = []
    """Which commands are obeyed."""


class LoadSettings(Settings):
    """When the device counts as overloaded or too hot; told by `health.load`."""

    min_fps: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """A live camera whose frames are dropped is overloaded when fewer a second are analysed; with fewer than 2, walking
    people are lost between frames and counts go wrong."""
    max_celsius: Annotated[float, Field(gt=0, le=150)] = 95.0
    """The hottest thermal zone that is still well; boards slow themselves down a few degrees above."""
    for_s: PositiveSeconds = 10.0
    """How long it must last, and be over, before it is told, seconds. A pause of up to 5 seconds does not end it."""


class LogSettings(Settings):
    """Logging to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines or coloured text; `auto` is text on a terminal."""


class DaemonSettings(Settings):
    """The settings file of `edgevision run`."""

    site: Name
    """The plant or shop."""
    device: Name
    """This box."""
    models: dict[Name, ModelSettings] = Field(min_length=1)
    """Models by name."""
    cameras: dict[Name, CameraSettings] = Field(min_length=1)
    """Cameras by name."""
    trusted_keys: list[Path] = []
    """Public keys, PEM of Ed25519. With any, a model runs only when one of them signed it and nothing was changed since
    (`edgevision models sign`)."""
    mqtt: SerializeAsAny[Settings] | None = None
    """The broker; without it events stay in the outbox."""
    outbox: SerializeAsAny[Settings]
    """The durable queue."""
    http: HttpSettings | None = HttpSettings()
    """Metrics and health; `null` switches it off."""
    commands: CommandSettings = CommandSettings()
    """Commands over MQTT."""
    load: LoadSettings = LoadSettings()
    """When the device counts as overloaded."""
    log: LogSettings = LogSettings()
    """Logging."""
    state_interval_s: PositiveSeconds = 1.0
    """How often a camera's state is stored when nothing happens, seconds."""
    drain_timeout_s: PositiveSeconds = 10.0
    """How long a stop waits for frames and events under way, seconds."""


def _union(kinds: Kinds) -> Any:  # noqa: ANN401 - a type expression
    members = list(kinds.values())
    if len(members) == 1:
        return members[0]
    return Annotated[reduce(or_, members), Field(discriminator="kind")]


def _narrow(base: type[Settings], **fields: Any) -> Any:  # noqa: ANN401 - a class made at run time
    """``base`` with some fields' types replaced; documentation and defaults stay."""
    replaced = {}
    for name, (annotation, default) in fields.items():
        info = base.model_fields[name]
        replaced[name] = (annotation, Field(default, description=info.description))
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **replaced)  # type: ignore[call-overload]


@cache
def daemon_model(registry: Registry) -> type[DaemonSettings]:
    """The settings model in which every ``kind`` of the registry, and no other, is allowed.

    One registry has one model, so that settings of two loads can be compared.
    """
    station = _narrow(
        StationSettings,
        trigger=(_union(registry.triggers) | None, None),
        actuator=(_union(registry.actuators) | None, None),
    )
    camera = _narrow(
        CameraSettings,
        source=(_union(registry.sources), ...),
        tracker=(_union(registry.trackers) | None, None),
        analyses=(list[_union(registry.analyses)], []),  # type: ignore[misc]
        station=(station, {}),
    )
    model = _narrow(ModelSettings, backend=(_union(registry.backends), {"kind": next(iter(registry.backends))}))
    narrowed: type[DaemonSettings] = _narrow(
        DaemonSettings,
        models=(Annotated[dict[Name, model], Field(min_length=1)], ...),  # type: ignore[valid-type]
        cameras=(Annotated[dict[Name, camera], Field(min_length=1)], ...),  # type: ignore[valid-type]
        mqtt=(registry.mqtt | None, None),
        outbox=(registry.outbox, {}),
    )
    return narrowed
