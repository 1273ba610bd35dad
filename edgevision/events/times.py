"""Times as text: always UTC with microseconds, so that text sorts like time."""

from __future__ import annotations

from datetime import datetime, timezone

from edgevision.errors import OutboxError


def timestamp(time: datetime) -> str:
    """RFC 3339, UTC, microseconds. ``time`` needs a zone."""
    return f"{time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def utc_text(text: str) -> str:
    """Somebody's RFC 3339 time in the form of ``timestamp``.

    Raises:
        OutboxError: It is no time, or has no zone.
    """
    try:
        time_utc = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        msg = f"resend: {text!r} is no time; expected e.g. 2026-01-31T06:00:00Z"
        raise OutboxError(msg) from error
    if time_utc.tzinfo is None:
        msg = f"resend: {text!r} has no time zone; add Z for UTC"
        raise OutboxError(msg)
    try:
        return timestamp(time_utc)
    except OverflowError as error:  # the zone of somebody in the year 1
        msg = f"resend: {text!r} is no time in UTC"
        raise OutboxError(msg) from error
