"""Documents that the broker keeps for those who come later: birth, status, the states of the cameras."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from itertools import islice
from typing import Any

from edgevision.mqtt.client import FAILURE, Connection
from edgevision.mqtt.refusals import Refusals


class Retained:
    """The newest document of each topic. ``put`` may be called from any thread, the rest by that of the connection.

    Args:
        refusals: Where it is told that the broker does not take one.
    """

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._lock = threading.Lock()
        self._documents: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._out: dict[int, str] = {}  # message id -> topic

    def put(self, topic: str, document: Mapping[str, Any]) -> None:
        """Have ``document`` published now and on every connect."""
        with self._lock:
            self._documents[topic] = encoded(document)
            self._changed.add(topic)

    def connected(self) -> None:
        """A new connection is to hear of all."""
        self._out.clear()
        with self._lock:
            self._changed = set(self._documents)

    def publish(self, connection: Connection) -> None:
        """Send what has changed, as far as the broker has room for it; the rest next time.

        Raises:
            BrokerUnavailable: The connection is gone.
        """
        with self._lock:
            changed = {topic: body for topic, body in self._documents.items() if topic in self._changed}
            changed = dict(islice(changed.items(), max(0, connection.room)))
            self._changed -= set(changed)
        for topic, body in changed.items():
            self._out[connection.publish(topic, body, retain=True)] = topic

    def acknowledged(self, mid: int, code: int) -> None:
        """The broker's answer to a message, maybe one of these."""
        topic = self._out.pop(mid, None)
        if topic is None:
            return
        if code >= FAILURE:
            self._refusals.refused(topic, f"the broker refuses what is retained on {topic} (0x{code:02x})")
        else:
            self._refusals.accepted(topic)


def encoded(document: Mapping[str, Any]) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()
