"""A real Mosquitto that refuses logins, topics, subscriptions, sizes; and a broker that throws everybody out."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from daemon_process import wait_until
from mosquitto import Mosquitto, refusing_subscriptions
from mqtt_device import Device, reader, received
from structlog.testing import capture_logs

from edgevision.backoff import Backoff
from edgevision.errors import PublishError
from edgevision.events.topics import event_filter
from edgevision.mqtt.client import Connection, Session
from edgevision.mqtt.consumer import Consumer, Received

pytestmark = pytest.mark.service


def test_a_refused_login_is_told_and_nothing_is_lost(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto("allow_anonymous false")
    broker.start()
    device = device_at(broker.port)
    device.emit(5)
    wait_until(lambda: "refuses the connection" in device.relay.health().detail)
    assert device.waiting() == 5


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_topic_refused_by_acl_does_not_stop_the_others(
    protocol: str, device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    rules = ["readwrite edgevision/plant/box/door/#", "readwrite edgevision/plant/box/device/#",
             "readwrite edgevision/plant/box/status", "readwrite edgevision/plant/box/birth",
             "readwrite edgevision/plant/box/reply/#", "read edgevision/#"]  # fmt: skip
    acl.write_text("".join(f"topic {rule}\n" for rule in rules), encoding="utf-8")
    acl.chmod(0o600)
    broker = mosquitto("allow_anonymous true", f"acl_file {acl}")
    broker.start()
    with Consumer(reader(broker.port), [event_filter(family="traffic"), event_filter(family="health")]) as consumer:
        device = device_at(broker.port, protocol)
        for _ in range(20):
            device.emit(1, "door")
            device.emit(1, "yard")
        crossed, told = 0, []
        for item in consumer.events(12.0):
            assert isinstance(item, Received)
            if item.event.family == "traffic":
                assert item.topic.split("/")[3] == "door"
                crossed += 1
            else:
                told.append(item.event)
            if crossed == 20 and told:
                break
    assert crossed == 20
    assert told[0].name == "publish_refused"
    assert told[0].data.topic.split("/")[3] == "yard"
    assert told[0].data.reason_code == 0x87
    assert device.waiting() >= 1


def test_a_refused_subscription_to_its_own_topic_does_not_stop_the_others(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    yard = "edgevision/plant/box/yard/traffic/crossed"
    broker = mosquitto(*refusing_subscriptions(tmp_path / "broker", yard))
    broker.start()
    with Consumer(reader(broker.port), [event_filter(family="traffic"), event_filter(family="health")]) as consumer:
        device = device_at(broker.port, "3.1.1")
        device.emit(2, "yard")
        device.emit(3, "door")
        items = received(consumer, 4, timeout_s=15.0)
    told = [item.event for item in items if item.event.family == "health"]
    assert [item.event.data.track_id for item in items if item.event.family == "traffic"] == [3, 4, 5]
    assert [(event.data.topic, event.data.reason_code) for event in told] == [(yard, 0x87)]
    wait_until(lambda: device.waiting() == 2)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_where_commands_cannot_be_heard_events_flow_and_the_health_says_so(
    protocol: str, device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto(*refusing_subscriptions(tmp_path / "broker", "edgevision/plant/box/cmd/+"))
    broker.start()
    commands = "edgevision/plant/box/cmd/+"
    with capture_logs() as logs, Consumer(reader(broker.port), [event_filter(family="traffic")]) as consumer:
        device = device_at(broker.port, protocol)
        device.emit(3)
        assert len(received(consumer, 3, timeout_s=15.0)) == 3
        assert device.relay.health().ok
        assert commands in device.relay.health().detail
        broker.kill()
        wait_until(lambda: not device.relay.health().ok)
        broker.start()
        wait_until(lambda: commands in device.relay.health().detail)
    assert sum(entry.get("topic") == commands for entry in logs) == 1
    broker.kill()
    wait_until(lambda: not device.relay.health().ok)
    mosquitto().start()
    wait_until(lambda: device.relay.health().ok)
    assert device.relay.health().detail == ""


def test_a_refused_birth_is_told_until_the_broker_takes_it(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite edgevision/plant/box/door/#\ntopic readwrite edgevision/plant/box/status\n")
    acl.chmod(0o600)
    broker = mosquitto("allow_anonymous true", f"acl_file {acl}")
    broker.start()
    birth, state = "edgevision/plant/box/birth", "edgevision/plant/box/yard/state"
    with capture_logs() as logs:
        device = device_at(broker.port)
        device.relay.retain(state, {"state": "ok"})
        wait_until(lambda: state in device.relay.health().detail)
        device.relay.retain(state, {"state": "dark"})
        device.relay.retain("edgevision/plant/box/door/state", {"state": "ok"})
        device.emit(1)
        wait_until(lambda: device.waiting() == 0)
    health = device.relay.health()
    assert health.ok
    assert birth in health.detail
    assert "status" not in health.detail
    assert "door" not in health.detail
    assert [sum(entry.get("topic") == topic for entry in logs) for topic in (birth, state)] == [1, 1]
    broker.kill()
    mosquitto().start()
    wait_until(lambda: device.relay.health().ok and device.relay.health().detail == "")


def test_what_mqtt_cannot_send_is_an_error_of_ours(mosquitto: Callable[..., Mosquitto]) -> None:
    broker = mosquitto()
    broker.start()
    with contextlib.closing(Connection(reader(broker.port), Session("c"))) as connection:
        with pytest.raises(PublishError, match="a/#"):
            connection.publish("a/#", b"{}")
        assert not connection.lost


class CountedBackoff(Backoff):
    """Knows how often its waits began anew; they are short."""

    started: ClassVar[int] = 0

    def waits(self, rng: random.Random | None = None) -> Iterator[float]:
        type(self).started += 1
        return super().waits(rng)


class Doorkeeper:
    """Lets everybody in, MQTT 5, and out again at once."""

    def __init__(self, port: int) -> None:
        self.visits = 0
        self._server = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self._server.accept()
                guest.recv(4096)
                guest.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK, success, no properties
                guest.close()
                self.visits += 1

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


def test_a_broker_that_throws_us_out_is_visited_less_and_less(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path, free_port: int
) -> None:
    CountedBackoff.started = 0
    broker = mosquitto()
    with contextlib.closing(Doorkeeper(free_port)) as doorkeeper:
        device = Device(tmp_path, reader(free_port), CountedBackoff(first_s=0.01, cap_s=0.1))
        with contextlib.closing(device):
            device.emit(1)
            wait_until(lambda: doorkeeper.visits >= 6)
            assert CountedBackoff.started == 1
            doorkeeper.close()
            broker.start()
            wait_until(lambda: device.waiting() == 0)
            broker.kill()
            wait_until(lambda: CountedBackoff.started == 2)


def test_an_event_too_large_for_the_broker_is_refused_and_the_next_one_flows(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto("allow_anonymous true", "max_packet_size 700")
    broker.start()
    with Consumer(reader(broker.port), [event_filter(family="traffic")]) as consumer:
        device = device_at(broker.port)
        device.outbox.append([device.draft("door", line="l" * 490)])
        device.emit(3)
        assert len(received(consumer, 3)) == 3
    wait_until(lambda: device.outbox.health().facts["parked"] == 1)


def test_an_event_too_large_does_not_stop_a_topic_that_it_was_to_try(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto("allow_anonymous true", "max_packet_size 700")
    broker.start()
    device = device_at(broker.port, no_subscribers="keep")
    wait_until(lambda: device.relay.health().ok)
    # Nobody wants the small one, so the large one before it is to find out whether that has changed.
    device.outbox.append([device.draft("door", line="l" * 490), device.draft("door")])
    with Consumer(reader(broker.port), [event_filter(family="traffic")]) as consumer:
        assert [item.event.data.track_id for item in received(consumer, 1, timeout_s=10.0)] == [2]
