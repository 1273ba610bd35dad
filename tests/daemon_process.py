"""The daemon in a process of its own, with one more backend: a detector that finds whatever moved into an empty scene.

``python tests/daemon_process.py SETTINGS [--until-done]`` runs it; ``DaemonProcess`` starts, kills and waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from edgevision.bundle import Bundle, write_bundle
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import BackendError, SourceInvalid
from edgevision.inference.base import InputSpec
from edgevision.inference.scripted import ScriptedDetector
from edgevision.scenes.shop import ShopScene
from edgevision.types import Detections, Image, Letterbox

SECONDS = 30.0


class BlobDetector(ScriptedDetector):
    """Finds people in the drawn shop by their difference from the empty shop: quick, and right for isolated people."""

    class Settings(SettingsBase):
        kind: Literal["blob"] = "blob"
        seed: int = 0
        delay_s: float = 0.0
        """How long it thinks about each picture, as a model that is too large for its device."""
        fails: bool = False
        """Whether its driver is broken."""

    def __init__(self, bundle: Bundle, settings: Settings, thresholds: object = None) -> None:
        del thresholds
        self._empty: dict[tuple[int, int], Image] = {}
        self._fails: bool = settings.fails  # type: ignore[attr-defined]
        self._delay_s: float = settings.delay_s  # type: ignore[attr-defined]
        self._scene = ShopScene(settings.seed, people=0, seconds=1.0)  # type: ignore[attr-defined]
        spec = bundle.manifest.input
        super().__init__(self._look_at, bundle.manifest.classes, InputSpec(spec.width, spec.height))

    def _look_at(self, image: Image, box: Letterbox) -> Detections:
        time.sleep(self._delay_s)
        if self._fails:
            message = "the driver is broken"
            raise BackendError(message)
        inner = image[box.top : box.top + box.inner[1], box.left : box.left + box.inner[0]]
        if box.inner not in self._empty:
            empty = cv2.cvtColor(self._scene.render(0), cv2.COLOR_BGR2RGB)
            self._empty[box.inner] = cv2.resize(empty, box.inner, interpolation=cv2.INTER_AREA)
        difference = cv2.absdiff(inner, self._empty[box.inner]).max(axis=2)
        mask = cv2.morphologyEx((difference > 40).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        blobs = stats[1:][stats[1:, cv2.CC_STAT_AREA] > 60]
        boxes = np.stack([blobs[:, 0], blobs[:, 1], blobs[:, 0] + blobs[:, 2], blobs[:, 1] + blobs[:, 3]], axis=1)
        boxes = boxes.astype(np.float32) + np.float32([box.left, box.top, box.left, box.top])
        count = len(boxes)
        return Detections(box.to_source(boxes), np.full(count, 0.9, np.float32), np.zeros(count, np.int64))


class Unbuildable:
    """A foreign camera whose driver is not installed, or whose settings it finds wrong."""

    class Settings(SettingsBase):
        kind: Literal["unbuildable"] = "unbuildable"
        exposure_ms: int = 1

    def __init__(self, settings: Settings, context: object) -> None:
        del context
        if settings.exposure_ms < 1:
            message = "the camera has no such exposure"
            raise SourceInvalid(message)
        message = "its SDK is not installed"
        raise RuntimeError(message)


class DaemonProcess:
    """One start of the daemon, with more in its environment if need be."""

    def __init__(self, settings: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.log = settings.with_suffix(".log")
        with self.log.open("ab") as log:
            command = [sys.executable, __file__, str(settings), *options]
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=settings.parent, env={**os.environ, **(environment or {})}
            )

    def wait(self, timeout_s: float = 60.0) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 30.0) -> int:
        self.process.terminate()
        return self.process.wait(timeout_s)

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")


def events_in(outbox: Path) -> list[dict[str, Any]]:
    """All events of an outbox, in the order of appending."""
    with closing(sqlite3.connect(outbox)) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM events ORDER BY n")]


def ask(port: int, path: str, body: dict[str, Any] | None = None, timeout_s: float = 5.0) -> tuple[int, Any]:
    """(status, JSON or text) of the daemon's HTTP server."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        status, text = exc.code, exc.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def wait_until(condition: Any, timeout_s: float = 20.0) -> Any:
    """The first true answer of ``condition``; an assertion when there is none in time."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            answer = condition()
        except (OSError, sqlite3.Error):
            answer = None
        if answer:
            return answer
        time.sleep(0.02)
    message = "it did not happen in time"
    raise AssertionError(message)


SETTINGS = """\
site: s
device: d
models:
  people: {{bundle: people, backend: {{kind: blob, seed: 5}}}}
cameras:
  hall:
    source: {{kind: scene, scene: shop, seed: 5, length_s: {seconds}, pace: {pace}, start_time: 2026-01-01T00:00:00Z}}
    model: people
    analyses:
      - kind: traffic
        lines: {{door: {{from: {start}, to: {end}, anchor: centre}}}}
        period_s: 10
      - kind: detection
{more}
outbox: {{path: outbox.sqlite}}
http: {http}
log: {{level: info, format: json}}
"""


def write_settings(folder: Path, *, pace: str = "every_frame", more: str = "", http: str = "null") -> Path:
    """A settings file for the drawn shop, with its bundle beside it."""
    from onnx_models import write_colour_model

    if not (folder / "people").exists():
        model = write_colour_model(folder / "model.onnx", size=(480, 270))
        manifest: dict[str, Any] = {
            "name": "people",
            "version": "1",
            "classes": ["person"],
            "input": {"width": 480, "height": 270},
            "family": "yolo",
            "artefacts": [{"file": "model.onnx"}],
            "licence": "Apache-2.0",
        }
        write_bundle(folder / "people", manifest, {"model.onnx": model})
    line = ShopScene(5).door_line
    start, end = ([round(x / 960, 4), round(y / 540, 4)] for x, y in line)
    file = folder / "settings.yaml"
    text = SETTINGS.format(seconds=SECONDS, pace=pace, start=start, end=end, more=more, http=http)
    file.write_text(text, encoding="utf-8")
    return file


if __name__ == "__main__":
    from edgevision.daemon import registry
    from edgevision.daemon.main import run_daemon
    from edgevision.errors import EdgevisionError

    registry.BACKENDS["blob"] = BlobDetector
    registry.SOURCES["unbuildable"] = Unbuildable
    try:
        sys.exit(run_daemon(Path(sys.argv[1]), until_done="--until-done" in sys.argv, fresh="--fresh" in sys.argv))
    except EdgevisionError as error:
        sys.exit(f"error: {error}")
