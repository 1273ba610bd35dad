"""What ``data`` of each event holds: one model a (family, name), version 1.

A reader keeps fields it does not know, so a later revision may add some; what a name means never changes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Box = tuple[float, float, float, float]
Count = Annotated[int, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]
Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
Length = Annotated[float, Field(ge=0)]
SecondsSpan = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Sequence20 = Annotated[str, Field(pattern=r"^[0-9]{20}$")]


class Model(BaseModel):
    """Frozen; unknown fields are kept on reading and refused in what a device says (see ``codec``)."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, allow_inf_nan=False)


class PartRef(Model):
    """The thing being inspected."""

    id: Text
    """Identity of the part, unique on this camera."""
    serial: str | None = None
    """Serial number that was read or handed over."""
    lot: str | None = None
    """Production lot."""
    recipe: str | None = None
    """Name of the recipe in force."""
    recipe_revision: str | None = None
    """Revision of the recipe."""
    trigger_id: str | None = None
    """The trigger that asked for the inspection."""
    station: str | None = None
    """Station on the line."""
    attempt: int | None = None
    """Which inspection of the same part this is, from 1."""


class Quality(Model):
    """How far the time and the picture behind an event can be trusted."""

    camera: Text
    """Condition of the camera: `ok`, `starting`, `reconnecting`, `degraded` or `failed`."""
    time_source: Literal["trigger", "ptp", "rtcp", "file", "arrival"]
    """Where the capture time comes from."""
    time_uncertainty_ms: Annotated[float, Field(ge=0)] = 0.0
    """Half-width of the interval in which the capture really lies, milliseconds."""
    clock_synced: bool
    """Whether the device's wall clock was set and kept right."""


class Medium(Model):
    """A picture or clip that belongs to the event and travels apart."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the file."""
    kind: Text
    """What it shows, e.g. `frame`, `crop` or `clip`."""
    status: Text
    """Where it is, e.g. `stored`, `uploaded` or `lost`."""


class Data(Model):
    """What every event's data may carry."""

    part: PartRef | None = None
    """The part the event is about; absent or null when there is none."""
    quality: Quality | None = None
    """How far time and picture can be trusted; absent on events about the device."""
    model: str | None = None
    """The model that saw it, `name@version#hash12`."""
    configrev: str | None = None
    """First 12 hex digits of the SHA-256 over the resolved settings without secrets."""
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    """From the frame's arrival to the append to the outbox, milliseconds."""
    image_size: Size | None = None
    """Width and height of the frame that boxes refer to, px."""
    media: list[Medium] | None = None
    """Pictures and clips that belong to it."""


class Sizes(Model):
    """How large a defect is, measured from the pixels in its box."""

    length_px: Length | None = None
    """Longer side of the minimum-area rectangle, px."""
    width_px: Length | None = None
    """Shorter side of the minimum-area rectangle, px."""
    area_px: Length | None = None
    """Area, square px."""
    length_mm: Length | None = None
    """Longer side in mm, where the scale is configured."""
    width_mm: Length | None = None
    """Shorter side in mm, where the scale is configured."""
    area_mm2: Length | None = None
    """Area in square mm, where the scale is configured."""


class Defect(Sizes):
    """One defect of a part, merged over the frames that show it."""

    label: Text
    """Class of the defect."""
    score: Score
    """Confidence, 0..1, the best over the frames."""
    box: Box
    """x1, y1, x2, y2 in px of the source frame `image_size`, y down."""
    frames: Count | None = None
    """Number of frames that show it."""
    region: str | None = None
    """The critical region it lies in."""
    severity: Literal["ng", "review", "minor"] | None = None
    """What the rules make of it: `minor` alone leaves a part ok."""


class DefectDetected(Data, Defect):
    """A defect was found on a part."""

    track_id: Count | None = None
    """Id of the defect's track on this camera."""


class DefectVerdict(Data):
    """What became of a part: exactly one a part and trigger, also when all is well."""

    result: Literal["ok", "ng", "review"]
    """Passed, rejected, or to be looked at by a person."""
    reason: str | None = None
    """Why it is not ok, e.g. the rule that decided, `timeout`, `no frame` or `restart`."""
    defects: list[Defect] = []
    """The defects found, the worst first."""
    defect_count: Count | None = None
    """Number of defects, where `defects` names only the worst."""
    frames: Count = 0
    """Number of frames that were looked at."""
    box: Box | None = None
    """The part, x1, y1, x2, y2 in px of the source frame."""


class DefectAlarm(Data):
    """Defects or bad parts have become too many, or are back to normal. Reserved: not sent yet."""

    rule: Text
    """Name of the rule that fired."""
    action: Literal["raised", "cleared"]
    """Whether the alarm begins or ends."""
    label: str | None = None
    """Class of defect it is about; absent for all."""
    value: float
    """What was measured: a count or a share."""
    limit: float
    """What is allowed."""
    window_parts: Count | None = None
    """Number of parts that were looked at."""
    window_s: SecondsSpan | None = None
    """Time that was looked at, seconds."""


class Seen(Data):
    """An object in view."""

    track_id: Annotated[int, Field(ge=1)]
    """Id of the object on this camera; counted from 1, kept while it is followed."""
    label: str | None = None
    """Class of the object."""
    score: Score | None = None
    """Confidence of the detection in this frame, 0..1."""
    box: Box | None = None
    """x1, y1, x2, y2 in px of the source frame `image_size`, y down."""


class TrafficCrossed(Seen):
    """An object crossed a line."""

    line: Text
    """Name of the line."""
    direction: Literal["in", "out"]
    """`in`: who stands at the line's start and looks towards its end sees it go from left to right."""


class TrafficZone(Seen):
    """An object entered or left a zone."""

    zone: Text
    """Name of the zone."""
    action: Literal["entered", "left"]
    """What it did."""
    dwell_s: SecondsSpan | None = None
    """How long it stayed, seconds; with `left`."""


class TrafficInterval(Data):
    """Counts of one line or zone over one interval; published always, zeros too. The higher revision wins."""

    line: str | None = None
    """Name of the line, for counts of crossings."""
    zone: str | None = None
    """Name of the zone, for counts of visits."""
    label: str | None = None
    """Class that was counted; absent for all together."""
    start: AwareDatetime
    """Begin of the interval, UTC."""
    utc_offset_s: int = 0
    """Local time minus UTC at the begin, seconds."""
    expected_s: SecondsSpan
    """Length of the interval, seconds."""
    observed_s: SecondsSpan
    """How much of it the camera saw, seconds."""
    status: Literal["valid", "degraded", "invalid"]
    """Whether the counts can be used: a dead camera is not an empty shop."""
    revision: Count = 1
    """Which statement about this interval it is, from 1."""
    count_in: Count | None = None
    """Crossings `in` of the line."""
    count_out: Count | None = None
    """Crossings `out` of the line."""
    entered: Count | None = None
    """Objects that entered the zone."""
    left: Count | None = None
    """Objects that left the zone."""
    occupancy_mean: Annotated[float, Field(ge=0)] | None = None
    """Mean number of objects in the zone over the observed time."""
    occupancy_max: Count | None = None
    """Largest number of objects in the zone at once."""
    dwell_mean_s: SecondsSpan | None = None
    """Mean stay of those who left, seconds."""
    dwell_max_s: SecondsSpan | None = None
    """Longest stay of those who left, seconds."""


class TrafficShelf(Data):
    """The state of a place on a shelf changed. Reserved: not sent yet."""

    slot: Text
    """Name of the place."""
    state: Literal["full", "low", "empty", "unknown"]
    """What it is now; `unknown` while it cannot be seen."""
    previous: Literal["full", "low", "empty", "unknown"] | None = None
    """What it was."""
    fill: Score | None = None
    """How full it is, 0..1."""
    count: Count | None = None
    """Number of things in it."""


class DetectionAppeared(Seen):
    """An object came into view."""


class DetectionUpdated(Seen):
    """An object is still in view; off by default."""

    seen_s: SecondsSpan | None = None
    """How long it has been followed, seconds."""


class DetectionDisappeared(Seen):
    """An object is gone."""

    seen_s: SecondsSpan | None = None
    """How long it was followed, seconds."""


class PreviousBoot(Model):
    """Where the process before this one ended."""

    bootid: Text
    """Its boot id."""
    last: dict[str, Sequence20]
    """The last sequence number it gave, by topic. A consumer that has less has lost the rest, or will get it yet."""


class HealthStarted(Data):
    """The daemon has started; the first event of a boot id."""

    version: Text
    """Version of the software."""
    previous: PreviousBoot | None = None
    """Where the process before ended; absent on the very first start."""


class HealthCamera(Data):
    """The source of a camera changed its state."""

    state: Text
    """`online`, `reconnecting`, `degraded` (some of its analyses crash), `ended`, `failed` or `removed`."""
    reason: str | None = None
    """Why, for a person."""
    previous: str | None = None
    """The state before."""


class HealthView(Data):
    """What a camera shows has changed: it was moved, blocked or blinded, or is well again. Reserved: not sent yet."""

    state: Literal["ok", "moved", "blocked", "dark", "bright", "blurred", "frozen"]
    """What is wrong with the picture."""
    value: float | None = None
    """What was measured."""
    limit: float | None = None
    """What is allowed."""


class LostRange(Model):
    """Events of one topic that no one will get."""

    topic: Text
    """Their topic."""
    count: Annotated[int, Field(ge=1)]
    """How many."""
    bootid: str | None = None
    """Their boot id; absent when they were lost before they were given numbers."""
    first: Sequence20 | None = None
    """Sequence number of the first that is lost."""
    last: Sequence20 | None = None
    """Sequence number of the last that is lost; fewer than all between may be."""


class HealthGap(Data):
    """The outbox had to give up events."""

    reason: Literal["budget", "disk_full", "corrupt"]
    """Over its byte budget, no room on the disk, or the file was unreadable and has been moved aside."""
    lost: list[LostRange]
    """What went, by topic and boot id."""
    count: Count
    """How many went in all; 0 when it cannot be known."""


class HealthSelftest(Data):
    """A model was checked against its golden pictures on this device."""

    backend: Text
    """What ran it."""
    passed: bool
    """Whether it sees what it saw when it was made."""
    pictures: Count | None = None
    """Number of golden pictures."""
    detail: str | None = None
    """What differs, for a person."""


class HealthLoad(Data):
    """The device is overloaded or too hot, or is well again."""

    state: Literal["ok", "overloaded", "hot"]
    """What is wrong."""
    value: float | None = None
    """What was measured."""
    limit: float | None = None
    """What is allowed."""
    unit: str | None = None
    """Of `value` and `limit`, e.g. `C` or `frames/s`."""
    action: str | None = None
    """What the daemon does about it."""


class HealthPublishRefused(Data):
    """The broker refuses an event."""

    topic: Text
    """Topic of the refused event."""
    event: Text
    """Its id."""
    reason_code: Count
    """Reason code of MQTT 5; 128 where the broker cannot say."""
    reason: str | None = None
    """The broker's words."""
    attempts: Annotated[int, Field(ge=1)]
    """How often it was refused."""
    parked: bool
    """Whether it was put aside: it is kept but no longer sent."""
    parked_total: Count | None = None
    """How many events of this topic have been put aside since the daemon started; announced at 1, 2, 4, 8, ..."""


class HealthClock(Data):
    """The wall clock was stepped, or gained or lost its master. Durations are not affected."""

    offset_s: float | None = None
    """New time minus old time, seconds; with a step."""
    synced: bool | None = None
    """Whether something keeps it right now."""
