"""A consumer's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.errors import OutboxError
from edgevision.mqtt import dedup
from edgevision.mqtt.dedup import SeenStore
from edgevision.mqtt.gaps import Stream


def test_ids_and_streams_survive_a_restart(tmp_path: Path) -> None:
    store = SeenStore(tmp_path / "seen")
    store.commit(["a", "b"], {("boot", "topic"): Stream(1, 7)})
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
        store.commit([name], {})
    assert [name for name in "abcde" if name in store] == ["c", "d", "e"]
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seen").write_bytes(b"this is not a database, " * 100)
    with pytest.raises(OutboxError, match="cannot be used as the consumer's memory"):
        SeenStore(tmp_path / "seen")
