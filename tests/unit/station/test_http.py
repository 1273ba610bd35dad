"""The HTTP actuator against a real little server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from edgevision.errors import StationError
from edgevision.station.base import Verdict
from edgevision.station.http import HttpActuator
from edgevision.types import Part


class Machine:
    """A machine with an HTTP endpoint; ``status`` is what it answers, ``delay_s`` how long it thinks."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 204
        self.delay_s = 0.0
        self.hang_up = False
        machine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(machine.delay_s)
                machine.received.append(json.loads(body))
                self.send_response(machine.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = machine.hang_up

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/verdict"


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.server.shutdown()
    machine.server.server_close()


def verdict(name: str = "t1", deadline_in_s: float | None = None) -> Verdict:
    deadline = None if deadline_in_s is None else time.monotonic() + deadline_in_s
    return Verdict(Part("p1", serial="S", trigger_id=name), "ng", "short", deadline, {})


def actuator(url: str, timeout_ms: float = 500) -> HttpActuator:
    return HttpActuator(HttpActuator.Settings(url=url, timeout_ms=timeout_ms))


def test_a_verdict_arrives_with_its_identity(machine: Machine) -> None:
    act = actuator(machine.url)
    act.act(verdict())
    act.act(verdict("t2"))
    act.close()
    assert machine.received[0] == {
        "trigger_id": "t1", "part": "p1", "serial": "S", "result": "ng", "reason": "short",
    }  # fmt: skip
    assert machine.received[1]["trigger_id"] == "t2"


def test_a_machine_that_dropped_the_idle_connection_is_called_again(machine: Machine) -> None:
    machine.hang_up = True
    act = actuator(machine.url)
    for number in range(3):
        act.act(verdict(str(number)))
        time.sleep(0.02)
    assert [item["trigger_id"] for item in machine.received] == ["0", "1", "2"]
    act.close()


def test_a_refusal_is_an_error_that_names_the_answer(machine: Machine) -> None:
    machine.status = 503
    with closing(actuator(machine.url)) as act, pytest.raises(StationError, match="503"):
        act.act(verdict())


def test_a_slow_machine_is_not_waited_for_beyond_the_deadline(machine: Machine) -> None:
    machine.delay_s = 2.0
    started = time.monotonic()
    with closing(actuator(machine.url, timeout_ms=5000)) as act, pytest.raises(StationError):
        act.act(verdict(deadline_in_s=0.2))
    assert time.monotonic() - started < machine.delay_s


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(StationError, match=r"127\.0\.0\.1:9"):
        actuator("http://127.0.0.1:9/x").act(verdict())


@pytest.mark.parametrize("url", ["ftp://x/y", "machine/verdict", "http://"])
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        HttpActuator.Settings(url=url)
