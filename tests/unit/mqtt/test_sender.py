"""What a connection's answers make of events, with a broker that says what the test wants."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, cast

import pytest

from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.mqtt import sender as module
from edgevision.mqtt.client import Connection
from edgevision.mqtt.sender import Sender
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import FrameTime, Occurrence


class ScriptedBroker:
    """Stands for a connection; ``answer`` gives the reason code for (camera, track), or ``None`` for none yet."""

    window = 20
    room = 65_535
    outstanding = 0

    def __init__(self, answer: Callable[[str, int], int | None]) -> None:
        self.answer = answer
        self.acks: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self.sent: list[tuple[str, int]] = []

    def fits(self, topic: str, body: bytes) -> bool:
        return bool(topic and body)

    def publish(self, topic: str, body: bytes) -> int:
        self.sent.append((topic.split("/")[3], json.loads(body)["data"].get("track_id", 0)))
        code = self.answer(*self.sent[-1])
        if code is not None:
            self.acks.put((len(self.sent), code))
        return len(self.sent)

    def subscribe(self, topic: str) -> None:
        pass

    def unsubscribe(self, topic: str) -> None:
        pass


class Bench:
    """An outbox, a sender and the broker it talks to."""

    def __init__(self, answer: Callable[[str, int], int | None], **settings: object) -> None:
        self.outbox = MemoryOutbox(EventBuilder("plant", "box", "c" * 12))
        self.broker = ScriptedBroker(answer)
        connection = cast("Connection", self.broker)
        document = MqttSettings.model_validate({"host": "h", **settings})
        self.sender = Sender(connection, self.outbox, document, lambda _mid, _code: None)

    def emit(self, camera: str, *tracks: int) -> None:
        builder = EventBuilder("plant", "box", "c" * 12)
        for track in tracks:
            data = {"line": "l", "direction": "in", "track_id": track}
            now = FrameTime(datetime.now(timezone.utc), 0.0)
            self.outbox.append([builder.draft(Occurrence("traffic", "crossed", now, data), camera=camera)])

    def run(self, until: Callable[[], bool], timeout_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < deadline_s, "did not happen"
            self.sender.step()
            self.sender.wait()

    def facts(self) -> dict[str, Any]:
        return dict(self.outbox.health().facts)


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x97])
def test_a_moments_trouble_of_the_broker_parks_nothing_and_stops_no_other_topic(code: int) -> None:
    refusing = True
    bench = Bench(lambda camera, _: code if refusing and camera == "door" else 0)
    bench.emit("door", *range(1, 101))
    bench.emit("yard", *range(1, 101))
    bench.run(lambda: bench.sender.delivered >= 100)
    assert bench.facts()["parked"] == 0
    assert {item for item in bench.broker.sent if item[0] == "yard"} == {("yard", n) for n in range(1, 101)}
    refusing = False
    bench.run(lambda: bench.facts()["depth"] == 0)
    assert bench.facts()["parked"] == 0
    assert bench.broker.sent[-99:] == [("door", n) for n in range(2, 101)]


def test_one_refused_event_counts_once_however_many_were_accepted_behind_it() -> None:
    bench = Bench(lambda _, track: 0x80 if track == 1 else 0)
    bench.emit("door", *range(1, 31))
    bench.run(lambda: bench.sender.delivered >= 20)  # 19 of the window, and the outbox's word of the refusal
    for _ in range(5):
        bench.sender.step()
    assert bench.facts()["parked"] == 0
    assert ("door", 21) not in bench.broker.sent


def test_an_acknowledgement_after_the_missing_echo_makes_nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ECHO_TIMEOUT_S", 0.05)
    bench = Bench(lambda *_: None, protocol="3.1.1")
    bench.emit("door", 1)
    bench.run(lambda: bench.facts()["depth"] == 2)  # the event waits again, and so does the word of its refusal
    bench.broker.acks.put((1, 0))
    bench.sender.settle(0.0)
    assert bench.sender.delivered == 0
    assert bench.facts()["depth"] == 2
    assert bench.broker.acks.empty()
