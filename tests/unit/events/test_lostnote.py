"""The note of what a close has lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edgevision.events.lostnote import RESERVED, LostNote


def test_a_note_outlives_the_process_until_another_takes_its_place(tmp_path: Path) -> None:
    note = LostNote(tmp_path / "note")
    assert note.read() == {}
    note.write(Counter({"a": 3, "b": 1}))
    again = LostNote(tmp_path / "note")
    assert again.read() == {"a": 3, "b": 1}
    again.write(Counter())
    assert again.read() == {}


def test_a_note_takes_room_that_it_has_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "note"
    note = LostNote(path)
    before = path.stat()
    note.write(Counter({f"edgevision/plant/box/camera-{number}/traffic/crossed": 9 for number in range(150)}))
    after = path.stat()
    assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino) == (RESERVED, before.st_ino)


def test_a_long_note_is_kept_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    note = LostNote(tmp_path / "note")
    many = Counter({f"topic-{number}": number + 1 for number in range(2000)})
    note.write(many)
    assert LostNote(tmp_path / "note").read() == many
    note.write(Counter({"a": 1}))
    assert note.read() == {"a": 1}


@pytest.mark.parametrize("content", [b"{broken", b"[1, 2", b"\xff\xfe", b"7"])
def test_a_damaged_note_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note").write_bytes(content)
    assert LostNote(tmp_path / "note").read() == {}
