"""A consumer's memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgevision.errors import ConsumerError
from edgevision.mqtt import dedup
from edgevision.mqtt.dedup import SeenStore
from edgevision.mqtt.gaps import Stream
from edgevision.mqtt.streams import KEPT_BOOTS, Changes, Start


def test_ids_and_streams_survive_a_restart(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen")
    store.commit(["a", "b"], Changes({("boot", "topic"): Stream(1, 7)}))
    store.close()
    again = SeenStore(tmp_path / "seen")
    assert "a" in again
    assert "c" not in again
    assert again.streams(0.0)["boot", "topic"].highest == 7
    again.close()


def test_only_the_newest_ids_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup, "REMEMBERED", 3)
    store = SeenStore(None)
    for name in "abcde":
        store.commit([name], Changes())
    assert [name for name in "abcde" if name in store] == ["c", "d", "e"]
    store.close()


def test_starts_survive_until_their_streams_are_forgotten(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen")
    starts = {name: Start(name, "box", ("edgevision/#",)) for name in ("a", "b")}
    store.commit([], Changes({(name, "topic"): Stream(1, 1) for name in "ab"}, starts))
    store.commit([], Changes(forgotten=[("a", "topic")]))
    store.close()
    again = SeenStore(tmp_path / "seen")
    assert again.starts() == [starts["b"]]
    assert again.streams(0.0).keys() == {("b", "topic")}
    again.close()


def test_only_the_newest_starts_of_each_device_are_kept() -> None:
    store = SeenStore(None)
    for number in range(3 * KEPT_BOOTS):
        for device in ("box", "other"):
            name = f"{device}-{number}"
            store.commit([], Changes(starts={name: Start(name, device, ())}))
    kept = [start.bootid for start in store.starts() if start.device == "box"]
    assert kept == [f"box-{number}" for number in range(2 * KEPT_BOOTS, 3 * KEPT_BOOTS)]
    store.close()


def test_streams_come_back_in_the_order_of_their_last_change() -> None:
    store = SeenStore(None)
    for name in ("a", "b", "c", "a"):
        store.commit([], Changes({(name, "topic"): Stream(1, 1)}))
    assert [bootid for bootid, _ in store.streams(0.0)] == ["b", "c", "a"]
    store.close()


def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "seen", isolation_level=None)) as old:
        old.execute("CREATE TABLE streams (bootid TEXT, topic TEXT, body TEXT NOT NULL, PRIMARY KEY (bootid, topic))")
        old.execute("INSERT INTO streams VALUES ('boot', 'topic', '[5, 9, [[7, 8]]]')")
    store = SeenStore(tmp_path / "seen")
    stream = store.streams(0.0)["boot", "topic"]
    assert (stream.first, stream.highest, stream.holes[0].count, stream.unsure) == (5, 9, 2, [])
    assert store.starts() == []
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seen").write_bytes(b"this is not a database, " * 100)
    with pytest.raises(ConsumerError, match="cannot be used as the consumer's memory"):
        SeenStore(tmp_path / "seen")


def test_a_file_that_is_locked_for_a_while_is_used_again_after_it(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen", timeout_s=0.01)
    with closing(sqlite3.connect(tmp_path / "seen", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(ConsumerError, match="locked"):
                store.commit(["a"], Changes())
        other.execute("ROLLBACK")
    store.commit(["b"], Changes())
    assert "a" not in store
    assert "b" in store
    store.close()


def test_a_commit_that_finds_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen")
    store._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ConsumerError, match="full"):
        store.commit([f"{number:0100d}" for number in range(1_000)], Changes())
    store._db.execute("PRAGMA max_page_count = 100000")
    store.commit(["b"], Changes())
    assert f"{0:0100d}" not in store
    assert "b" in store
    store.close()


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen")
    store._db.execute("DROP TABLE seen")
    with pytest.raises(ConsumerError, match="cannot be used as the consumer's memory: no such table"):
        assert "a" in store
    store.close()
