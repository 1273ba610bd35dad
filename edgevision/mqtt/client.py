"""The only importer of paho: one connection to a broker, with our errors and without paho's own retries."""

from __future__ import annotations

import queue
import socket
import threading
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgevision.errors import BrokerRefused, BrokerUnavailable, PublishError
from edgevision.mqtt.settings import MqttSettings, TlsSettings

NO_MATCHING_SUBSCRIBERS = 0x10
FAILURE = 0x80  # reason codes from here on are refusals
NOT_AUTHORIZED = 0x87
FILTER_INVALID = 0x8F
TOPIC_INVALID = 0x90
PACKET_TOO_LARGE = 0x95
_RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: what holds when a broker names none
_HEADROOM_BYTES = 64  # of a PUBLISH packet beside topic and payload
_V311_REFUSALS = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}  # CONNACK codes of 3.1.1 as reason codes of 5


@dataclass(frozen=True, slots=True)
class Message:
    """Something that came in.

    Attributes:
        topic: Where.
        payload: What.
        retain: Whether it was kept by the broker from before.
        response_topic: Where an answer is wanted (MQTT 5).
        correlation: What the answer must carry (MQTT 5).
        mid: Its id, for ``acknowledge``.
        qos: How it was sent.
    """

    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None
    correlation: bytes | None
    mid: int
    qos: int


@dataclass(frozen=True, slots=True)
class Session:
    """How a broker is to know us.

    Attributes:
        client_id: Who we are.
        will: (topic, payload) that the broker publishes, retained, when we vanish.
        persistent: Whether the broker keeps subscriptions and what they are owed while we are away.
        manual_ack: Whether messages are acknowledged by ``acknowledge`` instead of on arrival.
    """

    client_id: str
    will: tuple[str, bytes] | None = None
    persistent: bool = False
    manual_ack: bool = False


class Connection:
    """One connection, from opening to its end; never reconnects. Used by one thread.

    What the network thread hears is queued: ``acks`` holds (message id, reason code), ``messages`` what came in. Both
    get ``None`` when the connection is gone.

    Args:
        settings: Where and how.
        session: How to be known.
    """

    def __init__(self, settings: MqttSettings, session: Session) -> None:
        self._settings = settings
        self._v5 = settings.protocol == "5"
        self._opened = threading.Event()
        self._refusal: tuple[int, str] | None = None
        self._lost = threading.Event()
        self._subscribed: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self.acks: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.window = settings.window
        self.session_present = False
        self._max_packet: int | None = None
        self._most = _RECEIVE_MAXIMUM
        self._published = 0  # written by the using thread alone, as the next by the network's
        self._acknowledged = 0
        self._client = self._make(session)
        self._open(session)

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost.is_set()

    @property
    def outstanding(self) -> int:
        """Messages that were sent and are not acknowledged, events or not."""
        return self._published - self._acknowledged

    @property
    def room(self) -> int:
        """How many more messages the broker takes now: whatever is not acknowledged counts, events or not."""
        return self._most - self.outstanding

    def fits(self, topic: str, payload: bytes) -> bool:
        """Whether the broker takes packets of this size."""
        size = len(topic.encode()) + len(payload) + _HEADROOM_BYTES
        return self._max_packet is None or size <= self._max_packet

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes | None = None) -> int:
        """Send with QoS 1; the acknowledgement will come through ``acks``. Returns the message id.

        Raises:
            BrokerUnavailable: The connection is gone.
            PublishError: MQTT has no such message, e.g. since its topic has a wildcard.
        """
        properties = None
        if self._v5:
            properties = _properties(PacketTypes.PUBLISH)
            properties.ContentType = "application/json"
            if correlation is not None:
                properties.CorrelationData = correlation
        try:
            info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        except ValueError as exc:
            raise PublishError(self._told(f"cannot be sent a message on {topic:.60}: {exc}")) from exc
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._lost.set()
            raise BrokerUnavailable(self._told(paho.error_string(info.rc)))
        self._published += 1
        return info.mid

    def subscribe(self, topic: str, timeout_s: float = 10.0) -> None:
        """Subscribe with QoS 1 and wait for the answer.

        Raises:
            BrokerRefused: The broker says no.
            BrokerUnavailable: It does not answer, or the connection is gone.
        """
        try:
            rc, mid = self._client.subscribe(topic, qos=1)
        except ValueError as exc:
            msg = f"{topic!r} is no subscription filter: `+` and `#` stand alone between slashes, `#` at the end"
            raise BrokerRefused(msg, FILTER_INVALID) from exc
        if rc != paho.MQTT_ERR_SUCCESS:
            raise BrokerUnavailable(self._told(paho.error_string(rc)))
        try:
            while (answer := self._subscribed.get(timeout=timeout_s)) is not None and answer[0] != mid:
                pass
        except queue.Empty:
            raise BrokerUnavailable(self._told(f"no answer to the subscription of {topic}")) from None
        if answer is None:
            raise BrokerUnavailable(self._told(f"gone before the subscription of {topic} was answered"))
        if answer[1] >= FAILURE:
            raise BrokerRefused(self._told(f"refuses the subscription of {topic} (0x{answer[1]:02x})"), answer[1])

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe; does not wait."""
        self._client.unsubscribe(topic)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is dealt with, under ``manual_ack``."""
        if message.qos > 0:
            self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Disconnect in order, so that the will is not published."""
        self._client.disconnect()
        self._client.loop_stop()
        self._gone()

    def _make(self, session: Session) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            session.client_id,
            clean_session=None if self._v5 else not session.persistent,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=session.manual_ack,
        )
        client.on_socket_open = _send_at_once
        settings = self._settings
        client.connect_timeout = settings.connect_timeout_s
        client.max_inflight_messages_set(_RECEIVE_MAXIMUM)  # ``room`` is what holds back
        if settings.username is not None:
            client.username_pw_set(
                settings.username, settings.password.get_secret_value() if settings.password else None
            )
        if settings.tls is not None:
            self._encrypt(client, settings.tls)
        if session.will is not None:
            client.will_set(*session.will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _encrypt(self, client: paho.Client, tls: TlsSettings) -> None:
        ca, cert, key = (None if path is None else str(path) for path in (tls.ca, tls.cert, tls.key))
        try:
            client.tls_set(ca, cert, key)
        except (OSError, ValueError) as exc:
            raise BrokerUnavailable(self._told(f"TLS: {exc}")) from exc
        client.tls_insecure_set(not tls.check_hostname)

    def _open(self, session: Session) -> None:
        settings = self._settings
        options: dict[str, Any] = {}
        if self._v5:
            options["clean_start"] = not session.persistent
            options["properties"] = _properties(PacketTypes.CONNECT)
            options["properties"].SessionExpiryInterval = 0xFFFFFFFF if session.persistent else 0
            options["properties"].ReceiveMaximum = 1000
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive_s, **options)
        except (OSError, ValueError) as exc:
            raise BrokerUnavailable(self._told(str(exc) or type(exc).__name__)) from exc
        self._client.loop_start()
        answered = self._opened.wait(settings.connect_timeout_s)
        if self._refusal is not None:
            code, reason = self._refusal
            self.close()
            raise BrokerRefused(self._told(f"refuses the connection: {reason} (0x{code:02x})"), code)
        if not answered or self.lost:
            self.close()
            raise BrokerUnavailable(self._told("accepts connections but does not answer"))

    def _told(self, text: str) -> str:
        return f"broker {self._settings.host}:{self._settings.port}: {text}"

    def _on_connect(self, _client: object, _data: object, flags: Any, code: Any, properties: Any) -> None:  # noqa: ANN401
        if code.is_failure:
            value = code.value if self._v5 else _V311_REFUSALS.get(code.value, code.value)
            self._refusal = (value, str(code))
        else:
            self.session_present = bool(flags.session_present)
            self._most = getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM)
            self.window = min(self._settings.window, self._most)
            self._max_packet = getattr(properties, "MaximumPacketSize", None)
        self._opened.set()

    def _on_disconnect(self, *_: object) -> None:
        self._gone()

    def _gone(self) -> None:
        self._lost.set()
        self._opened.set()
        self.acks.put(None)
        self.messages.put(None)
        self._subscribed.put(None)

    def _on_publish(self, _client: object, _data: object, mid: int, code: Any, _properties: object) -> None:  # noqa: ANN401
        # paho holds its own lock here: nothing but a hand-over is safe.
        self._acknowledged += 1
        self.acks.put((mid, code.value if self._v5 else 0))

    def _on_subscribe(self, _client: object, _data: object, mid: int, codes: Any, _properties: object) -> None:  # noqa: ANN401
        self._subscribed.put((mid, max(code.value for code in codes)))

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        properties = message.properties
        self.messages.put(
            Message(
                message.topic,
                bytes(message.payload),
                message.retain,
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
                message.mid,
                message.qos,
            )
        )


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]


def _send_at_once(_client: object, _data: object, sock: Any) -> None:  # noqa: ANN401 - a socket, maybe wrapped
    """Small packets must not wait for the broker's delayed acknowledgement of the ones before: up to 40 ms an event."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
