"""Identities of events: random but ordered by time, or made of a natural key."""

from __future__ import annotations

import os
import time
import uuid

_NAMESPACE = uuid.UUID("5f0c7b0e-3a94-5d8b-9d55-0a4f6c2b8e17")  # drawn once; ids of natural keys depend on it for ever


def uuid7(unix_ms: int | None = None) -> uuid.UUID:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix time in milliseconds, then 74 random bits."""
    if unix_ms is None:
        unix_ms = time.time_ns() // 1_000_000
    bits = int.from_bytes(os.urandom(10), "big")
    value = (max(0, unix_ms) & (1 << 48) - 1) << 80 | bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def natural_id(source: str, type_: str, key: str) -> uuid.UUID:
    """The UUID version 5 of an event that has a natural key: a replay gives the same one."""
    return uuid.uuid5(_NAMESPACE, f"{source}\n{type_}\n{key}")
