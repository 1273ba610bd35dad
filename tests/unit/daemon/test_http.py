"""The daemon's HTTP server, asked over a socket."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from edgevision.daemon.health import HealthBoard
from edgevision.daemon.http import HttpServer
from edgevision.daemon.metrics import Metrics
from edgevision.errors import StationError
from edgevision.types import Health


class Running:
    def __init__(self) -> None:
        self.board = HealthBoard()
        self.metrics = Metrics()
        self.triggered: list[tuple[str, dict[str, Any]]] = []
        self.server = HttpServer(
            "127.0.0.1",
            0,
            board=self.board,
            metrics=self.metrics,
            trigger=self._trigger,
            looks=lambda: {"site": "s", "cameras": {}},
        )
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.server.run, args=(self.stop,))
        self.thread.start()

    def _trigger(self, camera: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if camera == "none":
            message = "there is no camera none"
            raise StationError(message)
        self.triggered.append((camera, dict(request)))
        return {"trigger_id": "t1"}

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop.set()
    running.thread.join(5)
    running.server.close()


def test_health_and_readiness_are_two_questions(running: Running) -> None:
    assert running.ask("/healthz")[0] == 200
    running.board.register("camera", lambda: Health("camera/a", ok=False, detail="offline", critical=False))
    assert running.ask("/readyz")[0] == 200
    running.board.register("outbox", lambda: Health("outbox", ok=False, detail="disk full", facts={"depth": 7}))
    status, body = running.ask("/readyz")
    assert status == 503
    document = json.loads(body)
    assert document["components"][1] == {"name": "outbox", "ok": False, "detail": "disk full", "depth": 7}
    assert running.ask("/healthz")[0] == 200
    running.board.register("stage", lambda: Health("stage/x", ok=False))
    assert running.ask("/healthz")[0] == 503
    running.board.forget("stage")
    running.board.forget("outbox")
    assert running.ask("/readyz")[0] == 200


def test_metrics_are_prometheus_text(running: Running) -> None:
    running.metrics.frames.labels("door").inc(3)
    running.metrics.gauge("edgevision_outbox_depth", "Waiting events", lambda: 42.0)
    status, body = running.ask("/metrics")
    assert status == 200
    assert 'edgevision_frames_total{camera="door"} 3.0' in body
    assert "edgevision_outbox_depth 42.0" in body


def test_what_the_cameras_see_is_told(running: Running) -> None:
    status, body = running.ask("/looks")
    assert (status, json.loads(body)) == (200, {"site": "s", "cameras": {}})


def test_a_trigger_is_posted(running: Running) -> None:
    status, body = running.ask("/cameras/press/trigger", b'{"serial": "S1"}')
    assert status == 202
    assert json.loads(body) == {"trigger_id": "t1"}
    assert running.triggered == [("press", {"serial": "S1"})]
    assert running.ask("/cameras/press/trigger", b"")[0] == 202


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cameras/none/trigger", b"{}", 409),
        ("/cameras/press/trigger", b"{", 400),
        ("/cameras/press/trigger", b"[1]", 400),
        ("/cameras/press/trigger", b"[" * 60_000, 400),
        ("/cameras/press/trigger", b" " * 100_000, 413),
        ("/elsewhere", b"{}", 404),
        ("/elsewhere", None, 404),
    ],
)
def test_bad_requests_are_answered(running: Running, path: str, body: bytes | None, status: int) -> None:
    assert running.ask(path, body)[0] == status
    assert running.triggered == []


def test_gauges_of_a_camera_that_is_gone_are_dropped(running: Running) -> None:
    running.metrics.fps.labels("door").set(5)
    running.metrics.forget_camera("door")
    running.metrics.forget_camera("never-there")
    assert "edgevision_fps{" not in running.ask("/metrics")[1]
