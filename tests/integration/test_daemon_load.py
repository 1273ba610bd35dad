"""A device that cannot follow its camera says so, and counts what it drops."""

from __future__ import annotations

from pathlib import Path

from daemon_process import DaemonProcess, ask, events_in, wait_until, write_settings


def test_a_model_that_is_too_slow_is_told_as_overload(tmp_path: Path, free_port: int) -> None:
    settings = write_settings(tmp_path, pace="realtime", http=f"{{port: {free_port}}}")
    text = settings.read_text(encoding="utf-8").replace("seed: 5}}", "seed: 5, delay_s: 0.5}}")
    assert "delay_s" in text
    settings.write_text(text + "load: {min_fps: 4, for_s: 1}\n", encoding="utf-8")
    daemon = DaemonProcess(settings)
    try:
        wait_until(lambda: [event for event in events_in(tmp_path / "outbox.sqlite") if "health.load" in event["type"]])
        metrics = ask(free_port, "/metrics")[1]
    finally:
        assert daemon.stop() == 0, daemon.text()
    event = next(event for event in events_in(tmp_path / "outbox.sqlite") if "health.load" in event["type"])
    assert event["source"] == "edgevision/s/d/hall"
    assert (event["data"]["state"], event["data"]["limit"]) == ("overloaded", 4.0)
    assert 0 < event["data"]["value"] < 4
    assert 'edgevision_frames_dropped_total{camera="hall",reason="newer_frame"}' in metrics
