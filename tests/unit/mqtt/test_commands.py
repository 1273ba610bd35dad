"""Commands are obeyed one after another and answered always."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from edgevision.errors import StationError
from edgevision.mqtt.client import Message
from edgevision.mqtt.commands import MAX_BYTES, MOST_WAITING, Answer, Commands


def message(verb: str, payload: bytes = b"{}", *, retain: bool = False, response: str | None = None) -> Message:
    correlation = None if response is None else b"c1"
    return Message(f"edgevision/plant/box/cmd/{verb}", payload, retain, response, correlation, 1, 1)


def trigger(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "camera" not in document:
        text = "which camera?"
        raise StationError(text)
    return {"trigger_id": "t"}


def answer_to(*messages: Message) -> list[tuple[Answer, dict[str, Any]]]:
    commands = Commands("plant", "box", {"trigger": trigger})
    stop = threading.Event()
    thread = threading.Thread(target=commands.run, args=(stop,))
    thread.start()
    for item in messages:
        commands.take(item)
    answers: list[Answer] = []
    deadline_s = time.monotonic() + 5
    while len(answers) < len(messages) and time.monotonic() < deadline_s:
        answers.extend(commands.answers())
        time.sleep(0.005)
    stop.set()
    thread.join(5)
    return [(answer, json.loads(answer.payload)) for answer in answers]


def test_the_answer_goes_to_the_reply_topic_with_the_commands_own_correlation() -> None:
    ((answer, document),) = answer_to(message("trigger", b'{"camera": "a", "correlation": 7}'))
    assert answer.topic == "edgevision/plant/box/reply/trigger"
    assert document == {"ok": True, "trigger_id": "t", "verb": "trigger", "correlation": 7}


def test_mqtt_5_names_its_own_response_topic_and_correlation_data() -> None:
    ((answer, _),) = answer_to(message("trigger", b'{"camera": "a"}', response="answers/here"))
    assert (answer.topic, answer.correlation) == ("answers/here", b"c1")


@pytest.mark.parametrize("response", ["a/#", "a/+/b", "", "$SYS/broker", "a" * 65_536])
def test_a_response_topic_that_is_none_is_refused_where_the_answers_usually_go(response: str) -> None:
    ((answer, document),) = answer_to(message("trigger", b'{"camera": "a", "correlation": 7}', response=response))
    assert answer.topic == "edgevision/plant/box/reply/trigger"
    assert (document["ok"], document["correlation"]) == (False, 7)
    assert "response topic" in document["error"]


@pytest.mark.parametrize(
    ("verb", "payload", "error"),
    [
        ("trigger", b"{}", "which camera?"),
        ("trigger", b"{", "no JSON"),
        ("trigger", b"[" * 60_000, "no JSON"),
        ("trigger", b'{"correlation": [[[]]]}', "correlation must be"),
        ("trigger", b"[1]", "must be a JSON object"),
        ("trigger", b" " * (MAX_BYTES + 1), "at most"),
        ("reboot", b"{}", "'reboot' is not obeyed here; allowed: trigger"),
    ],
)
def test_what_cannot_be_done_is_answered_with_the_reason(verb: str, payload: bytes, error: str) -> None:
    ((_, document),) = answer_to(message(verb, payload))
    assert document["ok"] is False
    assert error in document["error"]


def test_a_retained_command_is_from_another_day_and_dropped() -> None:
    commands = Commands("plant", "box", {"trigger": trigger})
    commands.take(message("trigger", retain=True))
    assert list(commands.answers()) == []


def test_a_flood_is_answered_and_not_kept() -> None:
    commands = Commands("plant", "box", {"trigger": trigger})
    for _ in range(MOST_WAITING + 1):
        commands.take(message("trigger"))
    (answer,) = commands.answers()
    assert b"too many commands" in answer.payload
