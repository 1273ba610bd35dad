"""The daemon obeys commands over a real Mosquitto, and its answers tell what was done."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from daemon_process import DaemonProcess, ask, events_in, wait_until, write_settings
from mosquitto import Mosquitto

from edgevision.events import topics
from edgevision.looks import read_looks

pytestmark = pytest.mark.service

YARD = """\
  yard:
    source: {kind: file, path: nowhere.mp4}
    model: people
"""
MQTT = "mqtt: {{host: 127.0.0.1, port: {port}}}\ncommands: {{verbs: [reload, state, resend, looks]}}\n"


class Operator:
    """Somebody with an MQTT client: sends a command, hears its answer."""

    def __init__(self, port: int) -> None:
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_message = lambda _client, _data, message: self._answers.put(json.loads(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(topics.reply("s", "d", "+"), qos=1)
        self._client.loop_start()

    def ask(self, verb: str, **document: Any) -> dict[str, Any]:
        payload = json.dumps({**document, "correlation": verb})
        self._client.publish(topics.command("s", "d", verb), payload, qos=1)
        answer = self._answers.get(timeout=20)
        assert (answer["verb"], answer["correlation"]) == (verb, verb)
        return answer

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(name="ports")
def _ports() -> tuple[int, int]:
    import socket

    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture(name="operator")
def _operator(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Operator]:
    broker = Mosquitto(tmp_path / "broker", ports[0])
    broker.start()
    operator = Operator(ports[0])
    yield operator
    operator.close()
    broker.kill()


@pytest.fixture(name="daemon")
def _daemon(tmp_path: Path, ports: tuple[int, int], operator: Operator) -> Iterator[DaemonProcess]:  # noqa: ARG001 - first the broker
    settings(tmp_path, ports)
    daemon = DaemonProcess(tmp_path / "settings.yaml")
    wait_until(lambda: ask(ports[1], "/readyz")[0] == 200)
    wait_until(lambda: "relay.online" in daemon.text())
    yield daemon
    assert daemon.stop() == 0, daemon.text()


def settings(folder: Path, ports: tuple[int, int], cameras: str = "") -> Path:
    return write_settings(
        folder, pace="realtime", more=cameras + MQTT.format(port=ports[0]), http=f"{{port: {ports[1]}}}"
    )


def test_reload_answers_when_it_is_done_and_says_what_was_done(
    tmp_path: Path, ports: tuple[int, int], operator: Operator, daemon: DaemonProcess
) -> None:
    assert daemon.process.poll() is None
    settings(tmp_path, ports, YARD)
    answer = operator.ask("reload")
    assert (answer["ok"], answer["started"], answer["kept"]) == (True, ["yard"], ["hall"])
    assert "yard" in operator.ask("state")["cameras"], "what a reload answers has happened"


def test_a_reload_of_wrong_settings_is_refused_with_the_reason_and_changes_nothing(
    tmp_path: Path, ports: tuple[int, int], operator: Operator, daemon: DaemonProcess
) -> None:
    assert daemon.process.poll() is None
    file = settings(tmp_path, ports)
    file.write_text(file.read_text().replace("model: people", "model: persons"), encoding="utf-8")
    answer = operator.ask("reload")
    assert answer["ok"] is False
    assert "there is no model 'persons'" in answer["error"]
    assert list(operator.ask("state")["cameras"]) == ["hall"]


@pytest.mark.parametrize("first", [None, "0001-01-01T00:00:00+05:00"])
def test_a_resend_from_no_time_is_answered_and_so_is_what_comes_after(
    operator: Operator, daemon: DaemonProcess, first: str | None
) -> None:
    assert daemon.process.poll() is None
    answer = operator.ask("resend", **{"from": first, "to": "2026-02-01T00:00:00Z"})
    assert answer["ok"] is False
    assert answer["error"].startswith("resend")
    assert operator.ask("state")["ok"] is True


def test_what_the_cameras_see_comes_as_a_file_that_an_export_takes(
    tmp_path: Path, operator: Operator, daemon: DaemonProcess
) -> None:
    assert daemon.process.poll() is None
    wait_until(lambda: operator.ask("looks")["cameras"])
    (tmp_path / "answer.json").write_text(json.dumps(operator.ask("looks")))
    assert read_looks(tmp_path / "answer.json").cameras["hall"].model == "people"


def test_what_is_not_switched_on_is_not_obeyed(operator: Operator, daemon: DaemonProcess, tmp_path: Path) -> None:
    assert daemon.process.poll() is None
    answer = operator.ask("trigger", source="hall")
    assert answer["ok"] is False
    assert "allowed: reload, state, resend" in answer["error"]
    assert not [event for event in events_in(tmp_path / "outbox.sqlite") if "verdict" in event["type"]]
