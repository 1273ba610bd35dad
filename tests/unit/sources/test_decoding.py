"""What live cameras share of PyAV, on files: their packets come the same way."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
import video_files

from edgevision.errors import SourceLost
from edgevision.sources.base import SourceContext
from edgevision.sources.decoding import BAD_PACKETS_IN_A_ROW, open_video


def read(path: Path) -> tuple[int, int]:
    """Sound pictures and those that were counted as dropped."""
    dropped: list[tuple[str, int]] = []
    context = SourceContext(
        "cam", None, datetime.now(timezone.utc), dropped=lambda why, count: dropped.append((why, count))
    )
    with closing(open_video(path, context=context, name=path.name)) as decoder:
        sound = sum(frame is not None for frame in decoder.frames())
    assert {why for why, _ in dropped} <= {"corrupt"}
    return sound, sum(count for _, count in dropped)


def test_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    whole = video_files.write_video(tmp_path / "whole.mp4", 60, size=(96, 64))
    assert read(whole) == (60, 0)
    sound, dropped = read(video_files.spoil(whole, (20, 10), out=tmp_path / "a.mp4"))
    assert dropped >= 5
    assert sound + dropped == 60


def test_a_stream_of_nothing_but_damage_is_lost(tmp_path: Path) -> None:
    count = BAD_PACKETS_IN_A_ROW + 30
    whole = video_files.write_video(tmp_path / "whole.mp4", count, size=(96, 64))
    with pytest.raises(SourceLost, match=f"{BAD_PACKETS_IN_A_ROW} packets in a row cannot be decoded"):
        read(video_files.spoil(whole, (12, count), out=tmp_path / "a.mp4"))
