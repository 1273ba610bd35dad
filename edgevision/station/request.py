"""What outside asks of a software trigger, by HTTP, command or Python."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from edgevision.errors import StationError
from edgevision.station.base import TriggerSignal
from edgevision.types import Part

PART_FIELDS = frozenset({"id", "serial", "lot", "recipe", "recipe_revision", "station", "attempt"})


def signal_of(request: Mapping[str, Any]) -> TriggerSignal:
    """The signal that a request stands for, taken now.

    Args:
        request: ``trigger_id`` (drawn when absent) and what is known of the part (``serial``, ``lot``, ...).

    Raises:
        StationError: A field is unknown or of the wrong kind.
    """
    unknown = set(request) - PART_FIELDS - {"trigger_id"}
    if unknown:
        allowed = ", ".join(sorted(PART_FIELDS | {"trigger_id"}))
        msg = f"trigger: unknown field {', '.join(sorted(unknown))}; allowed: {allowed}"
        raise StationError(msg)
    for name, value in request.items():
        wanted = int if name == "attempt" else str
        if not isinstance(value, wanted) or (isinstance(value, str) and not 0 < len(value) <= 200):  # noqa: PLR2004
            msg = f"trigger: {name} must be {'a whole number' if wanted is int else 'text of 1 to 200 characters'}"
            raise StationError(msg)
    trigger_id = str(request.get("trigger_id") or uuid.uuid4())
    known = {name: value for name, value in request.items() if name in PART_FIELDS}
    part = Part(**{"id": trigger_id, **known})
    return TriggerSignal(trigger_id, datetime.now(timezone.utc), time.monotonic(), part)
