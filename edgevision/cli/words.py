"""What an event says, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgevision.events.schema import AnyEvent

_COMMON = frozenset({"quality", "model", "configrev", "image_size", "latency_ms", "part"})


def describe(event: AnyEvent) -> str:
    """One line for a person, without time and place."""
    words = _WORDS.get((event.family, event.name))
    if words is not None:
        return words(event.data).rstrip()
    known = event.data.model_dump(exclude_none=True, exclude=set(_COMMON))
    return ", ".join(f"{key}={value}" for key, value in known.items())


def _verdict(data: Any) -> str:  # noqa: ANN401 - the payload's model
    return f"{data.result.upper():<6} {data.reason or ''}"


def _zone(data: Any) -> str:  # noqa: ANN401 - the payload's model
    dwell = "" if data.dwell_s is None else f" after {data.dwell_s:.1f} s"
    return f"{data.zone} {data.action} #{data.track_id}{dwell}"


def _interval(data: Any) -> str:  # noqa: ANN401 - the payload's model
    counts = {"in": data.count_in, "out": data.count_out, "entered": data.entered, "left": data.left}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
    watched = "" if data.status == "valid" else f" (watched {data.observed_s:.0f} of {data.expected_s:.0f} s)"
    return f"{data.line or data.zone}: {told}{watched}"


_WORDS: Mapping[tuple[str, str], Callable[[Any], str]] = {
    ("defect", "verdict"): _verdict,
    ("defect", "detected"): lambda data: f"{data.label} {data.score:.2f}",
    ("traffic", "crossed"): lambda data: f"{data.line} {data.direction} {data.label or ''} #{data.track_id}",
    ("traffic", "zone"): _zone,
    ("traffic", "interval"): _interval,
    ("health", "started"): lambda data: f"version {data.version}" + ("" if data.previous is None else ", again"),
    ("health", "camera"): lambda data: f"{data.state}: {data.reason}" if data.reason else data.state,
}
