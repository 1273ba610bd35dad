"""Every trigger gets exactly one verdict, in time or not at all, through overruns and kill -9."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from daemon_process import DaemonProcess, ask, events_in, wait_until, write_settings

DEADLINE_S = 0.6


class Plc:
    """A machine on the other side of HTTP: fires triggers at a steady rate and notes when each verdict came."""

    def __init__(self, daemon_port: int) -> None:
        self._daemon_port = daemon_port
        self.fired: dict[str, float] = {}
        self.verdicts: dict[str, list[tuple[str, float]]] = {}
        plc = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                plc.verdicts.setdefault(body["trigger_id"], []).append((body["result"], time.monotonic()))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/verdict"

    def fire(self, count: int, rate_hz: float) -> None:
        """Fire ``count`` triggers; one that the daemon has not taken is repeated under its id until it has."""
        begin_s = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._daemon_port, timeout=5)
        for number in range(count):
            time.sleep(max(0.0, begin_s + number / rate_hz - time.monotonic()))
            trigger_id = str(uuid.uuid4())
            body = json.dumps({"trigger_id": trigger_id, "serial": f"S{number}"})
            while True:
                asked_s = time.monotonic()
                try:
                    connection.request("POST", "/cameras/hall/trigger", body)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 202:
                        break
                except (OSError, http.client.HTTPException):
                    connection.close()
                time.sleep(0.02)
            self.fired[trigger_id] = asked_s
        connection.close()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def late(self) -> list[str]:
        """Verdicts that came after the deadline of their trigger."""
        return [
            trigger_id
            for trigger_id, answers in self.verdicts.items()
            for _, came_s in answers
            if trigger_id in self.fired and came_s - self.fired[trigger_id] > DEADLINE_S + 0.05
        ]


@pytest.fixture
def plc(free_port: int) -> Iterator[Plc]:
    plc = Plc(free_port)
    yield plc
    plc.close()


def triggered_settings(folder: Path, port: int, plc: Plc) -> Path:
    file = write_settings(folder, pace="realtime", http=f"{{port: {port}}}")
    text = file.read_text(encoding="utf-8")
    begin, end = text.index("    analyses:"), text.index("outbox:")
    station = (
        "    analyses:\n      - {kind: inspection, part: {by: trigger}}\n"
        f"    station: {{trigger: {{kind: software}}, actuator: {{kind: http, url: '{plc.url}'}},"
        f" deadline_ms: {DEADLINE_S * 1000:.0f}}}\n"
    )
    text = text[:begin] + station + text[end:]
    file.write_text(text.replace("length_s: 30.0", "length_s: 3000, fps: 30"), encoding="utf-8")
    return file


def verdicts_in(outbox: Path) -> list[dict[str, Any]]:
    return [event for event in events_in(outbox) if event["type"] == "edgevision.defect.verdict.v1"]


def run(folder: Path, port: int, plc: Plc, count: int, kills: int) -> None:
    settings = triggered_settings(folder, port, plc)
    daemon = DaemonProcess(settings)
    wait_until(lambda: ask(port, "/readyz")[0] == 200)
    line = threading.Thread(target=plc.fire, args=(count, 20.0))
    line.start()
    for _ in range(kills):
        time.sleep(count / 20.0 / (kills + 1))
        daemon.kill()
        daemon = DaemonProcess(settings)
    line.join(count / 20.0 + 60)
    try:
        wait_until(lambda: len(verdicts_in(folder / "outbox.sqlite")) >= count)
    finally:
        assert daemon.stop() == 0, daemon.text()
    verdicts = verdicts_in(folder / "outbox.sqlite")
    by_trigger = Counter(event["data"]["part"]["trigger_id"] for event in verdicts)
    assert set(by_trigger) == set(plc.fired)
    assert set(by_trigger.values()) == {1}
    results = Counter(event["data"]["result"] for event in verdicts)
    assert results["ok"] + results["ng"] + results["review"] == count
    assert all(len(answers) == 1 for answers in plc.verdicts.values())
    assert plc.late() == []
    owed = {event["data"]["part"]["trigger_id"] for event in verdicts if event["data"].get("reason") != "restart"}
    assert len(owed - set(plc.verdicts)) <= 2 * kills  # only what a kill caught between decision and delivery
    assert all(event["data"]["part"]["serial"].startswith("S") for event in verdicts)


def test_every_trigger_has_one_verdict_through_a_kill(tmp_path: Path, free_port: int, plc: Plc) -> None:
    run(tmp_path, free_port, plc, count=150, kills=1)


@pytest.mark.slow
def test_2000_triggers_with_kill_9_in_the_middle(tmp_path: Path, free_port: int, plc: Plc) -> None:
    run(tmp_path, free_port, plc, count=2000, kills=2)


def test_a_repeated_trigger_is_one_trigger_and_a_wrong_one_is_refused(tmp_path: Path, free_port: int, plc: Plc) -> None:
    daemon = DaemonProcess(triggered_settings(tmp_path, free_port, plc))
    try:
        wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
        for _ in range(3):
            assert ask(free_port, "/cameras/hall/trigger", {"trigger_id": "t-1"}) == (202, {"trigger_id": "t-1"})
        wait_until(lambda: len(verdicts_in(tmp_path / "outbox.sqlite")) == 1)
        status, answer = ask(free_port, "/cameras/hall/trigger", {"colour": "red"})
        assert status == 409
        assert "unknown field colour" in answer["error"]
        status, answer = ask(free_port, "/cameras/yard/trigger", {})
        assert status == 409
        assert "'yard'" in answer["error"]
    finally:
        assert daemon.stop() == 0, daemon.text()
    assert len(verdicts_in(tmp_path / "outbox.sqlite")) == 1
