"""The daemon's own HTTP server: metrics, health, what the cameras see, and the software trigger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import structlog

from edgevision.daemon.health import HealthBoard
from edgevision.daemon.metrics import Metrics
from edgevision.errors import EdgevisionError

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024

TriggerHandler = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""(camera, request) -> answer; raises ``EdgevisionError`` for a request that cannot be granted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


class HttpServer:
    """Serves ``/metrics``, ``/healthz``, ``/readyz``, ``/looks`` and ``POST /cameras/NAME/trigger``.

    ``run`` is a stage.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        board: Tells of health.
        metrics: Counters.
        trigger: Fires a camera's trigger.
        looks: Tells what the cameras see.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        board: HealthBoard,
        metrics: Metrics,
        trigger: TriggerHandler,
        looks: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._board = board
        self._metrics = metrics
        self._trigger = trigger
        self._looks = looks
        self._server = ThreadingHTTPServer((host, port), _handler(self))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def run(self, stop: threading.Event) -> None:
        """Serve until stopped."""
        threading.Thread(target=self._end_with, args=(stop,), name="http-stop", daemon=True).start()
        self._server.serve_forever(poll_interval=0.2)

    def _end_with(self, stop: threading.Event) -> None:
        stop.wait()
        self._server.shutdown()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()

    def get(self, path: str) -> Answer:
        """Answer a GET."""
        if path == "/metrics":
            return Answer(HTTPStatus.OK, self._metrics.text(), "text/plain; version=0.0.4; charset=utf-8")
        if path in {"/healthz", "/readyz"}:
            report = self._board.report()
            good = report.alive if path == "/healthz" else report.ready
            return _json(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, report.document())
        if path == "/looks":
            return _json(HTTPStatus.OK, self._looks())
        return _json(HTTPStatus.NOT_FOUND, {"error": "there is /metrics, /healthz, /readyz and /looks"})

    def post(self, path: str, body: bytes) -> Answer:
        """Answer a POST."""
        match path.strip("/").split("/"):
            case ["cameras", camera, "trigger"]:
                return self._post_trigger(camera, body)
        return _json(HTTPStatus.NOT_FOUND, {"error": "there is POST /cameras/NAME/trigger"})

    def _post_trigger(self, camera: str, body: bytes) -> Answer:
        try:
            request = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            return _json(HTTPStatus.BAD_REQUEST, {"error": "the body is no JSON"})
        if not isinstance(request, dict):
            return _json(HTTPStatus.BAD_REQUEST, {"error": "the body must be a JSON object"})
        try:
            return _json(HTTPStatus.ACCEPTED, dict(self._trigger(camera, request)))
        except EdgevisionError as exc:
            return _json(HTTPStatus.CONFLICT, {"error": str(exc)})


def _json(status: HTTPStatus, document: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(document).encode() + b"\n")


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        # Headers and body leave in one segment; with Nagle and delayed acknowledgements two would cost 40 ms.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(server.get(urlsplit(self.path).path))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                self._answer(_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {MAX_BODY_BYTES} bytes"}))
                return
            self._answer(server.post(urlsplit(self.path).path, self.rfile.read(int(length))))

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            log.debug("http.request", line=format % args)

    return Handler
