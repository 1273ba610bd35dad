"""From the outbox through a real Mosquitto to the consumer: outages, refusals, loss of the broker's memory."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

import pytest
from daemon_process import wait_until
from mosquitto import Mosquitto, refusing_subscriptions
from structlog.testing import capture_logs

from edgevision.backoff import Backoff
from edgevision.events.base import Draft
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.events.topics import event_filter
from edgevision.mqtt.broker import EmbeddedBroker
from edgevision.mqtt.client import Connection, MqttSettings, Session
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.consumer import Consumer, Gap, Received, ask
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.sinks import SqliteSink, missing, pump
from edgevision.types import FrameTime, Occurrence

pytestmark = pytest.mark.service

QUICK = Backoff(first_s=0.05, cap_s=0.3)


class Device:
    """An outbox with its relay, as the daemon runs them."""

    def __init__(self, folder: Path, settings: MqttSettings, backoff: Backoff = QUICK) -> None:
        self.builder = EventBuilder("plant", "box", "c" * 12)
        self.outbox = SqliteOutbox(OutboxSettings(path=folder / "outbox.sqlite"), self.builder)
        self.commands = Commands("plant", "box", {"resend": self._resend})
        self.relay = Relay(
            self.outbox, settings, site="plant", device="box", birth={"v": 1}, commands=self.commands, backoff=backoff
        )
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=run, args=(self.stop,)) for run in (self.relay.run, self.commands.run)]
        for thread in self.threads:
            thread.start()
        self.count = 0

    def emit(self, number: int, camera: str = "door") -> None:
        for _ in range(number):
            self.outbox.append([self.draft(camera)])

    def draft(self, camera: str, line: str = "l") -> Draft:
        self.count += 1
        data = {"line": line, "direction": "in", "track_id": self.count}
        occurrence = Occurrence("traffic", "crossed", FrameTime(datetime.now(timezone.utc), 0.0), data)
        return self.builder.draft(occurrence, camera=camera)

    def waiting(self) -> int:
        self.outbox.flush(5)
        return int(self.outbox.health().facts["depth"])

    def close(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        self.outbox.close()

    def _resend(self, document: object) -> dict[str, int | str]:
        assert isinstance(document, dict)
        span = document["from"], document["to"]
        return self.outbox.resend(document.get("source"), document.get("family"), *span).answer()


@pytest.fixture
def device_at(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def make(port: int, protocol: str = "5", **more: object) -> Device:
        document = {"host": "127.0.0.1", "port": port, "protocol": protocol, "keepalive_s": 2, **more}
        devices.append(Device(tmp_path / f"device{len(devices)}", MqttSettings.model_validate(document)))
        return devices[-1]

    yield make
    for device in devices:
        device.close()


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Mosquitto]]:
    brokers: list[Mosquitto] = []

    def make(*lines: str) -> Mosquitto:
        brokers.append(Mosquitto(tmp_path / "broker", free_port, *lines))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.kill()


def reader(port: int, protocol: str = "5") -> MqttSettings:
    return MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "protocol": protocol})


def received(consumer: Consumer, count: int, timeout_s: float = 30.0) -> list[Received]:
    items: list[Received] = []
    deadline_s = time.monotonic() + timeout_s
    while len(items) < count and time.monotonic() < deadline_s:
        for item in consumer.events(0.5):
            assert not isinstance(item, Gap), item
            items.append(item)
            if len(items) == count:
                consumer.ack(item)
                break
    return items


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_wait_for_a_broker_that_comes_late_and_say_so(
    protocol: str, device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    device = device_at(broker.port, protocol, no_subscribers="keep")
    device.emit(50)
    assert device.waiting() == 50
    assert not device.relay.health().ok
    broker.start()
    with Consumer(reader(broker.port), [event_filter(family="traffic")]) as consumer:
        old = received(consumer, 50)
        device.emit(3)
        new = received(consumer, 3)
    assert [item.event.data.track_id for item in old + new] == list(range(1, 54))
    assert all(item.event.historical for item in old)
    assert not any(item.event.historical for item in new)
    wait_until(lambda: device.waiting() == 0)
    assert device.relay.health().ok


def test_everything_comes_once_though_the_broker_is_killed(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    outage(device_at, mosquitto, tmp_path, events=2_000, kills=3)


@pytest.mark.slow
def test_20000_events_and_ten_kills(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    outage(device_at, mosquitto, tmp_path, events=20_000, kills=10)


def outage(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path, events: int, kills: int
) -> None:
    """One consumer a camera, one a family, three sinks that share; what the broker forgets is asked for again."""
    broker = mosquitto(
        "allow_anonymous true", "persistence true", f"persistence_location {tmp_path}/", "max_queued_messages 0"
    )
    broker.start()
    settings = reader(broker.port)
    begin = datetime.now(timezone.utc).isoformat()
    done = threading.Event()
    camera, family = (
        _Listener(settings, event_filter(camera="door"), done),
        _Listener(settings, event_filter(family="traffic"), done),
    )
    shares = [_Listener(settings, event_filter(family="traffic"), done, share="sinks") for _ in range(3)]
    listeners = [camera, family, *shares]
    for listener in listeners:
        listener.ready.wait(10)
    device = device_at(broker.port)
    feeder = threading.Thread(target=lambda: [device.emit(50, ("door", "yard")[n % 2]) for n in range(events // 50)])
    feeder.start()
    for _ in range(kills):
        time.sleep(0.7)
        broker.kill()
        time.sleep(0.3)
        broker.start()
    feeder.join()
    wait_until(lambda: device.waiting() == 0, 120)
    wanted = {"camera": events // 2, "family": events}

    def all_there() -> bool:
        shared = set().union(*(listener.ids for listener in shares))
        return (len(camera.ids), len(family.ids), len(shared)) == (wanted["camera"], events, events)

    for _ in range(6):
        if _soon(all_there, 10.0):
            break
        # What a killed broker had acknowledged and not yet delivered is gone there, but still in the device's window.
        ask(settings, "plant", "box", "resend", {"from": begin, "to": datetime.now(timezone.utc).isoformat()})
        wait_until(lambda: device.waiting() == 0, 120)
    done.set()
    for listener in listeners:
        listener.join()
    assert all_there(), (len(camera.ids), len(family.ids))
    assert all(count == 1 for count in Counter(camera.order).values())
    assert all(count == 1 for count in Counter(family.order).values())
    assert camera.false_gaps == []
    assert family.false_gaps == []


def _soon(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return condition()


class _Listener(threading.Thread):
    """A consumer in a thread."""

    def __init__(self, settings: MqttSettings, topic: str, done: threading.Event, share: str | None = None) -> None:
        super().__init__()
        self.order: list[str] = []
        self.false_gaps: list[Gap] = []
        self._numbers: set[tuple[str, str, int]] = set()
        self.ready = threading.Event()
        self._args = (settings, topic, done, share)
        self.start()

    @property
    def ids(self) -> set[str]:
        return set(self.order)

    def run(self) -> None:
        settings, topic, done, share = self._args
        name = f"listener-{id(self)}"
        with Consumer(settings, [topic], share=share, client_id=name, grace_s=2.0) as consumer:
            self.ready.set()
            while not done.is_set():
                for item in consumer.events(0.3):
                    if isinstance(item, Received):
                        self.order.append(item.event.id)
                        self._numbers.add((item.topic, item.event.bootid, int(item.event.sequence)))
                    elif any((item.topic, item.bootid, n) in self._numbers for n in range(item.first, item.last + 1)):
                        self.false_gaps.append(item)


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
    assert device.waiting() == 2


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


def test_events_that_nobody_wants_are_kept_in_order_and_stop_no_others(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    broker.start()
    with Consumer(reader(broker.port), [event_filter(camera="door", family="traffic")]) as consumer:
        device = device_at(broker.port, no_subscribers="keep")
        device.emit(6000, "yard")
        device.emit(5, "door")
        assert [item.event.data.track_id for item in received(consumer, 5)] == list(range(6001, 6006))
    with Consumer(reader(broker.port), [event_filter(camera="yard", family="traffic")]) as consumer:
        assert [item.event.data.track_id for item in received(consumer, 6000)] == list(range(1, 6001))
    wait_until(lambda: device.waiting() == 0)


def test_what_overflowed_at_the_broker_comes_by_resend(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto("allow_anonymous true", "max_queued_messages 100")
    broker.start()
    settings, topic = reader(broker.port), event_filter(family="traffic")
    with Consumer(settings, [topic], client_id="mes", store=tmp_path / "seen") as consumer:
        device = device_at(broker.port)
        begin = datetime.now(timezone.utc).isoformat()
        device.emit(10)
        assert len(received(consumer, 10)) == 10
    device.emit(500)
    wait_until(lambda: device.waiting() == 0)
    gaps, numbers = [], []
    with Consumer(settings, [topic], client_id="mes", store=tmp_path / "seen", grace_s=1.0) as consumer:
        device.emit(1)
        for item in consumer.events(3.0):
            if isinstance(item, Gap):
                gaps.append(item)
                answer = ask(settings, "plant", "box", "resend", {"from": begin, "to": "2100-01-01T00:00:00Z"})
                assert answer["ok"]
            else:
                numbers.append(item.event.data.track_id)
                again = bool(gaps) and numbers[-1] != 511
                assert item.event.historical == again, "what is sent again is no news"
    assert gaps
    assert sorted(numbers) == list(range(11, 512))


def test_an_event_whose_handling_crashed_comes_again(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    broker.start()
    settings, topic = reader(broker.port), event_filter(family="traffic")
    with Consumer(settings, [topic], client_id="c", store=tmp_path / "seen") as consumer:
        device = device_at(broker.port)
        device.emit(3)
        items = consumer.events(5.0)
        assert isinstance(next(items), Received)
        second = next(items)
        assert isinstance(second, Received)
        assert second.event.data.track_id == 2
    with Consumer(settings, [topic], client_id="c", store=tmp_path / "seen") as consumer:
        assert [item.event.data.track_id for item in received(consumer, 2)] == [2, 3]


def test_what_is_lost_at_the_start_of_a_boot_is_told(mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> None:
    broker = mosquitto()
    broker.start()
    builder = EventBuilder("plant", "box", "c" * 12)
    outbox = SqliteOutbox(OutboxSettings(path=tmp_path / "outbox.sqlite"), builder)
    started = Occurrence("health", "started", FrameTime(datetime.now(timezone.utc), 0.0), {"version": "1"})
    crossed = Occurrence(
        "traffic",
        "crossed",
        FrameTime(datetime.now(timezone.utc), 0.0),
        {"line": "l", "direction": "in", "track_id": 1},
    )
    outbox.append([builder.draft(started), *(builder.draft(crossed, camera="door") for _ in range(10))])
    outbox.flush(5)
    events = outbox.claim(20, "strict")
    outbox.close()
    with Consumer(reader(broker.port), grace_s=0.5) as consumer:
        sender = Connection(reader(broker.port), Session("sender"))
        for event in (events[6], events[0], *events[7:]):
            sender.publish(event.topic, event.body)
        items = list(consumer.events(2.0))
        sender.close()
    assert sum(isinstance(item, Received) for item in items) == 6
    (gap,) = (item for item in items if isinstance(item, Gap))
    assert (gap.topic, gap.bootid, gap.first, gap.last) == (events[6].topic, builder.bootid, 1, 5)


def test_a_sink_has_each_event_once_and_knows_what_is_missing(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    broker.start()
    sink = SqliteSink(tmp_path / "events.sqlite")
    begin = datetime.now(timezone.utc).isoformat()
    settings, topic = reader(broker.port), event_filter(family="traffic")
    with Consumer(settings, [topic]) as consumer:
        device_at(broker.port).emit(30)
        pump(consumer, sink, idle_timeout_s=1.0)
    with Consumer(settings, [topic]) as consumer:
        ask(settings, "plant", "box", "resend", {"from": begin, "to": "2100-01-01T00:00:00Z"})
        assert pump(consumer, sink, idle_timeout_s=1.0) == (30, [])
    assert sink_count(sink) == 30
    assert missing(sink) == []
    sink.close()


def sink_count(sink: SqliteSink) -> int:
    return sum(1 for _ in sink.bodies())


def test_the_embedded_broker_serves_the_same_relay(device_at: Callable[..., Device]) -> None:
    with (
        EmbeddedBroker() as broker,
        Consumer(reader(broker.port, "3.1.1"), [event_filter(family="traffic")]) as consumer,
    ):
        device = device_at(broker.port, "3.1.1")
        device.emit(40)
        assert [item.event.data.track_id for item in received(consumer, 40)] == list(range(1, 41))
        wait_until(lambda: device.waiting() == 0)
        device.close()
