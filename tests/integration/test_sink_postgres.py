"""Events in a real PostgreSQL: each once, and a database that goes away loses none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from edgevision.errors import PublishError
from edgevision.events.build import EventBuilder
from edgevision.events.codec import decode, dump
from edgevision.events.schema import AnyEvent
from edgevision.mqtt.sinks import PostgresSink, missing
from edgevision.types import FrameTime, Occurrence

pytestmark = pytest.mark.service


class Postgres:
    """An instance of the test's own; PostgreSQL refuses to run as root, so it then runs as its own user."""

    def __init__(self, folder: Path, port: int) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("PostgreSQL is not installed")
        self._bin = found[-1].parent
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        self.dsn = f"host=127.0.0.1 port={port} user=edge dbname=postgres"
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "edge", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        )
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def execute(self, statement: str) -> list[Any]:
        with psycopg.connect(self.dsn) as db:
            cursor = db.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*user, str(self._bin / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory, free_port: int) -> Iterator[Postgres]:
    base = tmp_path_factory.mktemp("pg")
    for folder in (base, base.parent, base.parent.parent):
        folder.chmod(0o755)
    server = Postgres(base / "server", free_port)
    server.start()
    yield server
    server.stop()


def bodies(postgres: Postgres) -> list[dict[str, Any]]:
    return [body for (body,) in postgres.execute("SELECT body FROM events ORDER BY time")]


def event(number: int, builder: EventBuilder) -> AnyEvent:
    time = FrameTime(datetime(2026, 1, 1, 0, 0, number, tzinfo=timezone.utc), 0.0)
    draft = builder.draft(
        Occurrence("traffic", "crossed", time, {"line": "l", "direction": "in", "track_id": number}), camera="door"
    )
    return decode(dump({**draft.envelope, "sequence": f"{number:020}"}))


def test_each_event_is_there_once_and_what_is_missing_is_known(postgres: Postgres) -> None:
    builder = EventBuilder("plant", "box", "c" * 12)
    sink = PostgresSink(postgres.dsn)
    events = [event(number, builder) for number in (1, 2, 3, 5)]
    assert sink.write(events[:3]) == 3
    assert sink.write(events[1:]) == 1
    assert sink.write(events) == 0
    assert [body["data"]["track_id"] for body in bodies(postgres)] == [1, 2, 3, 5]
    (hole,) = missing(sink)
    assert hole.ranges == ((4, 4),)
    assert hole.source == "edgevision/plant/box/door"
    sink.close()


def test_a_database_that_goes_away_is_an_error_and_a_new_sink_goes_on(postgres: Postgres) -> None:
    builder = EventBuilder("plant", "box", "c" * 12)
    sink = PostgresSink(postgres.dsn)
    sink.write([event(1, builder)])
    postgres.stop()
    with pytest.raises(PublishError, match="sink postgres"):
        sink.write([event(2, builder)])
    sink.close()
    postgres.start()
    again = PostgresSink(postgres.dsn)
    again.write([event(2, builder)])
    assert len(bodies(postgres)) == 2
    assert missing(again) == []
    postgres.stop()
    with pytest.raises(PublishError, match="sink postgres"):
        missing(again)
    again.close()
    postgres.start()


def test_a_replay_under_a_new_number_is_one_event_and_not_missing(postgres: Postgres) -> None:
    sink = PostgresSink(postgres.dsn)
    before, after = EventBuilder("plant", "box", "c" * 12), EventBuilder("plant", "box", "c" * 12)
    known = event(1, before)
    sink.write([known, event(1, after)])
    sink.write([known.model_copy(update={"bootid": after.bootid, "sequence": f"{2:020}"}), event(3, after)])
    assert len(bodies(postgres)) == 3
    assert missing(sink) == []
    sink.close()


def test_a_database_from_before_the_numbers_goes_on(postgres: Postgres) -> None:
    builder = EventBuilder("plant", "box", "c" * 12)
    old = PostgresSink(postgres.dsn)
    old.write([event(number, builder) for number in (1, 2, 4)])
    old.close()
    postgres.execute("DROP TABLE event_numbers")
    again = PostgresSink(postgres.dsn)
    again.write([event(5, builder)])
    (hole,) = missing(again)
    assert hole.ranges == ((3, 3),)
    again.close()


def test_a_database_that_is_not_there_is_one_line(free_port: int) -> None:
    with pytest.raises(PublishError) as caught:
        PostgresSink(f"host=127.0.0.1 port={free_port} user=x dbname=y")
    assert "sink postgres" in str(caught.value)


def test_a_character_that_postgresql_has_not_is_replaced(postgres: Postgres) -> None:
    sink = PostgresSink(postgres.dsn)
    draft = EventBuilder("plant", "box", "c" * 12).draft(
        Occurrence(
            "health",
            "camera",
            FrameTime(datetime(2026, 1, 1, tzinfo=timezone.utc), 0.0),
            {"state": "online", "reason": "a\0b\\u0000"},
        ),
        camera="door",
    )
    sink.write([decode(dump({**draft.envelope, "sequence": f"{1:020}"}))])
    (body,) = bodies(postgres)
    assert body["data"]["reason"] == "a\ufffdb\\u0000"
    sink.close()
