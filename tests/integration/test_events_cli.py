"""`edgevision events` against a Mosquitto with TLS, and a device that is asked to send again."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from certificates import authority, certificate
from cli_process import edgevision, edgevision_process, error_of
from daemon_process import wait_until
from mosquitto import Mosquitto

from edgevision.backoff import Backoff
from edgevision.errors import EventError
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.events.topics import event_filter, reply
from edgevision.mqtt.client import Connection, Session
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import FrameTime, Occurrence

pytestmark = pytest.mark.service

BUILDER = EventBuilder("plant", "box", "c" * 12)
FROM, TO = "2026-01-31T07:00:00+01:00", "2026-02-01T00:00:00Z"


class Device:
    """A relay with events in memory, and commands that are answered by ``answer``."""

    def __init__(self, settings: Mapping[str, Any], answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self.outbox = MemoryOutbox(BUILDER)
        commands = Commands("plant", "box", {"resend": answer})
        relay = Relay(
            self.outbox,
            MqttSettings.model_validate({"no_subscribers": "keep", **settings}),
            site="plant",
            device="box",
            birth={},
            commands=commands,
            backoff=Backoff(first_s=0.05, cap_s=0.3),
        )
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run, args=(self._stop,)) for run in (relay.run, commands.run)]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: relay.health().ok)

    def emit(self, count: int) -> None:
        for number in range(count):
            data = {"line": "l", "direction": "in", "track_id": number + 1}
            occurrence = Occurrence("traffic", "crossed", FrameTime(datetime.now(timezone.utc), 0.0), data)
            self.outbox.append([BUILDER.draft(occurrence, camera="door")])

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


@pytest.fixture(name="device_at")
def _device_at() -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def make(settings: Mapping[str, Any], answer: Callable[..., Mapping[str, Any]] = lambda _: {}) -> Device:
        devices.append(Device(settings, answer))
        return devices[-1]

    yield make
    for device in devices:
        device.close()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Certificates of a broker and of a client, and a stranger's authority."""
    authority(tmp_path)
    authority(tmp_path, "stranger")
    certificate(tmp_path, "server", "localhost")
    certificate(tmp_path, "client", "box")
    return tmp_path


@pytest.fixture(name="broker_with")
def _broker_with(folder: Path, free_port: int) -> Iterator[Callable[..., Mosquitto]]:
    brokers: list[Mosquitto] = []

    def make(*lines: str) -> Mosquitto:
        files = (f"cafile {folder}/ca.pem", f"certfile {folder}/server.pem", f"keyfile {folder}/server.key")
        brokers.append(Mosquitto(folder / "broker", free_port, *files, *lines))
        brokers[-1].start()
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture(name="plain")
def _plain(tmp_path: Path, free_port: int) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", free_port)
    broker.start()
    yield broker
    broker.kill()


def test_tail_and_sink_read_over_tls_with_a_password_from_the_environment(
    folder: Path,
    broker_with: Callable[..., Mosquitto],
    device_at: Callable[..., Device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", "box", "right"], check=True)
    broker = broker_with("allow_anonymous false", f"password_file {folder}/passwords")
    login = {"username": "box", "password": "right", "tls": {"ca": str(folder / "ca.pem")}}
    device = device_at({"host": "localhost", "port": broker.port, **login})
    monkeypatch.setenv("EDGEVISION_MQTT_PASSWORD", "right")
    options = ("--host", "localhost", "--port", broker.port, "--user", "box", "--ca", folder / "ca.pem")
    device.emit(3)
    seen = edgevision("events", "tail", *options, "--count", 3, "--json")
    assert seen.returncode == 0, seen.stderr
    assert sorted(json.loads(line)["data"]["track_id"] for line in seen.stdout.splitlines()) == [1, 2, 3]
    device.emit(2)
    sunk = edgevision("events", "sink", "sqlite", folder / "events.sqlite", *options, "--idle-s", 2)
    assert sunk.returncode == 0, sunk.stderr
    assert "2 events written" in sunk.stderr
    monkeypatch.setenv("EDGEVISION_MQTT_PASSWORD", "wrong")
    assert "refuses the connection" in error_of(edgevision("events", "tail", *options))


def test_a_broker_that_wants_a_certificate_gets_one(
    folder: Path, broker_with: Callable[..., Mosquitto], device_at: Callable[..., Device]
) -> None:
    broker = broker_with("allow_anonymous true", "require_certificate true")
    tls = {name: str(folder / file) for name, file in (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key"))}
    device_at({"host": "localhost", "port": broker.port, "tls": tls}).emit(1)
    options = ("--host", "localhost", "--port", broker.port, "--tls", "--ca", tls["ca"])
    own = ("--cert", tls["cert"], "--key", tls["key"])
    assert edgevision("events", "tail", *options, *own, "--count", 1).returncode == 0
    assert str(broker.port) in error_of(edgevision("events", "tail", *options, "--idle-s", 1))


def test_a_broker_that_is_not_trusted_is_not_used(folder: Path, broker_with: Callable[..., Mosquitto]) -> None:
    broker = broker_with("allow_anonymous true")
    options = ("--host", "localhost", "--port", broker.port)
    for more in (("--tls",), ("--ca", folder / "stranger.pem")):
        assert "certificate verify failed" in error_of(edgevision("events", "tail", *options, *more))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_resend_says_how_many_events_will_come(
    plain: Mosquitto, device_at: Callable[..., Device], protocol: str
) -> None:
    asked: list[Mapping[str, Any]] = []

    def answer(document: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(document)
        return {"events": 12}

    device_at({"host": "127.0.0.1", "port": plain.port}, answer)
    options = ("--port", plain.port, "--protocol", protocol, "--from", FROM, "--to", TO)
    done = edgevision("events", "resend", "plant/box", *options, "--camera", "door", "--family", "traffic")
    assert (done.returncode, done.stdout) == (0, "12 events will come\n"), done.stderr
    span = {"from": "2026-01-31T06:00:00.000000Z", "to": "2026-02-01T00:00:00.000000Z"}
    assert asked == [{**span, "source": "door", "family": "traffic"}]
    done = edgevision("events", "resend", "plant/box", *options, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"events": 12})


def test_resend_says_what_does_not_fit_and_how_to_go_on(plain: Mosquitto, device_at: Callable[..., Device]) -> None:
    answer = {"events": 12, "left_out": 30, "next": "2026-01-31T09:00:00.000000Z"}
    device_at({"host": "127.0.0.1", "port": plain.port}, lambda _: answer)
    options = ("plant/box", "--port", plain.port, "--from", FROM, "--to", TO)
    done = edgevision("events", "resend", *options)
    assert (done.returncode, done.stdout) == (1, "12 events will come\n")
    assert "no room for 30 more" in done.stderr
    assert "--from 2026-01-31T09:00:00.000000Z" in done.stderr
    done = edgevision("events", "resend", *options, "--json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (1, answer, "")


def test_what_is_no_answer_on_the_reply_topic_is_passed_over(
    plain: Mosquitto, device_at: Callable[..., Device]
) -> None:
    connection = Connection(MqttSettings(host="127.0.0.1", port=plain.port), Session("stranger"))
    connection.publish(reply("plant", "box", "resend"), b"[1]", retain=True)
    assert connection.acks.get(timeout=10)
    device_at({"host": "127.0.0.1", "port": plain.port}, lambda _: {"events": 1})
    done = edgevision("events", "resend", "plant/box", "--port", plain.port, "--from", FROM, "--to", TO)
    assert done.stdout == "1 events will come\n", done.stderr
    connection.publish(reply("plant", "box", "resend"), b"no JSON", retain=True)
    assert connection.acks.get(timeout=10)
    done = edgevision("events", "resend", "plant/box", "--port", plain.port, "--from", FROM, "--to", TO)
    assert done.returncode == 0, done.stderr
    connection.close()


def test_a_device_that_refuses_to_resend_is_said_in_a_line(plain: Mosquitto, device_at: Callable[..., Device]) -> None:
    def answer(_document: Mapping[str, Any]) -> Mapping[str, Any]:
        msg = "resend: not today"
        raise EventError(msg)

    device_at({"host": "127.0.0.1", "port": plain.port}, answer)
    done = edgevision("events", "resend", "plant/box", "--port", plain.port, "--from", FROM, "--to", TO)
    assert error_of(done) == "error: device plant/box: resend: not today"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_sink_that_is_told_to_stop_says_what_it_has_written(
    plain: Mosquitto, device_at: Callable[..., Device], tmp_path: Path, ending: signal.Signals
) -> None:
    target = tmp_path / "events.sqlite"
    options = ("sqlite", target, "--port", plain.port, "--topic", event_filter(family="traffic"))
    sink = edgevision_process("events", "sink", *options)
    device = device_at({"host": "127.0.0.1", "port": plain.port})
    device.emit(3)
    wait_until(lambda: target.exists() and _count(target) == 3)
    sink.send_signal(ending)
    _, said = sink.communicate(timeout=20)
    assert "3 events written, 0 missing" in said
    assert sink.returncode == 0


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])


def test_a_filter_that_is_none_is_told_in_a_line(plain: Mosquitto) -> None:
    done = edgevision("events", "tail", "--port", plain.port, "--topic", "bad/#/x")
    assert "'bad/#/x' is no subscription filter" in error_of(done)
