"""What a broker knows of a device: online or not, what it runs, and the state of its cameras, all retained."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from certificates import authority, certificate
from daemon_process import DaemonProcess, events_in, wait_until, write_settings
from mosquitto import Mosquitto

from edgevision.events import topics

pytestmark = pytest.mark.service

LOGIN = ("allow_anonymous false", "password_file {folder}/passwords")
TLS = ("cafile {folder}/ca.pem", "certfile {folder}/server.pem", "keyfile {folder}/server.key")


class Listener:
    """Somebody who subscribes late: holds the newest payload of each topic."""

    def __init__(self, port: int) -> None:
        self._heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._latest: dict[str, Any] = {}
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("edgevision/#", qos=1)
        self._client.loop_start()

    def _hear(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.payload.startswith(b"{"):  # with 3.1.1 a device also sends probes to itself
            self._heard.put((message.topic, json.loads(message.payload)))

    def latest(self, topic: str) -> Any:
        while not self._heard.empty():
            heard, payload = self._heard.get()
            self._latest[heard] = payload
        return self._latest.get(topic)

    def until(self, topic: str, **wanted: Any) -> Any:
        """Wait until the newest payload of ``topic`` carries ``wanted``."""

        def carries() -> Any:
            payload = self.latest(topic)
            return payload if payload and wanted.items() <= payload.items() else None

        return wait_until(carries, 30)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(name="broker")
def _broker(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", free_port)
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_status_birth_and_camera_states_are_retained_and_a_kill_is_told_by_the_will(
    tmp_path: Path, broker: Mosquitto, protocol: str
) -> None:
    more = f"mqtt: {{host: 127.0.0.1, port: {broker.port}, protocol: '{protocol}', keepalive_s: 1}}"
    settings = write_settings(tmp_path, pace="realtime", more=more)
    status, birth = topics.status("s", "d"), topics.birth("s", "d")
    first = second = DaemonProcess(settings)
    wait_until(lambda: len(events_in(tmp_path / "outbox.sqlite")) >= 3)
    listener = Listener(broker.port)
    try:
        online = listener.until(status, status="online")
        born = listener.until(birth)
        assert born["site"] == "s"
        assert "people@1#" in json.dumps(born)
        listener.until(topics.camera_state("s", "d", "hall"), state="online")
        first.kill()
        listener.until(status, status="offline", reason="lost")
        second = DaemonProcess(settings)
        again = listener.until(status, status="online")
        assert again != online  # another boot
        assert second.stop() == 0, second.text()
        listener.until(status, status="offline", reason="stopped")
    finally:
        first.kill()
        second.kill()
        listener.close()


@pytest.fixture(name="secured")
def _secured(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    """A broker that wants TLS, user `box` and password `right`; another authority lies beside its own."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    folder = tmp_path / "secured"
    folder.mkdir()
    authority(folder)
    authority(folder, "stranger")
    certificate(folder, "server", "localhost")
    subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", "box", "right"], check=True)
    broker = Mosquitto(folder, free_port, *(line.format(folder=folder) for line in (*TLS, *LOGIN)))
    broker.start()
    yield broker
    broker.kill()


def _settings(folder: Path, port: int, protocol: str, password: str, authority: str = "ca") -> Path:
    (folder / "password").write_text(password + "\n", encoding="utf-8")
    mqtt = (
        f"mqtt: {{host: localhost, port: {port}, protocol: '{protocol}', username: box,"
        f" password: '${{file:{folder}/password}}', tls: {{ca: {folder}/secured/{authority}.pem}}}}"
    )
    return write_settings(folder, more=mqtt)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_flow_over_tls_with_a_password_from_a_file(tmp_path: Path, secured: Mosquitto, protocol: str) -> None:
    daemon = DaemonProcess(_settings(tmp_path, secured.port, protocol, "right"), "--until-done")
    assert daemon.wait() == 0, daemon.text()
    assert "right" not in daemon.text()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("password", "authority", "why"), [("wrong", "ca", "authori"), ("right", "stranger", "certif")]
)
def test_a_refused_login_or_certificate_is_said_and_every_event_is_kept(
    tmp_path: Path, secured: Mosquitto, protocol: str, password: str, authority: str, why: str
) -> None:
    settings = _settings(tmp_path, secured.port, protocol, password, authority)
    daemon = DaemonProcess(settings, "--until-done")
    try:
        wait_until(lambda: why in daemon.text().lower(), 30)
        wait_until(lambda: "camera.ended" in daemon.text(), 60)
        assert daemon.process.poll() is None  # it goes on trying
    finally:
        daemon.stop()
    kept = len(events_in(tmp_path / "outbox.sqlite"))
    assert kept > 10
    _settings(tmp_path, secured.port, protocol, "right")
    again = DaemonProcess(settings, "--until-done")
    assert again.wait() == 0, again.text()
    assert "Traceback" not in again.text()
