"""Engines that were built on this device: found by everything they depend on, written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import structlog

from edgevision.errors import BackendError

log = structlog.get_logger(__name__)

MOST_BYTES = 4 * 2**30  # of all engines; the one that was not used for longest goes first
_TIMINGS = "timings.cache"
_HASH = "engine_sha256"
ASIDE = ".writing-"
_LEFT_S = 3600
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_BUILT = 2  # how engines are built from a graph: 2 strongly typed; counted up, those that are there are built anew


@dataclass(frozen=True, slots=True)
class Key:
    """What an engine depends on; when any of it differs, it is another engine.

    Attributes:
        sha256: Of the ONNX file.
        precision: Of its graph.
        max_batch: Most pictures at once.
        tensorrt: Version of TensorRT.
        gpu: Name of the GPU.
        capability: Compute capability, e.g. ``8.7``.
        driver: What the driver, or the Jetson's system, says of its version.
        level: How long TensorRT searched, 0 to 5.
    """

    sha256: str
    precision: str
    max_batch: int
    tensorrt: str
    gpu: str
    capability: str
    driver: str = ""
    level: int = 3

    @property
    def name(self) -> str:
        """For file names."""
        facts = {**asdict(self), "built": _BUILT}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


class Engines:
    """A folder of engines; several processes may use it.

    Args:
        folder: Where they lie.
        most_bytes: How much room they may take.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder.expanduser()
        self._most_bytes = most_bytes

    def has(self, key: Key) -> bool:
        """Whether an engine is there, whole and as it was written."""
        with suppress(BackendError):
            return self.read(key) is not None
        return False

    def get(self, key: Key, build: Callable[[bytes], tuple[bytes, bytes]]) -> bytes:
        """An engine, built when it is not there; who comes second waits for the one who builds.

        Args:
            key: Which one.
            build: Given what was timed by earlier builds, makes the engine and gives what was timed.

        Raises:
            BackendError: It cannot be built or read.
        """
        if (found := self.read(key)) is not None:
            return found
        with self._alone(key):
            if (found := self.read(key)) is not None:  # somebody else has built it meanwhile
                return found
            engine, timings = build(self._timings())
            try:
                self.keep(key, engine)
                self._write(self.folder / _TIMINGS, timings)
            except BackendError as exc:  # it runs all the same, and is built again at the next start
                log.warning("engine.not_kept", reason=str(exc))
            self.make_room([key])
        return engine

    def forget(self, key: Key) -> None:
        """Remove one that turned out to be damaged, or another device's.

        Raises:
            BackendError: It cannot be removed.
        """
        _remove(self._file(key))

    def listed(self) -> list[tuple[Key, int]]:
        """What is there with its size, the last used first."""
        found = []
        for file in self.folder.glob("*.engine"):
            with suppress(OSError):  # another process may have just removed it
                if (facts := _facts(file)) is not None:
                    kept = file.stat()
                    found.append((kept.st_mtime, facts[0], kept.st_size))
        return [(key, size) for _, key, size in sorted(found, key=lambda item: -item[0])]

    def keep(self, key: Key, engine: bytes) -> None:
        """Write one down, in place of what was there.

        Raises:
            BackendError: It cannot be written.
        """
        facts = {**asdict(key), _HASH: hashlib.sha256(engine).hexdigest()}
        self._write(self._file(key).with_suffix(".json"), json.dumps(facts, indent=1).encode())
        self._write(self._file(key), engine)

    def read(self, key: Key) -> bytes | None:
        """An engine as it was written; ``None`` where it is not there, or is not that any more.

        Raises:
            BackendError: It cannot be read, or not be removed where it was changed.
        """
        file = self._file(key)
        try:
            engine = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise BackendError(f"{file}: cannot be read: {exc.strerror}") from exc
        facts = _facts(file)
        if facts is None or facts[1] != hashlib.sha256(engine).hexdigest():  # cut off by a power cut, or changed since
            log.warning("engine.changed", file=str(file), reason="it is not what was written; it is built anew")
            self.forget(key)
            return None
        with suppress(OSError):  # of another user, or on a disk that is only read
            os.utime(file)  # used now: the last to be forgotten
        return engine

    def make_room(self, keep: Collection[Key]) -> None:
        """Remove what was not used for longest until the rest fits; what is in ``keep`` and the last one used stay."""
        for file in self.folder.glob(f"{ASIDE}*"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > _LEFT_S:  # of a process that was ended in the middle
                    file.unlink()
        found = []
        for file in self.folder.glob("*.engine"):  # those of which nothing is known take room as well
            with suppress(OSError):
                facts = file.stat()
                found.append((facts.st_mtime, facts.st_size, file))
        room, kept = self._most_bytes, {self._file(key) for key in keep}
        for place, (_, size, file) in enumerate(sorted(found, reverse=True)):
            room -= size
            if room < 0 and place and file not in kept:
                with suppress(BackendError):  # of another user
                    _remove(file)

    def _file(self, key: Key) -> Path:
        return self.folder / f"{key.name}.engine"

    def _timings(self) -> bytes:
        try:
            return (self.folder / _TIMINGS).read_bytes()
        except OSError:
            return b""

    def _write(self, file: Path, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole(file) as stream:
                stream.write(content)
        except OSError as exc:
            raise BackendError(f"{file}: the engine cannot be kept: {exc.strerror}") from exc

    @contextmanager
    def _alone(self, key: Key) -> Iterator[None]:
        """Nobody else builds this engine meanwhile; on a full disk, where not even a lock has room, anybody may."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f"{key.name}.lock").open("w", encoding="ascii")
        except OSError as exc:
            if exc.errno not in _FULL:
                remedy = "let this user write there, or set cache_dir"
                raise BackendError(f"{self.folder}: engines cannot be kept there: {exc.strerror}; {remedy}") from exc
            yield
            return
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("engine.waiting", reason="another process builds it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as exc:  # a file system without locks: at worst it is built twice
                log.warning("engine.no_lock", reason=exc.strerror)
            yield


def _facts(engine: Path) -> tuple[Key, str] | None:
    """What stands beside an engine: what it depends on, and the hash of its bytes."""
    try:
        facts = dict(json.loads(engine.with_suffix(".json").read_text("utf-8")))
        sha256 = str(facts.pop(_HASH))
        return Key(**facts), sha256
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _remove(engine: Path) -> None:
    for file in (engine, engine.with_suffix(".json")):
        try:
            file.unlink(missing_ok=True)
        except OSError as exc:
            raise BackendError(f"{file}: cannot be removed: {exc.strerror}; remove it by hand") from exc


@contextmanager
def whole(file: Path) -> Iterator[IO[bytes]]:
    """A file that is there when everything is in it, on the disk, and as it was when that fails."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=ASIDE, delete=False) as aside:
        try:
            yield aside
            aside.flush()
            os.fsync(aside.fileno())
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(file)
        finally:
            Path(aside.name).unlink(missing_ok=True)
