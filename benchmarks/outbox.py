"""How many events a second the outbox takes and gives.

    python benchmarks/outbox.py [--events 20000] [--waiting 100000] [--folder DIR] [--runs 3]

Appends typed events one by one, each with its camera's state, until all are committed, in both durabilities; then
claims and acknowledges them as the relay does, 20 at a time, also with a long queue waiting. Events are built before
the clock starts; ``build`` is measured apart. Each number is the best of ``--runs``: per second of wall clock, and per
second of this process's CPU time, which other work on the machine disturbs less. One commit is timed beside them
(p50, p99), as the path from result to broker sees it. Put ``--folder`` on the disk that counts. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgevision.events.base import CameraState, Draft, Order
from edgevision.events.build import EventBuilder
from edgevision.events.database import Durability
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.types import FrameTime, Occurrence

BUDGET_PER_S = 5000
QUALITY = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 40.0, "clock_synced": True}
STATE = {"tracker": {"id": list(range(20)), "mean": [[0.5] * 8] * 20}, "analyses": [{"counts": {"in": 12, "out": 7}}]}


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per second of wall clock and of CPU time."""

    name: str
    wall_per_s: float
    cpu_per_s: float


def drafts(builder: EventBuilder, count: int) -> list[Draft]:
    """Typical events of four cameras."""
    data = {
        "line": "entrance",
        "direction": "in",
        "track_id": 12,
        "label": "person",
        "score": 0.87,
        "box": [1.5, 2, 3, 4],
    }
    occurrence = Occurrence("traffic", "crossed", FrameTime(datetime.now(timezone.utc), 0.0), data, size=(1920, 1080))
    model = "person@1.0.0#0123456789ab"
    return [builder.draft(occurrence, camera=f"cam{n % 4}", model=model, quality=QUALITY) for n in range(count)]


def measure(name: str, count: int, work: Callable[[], None]) -> Rate:
    """Rate of ``count`` events."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Rate(name, count / (time.perf_counter() - wall), count / (time.process_time() - cpu))


def append_all(outbox: SqliteOutbox, events: list[Draft]) -> None:
    """One call an event, as the analytics stage does."""
    for number, event in enumerate(events):
        outbox.append([event], CameraState(f"cam{number % 4}", number, STATE))
    if not outbox.flush(120):
        msg = "the outbox did not commit within two minutes"
        raise SystemExit(msg)


def drain(outbox: SqliteOutbox, count: int, order: Order) -> None:
    """Claim and acknowledge until ``count`` are done."""
    taken = 0
    while taken < count and outbox.wait(10):
        events = outbox.claim(20, order)
        outbox.done([event.rowid for event in events])
        taken += len(events)
    outbox.flush(120)


def one_run(folder: Path, durability: Durability, count: int, waiting: int) -> list[Rate]:
    """All rates of one durability."""
    builder = EventBuilder("plant", "box", "0123456789ab")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        outbox = SqliteOutbox(OutboxSettings(path=Path(temporary) / "outbox.sqlite", durability=durability), builder)
        events: list[Draft] = []
        rates = [measure("build", count, lambda: events.extend(drafts(builder, count)))]
        rates.append(measure(f"append to commit, {durability}", count, lambda: append_all(outbox, events)))
        rates.append(measure(f"claim and done, {durability}", count, lambda: drain(outbox, count, "strict")))
        if waiting:
            append_all(outbox, drafts(builder, waiting))
            outbox.connected()
            name = f"claim and done, {durability}, {waiting} waiting"
            rates.append(measure(name, count, lambda: drain(outbox, min(count, waiting), "live_first")))
        outbox.close()
    return rates


def commit_ms(folder: Path, durability: Durability, count: int = 500) -> tuple[float, float]:
    """p50 and p99 of one event's way from ``append`` to its commit, with nothing else waiting."""
    builder = EventBuilder("plant", "box", "0123456789ab")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        outbox = SqliteOutbox(OutboxSettings(path=Path(temporary) / "outbox.sqlite", durability=durability), builder)
        times = []
        for event in drafts(builder, count):
            started = time.perf_counter()
            outbox.append([event], CameraState("cam0", 1, STATE))
            outbox.flush(10)
            times.append((time.perf_counter() - started) * 1000)
        outbox.close()
    cuts = statistics.quantiles(times, n=100)
    return round(cuts[49], 3), round(cuts[98], 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    best: dict[str, Rate] = {}
    latency = {}
    for durability in ("crash", "power_loss"):
        for run in range(options.runs):
            for rate in one_run(options.folder, durability, options.events, 0 if run else options.waiting):
                known = best.setdefault(rate.name, rate)
                best[rate.name] = Rate(
                    rate.name, max(known.wall_per_s, rate.wall_per_s), max(known.cpu_per_s, rate.cpu_per_s)
                )
        latency[durability] = commit_ms(options.folder, durability)
    table = Table("what", "events/s", "events/s of CPU time")
    for rate in best.values():
        table.add_row(rate.name, f"{rate.wall_per_s:,.0f}", f"{rate.cpu_per_s:,.0f}")
    console = Console()
    console.print(table)
    for durability, (p50, p99) in latency.items():
        console.print(f"one commit, {durability}: p50 {p50} ms, p99 {p99} ms")
    reached = best["append to commit, crash"].wall_per_s
    console.print(
        f"budget: at least {BUDGET_PER_S:,} events/s with crash: {'met' if reached >= BUDGET_PER_S else 'MISSED'}"
    )
    print(
        json.dumps(
            {
                "rates": [asdict(rate) for rate in best.values()],
                "commit_ms_p50_p99": latency,
                "met": reached >= BUDGET_PER_S,
            }
        )
    )


if __name__ == "__main__":
    main()
