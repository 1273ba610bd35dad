"""MQTT topics: how they are built, read and subscribed to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgevision.config.settings import NAME_PATTERN, RESERVED_NAMES
from edgevision.errors import EventError
from edgevision.events.schema import EVENT_TYPES

ROOT = "edgevision"
DEVICE = "device"
"""Stands for the camera in topics and sources of events about the device."""
_NAME = re.compile(NAME_PATTERN.rstrip("$") + r"\Z")
_PARTS = 6
_LONGEST_BYTES = 65_535  # of a topic, in UTF-8
_NOT_IN_TOPICS = frozenset("+#\0")


@dataclass(frozen=True, slots=True)
class EventTopic:
    """Where events of one kind from one camera go: ``edgevision/{site}/{device}/{camera}/{family}/{name}``."""

    site: str
    device: str
    camera: str
    family: str
    name: str

    def __post_init__(self) -> None:
        _check(self.site, self.device)
        if self.camera != DEVICE:
            _check(self.camera)
        if (self.family, self.name) not in EVENT_TYPES:
            msg = f"no event {self.family}.{self.name} in version 1 of the contract"
            raise EventError(msg)

    def __str__(self) -> str:
        return f"{source(self.site, self.device, self.camera)}/{self.family}/{self.name}"

    @classmethod
    def parse(cls, topic: str) -> EventTopic:
        """Take a topic apart.

        Raises:
            EventError: It is no topic of an event.
        """
        parts = topic.split("/")
        if len(parts) != _PARTS or parts[0] != ROOT:
            msg = f"{topic!r} is no event topic: expected {ROOT}/SITE/DEVICE/CAMERA/FAMILY/NAME"
            raise EventError(msg)
        return cls(*parts[1:])


def is_beside_events(topic: str) -> bool:
    """Whether it is one of a device's other topics: status, birth, states, commands and their replies."""
    parts = topic.split("/")
    if parts[0] != ROOT or len(parts) not in {4, 5}:
        return False
    kind = parts[3] if len(parts) == 4 or parts[3] in {"cmd", "reply"} else parts[4]  # noqa: PLR2004 - as above
    return kind in {"status", "birth", "cmd", "reply", "state"}


def source(site: str, device: str, camera: str = DEVICE) -> str:
    """The CloudEvents source of a camera or device."""
    return f"{ROOT}/{site}/{device}/{camera}"


def status(site: str, device: str) -> str:
    """Retained: ``online`` or, by will, ``offline``."""
    return f"{ROOT}/{site}/{device}/status"


def birth(site: str, device: str) -> str:
    """Retained: full provenance of what the device runs."""
    return f"{ROOT}/{site}/{device}/birth"


def camera_state(site: str, device: str, camera: str) -> str:
    """Retained: the state of one camera."""
    return f"{ROOT}/{site}/{device}/{camera}/state"


def command(site: str, device: str, verb: str = "+") -> str:
    """Where commands to a device come in; without a verb the filter for all."""
    return f"{ROOT}/{site}/{device}/cmd/{verb}"


def reply(site: str, device: str, verb: str) -> str:
    """Where MQTT 3.1.1 clients hear the answer to a command."""
    return f"{ROOT}/{site}/{device}/reply/{verb}"


def event_filter(site: str = "+", device: str = "+", camera: str = "+", family: str = "+", name: str = "+") -> str:
    """Subscription filter for events; what is not given matches all."""
    return f"{ROOT}/{site}/{device}/{camera}/{family}/{name}"


def matches(subscription: str, topic: str) -> bool:
    """Whether a subscription filter covers a topic."""
    wanted, parts = subscription.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        parts = parts[: len(wanted)]
    return len(wanted) == len(parts) and all(want in {"+", part} for want, part in zip(wanted, parts, strict=True))


def publishable(topic: str) -> bool:
    """Whether MQTT allows to publish there, and it is none of the broker's own topics."""
    fits = 0 < len(topic.encode(errors="replace")) <= _LONGEST_BYTES
    return fits and not topic.startswith("$") and _NOT_IN_TOPICS.isdisjoint(topic)


def _check(*names: str) -> None:
    for name in names:
        if not _NAME.match(name):
            msg = f"{name!r} is no name: 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit"
            raise EventError(msg)
        if name in RESERVED_NAMES:
            msg = f"the name {name!r} is reserved; reserved are {', '.join(sorted(RESERVED_NAMES))}"
            raise EventError(msg)
