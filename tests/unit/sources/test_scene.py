from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice

import numpy as np
import pytest

from edgevision.sources.base import SourceContext
from edgevision.sources.scene import SceneSource, make_scene

START = datetime(2026, 3, 1, 6, 0, tzinfo=timezone.utc)


def source(**settings: object) -> SceneSource:
    return SceneSource(SceneSource.Settings(**settings), SourceContext("cam", None, START))


@pytest.mark.parametrize("scene", ["pcb", "shop"])
def test_frames_are_the_scenes_frames_at_its_pace(scene: str) -> None:
    frames = list(islice(source(scene=scene, seed=3, boards=2, length_s=2, fps=8).frames(), 5))
    drawn = make_scene(SceneSource.Settings(scene=scene, seed=3, boards=2, length_s=2, fps=8))
    assert frames[4].size == (drawn.width, drawn.height)
    assert np.array_equal(frames[4].pixels.bgr(), drawn.render(4))
    assert frames[4].time.t_s == 0.5
    assert frames[4].time.time_utc == START + timedelta(seconds=0.5)


def test_a_scene_ends_after_its_last_frame() -> None:
    whole = list(source(boards=1).frames())
    assert whole[-1].position == len(whole) == make_scene(SceneSource.Settings(boards=1)).frames


def test_nothing_is_drawn_before_pixels_are_asked_for() -> None:
    frame = next(source(boards=1).frames())
    first = frame.pixels.bgr()
    assert frame.pixels.bgr() is first


def test_the_policy_follows_the_pace() -> None:
    assert source().policy == "block"
    assert source(pace="realtime").policy == "latest"
