"""Engines that were built: found, shared by processes, evicted, exported and taken, and what can go wrong with them."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from keys import key_pair
from structlog.testing import capture_logs

from edgevision.errors import BackendError, BundleError, BundleUntrusted
from edgevision.inference.engine_archive import export_engines, take_engines
from edgevision.inference.engines import Engines, Key


def key(**changes: object) -> Key:
    return Key(**{"sha256": "a", "precision": "fp16", "max_batch": 4, "tensorrt": "10.3.0", "gpu": "Fake GPU",
                  "capability": "8.7", **changes})  # type: ignore[arg-type] # fmt: skip


def mine(item: Key) -> bool:
    return item.gpu == "Fake GPU"


def test_whatever_an_engine_depends_on_is_in_its_key() -> None:
    names = {
        key().name,
        *(key(**{name: "b"}).name for name in ("sha256", "precision", "tensorrt", "gpu", "capability", "driver")),
    }
    assert len({*names, key(max_batch=8).name, key(level=5).name}) == 9


def test_an_engine_of_another_user_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    engines = Engines(tmp_path)
    engines.get(key(), lambda _: (b"engine", b""))
    monkeypatch.setattr("edgevision.inference.engines.os.utime", forbidden)
    assert engines.get(key(), lambda _: (b"", b"")) == b"engine"


def test_an_engine_that_another_process_removes_meanwhile_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines(tmp_path)
    engines.get(key(), lambda _: (b"engine", b""))
    monkeypatch.setattr(Path, "glob", lambda self, _: iter([self / "gone.engine", self / f"{key().name}.engine"]))
    assert engines.listed() == [(key(), 6)]


def test_an_archive_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    engines, folder = Engines(tmp_path / "engines"), tmp_path / "folder"
    engines.get(key(), lambda _: (b"engine", b""))
    folder.mkdir()
    with pytest.raises(BackendError, match="cannot be written: Is a directory"):
        export_engines(engines, folder)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["engines", "folder"]


def test_an_archive_that_was_compressed_and_cut_off_is_refused(tmp_path: Path) -> None:
    engines, archive = Engines(tmp_path / "engines"), tmp_path / "engines.tar"
    engines.get(key(), lambda _: (bytes(range(256)), b""))
    export_engines(engines, archive)
    archive.write_bytes(gzip.compress(archive.read_bytes())[:200])
    with pytest.raises(BackendError, match="is no archive of engines, or was cut off"):
        take_engines(Engines(tmp_path / "b"), archive, lambda _: True)


def test_two_who_need_the_same_engine_build_it_once(tmp_path: Path) -> None:
    built: list[int] = []
    first, go = threading.Event(), threading.Event()

    def build(_timings: bytes) -> tuple[bytes, bytes]:
        built.append(1)
        first.set()
        assert go.wait(10)
        return b"engine", b""

    got: list[bytes] = []
    workers = [threading.Thread(target=lambda: got.append(Engines(tmp_path).get(key(), build))) for _ in range(2)]
    workers[0].start()
    assert first.wait(10)
    workers[1].start()
    go.set()
    for worker in workers:
        worker.join(10)
    assert (got, built) == ([b"engine", b"engine"], [1])


def test_the_one_that_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    engines = Engines(tmp_path, most_bytes=250)
    for number in range(3):
        engines.get(key(sha256=str(number)), lambda _: (b"x" * 100, b""))
        if number:
            engines.get(key(sha256="0"), lambda _: (b"", b""))
    assert [item.sha256 for item, _ in engines.listed()] == ["0", "2"]


def test_a_full_disk_costs_the_next_start_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    engines = Engines(tmp_path)
    monkeypatch.setattr("edgevision.inference.engines.os.fsync", full)
    assert engines.get(key(), lambda _: (b"engine", b"")) == b"engine"
    assert not engines.has(key())
    assert not list(tmp_path.glob(".writing-*"))


def test_what_a_power_cut_left_is_removed(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".writing-old", tmp_path / ".writing-new"
    for file in (left, fresh):
        file.write_bytes(b"half an engine")
    os.utime(left, (0, 0))
    Engines(tmp_path).get(key(), lambda _: (b"engine", b""))
    assert (left.exists(), fresh.exists()) == (False, True)


def test_engines_travel_between_boxes_of_one_kind(tmp_path: Path) -> None:
    here, there, archive = Engines(tmp_path / "a"), Engines(tmp_path / "b"), tmp_path / "engines.tar"
    here.get(key(), lambda _: (b"mine", b""))
    here.get(key(gpu="Other GPU"), lambda _: (b"other", b""))
    assert export_engines(here, archive) == 2
    assert take_engines(there, archive, mine) == (1, 1)
    assert there.get(key(), lambda _: (b"", b"")) == b"mine"
    with pytest.raises(BackendError, match="there is no engine to export"):
        export_engines(Engines(tmp_path / "none"), archive)


def test_an_engine_that_is_not_what_was_written_is_not_there(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    for altered in (b"engin", b"angine", b""):
        engines.get(key(), lambda _: (b"engine", b""))
        assert engines.has(key())
        (tmp_path / f"{key().name}.engine").write_bytes(altered)
        with capture_logs() as logs:
            assert not engines.has(key()), "so that another answers while it is built anew"
        assert [line["event"] for line in logs] == ["engine.changed"]
        assert engines.get(key(), lambda _: (b"engine", b"")) == b"engine"
    (tmp_path / f"{key().name}.json").write_text("[]", "utf-8")
    assert engines.listed() == []
    assert engines.read(key()) is None


def test_what_comes_in_an_archive_takes_no_more_room_than_there_is(tmp_path: Path) -> None:
    here, there, archive = Engines(tmp_path / "a"), Engines(tmp_path / "b", most_bytes=250), tmp_path / "engines.tar"
    there.get(key(sha256="old"), lambda _: (b"x" * 200, b""))
    os.utime(tmp_path / "b" / f"{key(sha256='old').name}.engine", (1, 1))
    here.get(key(sha256="new"), lambda _: (b"x" * 100, b""))
    export_engines(here, archive)
    assert take_engines(there, archive, mine) == (1, 0)
    assert [item.sha256 for item, _ in there.listed()] == ["new"]


BUILDS = """
import sys, time
from pathlib import Path
from edgevision.inference.engines import Engines, Key
from edgevision.logs import setup_logging
setup_logging("info", "json")
folder = Path(sys.argv[1])
def build(timings):
    with (folder / "built").open("a") as file:
        file.write("once;")
    while not (folder / "go").exists():
        time.sleep(0.01)
    return b"engine", b""
print(Engines(folder).get(Key("a", "fp16", 4, "10.3.0", "Fake GPU", "8.7"), build))
"""


def test_two_processes_build_an_engine_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDS, str(tmp_path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "built").exists():
        assert first.poll() is None
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert second.stdout is not None
    assert "engine.waiting" in second.stdout.readline()
    (tmp_path / "go").touch()
    assert "b'engine'" in first.communicate(timeout=30)[0]
    assert "b'engine'" in second.communicate(timeout=30)[0]
    assert (tmp_path / "built").read_text() == "once;"


def test_an_engine_of_which_nothing_is_known_takes_room_and_goes_in_its_turn(tmp_path: Path) -> None:
    strange = tmp_path / "strange.engine"
    strange.write_bytes(b"x" * 200)
    os.utime(strange, (0, 0))
    Engines(tmp_path, most_bytes=250).get(key(), lambda _: (b"x" * 100, b""))
    assert not strange.exists()
    strange.write_bytes(b"x" * 100)
    Engines(tmp_path, most_bytes=250).get(key(max_batch=8), lambda _: (b"x" * 100, b""))
    assert [item.max_batch for item, _ in Engines(tmp_path).listed()] == [8], "it counted, and the older one went"


def test_a_folder_that_nobody_can_write_is_told_before_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match=r"cannot be kept there: .*; let this user write there, or set cache_dir"):
        Engines(tmp_path / "file" / "engines").get(key(), lambda _: pytest.fail("built in vain"))


def test_a_disk_without_room_for_a_lock_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    really = Path.open

    def open_(file: Path, mode: str = "r", **more: object) -> object:
        return full() if mode == "w" else really(file, mode, **more)  # type: ignore[call-overload, func-returns-value]

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr("edgevision.inference.engines.os.fsync", full)
    with capture_logs() as logs:
        assert Engines(tmp_path).get(key(), lambda _: (b"engine", b"")) == b"engine"
    assert "No space left on device" in logs[0]["reason"]


def test_an_archive_that_is_missing_or_cut_off_is_told(tmp_path: Path) -> None:
    engines, archive = Engines(tmp_path / "engines"), tmp_path / "engines.tar"
    engines.get(key(), lambda _: (bytes(5000), b""))
    export_engines(engines, archive)
    there = Engines(tmp_path / "b")
    with pytest.raises(BackendError, match=r"none\.tar: cannot be read: No such file or directory"):
        take_engines(there, tmp_path / "none.tar", mine)
    archive.write_bytes(archive.read_bytes()[:3000])
    with pytest.raises(BackendError, match="is no archive of engines, or was cut off"):
        take_engines(there, archive, mine)
    archive.write_bytes(b"no archive")
    with pytest.raises(BackendError, match="is no archive of engines, or was cut off"):
        take_engines(there, archive, mine)
    assert there.listed() == []


def test_signed_engines_are_taken_by_their_key_and_by_no_other(tmp_path: Path) -> None:
    (secret, public), (_, other) = key_pair(tmp_path, "mine"), key_pair(tmp_path, "other")
    engines, archive, there = Engines(tmp_path / "a"), tmp_path / "engines.tar", Engines(tmp_path / "b")
    engines.get(key(), lambda _: (b"engine", b""))
    export_engines(engines, archive)
    with pytest.raises(BundleUntrusted, match="is not signed; export it with --key"):
        take_engines(there, archive, mine, [public])
    export_engines(engines, archive, secret)
    with pytest.raises(BundleUntrusted, match="none of the trusted ones"):
        take_engines(there, archive, mine, [other])
    assert there.listed() == []
    assert take_engines(there, archive, mine, [other, public]) == (1, 0)
    assert take_engines(there, archive, mine) == (1, 0), "where no key is asked for, signatures do not matter"


def test_an_engine_that_was_changed_after_it_was_signed_is_refused(tmp_path: Path) -> None:
    secret, public = key_pair(tmp_path, "mine")
    engines, archive = Engines(tmp_path / "a"), tmp_path / "engines.tar"
    engines.get(key(), lambda _: (b"what it does", b""))
    export_engines(engines, archive, secret)
    archive.write_bytes(archive.read_bytes().replace(b"what it does", b"other things"))
    with pytest.raises(BundleUntrusted, match="was changed after it was signed"):
        take_engines(Engines(tmp_path / "b"), archive, mine, [public])
    assert take_engines(Engines(tmp_path / "b"), archive, mine) == (1, 0), "nothing else is wrong with it"


def test_a_key_that_is_none_leaves_no_half_an_archive(tmp_path: Path) -> None:
    engines, (_, public) = Engines(tmp_path / "a"), key_pair(tmp_path, "mine")
    engines.get(key(), lambda _: (b"engine", b""))
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="is no private key"):
        export_engines(engines, tmp_path / "out" / "engines.tar", public)
    assert list((tmp_path / "out").iterdir()) == []
