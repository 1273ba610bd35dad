"""How many messages Mosquitto must keep for a consumer that is away, and the lines of mosquitto.conf that say so.

    python deploy/mosquitto/limits.py --devices 20 --events-per-s 5 --outage-h 24

Mosquitto's own default is 1,000 messages a client: what comes after is acknowledged to the device, then thrown away.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

BYTES_PER_EVENT = 600 + 400  # what an event aims at, and the broker's own share; both are estimates
HEADROOM = 1.25


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker must hold.

    Attributes:
        messages: For one consumer that is away.
        bytes: For all messages of all consumers that are away; a message is stored once, however many wait for it.
    """

    messages: int
    bytes: int


def limits(devices: int, events_per_s: float, outage_h: float) -> Limits:
    """What comes in while a consumer is away, with a quarter in reserve, messages rounded up to thousands."""
    coming = devices * events_per_s * outage_h * 3600
    messages = math.ceil(coming * HEADROOM / 1000) * 1000
    return Limits(messages, messages * BYTES_PER_EVENT)


def main() -> None:
    """Print the calculation and the settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=4, help="devices whose events one consumer reads")
    parser.add_argument(
        "--events-per-s", type=float, default=2.0, help="events a second of one device, mean of a busy hour"
    )
    parser.add_argument("--outage-h", type=float, default=8.0, help="hours a consumer may be away")
    given = parser.parse_args()
    found = limits(given.devices, given.events_per_s, given.outage_h)
    print(f"# {given.devices} devices x {given.events_per_s:g} events/s x {given.outage_h:g} h x {HEADROOM:g}", end=" ")
    print(f"= {found.messages:,} messages, about {found.bytes / 2**20:,.0f} MiB of memory and disk")
    print(f"max_queued_messages {found.messages}")
    print("max_queued_bytes 0")


if __name__ == "__main__":
    main()
