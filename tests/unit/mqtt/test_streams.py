"""Which numbers a consumer is owed, and which streams it forgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from edgevision.events.codec import decode
from edgevision.mqtt.dedup import SeenStore
from edgevision.mqtt.gaps import MOST_HOLES, Stream
from edgevision.mqtt.streams import KEPT_BOOTS, Changes, Streams

GRACE_S = 30.0
ALL = ("edgevision/+/+/+/+/+",)
STARTED = "edgevision/s/d/device/health/started"


class Reader:
    """Streams with the store behind them, as a consumer has them."""

    def __init__(self, filters: tuple[str, ...] = ALL, store: SeenStore | None = None) -> None:
        self.store = store or SeenStore(None)
        self.streams = Streams(filters, self.store.streams(0.0).items(), self.store.starts())
        self._ids = 0

    def crossed(
        self, boot: str, sequence: int, now_s: float = 0.0, camera: str = "door", *, historical: bool = False
    ) -> None:
        topic = f"edgevision/s/d/{camera}/traffic/crossed"
        data = {"line": "l", "direction": "in", "track_id": 1}
        event = {"bootid": boot, "sequence": sequence, "data": data}
        self._hear(topic, event, now_s, historical=historical)

    def started(self, boot: str, now_s: float = 0.0, previous: Mapping[str, Any] | None = None) -> None:
        self._hear(STARTED, {"bootid": boot, "sequence": 1, "data": {"version": "1", "previous": previous}}, now_s)

    def _hear(self, topic: str, event: dict[str, Any], now_s: float, *, historical: bool = False) -> None:
        *source, family, name = topic.split("/")
        self._ids += 1
        quality = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 1.0, "clock_synced": True}
        more = {} if family == "health" else {"quality": quality, "model": "m@1#0123456789ab"}
        document = {
            "specversion": "1.0",
            "id": f"{id(self)}-{self._ids}",
            "source": "/".join(source),
            "type": f"edgevision.{family}.{name}.v1",
            "time": "2026-01-31T06:00:00.000000Z",
            "bootid": event["bootid"],
            "sequence": f"{event['sequence']:020d}",
            "historical": historical,
            "data": {"configrev": "0123456789ab", **more, **event["data"]},
        }
        self.streams.judge(decode(json.dumps(document).encode()), topic, now_s)
        self.store.commit([document["id"]], self.streams.changes())

    def told(self, now_s: float) -> list[tuple[str, str, int, int]]:
        """Boot, camera or device, first and last number of each gap."""
        return [
            (bootid, topic.split("/")[3], hole.first, hole.last)
            for (bootid, topic), hole in self.streams.ripe(now_s, GRACE_S)
        ]


def previous(boot: str, **last: int) -> dict[str, Any]:
    """What ``health.started`` says of the boot before; the numbers are those of cameras."""
    topics = {f"edgevision/s/d/{camera}/traffic/crossed": f"{number:020d}" for camera, number in last.items()}
    return {"bootid": boot, "last": topics}


def test_who_heard_of_the_start_is_owed_the_first_numbers() -> None:
    reader = Reader()
    reader.started("a")
    reader.crossed("a", 6)
    assert reader.told(29.0) == []
    assert reader.told(30.0) == [("a", "door", 1, 5)]


def test_the_start_may_come_after_the_events() -> None:
    reader = Reader()
    reader.crossed("a", 6, 0.0)
    reader.crossed("a", 7, 5.0)
    reader.started("a", 10.0)
    reader.crossed("a", 2, 12.0)
    assert reader.told(39.0) == []
    assert reader.told(42.0) == [("a", "door", 1, 1), ("a", "door", 3, 5)]


def test_who_joined_in_the_middle_is_owed_nothing_from_before() -> None:
    reader = Reader()
    reader.crossed("a", 6)
    reader.crossed("a", 7)
    assert reader.told(99.0) == []


def test_a_start_that_comes_by_a_resend_long_after_owes_nothing() -> None:
    reader = Reader()
    reader.crossed("a", 600, 0.0)
    assert reader.told(40.0) == []
    reader.started("a", 50.0)
    reader.crossed("a", 7, 51.0, camera="yard")
    reader.started("b", 60.0, previous("a", door=600, gate=9))
    assert reader.told(999.0) == []


def test_a_start_that_was_seen_under_other_topics_owes_nothing() -> None:
    store = SeenStore(None)
    Reader(("edgevision/+/+/+/health/#",), store).started("a")
    reader = Reader(ALL, store)
    reader.crossed("a", 6)
    reader.started("b", 1.0, previous("a", yard=5))
    assert reader.told(99.0) == []


def test_a_restart_of_the_consumer_remembers_starts() -> None:
    store = SeenStore(None)
    Reader(store=store).started("a")
    reader = Reader(store=store)
    reader.crossed("a", 6)
    assert reader.told(30.0) == [("a", "door", 1, 5)]


def test_a_promise_counts_for_topics_of_which_nothing_came() -> None:
    reader = Reader()
    reader.started("a")
    reader.crossed("a", 1)
    reader.started("b", 1.0, previous("a", door=3, yard=2))
    assert sorted(reader.told(31.0)) == [("a", "door", 2, 3), ("a", "yard", 1, 2)]


def test_a_promise_of_an_unknown_boot_counts_for_nothing() -> None:
    reader = Reader()
    reader.started("b", 0.0, previous("a", door=3))
    assert reader.told(99.0) == []


@pytest.mark.parametrize("keeping", ["memory", "store"])
def test_years_of_boots_leave_a_bounded_number_of_streams(keeping: str) -> None:
    reader = Reader()
    for number in range(100):
        boot = f"boot-{number:03d}"
        reader.started(boot)
        reader.crossed(boot, 1)
        reader.crossed(boot, 1, camera="yard")
    kept = len(reader.streams) if keeping == "memory" else len(reader.store.streams(0.0))
    assert kept == 3 * KEPT_BOOTS
    assert len(reader.store.starts()) == KEPT_BOOTS


def test_a_stream_with_holes_is_forgotten_once_they_are_told() -> None:
    reader = Reader()
    for number in range(30):
        reader.crossed(f"boot-{number:02d}", 1)
        reader.crossed(f"boot-{number:02d}", 3)
    assert len(reader.streams) == 30
    assert len(reader.told(30.0)) == 30
    assert len(reader.streams) == KEPT_BOOTS
    reader.crossed("boot-29", 4, 31.0)
    assert len(reader.store.streams(0.0)) == KEPT_BOOTS


def test_a_file_that_has_grown_for_years_shrinks() -> None:
    store = SeenStore(None)
    topic = "edgevision/s/d/door/traffic/crossed"
    store.commit([], Changes({(f"boot-{number:02d}", topic): Stream(1, 1) for number in range(30)}))
    reader = Reader(store=store)
    assert reader.told(0.0) == []
    reader.crossed("boot-29", 2)
    assert sorted(bootid for bootid, _ in store.streams(0.0)) == [f"boot-{n:02d}" for n in range(30 - KEPT_BOOTS, 30)]


def test_a_boot_that_is_still_heard_of_is_never_superseded() -> None:
    reader = Reader()
    for number in range(50):
        reader.crossed("live", number + 1)
        reader.crossed(f"old-{number}", 1)
    reader.crossed("live", 52)
    assert reader.told(30.0) == [("live", "door", 51, 51)]


def test_a_late_event_of_a_forgotten_boot_makes_no_gap() -> None:
    reader = Reader()
    reader.started("old")
    reader.crossed("old", 1)
    for number in range(KEPT_BOOTS):
        reader.crossed(f"boot-{number}", 1)
    reader.crossed("old", 50)
    assert reader.told(99.0) == []
    assert ("old", "edgevision/s/d/door/traffic/crossed") in reader.store.streams(0.0)


def test_what_may_still_wait_at_the_device_is_no_gap_while_that_is_sent() -> None:
    reader = Reader()
    reader.crossed("boot", 1)
    reader.crossed("boot", 9)  # live, before 2 to 8 from the backlog
    for number in range(1, 10):
        reader.crossed("boot", number, number * 20.0, camera="yard", historical=True)
        assert reader.told(number * 20.0 + 15.0) == []
    for number in range(2, 7):
        reader.crossed("boot", number, 200.0, historical=True)
    assert reader.told(200.0 + GRACE_S - 1) == []
    assert reader.told(200.0 + GRACE_S) == [("boot", "door", 7, 8)]


def test_holes_beyond_all_memory_are_told_even_then() -> None:
    reader = Reader()
    for number in range(MOST_HOLES + 2):
        reader.streams._by_topic.setdefault("t", {}).setdefault("boot", Stream(1, 1)).seen(3 + 2 * number, 0.0)
    reader.crossed("boot", 1, historical=True)
    assert [hole.first for _, hole in reader.streams.ripe(0.0, GRACE_S)] == [2, 4]
