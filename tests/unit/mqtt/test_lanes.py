"""What flows to a broker, what is tried and what waits."""

from __future__ import annotations

from dataclasses import replace

from edgevision.events.base import StoredEvent
from edgevision.mqtt.lanes import FIRST_DELAY_S, LONGEST_DELAY_S, MOST_HELD, Lanes


def event(rowid: int, topic: str = "a") -> StoredEvent:
    return StoredEvent(rowid, f"id{rowid}", topic, b"{}", 0)


def refusing() -> Lanes:
    """Topic ``a`` was refused at 0 s."""
    lanes = Lanes("strict", trusting=True)
    lanes["a"].refused(event(0), 0.0, all_alike=True)
    return lanes


def accept(lanes: Lanes, topic: str = "a") -> None:
    """The broker takes what was to find out."""
    probe = lanes[topic].probe
    assert probe is not None
    lanes[topic].accepted(probe)


def rows(lanes: Lanes, room: int = 20, now_s: float = 0.0) -> list[int]:
    return [item.rowid for item in lanes.ready(room, now_s)]


def test_flowing_topics_go_in_the_order_of_the_outbox() -> None:
    lanes = Lanes("strict", trusting=True)
    lanes.offer([event(1, "a"), event(2, "b"), event(3, "a"), event(4, "c")])
    assert rows(lanes, room=3) == [1, 2, 3]
    assert lanes.waiting == 1
    assert rows(lanes) == [4]


def test_what_comes_back_stands_where_it_stood() -> None:
    lanes = Lanes("strict", trusting=True)
    lanes.offer([event(number) for number in range(1, 6)])
    out = list(lanes.ready(4, 0.0))
    for item in out:
        lanes["a"].unwanted(item, 0.0)
    assert rows(lanes, now_s=0.5) == []
    assert rows(lanes, now_s=FIRST_DELAY_S) == [1]
    accept(lanes)
    assert rows(lanes) == [2, 3, 4, 5]


def test_live_events_overtake_historical_ones_only_where_that_is_wanted() -> None:
    mixed = [event(7), event(8, "b"), replace(event(1), historical=True), replace(event(2, "b"), historical=True)]
    lanes = Lanes("live_first", trusting=True)
    lanes.offer(reversed(mixed))
    assert rows(lanes) == [7, 8, 1, 2]
    lanes = Lanes("strict", trusting=True)
    lanes.offer(mixed)
    assert rows(lanes) == [1, 2, 7, 8]


def test_a_topic_that_holds_much_is_full_until_some_of_it_went() -> None:
    lanes = refusing()
    lanes.offer([event(number) for number in range(MOST_HELD)] + [event(MOST_HELD, "b")])
    assert lanes.full == {"a"}
    assert rows(lanes, now_s=FIRST_DELAY_S) == [MOST_HELD, 0]
    accept(lanes)
    assert len(rows(lanes)) == 20
    assert lanes.full == set()


def test_only_the_probe_itself_makes_way_for_the_next() -> None:
    lanes = Lanes("strict", trusting=True)
    lanes.offer([event(1), event(2), event(3)])
    first, second, _ = lanes.ready(3, 0.0)
    lanes["a"].unwanted(first, 0.0)
    assert rows(lanes, now_s=5.0) == [1]
    lanes["a"].unwanted(second, 5.0)
    assert rows(lanes, now_s=10.0) == []
    lanes["a"].unwanted(first, 10.0)
    assert rows(lanes, now_s=15.0) == [1]


def test_a_refused_topic_is_tried_with_one_event_after_growing_waits() -> None:
    lanes = Lanes("strict", trusting=True)
    lanes.offer([event(1), event(2), event(3, "b")])
    assert rows(lanes) == [1, 2, 3]
    assert [item.rowid for item in lanes["a"].refused(event(1), 0.0, all_alike=True)] == [1]
    assert lanes["a"].refused(event(2), 0.1, all_alike=True) == []
    lanes.offer([event(1), event(4, "b")])
    assert rows(lanes, now_s=0.5) == [4]
    assert rows(lanes, now_s=FIRST_DELAY_S) == [1]
    assert rows(lanes, now_s=FIRST_DELAY_S) == []
    probe = lanes["a"].probe
    assert probe is not None
    together = lanes["a"].refused(probe, FIRST_DELAY_S, all_alike=True)
    assert [item.rowid for item in together] == [1, 2]
    assert lanes["a"].retry_s == FIRST_DELAY_S + 2 * FIRST_DELAY_S


def test_a_window_of_refusals_is_one_refusal() -> None:
    lanes = Lanes("strict", trusting=True)
    lanes.offer([event(number) for number in range(1, 5)] + [event(9, "b")])
    first, *others = lanes.ready(3, 0.0)
    assert lanes["a"].refused(first, 0.0, all_alike=False) == [first]
    lanes["a"].accepted(event(0))
    assert [lanes["a"].refused(item, 0.1, all_alike=False) for item in others] == [[], []]
    assert rows(lanes, now_s=0.5) == [9]
    assert rows(lanes, now_s=FIRST_DELAY_S) == [2]
    accept(lanes)
    assert rows(lanes) == [3, 4]


def test_the_waits_grow_to_a_limit_until_one_is_accepted() -> None:
    lanes = Lanes("strict", trusting=True)
    now_s, tries = 0.0, []
    for _ in range(10):
        lanes.offer([event(1)])
        (probe,) = lanes.ready(20, now_s)
        assert lanes["a"].refused(probe, now_s, all_alike=False) == [probe]
        tries.append(lanes["a"].retry_s - now_s)
        now_s = lanes["a"].retry_s
    assert tries == [1, 2, 4, 8, 16, 32, *[LONGEST_DELAY_S] * 4]
    lanes.offer([event(1)])
    assert rows(lanes, now_s=now_s) == [1]
    accept(lanes)
    assert lanes["a"].delay_s == FIRST_DELAY_S


def test_an_accepted_probe_lets_the_rest_flow() -> None:
    lanes = refusing()
    lanes.offer([event(1), event(2), event(3)])
    assert rows(lanes, now_s=5.0) == [1]
    accept(lanes)
    assert rows(lanes, now_s=5.0) == [2, 3]
    assert lanes["a"].delay_s == FIRST_DELAY_S


def test_without_trust_every_topic_begins_with_a_probe() -> None:
    lanes = Lanes("strict", trusting=False)
    lanes.offer([event(1, "a"), event(2, "a"), event(3, "b")])
    assert rows(lanes) == [1, 3]
    accept(lanes, "b")
    lanes.offer([event(4, "b")])
    assert rows(lanes) == [4]
    assert rows(lanes, room=0) == []
