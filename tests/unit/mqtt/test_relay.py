"""What the relay sends to a broker that counts."""

from __future__ import annotations

import socket
import threading
from collections import deque
from datetime import datetime, timezone

from daemon_process import wait_until

from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.settings import MqttSettings
from edgevision.types import FrameTime, Occurrence

MOST = 5
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class Counting(threading.Thread):
    """A broker of MQTT 5 that takes ``MOST`` messages at a time and acknowledges each after a while."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.topics: list[str] = []
        self.worst = 0

    def run(self) -> None:
        with self._listener, self._listener.accept()[0] as peer:
            peer.settimeout(0.02)
            received, waiting = b"", deque[int]()
            while True:
                try:
                    data = peer.recv(65536)
                    if not data:
                        return
                    received += data
                except TimeoutError:
                    if waiting:  # one acknowledgement for each silence
                        peer.sendall(bytes([0x40, 2, *waiting.popleft().to_bytes(2, "big")]))
                    continue
                received = self._taken(peer, received, waiting)
                self.worst = max(self.worst, len(waiting))

    def _taken(self, peer: socket.socket, received: bytes, waiting: deque[int]) -> bytes:
        while len(received) > 1:
            length, shift, at = 0, 0, 1
            while at < len(received):
                length |= (received[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if not received[at - 1] & 0x80:
                    break
            if len(received) < at + length:
                break
            kind, body, received = received[0] >> 4, received[at : at + length], received[at + length :]
            topic = int.from_bytes(body[:2], "big")
            if kind == 1:  # CONNECT: CONNACK with Receive Maximum
                peer.sendall(bytes([0x20, 6, 0, 0, 3, 0x21, 0, MOST]))
            elif kind == 3:  # PUBLISH
                self.topics.append(body[2 : 2 + topic].decode())
                waiting.append(int.from_bytes(body[2 + topic : 4 + topic], "big"))
        return received


def test_no_more_is_unacknowledged_than_the_broker_takes_retained_documents_included() -> None:
    broker = Counting()
    broker.start()
    builder = EventBuilder("s", "d", "c" * 12)
    outbox = MemoryOutbox(builder)
    for number in range(1, 11):
        data = {"line": "l", "direction": "in", "track_id": number}
        crossed = Occurrence("traffic", "crossed", FrameTime(NOON, float(number)), data)
        outbox.append([builder.draft(crossed, camera="hall")])
    relay = Relay(
        outbox, MqttSettings(host="127.0.0.1", port=broker.port), site="s", device="d", birth={"version": "1"}
    )
    for number in range(12):
        relay.retain(f"edgevision/s/d/c{number}/state", {"state": "online"})
    stop = threading.Event()
    running = threading.Thread(target=relay.run, args=(stop,))
    running.start()
    try:
        wait_until(lambda: len(broker.topics) >= 24)  # 10 events, 12 states, birth and status
    finally:
        stop.set()
        running.join(20)
    assert broker.worst == MOST
    assert len({topic for topic in broker.topics if topic.endswith("/state")}) == 12
    assert broker.topics.count("edgevision/s/d/hall/traffic/crossed") == 10


def test_that_the_device_is_offline_is_told_also_when_there_is_no_room_at_the_stop() -> None:
    broker = Counting()
    broker.start()
    outbox = MemoryOutbox(EventBuilder("s", "d", "c" * 12))
    relay = Relay(outbox, MqttSettings(host="127.0.0.1", port=broker.port), site="s", device="d", birth={})
    states = [f"edgevision/s/d/c{number}/state" for number in range(12)]
    for topic in states:
        relay.retain(topic, {"state": "online"})
    stop = threading.Event()
    running = threading.Thread(target=relay.run, args=(stop,))
    running.start()
    try:
        wait_until(lambda: len(broker.topics) == 14)  # states, birth and status
        for topic in states:
            relay.retain(topic, {"state": "ended"})
    finally:
        stop.set()
        running.join(20)
    assert broker.worst <= MOST
    assert broker.topics[14:] == [*states, "edgevision/s/d/status"]
