"""Hours in minutes: a busy daemon beside a camera that is never there takes no more and no more of anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from daemon_process import DaemonProcess, events_in, wait_until, write_settings
from mosquitto import Mosquitto

pytestmark = [pytest.mark.service, pytest.mark.slow]

WARM_S, RUN_S = 60.0, 180.0
MORE = """\
  yard:
    source: {{kind: scene, scene: shop, seed: 6, people: 30, fps: 30, length_s: 3000, pace: realtime}}
    model: people
    analyses:
      - kind: traffic
        lines: {{gate: {{from: [0.5, 0], to: [0.5, 1]}}}}
        period_s: 1
      - {{kind: detection, update_every_s: 0.5}}
  away:
    source: {{kind: rtsp, url: 'rtsp://127.0.0.1:{port}/none', open_timeout_s: 1}}
    model: people
mqtt: {{host: 127.0.0.1, port: {broker}}}
"""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process holds."""

    mebibytes: float
    files: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> Use:
        return cls(process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())


def least(process: psutil.Process, samples: int = 20) -> Use:
    """The least of a few seconds: what is not given back."""
    seen = []
    for _ in range(samples):
        seen.append(Use.of(process))
        time.sleep(0.25)
    return Use(min(u.mebibytes for u in seen), min(u.files for u in seen), min(u.threads for u in seen))


@pytest.mark.timeout(600)
def test_nothing_grows(tmp_path: Path, free_port: int) -> None:
    broker = Mosquitto(tmp_path / "broker", free_port)
    broker.start()
    more = MORE.format(port=free_port + 1, broker=free_port)
    settings = write_settings(tmp_path, pace="realtime", more=more)
    settings.write_text(settings.read_text(encoding="utf-8").replace("length_s: 30.0", "length_s: 3000"))
    # What has been delivered is not kept for long, so that the outbox is full of its resend window soon.
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("{path: outbox.sqlite}", "{path: outbox.sqlite, resend_max_bytes: 1000000}"))
    daemon = DaemonProcess(settings)
    try:
        wait_until(lambda: len(events_in(tmp_path / "outbox.sqlite")) > 10)
        process = psutil.Process(daemon.process.pid)
        time.sleep(WARM_S)
        before = least(process)
        time.sleep(RUN_S)
        after = least(process)
    finally:
        assert daemon.stop() == 0, daemon.text()
        broker.kill()
    assert daemon.text().count('"reconnecting"') > 0
    assert after.files <= before.files + 2, (before, after)
    assert after.threads <= before.threads + 1, (before, after)
    assert after.mebibytes <= before.mebibytes * 1.05 + 4, (before, after)
