"""What is special to the outbox on disk: restarts, the resend window, who may use the file."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import (
    ALWAYS,
    APPEARED,
    CROSSED,
    START,
    Open,
    document,
    draft,
    new_boot,
    stored,
    unreadable,
)

from edgevision.errors import OutboxError
from edgevision.events import writer
from edgevision.events.base import CameraState
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.types import FrameTime, Occurrence


def test_events_and_states_outlive_the_process(open_outbox: Open) -> None:
    builder = new_boot()
    first = open_outbox(builder)
    first.append([draft(builder, 0), draft(builder, 1)], CameraState("door", 5, {"n": 2}))
    first.close()
    second = open_outbox()
    assert [document(event)["bootid"] for event in stored(second)] == [builder.bootid] * 2
    assert second.state("door") == CameraState("door", 5, {"n": 2})
    assert second.health().facts["depth"] == 2


def test_each_boot_counts_from_one_and_knows_where_the_one_before_ended(open_outbox: Open) -> None:
    builders = [new_boot(), new_boot(), new_boot()]
    previous = []
    for builder, count in zip(builders, (3, 2, 1), strict=True):
        outbox = open_outbox(builder)
        previous.append(outbox.previous_boot())
        for number in range(count):
            outbox.append([draft(builder, number)])
        outbox.append([draft(builder, 0, "appeared")])
        outbox.close()
    assert previous[0] is None
    assert previous[1] == {"bootid": builders[0].bootid, "last": {CROSSED: f"{3:020d}", APPEARED: f"{1:020d}"}}
    assert previous[2] == {"bootid": builders[1].bootid, "last": {CROSSED: f"{2:020d}", APPEARED: f"{1:020d}"}}
    events = [document(event) for event in stored(open_outbox())]
    numbers = [int(event["sequence"]) for event in events if event["bootid"] == builders[1].bootid]
    assert numbers == [1, 2, 1]


def test_the_previous_boot_is_an_event_of_the_contract(open_outbox: Open) -> None:
    first = new_boot()
    outbox = open_outbox(first)
    outbox.append([draft(first, 0)])
    outbox.close()
    second = new_boot()
    outbox = open_outbox(second)
    data = {"version": "0.1.0", "previous": outbox.previous_boot()}
    outbox.append([second.draft(Occurrence("health", "started", FrameTime(START, 0.0), data))])
    assert outbox.flush(5)
    assert document(stored(outbox)[-1])["data"]["previous"]["bootid"] == first.bootid


def test_numbers_of_boots_without_events_are_forgotten(open_outbox: Open, folder: Path) -> None:
    for _ in range(6):
        builder = new_boot()
        outbox = open_outbox(builder, resend_max_bytes=0)
        outbox.append([draft(builder, 0)])
        assert outbox.flush(5)
        outbox.done([event.rowid for event in stored(outbox)[:-1]])
        outbox.close()
    with closing(sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)) as connection:
        assert connection.execute("SELECT count(DISTINCT bootid) FROM streams").fetchone()[0] <= 3


def test_depth_is_known_after_a_restart_without_counting(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, number) for number in range(10)])
    assert outbox.flush(5)
    outbox.done([event.rowid for event in outbox.claim(4, "strict")])
    outbox.close()
    facts = open_outbox().health().facts
    assert facts["depth"] == 6
    assert facts["done_bytes"] > 0


def test_done_events_leave_the_resend_window_oldest_first(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder, resend_max_bytes=2000)
    outbox.append([draft(builder, number) for number in range(50)])
    assert outbox.flush(5)
    outbox.done([event.rowid for event in outbox.claim(50, "strict")])
    assert outbox.flush(5)
    assert 0 < outbox.health().facts["done_bytes"] <= 2000
    back = outbox.resend(*ALWAYS).events
    kept = [document(event)["data"]["track_id"] for event in outbox.claim(50, "strict")]
    assert kept == list(range(51 - back, 51))


def test_done_events_leave_the_resend_window_by_age(open_outbox: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PRUNE_EVERY_S", 0.0)
    builder = new_boot()
    outbox = open_outbox(builder, resend_hours=0.0)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    outbox.done([outbox.claim(1, "strict")[0].rowid])
    assert outbox.flush(5)
    time.sleep(0.01)
    outbox.append([draft(builder, 1)])
    assert outbox.flush(5)
    assert outbox.health().facts["done_bytes"] == 0


def test_two_processes_cannot_share_a_file(open_outbox: Open) -> None:
    open_outbox()
    with pytest.raises(OutboxError, match="in use by another process"):
        open_outbox()


def test_a_closed_outbox_frees_its_file_and_says_so(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.close()
    outbox.close()
    with pytest.raises(OutboxError, match="closed"):
        outbox.append([draft(builder, 0)])
    assert not outbox.health().ok
    assert open_outbox().health().ok


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(OutboxError, match="choose another path"):
        SqliteOutbox(OutboxSettings(path=folder / "file" / "outbox.sqlite"), new_boot())


def test_close_commits_what_is_queued(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    for number in range(700):
        outbox.append([draft(builder, number)])
    outbox.close()
    assert len(stored(open_outbox())) == 700


def test_age_is_that_of_the_oldest_waiting_event(open_outbox: Open) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    assert outbox.health().facts["age_s"] == 0
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    time.sleep(0.15)
    assert outbox.health().facts["age_s"] >= 0.1


def test_a_file_that_cannot_be_read_is_no_error_of_the_health_but_its_answer(open_outbox: Open, folder: Path) -> None:
    builder = new_boot()
    outbox = open_outbox(builder)
    outbox.append([draft(builder, 0)])
    assert outbox.flush(5)
    with unreadable(folder / "outbox.sqlite"):
        health = outbox.health()
        assert not health.ok
        assert "cannot be read" in health.detail
        assert health.facts["depth"] == 1
    assert outbox.health().ok


def test_a_service_writes_where_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = {"folder": tmp_path / "etc"}
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert OutboxSettings.model_validate({}, context=folder).path == tmp_path / "etc" / "outbox.sqlite"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgevision")
    assert OutboxSettings.model_validate({}, context=folder).path == Path("/var/lib/edgevision/outbox.sqlite")
    given = OutboxSettings.model_validate({"path": "here.sqlite"}, context=folder)
    assert given.path == tmp_path / "etc" / "here.sqlite"
