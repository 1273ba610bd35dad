"""Commands over MQTT: off by default, answered always; and how one is sent."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from edgevision.errors import BrokerUnavailable, EdgevisionError
from edgevision.events import topics
from edgevision.mqtt.client import Connection, Message, Session
from edgevision.mqtt.settings import MqttSettings

log = structlog.get_logger(__name__)

MOST_WAITING = 100
MAX_BYTES = 64 * 1024

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes the command's document, returns the answer's; raises ``EdgevisionError`` for what cannot be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    topic: str
    payload: bytes
    correlation: bytes | None


class Commands:
    """Hears commands, obeys them one after another in a stage of its own, and keeps the answers for the relay.

    A command is a JSON object on ``…/cmd/VERB``. The answer ``{"ok", "verb", "correlation", ...}`` goes to the response
    topic with its correlation data (MQTT 5), else to ``…/reply/VERB`` with the command's own ``correlation`` field. A
    command whose response topic is none to publish on is not obeyed, and told so on ``…/reply/VERB``.

    Args:
        site: The plant or shop.
        device: This box.
        handlers: What is obeyed, by verb.
    """

    def __init__(self, site: str, device: str, handlers: Mapping[str, Handler]) -> None:
        self._site, self._device = site, device
        self._handlers = handlers
        self._waiting: queue.Queue[Message] = queue.Queue(MOST_WAITING)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def take(self, message: Message) -> None:
        """Queue a command; a retained one is dropped, since it may be from another year."""
        if message.retain:
            log.warning("command.retained", topic=message.topic)
            return
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._answer(message, {"ok": False, "error": "too many commands are waiting"}, None)

    def answers(self) -> Iterator[Answer]:
        """Answers that are ready to go."""
        while not self._answers.empty():
            yield self._answers.get()

    def run(self, stop: threading.Event) -> None:
        """Obey until stopped."""
        while not stop.is_set():
            try:
                message = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            self._obey(message)

    def _obey(self, message: Message) -> None:
        verb = message.topic.rpartition("/")[2]
        correlation = None
        try:
            document = _document(message.payload)
            correlation = _correlation(document)
            _check_response(message.response_topic)
            handler = self._handlers.get(verb)
            if handler is None:
                allowed = ", ".join(self._handlers) or "none"
                msg = f"the command {verb!r} is not obeyed here; allowed: {allowed}"
                raise EdgevisionError(msg)
            answer = {"ok": True, **handler(document)}
        except EdgevisionError as exc:
            answer = {"ok": False, "error": str(exc)}
        log.info("command", verb=verb, ok=answer["ok"], error=answer.get("error"))
        self._answer(message, answer, correlation)

    def _answer(self, message: Message, answer: Mapping[str, Any], correlation: object) -> None:
        verb = message.topic.rpartition("/")[2]
        topic = message.response_topic
        if topic is None or not topics.publishable(topic):
            topic = topics.reply(self._site, self._device, verb)
        payload = json.dumps({**answer, "verb": verb, "correlation": correlation}).encode()
        self._answers.put(Answer(topic, payload, message.correlation))


def send_command(settings: MqttSettings, site: str, device: str, verb: str, document: dict[str, Any]) -> dict[str, Any]:
    """Send a command to a device, e.g. ``resend`` with ``{"from": ..., "to": ...}``, and wait for its answer.

    Raises:
        BrokerUnavailable: The broker, or within ten seconds the device, does not answer.
    """
    correlation = uuid.uuid4().hex
    connection = Connection(settings, Session(f"edgevision-command-{correlation[:12]}"))
    try:
        connection.subscribe(topics.reply(site, device, verb))
        payload = json.dumps({**document, "correlation": correlation}).encode()
        connection.publish(topics.command(site, device, verb), payload)
        deadline_s = time.monotonic() + 10.0
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                message = connection.messages.get(timeout=left_s)
            except queue.Empty:
                break
            if message is None:
                break
            answer = _answered(message.payload)
            if answer.get("correlation") == correlation:
                return answer
    finally:
        connection.close()
    msg = f"device {site}/{device} does not answer; are commands allowed there?"
    raise BrokerUnavailable(msg)


def _answered(payload: bytes) -> dict[str, Any]:
    """What was answered; nothing when it is no answer, since others may write to the topic too."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _document(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        msg = f"a command has at most {MAX_BYTES} bytes, this one {len(payload)}"
        raise EdgevisionError(msg)
    try:
        document = json.loads(payload or b"{}")
    except (ValueError, RecursionError) as exc:  # brackets within brackets, deeper than Python's stack
        msg = "the command is no JSON"
        raise EdgevisionError(msg) from exc
    if not isinstance(document, dict):
        msg = "the command must be a JSON object"
        raise EdgevisionError(msg)
    return document


def _correlation(document: dict[str, Any]) -> object:
    value = document.pop("correlation", None)
    if isinstance(value, (dict, list)):  # it goes back as it came, so it must not be of any depth
        msg = "correlation must be a text or a number"
        raise EdgevisionError(msg)
    return value


def _check_response(topic: str | None) -> None:
    if topic is not None and not topics.publishable(topic):
        msg = f"nothing can be published on the response topic {topic:.60}"
        raise EdgevisionError(msg)
