"""A device's outbox, relay and commands without the rest of it, and who listens to them."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from edgevision.backoff import Backoff
from edgevision.events.base import Draft
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.mqtt.commands import Commands
from edgevision.mqtt.consumer import Consumer, Gap, Received
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import FrameTime, Occurrence

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
