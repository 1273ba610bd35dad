"""Makes events of what the analyses noticed: gives them identity and provenance."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgevision.events.base import Draft
from edgevision.events.codec import check_data
from edgevision.events.ids import natural_id, uuid7
from edgevision.events.schema import type_name
from edgevision.events.times import timestamp
from edgevision.events.topics import DEVICE, EventTopic, source
from edgevision.types import Occurrence

GAP_PRIORITY = 10
"""Of ``health.gap``, which is never given up."""
PRIORITIES: Mapping[tuple[str, str], int] = {
    ("health", "gap"): GAP_PRIORITY,
    ("defect", "verdict"): 9,
    ("defect", "detected"): 8,
    ("defect", "alarm"): 8,
    ("health", "started"): 8,
    ("health", "publish_refused"): 7,
    ("traffic", "interval"): 6,
    ("traffic", "crossed"): 5,
    ("traffic", "zone"): 5,
    ("traffic", "shelf"): 5,
    ("detection", "appeared"): 2,
    ("detection", "disappeared"): 2,
    ("detection", "updated"): 0,
}
_OTHERS = 4


@dataclass(slots=True)
class EventBuilder:
    """Knows who speaks: everything in an event that is the same for all events of this start of the daemon.

    Attributes:
        site: The plant or shop.
        device: This box.
        configrev: First 12 hex digits of the SHA-256 over the resolved settings without secrets; set anew when they
            are reloaded.
        bootid: Drawn at each start.
    """

    site: str
    device: str
    configrev: str
    bootid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def draft(
        self,
        occurrence: Occurrence,
        *,
        camera: str = DEVICE,
        model: str | None = None,
        quality: Mapping[str, Any] | None = None,
        decided_t_s: float | None = None,
    ) -> Draft:
        """An event that wants nothing but its sequence number.

        Args:
            occurrence: What was noticed.
            camera: Who saw it; ``device`` for events about the device.
            model: ``name@version#hash12`` of the model that saw it.
            quality: Camera health, time source, its uncertainty and whether the clock is synchronised.
            decided_t_s: ``time.monotonic()`` of the frame's arrival, for the latency.

        Raises:
            EventError: The occurrence does not fit the contract.
        """
        family, name = occurrence.family, occurrence.name
        data = self._data(occurrence, model, quality)
        check_data(family, name, data)
        topic = EventTopic(self.site, self.device, camera, family, name)
        where, kind = source(self.site, self.device, camera), type_name(family, name)
        envelope = {
            "specversion": "1.0",
            "id": str(uuid7() if occurrence.key is None else natural_id(where, kind, _key(occurrence, occurrence.key))),
            "type": kind,
            "source": where,
            "time": timestamp(occurrence.time.time_utc),
            "bootid": self.bootid,
            "data": data,
        }
        return Draft(str(topic), PRIORITIES.get((family, name), _OTHERS), envelope, decided_t_s)

    def check(self, occurrence: Occurrence) -> None:
        """See whether an occurrence fits the contract.

        Raises:
            EventError: It does not.
        """
        check_data(occurrence.family, occurrence.name, self._data(occurrence, None, None))

    def _data(self, occurrence: Occurrence, model: str | None, quality: Mapping[str, Any] | None) -> dict[str, Any]:
        data = {key: value for key, value in occurrence.data.items() if value is not None}
        if occurrence.part is not None:
            data["part"] = {key: value for key, value in asdict(occurrence.part).items() if value is not None}
        if quality is not None:
            data["quality"] = dict(quality)
        if model is not None:
            data["model"] = model
        data["configrev"] = self.configrev
        if occurrence.size is not None:
            data["image_size"] = occurrence.size
        return data


def _key(occurrence: Occurrence, key: str) -> str:
    """A second statement about the same thing is another event: consumers drop what has a known id."""
    revision, part = occurrence.data.get("revision", 1), occurrence.part
    attempt, trigger_id = (1, "") if part is None else (part.attempt or 1, part.trigger_id or "")
    return f"{key}\n{revision}\n{attempt}\n{trigger_id}"
