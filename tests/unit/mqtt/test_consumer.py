"""What a consumer makes of what comes in, with a broker that says what the test wants."""

from __future__ import annotations

import json
import queue
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from edgevision.errors import ConsumerError
from edgevision.mqtt.client import Connection, Message
from edgevision.mqtt.consumer import Consumer, Gap, Received
from edgevision.mqtt.dedup import SeenStore
from edgevision.mqtt.settings import MqttSettings

TOPIC = "edgevision/s/d/door/traffic/crossed"


class ScriptedConnection:
    """Stands for a connection on which something has come in."""

    lost = False

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.acknowledged: list[int] = []

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.mid)

    def close(self) -> None:
        pass


class Bench:
    """A consumer and what it is sent."""

    def __init__(self, store: Path | None = None, **settings: Any) -> None:
        self.consumer = Consumer(MqttSettings(host="h"), store=store, **settings)
        self.connection = ScriptedConnection()
        self.consumer._connection = cast("Connection", self.connection)
        self._mid = 0

    def send(self, boot: str, sequence: int, event_id: str, topic: str = TOPIC, **more: Any) -> None:
        *source, family, name = topic.split("/")
        quality = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 1.0, "clock_synced": True}
        data = {"line": "l", "direction": "in", "track_id": 1, "quality": quality, "model": "m@1#0123456789ab"}
        if family == "health":
            data = {"version": "1"}
        document = {
            "specversion": "1.0",
            "id": event_id,
            "source": "/".join(source),
            "type": f"edgevision.{family}.{name}.v1",
            "time": "2026-01-31T06:00:00.000000Z",
            "bootid": boot,
            "sequence": f"{sequence:020d}",
            "data": {"configrev": "0123456789ab", **data},
            **more,
        }
        self._mid += 1
        body = json.dumps(document).encode()
        self.connection.messages.put(
            Message(topic, body, retain=False, response_topic=None, correlation=None, mid=self._mid, qos=1)
        )

    def heard(self, idle_timeout_s: float = 0.3) -> list[str | tuple[str, int, int]]:
        """Ids of events; boots, first and last numbers of gaps."""
        found: list[str | tuple[str, int, int]] = []
        for item in self.consumer.events(idle_timeout_s):
            found.append(item.event.id if isinstance(item, Received) else (item.bootid, item.first, item.last))
            assert isinstance(item, (Received, Gap))
        return found


def test_what_could_not_be_remembered_is_with_the_next_acknowledgement(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "seen")
    bench.consumer._store = SeenStore(tmp_path / "seen", timeout_s=0.01)
    bench.send("b1", 1, "a")
    received = next(bench.consumer.events())
    assert isinstance(received, Received)
    with closing(sqlite3.connect(tmp_path / "seen", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConsumerError, match="locked"):
            bench.consumer.ack(received)
        assert bench.connection.acknowledged == []
    assert bench.heard() == []
    assert bench.connection.acknowledged == [1]
    bench.consumer.close()
    again = SeenStore(tmp_path / "seen")
    assert "a" in again
    assert again.streams(0.0)["b1", TOPIC].highest == 1
    again.close()


def test_what_could_not_be_looked_up_comes_when_it_is_asked_for_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "seen", grace_s=0.0)
    bench.consumer._store.close()
    bench.consumer._store = SeenStore(tmp_path / "seen", timeout_s=0.01)
    bench.send("b1", 1, "a")
    bench.send("b1", 2, "b")
    with closing(sqlite3.connect(tmp_path / "seen", isolation_level=None)) as other:
        other.execute("ALTER TABLE seen RENAME TO away")
        with pytest.raises(ConsumerError):
            bench.heard()
        other.execute("ALTER TABLE away RENAME TO seen")
    assert bench.heard() == ["a", "b"]
    assert bench.connection.acknowledged == [1, 2]
    bench.consumer.close()


def test_a_replay_under_a_new_number_is_no_news_and_no_gap(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "seen", grace_s=0.0)
    bench.send("b1", 1, "interval")
    bench.send("b2", 1, "x")
    bench.send("b2", 2, "interval")
    bench.send("b2", 3, "y")
    assert bench.heard() == ["interval", "x", "y"]
    assert bench.connection.acknowledged == [1, 2, 3, 4]
    bench.consumer.close()
    again = SeenStore(tmp_path / "seen")
    assert again.streams(0.0)["b2", TOPIC].highest == 3
    again.close()


def test_who_keeps_account_of_numbers_hears_of_a_replay_too() -> None:
    bench = Bench(grace_s=0.0, repeats=True)
    bench.send("b1", 1, "interval")
    bench.send("b2", 1, "x")
    bench.send("b2", 2, "interval")
    bench.send("b2", 3, "y")
    assert bench.heard() == ["interval", "x", "interval", "y"]
    assert bench.connection.acknowledged == [1, 2, 3, 4]
    bench.consumer.close()


def test_a_replay_may_be_the_first_of_its_boot() -> None:
    bench = Bench(grace_s=0.0)
    bench.send("b1", 1, "interval")
    bench.send("b2", 1, "s", "edgevision/s/d/device/health/started")
    bench.send("b2", 1, "interval")
    bench.send("b2", 2, "x")
    bench.send("b2", 4, "y")
    assert bench.heard() == ["interval", "s", "x", "y", ("b2", 3, 3)]
    bench.consumer.close()


def test_a_replay_that_is_remembered_needs_no_later_event(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "seen")
    bench.send("b1", 1, "interval")
    bench.send("b2", 1, "x")
    bench.send("b2", 2, "interval")
    assert bench.heard() == ["interval", "x"]
    bench.consumer.close()
    bench = Bench(tmp_path / "seen", grace_s=0.0)
    bench.send("b2", 3, "y")
    assert bench.heard() == ["y"]
    bench.consumer.close()


def test_what_is_sent_twice_begins_no_stream_and_changes_none() -> None:
    bench = Bench(grace_s=0.0)
    bench.send("b1", 5, "a")
    bench.send("b1", 6, "b")
    assert bench.heard() == ["a", "b"]
    bench.consumer._streams.changes()
    for sequence, event_id in ((5, "a"), (6, "b")):
        bench.send("b1", sequence, event_id)
    bench.send("forgotten", 7, "a")
    assert bench.heard() == []
    assert bench.consumer._streams.changes().streams == {}
    assert len(bench.consumer._streams) == 1
    bench.consumer.close()
