"""SIGHUP: what has changed is taken over, what has not goes on, and a mistake in the file stops nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon_process import DaemonProcess, ask, events_in, wait_until, write_settings

from edgevision.config.load import config_revision, load_daemon
from edgevision.daemon.registry import BACKENDS, registry

YARD = """\
  yard:
    source: {kind: scene, scene: shop, seed: 5, length_s: 3000, pace: realtime}
    model: people
    analyses:
      - kind: traffic
        lines: {gate: {from: [0.5, 0], to: [0.5, 1]}}
        period_s: 3600
"""
STATION = """\
    analyses:
      - {kind: inspection, part: {by: trigger}}
    station: {trigger: {kind: software}, actuator: {kind: fake}, deadline_ms: 5000}
"""


@contextmanager
def running(settings: Path) -> Iterator[DaemonProcess]:
    daemon = DaemonProcess(settings)
    try:
        yield daemon
    finally:
        assert daemon.stop() == 0, daemon.text()


def named(outbox: Path, name: str) -> list[dict[str, Any]]:
    return [event for event in events_in(outbox) if event["type"] == f"edgevision.{name}.v1"]


def states_of(outbox: Path, camera: str) -> list[str]:
    told = [event for event in named(outbox, "health.camera") if event["source"].endswith(f"/{camera}")]
    return [event["data"]["state"] for event in told]


def reloads(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """What the daemon has answered to each reload."""
    whole = daemon.text().rpartition("\n")[0].splitlines()
    return [json.loads(line) for line in whole if '"event": "daemon.reloaded"' in line]


def change(settings: Path, old: str, new: str) -> None:
    text = settings.read_text(encoding="utf-8")
    assert old in text
    settings.write_text(text.replace(old, new), encoding="utf-8")


def test_events_name_the_settings_that_they_come_from(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path, pace="realtime"), tmp_path / "outbox.sqlite"
    with running(settings) as daemon:
        wait_until(lambda: named(outbox, "detection.appeared"))
        change(settings, "anchor: centre", "anchor: feet")
        daemon.reload()
        wait_until(lambda: "daemon.reloaded" in daemon.text())
        seen = len(named(outbox, "detection.appeared"))
        wait_until(lambda: len(named(outbox, "detection.appeared")) > seen + 1)
    revisions = [event["data"]["configrev"] for event in named(outbox, "detection.appeared")]
    assert revisions[0] != revisions[-1]
    with_blob = dict(BACKENDS)
    from daemon_process import BlobDetector

    BACKENDS["blob"] = BlobDetector
    registry.cache_clear()
    try:
        assert revisions[-1] == config_revision(load_daemon(settings, registry()), tmp_path)
    finally:
        BACKENDS.clear()
        BACKENDS.update(with_blob)
        registry.cache_clear()


def test_a_camera_that_is_taken_out_closes_its_books_and_does_not_look_alive(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path, pace="realtime", more=YARD), tmp_path / "outbox.sqlite"
    with running(settings) as daemon:
        wait_until(lambda: [event for event in named(outbox, "health.camera") if event["source"].endswith("/yard")])
        time.sleep(1.0)
        change(settings, YARD, "")
        daemon.reload()
        wait_until(lambda: "daemon.reloaded" in daemon.text())
    last = [event for event in named(outbox, "health.camera") if event["source"].endswith("/yard")][-1]
    assert last["data"]["state"] == "removed"
    (interval,) = [event for event in named(outbox, "traffic.interval") if event["source"].endswith("/yard")]
    assert interval["data"]["status"] == "invalid"
    assert 0 < interval["data"]["observed_s"] < 60


def test_a_damaged_bundle_in_new_settings_is_told_and_the_old_ones_stay(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path, pace="realtime"), tmp_path / "outbox.sqlite"
    with running(settings) as daemon:
        wait_until(lambda: named(outbox, "detection.appeared"))
        (tmp_path / "people" / "bundle.yaml").write_text("name: [", encoding="utf-8")
        daemon.reload()
        wait_until(lambda: "daemon.reload_refused" in daemon.text())
        seen = len(named(outbox, "detection.appeared"))
        wait_until(lambda: len(named(outbox, "detection.appeared")) > seen)


def test_a_camera_that_cannot_be_built_stops_no_other(tmp_path: Path, free_port: int) -> None:
    settings = write_settings(tmp_path, pace="realtime", more=YARD, http=f"{{port: {free_port}}}")
    with running(settings) as daemon:
        wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
        change(settings, "source: {kind: scene, scene: shop, seed: 5, length_s: 30.0", "source: {kind: unbuildable} #")
        change(settings, "gate: {from: [0.5, 0]", "gate: {from: [0.4, 0]")
        daemon.reload()
        wait_until(lambda: "daemon.reloaded" in daemon.text())

        def component(name: str) -> dict[str, Any]:
            return next(item for item in ask(free_port, "/healthz")[1]["components"] if item["name"] == name)

        assert "its SDK is not installed" in component("camera/hall")["detail"]
        wait_until(lambda: component("camera/yard")["ok"])
        assert ask(free_port, "/healthz")[0] == 200
        outbox = tmp_path / "outbox.sqlite"
        assert states_of(outbox, "hall")[-1] == "failed"

        text = settings.read_text(encoding="utf-8")
        begin, end = text.index("  hall:"), text.index("  yard:")
        settings.write_text(text[:begin] + text[end:], encoding="utf-8")
        daemon.reload()
        wait_until(lambda: states_of(outbox, "hall")[-1] == "removed")
        names = {item["name"] for item in ask(free_port, "/healthz")[1]["components"]}
        assert "camera/yard" in names
        assert "camera/hall" not in names
    first, _ = reloads(daemon)
    assert (first["failed"], first["restarted"], first["started"]) == (["hall"], ["yard"], []), "each in one list"


def test_a_camera_that_does_not_let_go_of_its_frames_is_stuck_and_not_restarted(tmp_path: Path, free_port: int) -> None:
    settings = write_settings(tmp_path, pace="realtime", http=f"{{port: {free_port}}}")
    change(settings, "seed: 5}}", "seed: 5, delay_s: 4}}")
    change(settings, "log:", "drain_timeout_s: 0.1\nlog:")
    daemon = DaemonProcess(settings)
    try:
        wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
        time.sleep(1.0)  # so that a frame is with the model
        change(settings, "anchor: centre", "anchor: feet")
        daemon.reload()
        (done,) = wait_until(lambda: reloads(daemon))
    finally:
        daemon.stop()
    assert (done["stuck"], done["restarted"], done["started"], done["failed"]) == (["hall"], [], [], [])


def triggered(folder: Path, port: int) -> Path:
    file = write_settings(folder, pace="realtime", http=f"{{port: {port}}}")
    text = file.read_text(encoding="utf-8")
    begin, end = text.index("    analyses:"), text.index("outbox:")
    file.write_text((text[:begin] + STATION + text[end:]).replace("30.0", "3000"), encoding="utf-8")
    return file


def test_triggers_that_are_open_at_a_reload_get_their_verdicts(tmp_path: Path, free_port: int) -> None:
    settings, outbox = triggered(tmp_path, free_port), tmp_path / "outbox.sqlite"
    accepted: list[str] = []

    def fire() -> None:
        names = [f"t{number}" for number in range(120)]
        ask_one = lambda name: ask(free_port, "/cameras/hall/trigger", {"trigger_id": name})  # noqa: E731 - short
        accepted.extend(name for name in names if ask_one(name)[0] == 202)

    with running(settings) as daemon:
        wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
        line = threading.Thread(target=fire)
        line.start()
        for deadline in (4000, 3000):
            time.sleep(0.3)
            change(settings, f"deadline_ms: {deadline + 1000}", f"deadline_ms: {deadline}")
            daemon.reload()
        line.join()
        wait_until(lambda: len(named(outbox, "defect.verdict")) >= len(accepted))
        metrics = ask(free_port, "/metrics")[1]
    verdicts = [event["data"]["part"]["trigger_id"] for event in named(outbox, "defect.verdict")]
    assert sorted(verdicts) == sorted(accepted)
    assert len(accepted) > 10
    counted = [line for line in metrics.splitlines() if line.startswith("edgevision_verdicts_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) >= len(accepted)


def test_a_verdict_that_is_decided_while_the_daemon_stops_reaches_the_machine(tmp_path: Path, free_port: int) -> None:
    settings, outbox = triggered(tmp_path, free_port), tmp_path / "outbox.sqlite"
    change(settings, "seed: 5}}", "seed: 5, delay_s: 1.5}}")  # so that the frame is with the model when the stop comes
    daemon = DaemonProcess(settings)
    wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
    wait_until(lambda: ask(free_port, "/cameras/hall/trigger", {"trigger_id": "first"})[0] == 202)
    time.sleep(0.7)
    assert named(outbox, "defect.verdict") == []
    daemon.stop()
    (verdict,) = named(outbox, "defect.verdict")
    assert verdict["data"].get("reason") != "restart"
    assert "actuator" not in daemon.text()  # neither failed nor too late


def test_a_port_that_is_taken_is_told_in_a_line_and_leaves_a_clean_outbox(tmp_path: Path, free_port: int) -> None:
    settings = write_settings(tmp_path, http=f"{{port: {free_port}}}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        daemon = DaemonProcess(settings)
        assert daemon.wait() == 1
    assert f"http.port: cannot listen on 127.0.0.1:{free_port}" in daemon.text()
    assert "Traceback" not in daemon.text()
    assert not (tmp_path / "outbox.sqlite-wal").exists()
