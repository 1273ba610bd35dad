"""The daemon on recorded pictures: drained, killed, started again, reloaded."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon_process import SECONDS, DaemonProcess, ask, events_in, wait_until, write_settings

from edgevision.scenes.shop import ShopScene


def what_happened(events: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The occurrences without what differs from boot to boot."""
    rows = []
    for event in events:
        family, name = event["type"].split(".")[1:3]
        if family == "health":
            continue
        data = event["data"]
        rows.append(
            (event["time"], name, data.get("track_id"), data.get("direction"), data.get("start"), data.get("line"))
        )
    return Counter(rows)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[Any, ...]]:
    """What a run without accidents gives."""
    folder = tmp_path_factory.mktemp("unbroken")
    daemon = DaemonProcess(write_settings(folder), "--until-done")
    assert daemon.wait() == 0, daemon.text()
    happened = what_happened(events_in(folder / "outbox.sqlite"))
    assert sum(count for row, count in happened.items() if row[1] == "crossed") >= 3
    assert sum(count for row, count in happened.items() if row[1] == "interval") >= 3
    return happened


def test_crossings_equal_the_scenes_truth(unbroken: Counter[tuple[Any, ...]]) -> None:
    truth = Counter(crossing.direction for crossing in ShopScene(5, seconds=SECONDS).crossings)
    assert Counter(row[3] for row in unbroken.elements() if row[1] == "crossed") == truth


def killed_run(folder: Path, rng: random.Random, kills: int) -> list[dict[str, Any]]:
    settings = write_settings(folder)
    for _ in range(kills):
        daemon = DaemonProcess(settings)  # not `--until-done`: a run that came to its end would start over
        time.sleep(rng.uniform(0.8, 2.2))
        daemon.kill()
    daemon = DaemonProcess(settings, "--until-done")
    assert daemon.wait() == 0, daemon.text()
    return events_in(folder / "outbox.sqlite")


def check_sequences(events: list[dict[str, Any]]) -> None:
    """Counted from 1 without holes for every boot and topic."""
    streams: dict[tuple[str, str, str], list[int]] = {}
    for event in events:
        streams.setdefault((event["bootid"], event["source"], event["type"]), []).append(int(event["sequence"]))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in streams.values())
    assert len({event["id"] for event in events}) == len(events)


def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path, unbroken: Counter[tuple[Any, ...]]) -> None:
    events = killed_run(tmp_path, random.Random(1), kills=3)
    assert what_happened(events) == unbroken
    check_sequences(events)
    started = [event for event in events if event["type"] == "edgevision.health.started.v1"]
    assert all(event["data"]["previous"]["last"] for event in started[1:])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kill_9_many_times(tmp_path: Path, unbroken: Counter[tuple[Any, ...]], seed: int) -> None:
    events = killed_run(tmp_path, random.Random(seed), kills=8)
    assert what_happened(events) == unbroken
    check_sequences(events)


def test_sigterm_drains_and_the_next_start_goes_on(tmp_path: Path, unbroken: Counter[tuple[Any, ...]]) -> None:
    settings = write_settings(tmp_path)
    first = DaemonProcess(settings)
    wait_until(lambda: len(events_in(tmp_path / "outbox.sqlite")) > 4)
    assert first.stop() == 0, first.text()
    second = DaemonProcess(settings, "--until-done")
    assert second.wait() == 0, second.text()
    assert what_happened(events_in(tmp_path / "outbox.sqlite")) == unbroken


def test_a_state_that_an_analysis_cannot_read_costs_that_analysis_only(
    tmp_path: Path, unbroken: Counter[tuple[Any, ...]]
) -> None:
    settings, outbox = write_settings(tmp_path), tmp_path / "outbox.sqlite"
    first = DaemonProcess(settings)
    wait_until(lambda: any(row[1] == "crossed" for row in what_happened(events_in(outbox))))
    assert first.stop() == 0, first.text()
    with closing(sqlite3.connect(outbox)) as db, db:
        (text,) = db.execute("SELECT body FROM states").fetchone()
        body = json.loads(text)
        body["pipeline"]["analyses"][1] = {"of": "another version"}  # the lifecycle of objects
        db.execute("UPDATE states SET body = ?", (json.dumps(body),))
    second = DaemonProcess(settings, "--until-done")
    assert second.wait() == 0, second.text()
    counted = {
        row: count for row, count in what_happened(events_in(outbox)).items() if row[1] in {"crossed", "interval"}
    }
    assert counted == {row: count for row, count in unbroken.items() if row[1] in {"crossed", "interval"}}


def test_a_finished_run_counts_nobody_twice_and_starts_over_when_told(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path), tmp_path / "outbox.sqlite"
    counts = []
    for options in ([], [], ["--fresh"]):
        daemon = DaemonProcess(settings, "--until-done", *options)
        assert daemon.wait() == 0
        counts.append(sum(what_happened(events_in(outbox)).values()))
    assert counts[0] == counts[1] < counts[2]
    assert "camera.already_ended" in daemon.text()
    seen = Counter(event["time"] for event in events_in(outbox) if event["type"] == "edgevision.detection.appeared.v1")
    assert max(seen.values()) == 2


def test_a_model_that_fails_for_good_eats_no_file(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path), tmp_path / "outbox.sqlite"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("kind: blob,", "kind: blob, fails: true,"), encoding="utf-8")
    broken = DaemonProcess(settings, "--until-done")
    assert broken.wait() == 1
    assert "its model has failed for good" in broken.text()
    settings.write_text(text, encoding="utf-8")
    assert DaemonProcess(settings, "--until-done").wait() == 0
    assert sum(event["type"] == "edgevision.detection.appeared.v1" for event in events_in(outbox)) > 5


def test_an_interval_that_is_published_again_with_other_counts_is_a_higher_revision(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path), tmp_path / "outbox.sqlite"
    assert DaemonProcess(settings, "--until-done").wait() == 0
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("anchor: centre", "anchor: feet"), encoding="utf-8")
    assert DaemonProcess(settings, "--until-done", "--fresh").wait() == 0
    intervals = [event for event in events_in(outbox) if event["type"] == "edgevision.traffic.interval.v1"]
    first, second = intervals[: len(intervals) // 2], intervals[len(intervals) // 2 :]
    assert [event["data"]["start"] for event in first] == [event["data"]["start"] for event in second]
    assert {event["data"]["revision"] for event in first} == {1}
    assert {event["data"]["revision"] for event in second} == {2}
    assert len({event["id"] for event in intervals}) == len(intervals)


def test_a_moved_line_goes_on_where_the_file_stands(tmp_path: Path) -> None:
    settings, outbox = write_settings(tmp_path), tmp_path / "outbox.sqlite"
    first = DaemonProcess(settings)
    wait_until(lambda: any(event["type"].endswith("crossed.v1") for event in events_in(outbox)))
    first.kill()
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("anchor: centre", "anchor: feet"), encoding="utf-8")
    second = DaemonProcess(settings, "--until-done")
    assert second.wait() == 0, second.text()
    assert "goes_on_from" in second.text()
    seen = Counter(event["time"] for event in events_in(outbox) if event["type"] == "edgevision.detection.appeared.v1")
    assert max(seen.values()) == 1


SECOND = """\
  yard:
    source: {kind: file, path: nowhere.mp4}
    model: people
"""


def test_a_camera_that_cannot_be_opened_disturbs_no_other(tmp_path: Path, free_port: int) -> None:
    settings = write_settings(tmp_path, pace="realtime", more=SECOND, http=f"{{port: {free_port}}}")
    daemon = DaemonProcess(settings)
    try:
        report = wait_until(lambda: _with_states(free_port, hall="online", yard="reconnecting"))
        assert "nowhere.mp4" in report["camera/yard"]["detail"]
        wait_until(lambda: ask(free_port, "/readyz")[0] == 200)
        assert 'edgevision_camera_online{camera="hall"} 1.0' in ask(free_port, "/metrics")[1]
    finally:
        assert daemon.stop() == 0, daemon.text()
    states = [
        (event["source"].rsplit("/", 1)[1], event["data"]["state"])
        for event in events_in(tmp_path / "outbox.sqlite")
        if event["type"] == "edgevision.health.camera.v1"
    ]
    assert ("hall", "online") in states
    assert ("yard", "reconnecting") in states


def test_sighup_restarts_only_the_cameras_that_changed(tmp_path: Path, free_port: int) -> None:
    http = f"{{port: {free_port}}}"
    settings = write_settings(tmp_path, pace="realtime", http=http)
    daemon = DaemonProcess(settings)
    try:
        wait_until(lambda: _with_states(free_port, hall="online"))
        write_settings(tmp_path, pace="realtime", more=SECOND, http=http)
        daemon.reload()
        wait_until(lambda: _with_states(free_port, hall="online", yard="reconnecting"))
        settings.write_text(settings.read_text().replace("kind: detection", "kind: detektion"), encoding="utf-8")
        daemon.reload()
        wait_until(lambda: "reload_refused" in daemon.text())
        write_settings(tmp_path, pace="realtime", http=http)
        daemon.reload()
        wait_until(lambda: "camera/yard" not in _components(free_port))
        assert daemon.text().count('"camera": "hall", "state": "starting"') == 1
    finally:
        assert daemon.stop() == 0, daemon.text()


def test_a_broken_settings_file_is_refused_with_its_lines(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    settings.write_text(settings.read_text().replace("model: people", "model: persons"), encoding="utf-8")
    daemon = DaemonProcess(settings)
    assert daemon.wait() != 0
    assert "settings.yaml:8: cameras.hall.model: there is no model 'persons'" in daemon.text()
    assert "Traceback" not in daemon.text()


def _components(port: int) -> dict[str, Any]:
    _, document = ask(port, "/readyz")
    return {item["name"]: item for item in document["components"]}


def _with_states(port: int, **states: str) -> dict[str, Any] | None:
    found = _components(port)
    good = all(found.get(f"camera/{name}", {}).get("detail", "").startswith(state) for name, state in states.items())
    return found if good else None


def test_a_camera_that_cannot_be_built_at_the_start_stops_no_other(
    tmp_path: Path, unbroken: Counter[tuple[Any, ...]]
) -> None:
    foreign = "  yard: {source: {kind: unbuildable}, model: people}"
    daemon = DaemonProcess(write_settings(tmp_path, more=foreign), "--until-done")
    assert daemon.wait() == 1, daemon.text()
    events = events_in(tmp_path / "outbox.sqlite")
    assert what_happened(events) == unbroken
    (told,) = [event["data"] for event in events if event["source"].endswith("/yard")]
    assert told["state"] == "failed"
    assert "its SDK is not installed" in json.dumps(told)


def test_settings_that_a_camera_finds_wrong_end_the_start(tmp_path: Path) -> None:
    foreign = "  yard: {source: {kind: unbuildable, exposure_ms: 0}, model: people}"
    daemon = DaemonProcess(write_settings(tmp_path, more=foreign), "--until-done")
    assert daemon.wait() == 1
    assert "error: the camera has no such exposure" in daemon.text()
    assert "Traceback" not in daemon.text()
