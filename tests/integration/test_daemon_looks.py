"""From what a camera sees to the export's guard: counted by a daemon, told over HTTP, compared with pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from daemon_process import DaemonProcess, ask, wait_until, write_settings

from edgevision.errors import ExportError
from edgevision.export.coverage import look_of, read_seen, uncovered
from edgevision.inference.base import InputSpec
from edgevision.looks import CameraLooks, DeviceLooks
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.shop import ShopScene

LENGTH_S = 3000
SPEC = InputSpec(480, 270)


def settings(folder: Path, port: int) -> Path:
    """A camera that takes a picture every ten seconds, and more of them than can be looked at by chance."""
    file = write_settings(folder, http=f"{{port: {port}}}")
    text = file.read_text("utf-8").replace("length_s: 30.0", f"length_s: {LENGTH_S}, fps: 0.1")
    file.write_text(text, "utf-8")
    return file


def looks(told: Any) -> CameraLooks:
    return DeviceLooks.model_validate(told).cameras.get("hall", CameraLooks(model="", days={}))


def test_what_a_camera_sees_is_told_kept_and_taken_by_the_guard(tmp_path: Path, free_port: int) -> None:
    daemon = DaemonProcess(settings(tmp_path, free_port))
    wait_until(lambda: "camera.ended" in daemon.text(), 60)
    told = ask(free_port, "/looks")[1]
    seen = looks(told)
    assert (told["site"], told["device"], seen.model) == ("s", "d", "people")
    assert 100 < seen.total.pictures < LENGTH_S / 10, "a picture every ten seconds, and now and then one is left out"
    assert next(iter(seen.days)).isoformat() == "2026-01-01", "the day is that of the capture"
    assert daemon.stop() == 0, daemon.text()
    kept = tmp_path / "outbox.sqlite.looks.json"
    stored = looks(json.loads(kept.read_text()))
    assert seen.total.pictures <= stored.total.pictures <= seen.total.pictures + 1, "the last may be measured by then"

    again = DaemonProcess(settings(tmp_path, free_port), "--fresh")
    wait_until(lambda: looks(ask(free_port, "/looks")[1]).total.pictures > stored.total.pictures)
    assert again.stop() == 0, again.text()

    scene, own = ShopScene(5, seconds=LENGTH_S, fps=0.1), tmp_path / "own"
    own.mkdir()
    for index in range(0, scene.frames, 3):
        cv2.imwrite(str(own / f"{index}.png"), scene.render(index))
    cameras = read_seen([kept], "people")
    assert uncovered(cameras, look_of(sorted(own.iterdir()), SPEC)) == []
    (tmp_path / "boards").mkdir()
    for index in range(20):
        cv2.imwrite(str(tmp_path / "boards" / f"{index}.png"), PcbConveyor(1).render(40 * index))
    with pytest.raises(ExportError, match=r"far from what the camera sees; camera s/d/hall: 100 % of its frames"):
        uncovered(cameras, look_of(sorted((tmp_path / "boards").iterdir()), SPEC))


def test_a_damaged_file_of_looks_stops_no_start(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "outbox.sqlite.looks.json").write_text("{")
    daemon = DaemonProcess(settings(tmp_path, free_port))
    wait_until(lambda: looks(ask(free_port, "/looks")[1]).total.pictures)
    assert daemon.stop() == 0, daemon.text()
    assert "looks.set_aside" in daemon.text()
    assert (tmp_path / "outbox.sqlite.looks.json.aside").read_text() == "{"
