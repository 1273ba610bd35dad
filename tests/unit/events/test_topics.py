"""Topics."""

from __future__ import annotations

import pytest

from edgevision.errors import EventError
from edgevision.events import topics
from edgevision.events.schema import EVENT_TYPES
from edgevision.events.topics import EventTopic


@pytest.mark.parametrize("key", sorted(EVENT_TYPES))
def test_building_and_reading_are_inverse(key: tuple[str, str]) -> None:
    topic = EventTopic("plant-1", "box", "door", *key)
    assert EventTopic.parse(str(topic)) == topic


def test_the_shape_of_a_topic() -> None:
    assert str(EventTopic("s", "d", "c", "traffic", "crossed")) == "edgevision/s/d/c/traffic/crossed"
    assert str(EventTopic("s", "d", "device", "health", "gap")) == "edgevision/s/d/device/health/gap"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "edgevision",
        "edgevision/s/d/c/traffic",
        "edgevision/s/d/c/traffic/crossed/more",
        "other/s/d/c/traffic/crossed",
        "edgevision/s/d/c/traffic/danced",
        "edgevision/S/d/c/traffic/crossed",
        "edgevision/s/d/cmd/traffic/crossed",
        "edgevision/device/d/c/traffic/crossed",
        "edgevision/s/d/-c/traffic/crossed",
        "edgevision/s/d/c\n/traffic/crossed",
        "edgevision/s/d/+/traffic/crossed",
        f"edgevision/s/d/{'c' * 64}/traffic/crossed",
    ],
)
def test_what_is_no_event_topic_is_refused(text: str) -> None:
    with pytest.raises(EventError):
        EventTopic.parse(text)


def test_the_other_topics_of_a_device() -> None:
    assert topics.source("s", "d") == "edgevision/s/d/device"
    assert topics.status("s", "d") == "edgevision/s/d/status"
    assert topics.birth("s", "d") == "edgevision/s/d/birth"
    assert topics.camera_state("s", "d", "c") == "edgevision/s/d/c/state"
    assert topics.command("s", "d") == "edgevision/s/d/cmd/+"
    assert topics.command("s", "d", "resend") == "edgevision/s/d/cmd/resend"
    assert topics.reply("s", "d", "resend") == "edgevision/s/d/reply/resend"


def test_filters_leave_open_what_is_not_given() -> None:
    assert topics.event_filter() == "edgevision/+/+/+/+/+"
    assert topics.event_filter(camera="door", family="traffic") == "edgevision/+/+/door/traffic/+"


@pytest.mark.parametrize(
    ("subscription", "topic", "covered"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/b", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/+", "a", False),
        ("+/+", "a/b", True),
        ("#", "a/b", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/b/#", "a", False),
        ("b/#", "a/b", False),
        (topics.event_filter(camera="door"), "edgevision/s/d/door/traffic/crossed", True),
        (topics.event_filter(camera="door"), "edgevision/s/d/yard/traffic/crossed", False),
    ],
)
def test_a_filter_covers_topics_as_mqtt_says(subscription: str, topic: str, covered: bool) -> None:  # noqa: FBT001
    assert topics.matches(subscription, topic) is covered


@pytest.mark.parametrize("topic", ["a", "/", "a/b", "edgevision/s/d/reply/trigger", "ä" * 32_767])
def test_where_anybody_may_publish(topic: str) -> None:
    assert topics.publishable(topic)


@pytest.mark.parametrize("topic", ["", "#", "a/#", "+/a", "$SYS/a", "$share/a/b", "a\0b", "ä" * 32_768])
def test_where_nobody_can_publish(topic: str) -> None:
    assert not topics.publishable(topic)


def test_a_devices_other_topics_are_known_as_such() -> None:
    others = [topics.status("s", "d"), topics.birth("s", "d"), topics.camera_state("s", "d", "door")]
    others += [topics.command("s", "d", "reload"), topics.reply("s", "d", "reload")]
    assert all(topics.is_beside_events(topic) for topic in others)
    for topic in ("edgevision/s/d/door/traffic/crossed", "edgevision/s/d/door/other", "else/s/d/status", "edgevision"):
        assert not topics.is_beside_events(topic)
