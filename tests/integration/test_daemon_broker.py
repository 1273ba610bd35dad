"""The daemon from pictures to a real Mosquitto, read by `mosquitto_sub`: nothing of ours on the other side."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_process import SECONDS, DaemonProcess, wait_until, write_settings
from rtsp_server import RtspServer, available

from edgevision.inference.importer import Said, import_onnx
from edgevision.scenes.shop import ShopScene

pytestmark = pytest.mark.service

EXIT = "lines: {exit: {from: [0.74, 0], to: [0.74, 1], labels: [person]}}"
TABLE = "zones: {table: {polygon: [[0.46, 0.8], [0.72, 0.8], [0.72, 1.0], [0.46, 1.0]], labels: [person]}}"
DWELLS_S = (12.2, 20.6, 18.1, 10.0, 26.2, 10.7)

REAL = """\
site: s
device: d
models:
  people: {{bundle: people}}
cameras:
  hall:
    source: {source}
    model: people
    analyses:
      - kind: traffic
        {exit}
        {table}
outbox: {{path: outbox.sqlite}}
mqtt: {{host: 127.0.0.1, port: {port}}}
http: null
log: {{format: json}}
"""


class Broker:
    """A Mosquitto of the test's own, and everything that `mosquitto_sub` printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n", encoding="utf-8")
        server = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._processes = [subprocess.Popen([server, "-c", str(config)], stderr=subprocess.DEVNULL)]
        self._heard = folder / "heard.txt"
        time.sleep(0.5)
        command = ["mosquitto_sub", "-p", str(port), "-t", "edgevision/#", "-q", "1", "-F", "%j"]
        with self._heard.open("wb") as out:
            self._processes.append(subprocess.Popen(command, stdout=out))
        time.sleep(0.5)

    def events(self) -> list[dict[str, Any]]:
        messages = [json.loads(line) for line in self._heard.read_text(encoding="utf-8").splitlines()]
        payloads = [json.loads(message["payload"]) for message in messages]
        return [payload for payload in payloads if "specversion" in payload]

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Broker]:
    if not (shutil.which("mosquitto_sub") and (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists())):
        pytest.skip("Mosquitto and its clients are not installed")
    broker = Broker(tmp_path, free_port)
    yield broker
    broker.close()


def of_type(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event["type"] == f"edgevision.{name}.v1"]


def test_crossings_of_a_drawn_shop_reach_the_broker_exactly(tmp_path: Path, broker: Broker) -> None:
    settings = write_settings(tmp_path, more=f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}")
    daemon = DaemonProcess(settings, "--until-done")
    assert daemon.wait() == 0, daemon.text()
    truth = sorted(crossing.direction for crossing in ShopScene(5, seconds=SECONDS).crossings)
    wait_until(lambda: len(of_type(broker.events(), "traffic.crossed")) == len(truth))
    assert sorted(data["direction"] for data in of_type(broker.events(), "traffic.crossed")) == truth
    assert all("publishedat" in event for event in broker.events())


def real_settings(tmp_path: Path, data_dir: Path, broker: Broker, source: str) -> Path:
    import_onnx(data_dir / "weights" / "yolov8n-rebuilt.onnx", tmp_path / "people", Said("people"))
    settings = tmp_path / "settings.yaml"
    text = REAL.format(source=source, exit=EXIT, table=TABLE, port=broker.port)
    settings.write_text(text, encoding="utf-8")
    return settings


@pytest.mark.slow
def test_six_people_leave_one_by_one_and_none_comes_back(tmp_path: Path, data_dir: Path, broker: Broker) -> None:
    video = data_dir / "videos" / "one-by-one-person-detection.mp4"
    settings = real_settings(tmp_path, data_dir, broker, f"{{kind: file, path: {video}}}")
    daemon = DaemonProcess(settings, "--until-done")
    assert daemon.wait(900) == 0, daemon.text()
    wait_until(lambda: len(of_type(broker.events(), "traffic.crossed")) >= 6)
    assert [data["direction"] for data in of_type(broker.events(), "traffic.crossed")] == ["out"] * 6
    dwells = [data["dwell_s"] for data in of_type(broker.events(), "traffic.zone") if data["action"] == "left"]
    assert len(dwells) == len(DWELLS_S)
    assert all(abs(got - wanted) <= 2.5 for got, wanted in zip(dwells, DWELLS_S, strict=True))


@pytest.mark.slow
def test_the_same_over_rtsp_with_the_server_killed_in_between(tmp_path: Path, data_dir: Path, broker: Broker) -> None:
    if not available():
        pytest.skip("GStreamer's RTSP server is not installed")
    server = RtspServer(data_dir / "videos" / "one-by-one-person-detection.mp4")
    server.start()
    settings = real_settings(tmp_path, data_dir, broker, f"{{kind: rtsp, url: '{server.url}'}}")
    daemon = DaemonProcess(settings)
    try:
        wait_until(lambda: len(of_type(broker.events(), "traffic.crossed")) >= 1, 120)
        server.kill()
        wait_until(lambda: "reconnecting" in [data["state"] for data in of_type(broker.events(), "health.camera")], 60)
        server.start()
        before = len(of_type(broker.events(), "traffic.crossed"))
        wait_until(lambda: len(of_type(broker.events(), "traffic.crossed")) >= before + 2, 180)
    finally:
        clean = daemon.stop() == 0
        server.kill()
    assert clean, daemon.text()
    assert {data["direction"] for data in of_type(broker.events(), "traffic.crossed")} == {"out"}
