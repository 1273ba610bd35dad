"""Overloaded, hot, and well again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from camera_units import camera_unit

from edgevision.config.daemon import LoadSettings
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.load import Load, LoadWatch
from edgevision.daemon.thermal import temperatures
from edgevision.sources.base import SourceState

SETTINGS = LoadSettings(min_fps=2.0, max_celsius=95.0, for_s=3.0)


def camera() -> CameraUnit:
    return camera_unit("door", live=True)


class Watched:
    """A watch whose seconds a test counts."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Load]] = []
        self.celsius = 50.0
        self._watch = LoadWatch(
            SETTINGS, lambda name, load: self.told.append((name, load)), lambda: {"0:cpu": self.celsius}
        )
        self._seconds: Iterator[int] = iter(range(10_000))

    def second(self, *units: CameraUnit, dropping: bool = False) -> None:
        for unit in units:
            if dropping:
                unit.entered()
                unit.skipped()
        self._watch.check(units, float(next(self._seconds)))


def test_too_few_frames_while_others_are_dropped_is_told_once_it_lasts_and_once_when_it_is_over() -> None:
    watched, door = Watched(), camera()
    for _ in range(3):
        watched.second(door, dropping=True)
    assert watched.told == []
    for _ in range(10):
        watched.second(door, dropping=True)
    ((name, load),) = watched.told
    assert (name, load.state, load.limit, load.unit) == ("door", "overloaded", 2.0, "frames/s")
    for _ in range(10):
        watched.second(door)
    assert [(name, load.state) for name, load in watched.told] == [("door", "overloaded"), ("door", "ok")]


def test_a_slow_camera_that_drops_nothing_is_no_overload() -> None:
    watched, door = Watched(), camera()
    for _ in range(20):
        watched.second(door)
    assert watched.told == []


def test_a_camera_that_is_away_is_no_overload() -> None:
    watched, door = Watched(), camera()
    door.state = SourceState.RECONNECTING
    for _ in range(20):
        watched.second(door, dropping=True)
    assert watched.told == []


def test_short_bursts_far_apart_are_not_told() -> None:
    watched, door = Watched(), camera()
    for second in range(40):
        watched.second(door, dropping=second % 10 in {4, 5})
    assert watched.told == []


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_camera_that_drops_a_frame_every_few_seconds_is_told_once_and_well_again_once(every: int) -> None:
    watched, door = Watched(), camera()
    for second in range(30):
        watched.second(door, dropping=second % every == 0)
    assert [load.state for _, load in watched.told] == ["overloaded"]
    for _ in range(10):
        watched.second(door)
    assert [load.state for _, load in watched.told] == ["overloaded", "ok"]


def test_heat_is_the_devices() -> None:
    watched = Watched()
    watched.celsius = 97.0
    for _ in range(10):
        watched.second()
    watched.celsius = 60.0
    for _ in range(10):
        watched.second()
    assert [(name, load.document()) for name, load in watched.told] == [
        ("device", {"state": "hot", "value": 97.0, "limit": 95.0, "unit": "C"}),
        ("device", {"state": "ok"}),
    ]


def test_heat_that_comes_and_goes_is_told_once() -> None:
    watched = Watched()
    for second in range(30):
        watched.celsius = 97.0 if second % 3 == 0 else 94.0
        watched.second()
    assert [load.state for _, load in watched.told] == ["hot"]


def test_a_camera_that_was_taken_away_starts_anew() -> None:
    watched, door = Watched(), camera()
    for _ in range(10):
        watched.second(door, dropping=True)
    watched.second()
    for _ in range(10):
        watched.second(door, dropping=True)
    assert [load.state for _, load in watched.told] == ["overloaded", "overloaded"]


def test_it_looks_once_a_second() -> None:
    looks: list[int] = []
    watch = LoadWatch(SETTINGS, lambda *_: None, lambda: looks.append(1) or {})  # type: ignore[func-returns-value]
    for tenth in range(21):
        watch.check([], tenth / 10)
    assert len(looks) == 3


def test_thermal_zones_are_read_and_sleeping_ones_left_out(tmp_path: Path) -> None:
    for number, (kind, text) in enumerate(
        [("cpu-thermal", "51500\n"), ("gpu-thermal", ""), ("soc0-thermal", "48250\n")]
    ):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(text)
    assert temperatures(tmp_path) == pytest.approx({"0:cpu-thermal": 51.5, "2:soc0-thermal": 48.25})
    assert temperatures(tmp_path / "none") == {}
