"""From the outbox through a real Mosquitto to the consumer: outages, loss of the broker's memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
from daemon_process import wait_until
from mosquitto import Mosquitto
from mqtt_device import Device, reader, received
from outboxes import unreadable
from structlog.testing import capture_logs

from edgevision.backoff import Backoff
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.events.topics import event_filter
from edgevision.mqtt.broker import EmbeddedBroker
from edgevision.mqtt.client import Connection, Session
from edgevision.mqtt.commands import send_command
from edgevision.mqtt.consumer import Consumer, Gap, Received
from edgevision.mqtt.settings import MqttSettings
from edgevision.mqtt.sinks import Pumped, SqliteSink, missing, pump
from edgevision.types import FrameTime, Occurrence

pytestmark = pytest.mark.service


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_wait_for_a_broker_that_comes_late_and_say_so(
    protocol: str, mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    patient = Backoff(first_s=4.0, cap_s=4.0)  # so that the consumer is there before the device
    with closing(Device(tmp_path / "device", reader(broker.port, protocol), patient)) as device:
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


def test_an_outbox_that_cannot_be_read_for_a_while_ends_nothing(
    device_at: Callable[..., Device], mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    device = device_at(broker.port)
    device.emit(5)
    assert device.waiting() == 5
    with unreadable(tmp_path / "device0" / "outbox.sqlite"), capture_logs() as logs:
        broker.start()
        wait_until(lambda: "cannot be read" in device.relay.health().detail)
        wait_until(lambda: sum(entry["event"] == "relay.online" for entry in logs) >= 3)
    wait_until(lambda: device.waiting() == 0)
    assert all(thread.is_alive() for thread in device.threads)


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
        send_command(settings, "plant", "box", "resend", {"from": begin, "to": datetime.now(timezone.utc).isoformat()})
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
                answer = send_command(settings, "plant", "box", "resend", {"from": begin, "to": "2100-01-01T00:00:00Z"})
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
        first = Pumped()
        pump(consumer, sink, first, idle_timeout_s=1.0)
        assert first == Pumped(30, [])
    with Consumer(settings, [topic]) as consumer:
        send_command(settings, "plant", "box", "resend", {"from": begin, "to": "2100-01-01T00:00:00Z"})
        pumped = Pumped()
        pump(consumer, sink, pumped, idle_timeout_s=1.0)
        assert pumped == Pumped(0, [])  # all were there
    assert sink_count(sink) == 30
    assert missing(sink) == []
    sink.close()


def sink_count(sink: SqliteSink) -> int:
    return sum(1 for _ in sink.numbers())


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
