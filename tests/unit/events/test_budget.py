"""The byte budget: what goes, what is sent again, and what is told of it."""

from __future__ import annotations

from collections import Counter, defaultdict

from outboxes import (
    ALWAYS,
    APPEARED,
    CROSSED,
    GAP,
    VERDICT,
    Open,
    delivered,
    document,
    draft,
    new_boot,
    stored,
)


def test_a_resend_takes_free_room_only_the_oldest_first_and_says_where_to_go_on(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    delivered(outbox, [draft(builder, number, "verdict") for number in range(60)])
    outbox.append([draft(builder, number, "appeared") for number in range(10)])
    assert outbox.flush(5)
    came: list[int] = []
    start, rounds = ALWAYS[2], 0
    while True:
        rounds += 1
        answer = outbox.resend(None, None, start, ALWAYS[3]).answer()
        waiting = stored(outbox)
        assert sum(event.topic == APPEARED for event in waiting) == 10, "what was never sent stays"
        again = [event for event in waiting if event.topic == VERDICT]
        assert len(again) == answer["events"] > 0
        came += [int(document(event)["sequence"]) for event in again]
        outbox.done([event.rowid for event in again])
        assert outbox.flush(5)
        if "left_out" not in answer:
            break
        assert answer["left_out"] == 60 - came[-1]
        start = str(answer["next"])
    assert rounds > 1
    assert came == list(range(1, 61))
    assert outbox.health().facts["lost"] == 0


def test_what_is_sent_again_makes_room_for_what_is_new_and_is_not_lost(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    delivered(outbox, [draft(builder, number, "verdict") for number in range(60)])
    sent = outbox.resend(*ALWAYS).events
    assert sent > 10
    claimed = {event.rowid for event in outbox.claim(3, "strict")}
    outbox.append([draft(builder, number, "appeared") for number in range(10)])
    assert outbox.flush(5)
    events = stored(outbox)
    assert Counter(event.topic for event in events).keys() == {VERDICT, APPEARED}, "no announcement of a gap"
    assert sum(event.topic == APPEARED for event in events) == 10
    assert claimed < {event.rowid for event in events}
    assert outbox.health().facts["lost"] == 0
    outbox.done([event.rowid for event in events])
    outbox.resend(*ALWAYS)
    assert len(stored(outbox)) >= sent, "what went back can be asked for again"


def test_parked_events_come_back_though_there_is_no_room(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    delivered(outbox, [draft(builder, 0)])
    outbox.append([draft(builder, 1)])
    assert outbox.flush(5)
    rowid = outbox.claim(1, "strict")[0].rowid
    for _ in range(5):
        outbox.refused(rowid, 0x87, "no")
        assert outbox.flush(5)
        outbox.claim(5, "strict")
    while outbox.health().facts["bytes"] < 8_500:
        outbox.append([draft(builder, 5, note="z" * 100)])
        assert outbox.flush(5)
    answer = outbox.resend(None, "traffic", ALWAYS[2], "2026-01-31T06:00:02Z")
    assert (answer.events, answer.left_out, outbox.health().facts["parked"]) == (1, 1, 0)


def test_over_budget_the_lowest_priority_goes_first_and_the_oldest_of_it(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=20_000)
    for number in range(30):
        outbox.append([draft(builder, number, kind) for kind in ("verdict", "crossed", "appeared")])
        assert outbox.flush(5)
    events = stored(outbox)
    by_topic = defaultdict(list)
    for event in events:
        by_topic[event.topic].append(int(document(event)["sequence"]))
    assert by_topic[VERDICT] == list(range(1, 31))
    assert len(by_topic[APPEARED]) < len(by_topic[CROSSED]) < 30
    assert by_topic[CROSSED] == list(range(31 - len(by_topic[CROSSED]), 31))
    assert sum(len(event.body) for event in events) <= 20_000 + 2_000


def test_a_gap_lists_exactly_what_went(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    for number in range(200):
        outbox.append([draft(builder, number, "appeared" if number % 2 else "crossed")])
        if number % 10 == 0:
            assert outbox.flush(5)
    assert outbox.flush(5)
    events = stored(outbox)
    lost: dict[str, Counter[str]] = {"count": Counter(), "first": Counter(), "last": Counter()}
    for event in events:
        if event.topic == GAP:
            data = document(event)["data"]
            assert data["reason"] == "budget"
            assert data["count"] == sum(item["count"] for item in data["lost"])
            for item in data["lost"]:
                assert item["bootid"] == builder.bootid
                lost["count"][item["topic"]] += item["count"]
                lost["last"][item["topic"]] = max(lost["last"][item["topic"]], int(item["last"]))
    kept = Counter(event.topic for event in events)
    for topic in (CROSSED, APPEARED):
        assert kept[topic] + lost["count"][topic] == 100
        assert lost["last"][topic] == 100 - kept[topic]
    assert kept[GAP] == 1, "an announcement that still waits goes into the next"
    numbers = [int(document(event)["sequence"]) for event in events if event.topic == GAP]
    assert lost["count"][GAP] == numbers[-1] - 1
    assert outbox.health().facts["lost"] == lost["count"][CROSSED] + lost["count"][APPEARED]


def test_verdicts_go_when_there_is_nothing_else(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    for number in range(100):
        outbox.append([draft(builder, number, "verdict")])
    assert outbox.flush(5)
    kept = [int(document(event)["sequence"]) for event in stored(outbox) if event.topic == VERDICT]
    assert kept == list(range(101 - len(kept), 101))
    assert 0 < len(kept) < 40


def test_events_in_flight_are_not_given_up(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    outbox.append([draft(builder, number) for number in range(10)])
    assert outbox.flush(5)
    claimed = {event.rowid for event in outbox.claim(5, "strict")}
    outbox.append([draft(builder, number) for number in range(10, 100)])
    assert outbox.flush(5)
    assert claimed < {event.rowid for event in stored(outbox)}


def test_parked_events_count_towards_the_budget(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, max_bytes=10_000)
    outbox.append([draft(builder, 0, "appeared")])
    assert outbox.flush(5)
    rowid = outbox.claim(1, "strict")[0].rowid
    for _ in range(5):
        outbox.refused(rowid, 0x87, "no")
        assert outbox.flush(5)
        outbox.claim(5, "strict")
    assert outbox.health().facts["parked"] == 1
    outbox.release()
    outbox.append([draft(builder, number) for number in range(1, 100)])
    assert outbox.flush(5)
    assert outbox.health().facts["parked"] == 0
