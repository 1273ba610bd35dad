"""The event envelope (CloudEvents 1.0, structured JSON) and the registry of event types, version 1."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, create_model

from edgevision.events import payloads as p
from edgevision.events.payloads import Data, Model, Sequence20, Text

VERSION = 1

EVENT_TYPES: dict[tuple[str, str], type[Data]] = {
    ("defect", "detected"): p.DefectDetected,
    ("defect", "verdict"): p.DefectVerdict,
    ("defect", "alarm"): p.DefectAlarm,
    ("traffic", "crossed"): p.TrafficCrossed,
    ("traffic", "zone"): p.TrafficZone,
    ("traffic", "interval"): p.TrafficInterval,
    ("traffic", "shelf"): p.TrafficShelf,
    ("detection", "appeared"): p.DetectionAppeared,
    ("detection", "updated"): p.DetectionUpdated,
    ("detection", "disappeared"): p.DetectionDisappeared,
    ("health", "started"): p.HealthStarted,
    ("health", "camera"): p.HealthCamera,
    ("health", "view"): p.HealthView,
    ("health", "gap"): p.HealthGap,
    ("health", "selftest"): p.HealthSelftest,
    ("health", "load"): p.HealthLoad,
    ("health", "publish_refused"): p.HealthPublishRefused,
    ("health", "clock"): p.HealthClock,
}


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError as error:  # the zone of somebody in the year 1
        msg = "is no time in UTC"
        raise ValueError(msg) from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
DataT = TypeVar("DataT", bound=Data)


class Event(Model, Generic[DataT]):
    """One event as it leaves the device."""

    specversion: Literal["1.0"] = "1.0"
    """Version of CloudEvents."""
    id: Text
    """Identity of the event; consumers drop a second one with the same id."""
    type: Annotated[str, Field(pattern=r"^edgevision\.[a-z]+\.[a-z_]+\.v1$")]
    """`edgevision.{family}.{name}.v1`."""
    source: Annotated[str, Field(pattern=r"^edgevision(/[a-z0-9][a-z0-9-]{0,62}){3}$")]
    """`edgevision/{site}/{device}/{camera}`; the camera is `device` for events about the device."""
    time: UtcTime
    """Capture time, UTC, microseconds."""
    datacontenttype: Literal["application/json"] = "application/json"
    """Media type of `data`; not sent, since JSON is what CloudEvents takes it for."""
    bootid: Text
    """Drawn at each start of the daemon."""
    sequence: Sequence20
    """Counts the events of one topic and boot id from 1 without holes; 20 digits, so that text sorts like numbers."""
    historical: bool = False
    """Whether it waited out an outage or is sent again, so nothing may actuate on it; set when it is published."""
    publishedat: UtcTime | None = None
    """When it was published, UTC; set when it is published."""
    data: DataT
    """What happened."""

    @property
    def family(self) -> str:
        """Family of the type, e.g. ``traffic``."""
        return self.type.split(".")[1]

    @property
    def name(self) -> str:
        """Name within the family, e.g. ``crossed``."""
        return self.type.split(".")[2]

    @property
    def camera(self) -> str:
        """Name of the camera, ``device`` for events about the device."""
        return self.source.rsplit("/", 1)[1]


AnyEvent = Event[Any]


def type_name(family: str, name: str) -> str:
    """The CloudEvents type of an event of this version.

    Raises:
        KeyError: The version has no such event.
    """
    if (family, name) not in EVENT_TYPES:
        raise KeyError(family, name)
    return f"edgevision.{family}.{name}.v{VERSION}"


DATA_MODELS: dict[str, type[Data]] = {type_name(*key): data for key, data in EVENT_TYPES.items()}
"""The model of the payload by the event's CloudEvents type."""


@cache
def event_model(type_: str) -> type[AnyEvent]:
    """The model of a whole event by its CloudEvents type, one of ``DATA_MODELS``.

    Made when it is first asked for: the daemon only writes events and needs none, and 18 of them take 0.2 s.
    """
    data = DATA_MODELS[type_]
    fixed = Field(description=Event.model_fields["type"].description)
    made: type[AnyEvent] = create_model(
        data.__name__ + "Event",
        __base__=Event[data],  # type: ignore[valid-type]
        __doc__=data.__doc__,
        type=(Literal[type_], fixed),  # type: ignore[arg-type]
    )
    return made
