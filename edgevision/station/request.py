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

MOST_CHARACTERS = 200
MOST_ATTEMPTS = 1_000_000
_TEXT = f"text of 1 to {MOST_CHARACTERS} characters"
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
        fits, wanted = (_is_attempt, "a whole number from 1") if name == "attempt" else (_is_text, _TEXT)
        if not fits(value):
            msg = f"trigger: {name} must be {wanted}"
            raise StationError(msg)
    trigger_id = str(request.get("trigger_id") or uuid.uuid4())
    known = {name: value for name, value in request.items() if name in PART_FIELDS}
    part = Part(**{"id": trigger_id, **known})
    return TriggerSignal(trigger_id, datetime.now(timezone.utc), time.monotonic(), part)


def _is_attempt(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_ATTEMPTS


def _is_text(value: object) -> bool:
    """Text that can be written down: JSON lets half of a surrogate pair through, UTF-8 does not."""
    if not isinstance(value, str) or not 0 < len(value) <= MOST_CHARACTERS:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
