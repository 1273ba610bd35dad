"""The daemon looks now and then, forgets what is old, and starts whatever became of its file."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from edgevision.daemon.looks import DAYS, EVERY_S, MOST_WAITING, Looks
from edgevision.looks import DeviceLooks, read_looks
from edgevision.media.pixels import ArrayPixels
from edgevision.types import Frame, FrameTime, Image

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def picture(value: int = 100) -> Image:
    return np.full((8, 8, 3), value, np.uint8)


def frame(t_s: float, camera: str = "line") -> Frame:
    return Frame(camera, 0, FrameTime(START + timedelta(seconds=t_s), t_s), ArrayPixels(picture()))


class Rig:
    """Looks whose stage runs when a test says so."""

    def __init__(self, folder: Path, *cameras: str, device: str = "d") -> None:
        self.file = folder / "outbox.sqlite.looks.json"
        self.looks = Looks(self.file, "s", device, cameras or ("line",))

    def see(self, t_s: float, camera: str = "line", value: int = 100) -> None:
        self.looks.see("m", frame(t_s, camera), picture(value), "rgb")
        self.work()

    def work(self) -> None:
        stop = threading.Event()
        stop.set()
        self.looks.run(stop)

    def seen(self, camera: str = "line") -> int:
        told = DeviceLooks.model_validate(self.looks.document())
        return told.cameras[camera].total.pictures if camera in told.cameras else 0


def test_a_camera_is_looked_at_now_and_then_and_not_in_a_beat(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    times, before = [], 0
    for second in range(600):
        rig.see(second)
        if rig.seen() > before:
            times.append(second)
            before = rig.seen()
    steps = set(np.diff(times).tolist())
    assert min(steps) >= EVERY_S / 2
    assert max(steps) <= EVERY_S * 1.5 + 1
    assert len(steps) > 3, "a line may have the very beat"


def test_each_camera_has_its_own_time_and_a_stream_that_begins_anew_is_looked_at(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "a", "b")
    rig.see(1000, "a")
    rig.see(1000, "b")
    rig.see(1001, "a")
    rig.see(0, "b")
    assert (rig.seen("a"), rig.seen("b")) == (1, 2)


def test_the_last_days_are_kept_and_no_more(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for day in range(DAYS + 6):
        rig.see(day * 86400.0)
    days = rig.looks.document()["cameras"]["line"]["days"]
    assert len(days) == DAYS
    assert max(days) == "2026-01-20"
    assert rig.file.stat().st_size < 1000 * DAYS


def test_what_was_seen_is_there_after_a_restart_and_goes_on(tmp_path: Path) -> None:
    Rig(tmp_path).see(0)
    again = Rig(tmp_path)
    assert again.seen() == 1
    again.see(0)
    assert again.seen() == 2
    assert read_looks(again.file) == DeviceLooks.model_validate(again.looks.document())
    assert list(tmp_path.iterdir()) == [again.file]


def test_cameras_that_are_gone_are_forgotten_at_a_start_and_at_a_reload(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "line", "door")
    rig.see(0, "line")
    rig.see(0, "door")
    assert Rig(tmp_path, "line").seen("door") == 0
    rig.looks.keep({"door"})
    assert (rig.seen("line"), rig.seen("door")) == (0, 1)


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 99}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "outbox.sqlite.looks.json").write_bytes(content)
    rig = Rig(tmp_path)
    assert (tmp_path / "outbox.sqlite.looks.json.aside").read_bytes() == content
    rig.see(0)
    assert Rig(tmp_path).seen() == 1


def test_a_copied_disk_does_not_tell_what_another_device_has_seen(tmp_path: Path) -> None:
    Rig(tmp_path).see(0)
    assert Rig(tmp_path, device="other").seen() == 0


def test_no_room_for_the_file_costs_nothing_but_the_file(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "missing")
    rig.see(0)
    assert rig.seen() == 1
    (tmp_path / "missing").mkdir()
    rig.see(100)
    assert read_looks(rig.file).cameras["line"].total.pictures == 2


def test_what_the_buffer_is_filled_with_later_does_not_count(tmp_path: Path) -> None:
    rig, buffer = Rig(tmp_path), picture(10)
    rig.looks.see("m", frame(0), buffer, "rgb")
    buffer[:] = 250
    rig.work()
    assert rig.looks.document()["cameras"]["line"]["days"]["2026-01-01"]["brightness"][10 // 8] == 1


def test_while_nobody_measures_little_is_held(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *(f"c{number}" for number in range(50)))
    for number in range(50):
        rig.looks.see("m", frame(0, f"c{number}"), picture(), "rgb")
    rig.work()
    assert len(rig.looks.document()["cameras"]) == MOST_WAITING


def test_a_foreign_frame_that_cannot_be_looked_at_is_no_trouble_to_who_gave_it(tmp_path: Path) -> None:
    rig, odd = Rig(tmp_path), Frame("line", 0, FrameTime(None, 0.0), ArrayPixels(picture()))  # type: ignore[arg-type]
    rig.looks.see("m", odd, picture(), "rgb")
    rig.see(100)
    assert rig.seen() == 1
    assert json.loads(rig.file.read_text())["cameras"]["line"]["model"] == "m"
