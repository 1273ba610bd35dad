"""Events in a real PostgreSQL: each once, and a database that goes away loses none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

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
    sink.write(events)
    sink.write(events[1:])
    assert [body["data"]["track_id"] for body in sink.bodies()] == [1, 2, 3, 5]
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
    assert len(list(again.bodies())) == 2
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
    (body,) = sink.bodies()
    assert body["data"]["reason"] == "a\ufffdb\\u0000"
    sink.close()
