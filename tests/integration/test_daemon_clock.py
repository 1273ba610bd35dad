"""A device without a battery: the wall clock shows 1970 at the start, and jumps while cameras run."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from daemon_process import SECONDS, DaemonProcess, events_in, wait_until, write_settings

from edgevision.scenes.shop import ShopScene

pytestmark = pytest.mark.service


class Clock:
    """The wall clock of a daemon, ``offset_s`` away from the real one."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "fake_clock.so", folder / "offset"
        source = Path(__file__).parents[1] / "fake_clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        self.environment = {"LD_PRELOAD": str(library), "FAKE_CLOCK": str(self._file)}
        self.set(0)

    def set(self, offset_s: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s}\n")
        new.replace(self._file)


@pytest.fixture(name="clock")
def _clock(tmp_path: Path) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    return Clock(tmp_path)


def _without_gaps(events: list[dict[str, Any]]) -> None:
    """No id twice, and every topic's sequence counts from 1 without holes."""
    ids = [event["id"] for event in events]
    assert len(set(ids)) == len(ids)
    numbers: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in events:
        numbers[event["source"], event["type"], event["bootid"]].append(int(event["sequence"]))
    for row in numbers.values():
        assert row == list(range(1, len(row) + 1))


def test_a_boot_in_1970_loses_nothing_and_says_that_the_clock_is_not_set(tmp_path: Path, clock: Clock) -> None:
    clock.set(10 - int(time.time()))
    daemon = DaemonProcess(write_settings(tmp_path), "--until-done", environment=clock.environment)
    assert daemon.wait() == 0, daemon.text()
    events = events_in(tmp_path / "outbox.sqlite")
    _without_gaps(events)
    crossed = [event for event in events if event["type"] == "edgevision.traffic.crossed.v1"]
    truth = sorted(crossing.direction for crossing in ShopScene(5, seconds=SECONDS).crossings)
    assert sorted(event["data"]["direction"] for event in crossed) == truth
    assert {event["data"]["quality"]["clock_synced"] for event in crossed} == {False}
    (boot,) = [event for event in events if event["type"] == "edgevision.health.started.v1"]
    assert boot["time"].startswith("1970-01-01")


def test_jumps_of_the_clock_are_announced_and_change_no_count(tmp_path: Path, clock: Clock) -> None:
    settings = write_settings(tmp_path, pace="realtime")
    text = settings.read_text(encoding="utf-8").replace(", start_time: 2026-01-01T00:00:00Z", "")
    settings.write_text(text.replace("length_s: 30.0", "length_s: 14.0"), encoding="utf-8")
    daemon = DaemonProcess(settings, "--until-done", environment=clock.environment)
    outbox = tmp_path / "outbox.sqlite"

    def jumps() -> list[float]:
        return [
            event["data"]["offset_s"]
            for event in events_in(outbox)
            if event["type"] == "edgevision.health.clock.v1" and "offset_s" in event["data"]
        ]

    wait_until(lambda: any(e["source"].endswith("/hall") for e in events_in(outbox)))
    clock.set(3600)
    wait_until(lambda: len(jumps()) == 1)
    clock.set(-1800)
    wait_until(lambda: len(jumps()) == 2)
    assert daemon.wait() == 0, daemon.text()
    assert jumps() == [pytest.approx(3600, abs=1), pytest.approx(-5400, abs=1)]
    events = events_in(outbox)
    _without_gaps(events)
    crossed = [event for event in events if event["type"] == "edgevision.traffic.crossed.v1"]
    assert len(crossed) >= 3
    latest: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event["data"]
        if event["type"] == "edgevision.traffic.interval.v1":
            known = latest.get(data["start"])
            assert known is None or known["revision"] < data["revision"]
            latest[data["start"]] = data
            datetime.fromisoformat(data["start"])
    assert sum(row["count_in"] + row["count_out"] for row in latest.values()) == len(crossed)
