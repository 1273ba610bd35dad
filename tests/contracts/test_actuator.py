"""What every actuator does, run over those that ship."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgevision.station.base import Actuator, Verdict
from edgevision.station.http import HttpActuator
from edgevision.station.plc import FakePlc
from edgevision.types import Part

Heard = Callable[[], list[tuple[str, str]]]
"""(part, result) of what the machine was told, in order."""


@pytest.fixture(params=["fake", "http"])
def made(request: pytest.FixtureRequest) -> Iterator[tuple[Actuator, Heard]]:
    if request.param == "fake":
        plc = FakePlc()
        yield plc, lambda: [(action.verdict.part.id, action.verdict.result) for action in plc.actions]
        return
    heard: list[tuple[str, str]] = []

    class Machine(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((body["part"], body["result"]))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Machine)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/verdict?line=3"
    actuator = HttpActuator(HttpActuator.Settings(url=url))
    yield actuator, lambda: list(heard)
    actuator.close()
    server.shutdown()
    server.server_close()


def verdict(name: str, result: str = "ok", deadline_s: float | None = None) -> Verdict:
    deadline = None if deadline_s is None else time.monotonic() + deadline_s
    return Verdict(Part(name), result, "", deadline, {})  # type: ignore[arg-type]


def test_when_act_returns_the_machine_has_been_told_in_order(made: tuple[Actuator, Heard]) -> None:
    actuator, heard = made
    wanted = [("a", "ok"), ("b", "ng"), ("c", "review")]
    for number, (name, result) in enumerate(wanted, 1):
        actuator.act(verdict(name, result))
        assert heard() == wanted[:number]


def test_a_deadline_that_is_kept_changes_nothing(made: tuple[Actuator, Heard]) -> None:
    actuator, heard = made
    actuator.act(verdict("a", deadline_s=30.0))
    assert heard() == [("a", "ok")]


def test_close_may_come_twice(made: tuple[Actuator, Heard]) -> None:
    actuator, heard = made
    actuator.act(verdict("a"))
    actuator.close()
    actuator.close()
    assert heard() == [("a", "ok")]
