"""kill -9 at any moment: nothing that was committed is lost, nothing is there twice, states fit their events."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

VICTIM = """
import random, sys, threading
from datetime import datetime, timezone
from pathlib import Path
from edgevision.events.base import CameraState
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.types import FrameTime, Occurrence

builder = EventBuilder("plant", "box", "0123456789ab")
outbox = SqliteOutbox(OutboxSettings(path=Path(sys.argv[1]), durability=sys.argv[2]), builder)
draw = random.Random(int(sys.argv[3]))

def relay():
    while True:
        if outbox.wait(1.0):
            events = outbox.claim(20, "live_first")
            outbox.done([event.rowid for event in events if draw.random() < 0.9])
            outbox.release()

threading.Thread(target=relay, daemon=True).start()
stored = outbox.state("door")
count = 0 if stored is None else stored.body["count"]
print("start", count, flush=True)
while True:
    drafts = []
    for _ in range(draw.randrange(1, 5)):
        count += 1
        data = {"line": "entrance", "direction": "in", "track_id": count}
        time_ = FrameTime(datetime.now(timezone.utc), 0.0)
        occurrence = Occurrence("traffic", "crossed", time_, data)
        drafts.append(builder.draft(occurrence, camera=draw.choice(["door", "gate"])))
    outbox.append(drafts, CameraState("door", count * 10, {"count": count}))
    if draw.random() < 0.1:
        assert outbox.flush(10)
        print("flushed", count, flush=True)
"""


def run_and_kill(path: Path, durability: str, seed: int, life_s: float) -> tuple[int, int]:
    """What the process found when it started, and the last count it knew to be safe."""
    command = [sys.executable, "-c", VICTIM, str(path), durability, str(seed)]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stderr is not None
    first = victim.stdout.readline()
    assert first, victim.stderr.read()
    time.sleep(life_s)
    victim.send_signal(signal.SIGKILL)
    output, _ = victim.communicate(timeout=20)
    assert victim.returncode == -signal.SIGKILL
    lines = [line.split() for line in [first, *output.splitlines(keepends=True)] if line.endswith("\n")]
    return int(lines[0][1]), int(lines[-1][1])


def check(path: Path, safe: int) -> int:
    """Hold the file against all promises; how many events it has."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT id, topic, bootid, body FROM events JOIN streams USING (stream) ORDER BY n")
        events = [(id_, topic, bootid, json.loads(body)) for id_, topic, bootid, body in rows]
        found = connection.execute("SELECT position, body FROM states WHERE camera = 'door'").fetchone()
        totals = connection.execute("SELECT sum(count), sum(size) FROM totals").fetchone()
        sizes = connection.execute("SELECT count(*), sum(length(body)) FROM events").fetchone()
    assert [body["data"]["track_id"] for *_, body in events] == list(range(1, len(events) + 1)), "one each, in order"
    assert len({id_ for id_, *_ in events}) == len(events)
    assert len(events) >= safe, "what was flushed is there"
    position, state = found or (0, '{"count": 0}')
    assert json.loads(state)["count"] == len(events), "the state is of the same transaction"
    assert position == len(events) * 10
    assert totals == sizes
    sequences = defaultdict(list)
    for _, topic, bootid, body in events:
        sequences[bootid, topic].append(int(body["sequence"]))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values()), "no hole"
    return len(events)


def kill_many_times(path: Path, times: int, seed: int) -> None:
    draw = random.Random(seed)
    known = 0
    for number in range(times):
        durability = draw.choice(["crash", "power_loss"])
        started, safe = run_and_kill(path, durability, seed + number, draw.uniform(0.0, 0.15))
        assert started == known, "the next process goes on where the one before was committed"
        known = check(path, safe)
    assert known > times, "the test did something"


def test_kill_nine_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_many_times(tmp_path / "outbox.sqlite", 20, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_nine_many_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_many_times(tmp_path / "outbox.sqlite", 200, seed=1000)
