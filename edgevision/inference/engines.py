"""Engines that were built on this device: found by everything they depend on, written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import structlog

from edgevision.bundle.signature import check_signature, signature_of
from edgevision.errors import BackendError, BundleUntrusted

log = structlog.get_logger(__name__)

MOST_BYTES = 4 * 2**30  # of all engines; the one that was not used for longest goes first
_TIMINGS = "timings.cache"
_ASIDE = ".writing-"
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
        """Whether an engine is there."""
        return self._file(key).is_file()

    def get(self, key: Key, build: Callable[[bytes], tuple[bytes, bytes]]) -> bytes:
        """An engine, built when it is not there; who comes second waits for the one who builds.

        Args:
            key: Which one.
            build: Given what was timed by earlier builds, makes the engine and gives what was timed.

        Raises:
            BackendError: It cannot be built or read.
        """
        if (found := self._read(key)) is not None:
            return found
        with self._alone(key):
            if (found := self._read(key)) is not None:  # somebody else has built it meanwhile
                return found
            engine, timings = build(self._timings())
            try:
                self._keep(key, engine)
                self._write(self.folder / _TIMINGS, timings)
            except BackendError as exc:  # it runs all the same, and is built again at the next start
                log.warning("engine.not_kept", reason=str(exc))
            self._forget_old(key)
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
            try:
                key = Key(**json.loads(file.with_suffix(".json").read_text("utf-8")))
                facts = file.stat()
            except (OSError, ValueError, TypeError):  # another process may have just removed it
                continue
            found.append((facts.st_mtime, key, facts.st_size))
        return [(key, size) for _, key, size in sorted(found, key=lambda item: -item[0])]

    def export(self, archive: Path, key: Path | None = None) -> int:
        """Write all engines into an archive for devices of the same kind; returns how many.

        Args:
            archive: Where it goes.
            key: Private key (PEM) that each of them is signed with.

        Raises:
            BackendError: There is none, or it cannot be written.
            BundleError: The key cannot be used.
        """
        found = [item for item, _ in self.listed()]
        if not found:
            raise BackendError(f"{self.folder}: there is no engine to export")
        try:
            with _whole(archive) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
                for item in found:
                    engine = self._file(item).read_bytes()
                    _add(tar, f"{item.name}.json", json.dumps(asdict(item)).encode())
                    if key is not None:
                        _add(tar, f"{item.name}.sig", json.dumps(signature_of(_signed(item, engine), key)).encode())
                    _add(tar, f"{item.name}.engine", engine)
        except OSError as exc:
            raise BackendError(f"{archive}: cannot be written: {exc.strerror}") from exc
        return len(found)

    def take(self, archive: Path, fits: Callable[[Key], bool], trusted: Sequence[Path] = ()) -> tuple[int, int]:
        """Take engines from an archive; returns how many were taken and how many are of other devices.

        Args:
            archive: Of ``export``.
            fits: Whether an engine is of this kind of device.
            trusted: Public keys (PEM), one of which must have signed what is taken; without them anything is.

        Raises:
            BackendError: It is no such archive.
            BundleUntrusted: None of the keys signed an engine as it is.
        """
        taken = others = 0
        try:
            with tarfile.open(archive, "r:") as tar:  # never a compressed one, which could be of any size
                members = {item.name: item for item in tar.getmembers() if item.isfile()}
                for name in sorted(name for name in members if name.endswith(".json")):
                    key = Key(**json.loads(self._member(tar, members[name])))
                    if not fits(key):
                        others += 1
                        continue
                    engine = self._member(tar, members[f"{key.name}.engine"])
                    if trusted:
                        what, sig = f"{archive}: the engine {key.name}", members.get(f"{key.name}.sig")
                        if sig is None:
                            raise BundleUntrusted(f"{what} is not signed; export it with --key")
                        check_signature(what, self._member(tar, sig), _signed(key, engine), trusted)
                    self._keep(key, engine)
                    taken += 1
        except OSError as exc:
            raise BackendError(f"{archive}: cannot be read: {exc.strerror}") from exc
        except (tarfile.TarError, KeyError, ValueError, TypeError) as exc:
            raise BackendError(f"{archive}: is no archive of engines, or was cut off ({type(exc).__name__})") from exc
        return taken, others

    @staticmethod
    def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        stream = tar.extractfile(member)
        return b"" if stream is None else stream.read()

    def _file(self, key: Key) -> Path:
        return self.folder / f"{key.name}.engine"

    def _read(self, key: Key) -> bytes | None:
        file = self._file(key)
        try:
            engine = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise BackendError(f"{file}: cannot be read: {exc.strerror}") from exc
        with suppress(OSError):  # of another user, or on a disk that is only read
            os.utime(file)  # used now: the last to be forgotten
        return engine

    def _timings(self) -> bytes:
        try:
            return (self.folder / _TIMINGS).read_bytes()
        except OSError:
            return b""

    def _keep(self, key: Key, engine: bytes) -> None:
        self._write(self._file(key).with_suffix(".json"), json.dumps(asdict(key), indent=1).encode())
        self._write(self._file(key), engine)

    def _write(self, file: Path, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _whole(file) as stream:
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

    def _forget_old(self, keep: Key) -> None:
        for file in self.folder.glob(f"{_ASIDE}*"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > _LEFT_S:  # of a process that was ended in the middle
                    file.unlink()
        found = []
        for file in self.folder.glob("*.engine"):  # those of which nothing is known take room as well
            with suppress(OSError):
                facts = file.stat()
                found.append((facts.st_mtime, facts.st_size, file))
        room = self._most_bytes
        for place, (_, size, file) in enumerate(sorted(found, reverse=True)):
            room -= size
            if room < 0 and place and file != self._file(keep):
                with suppress(BackendError):  # of another user
                    _remove(file)


def _remove(engine: Path) -> None:
    for file in (engine, engine.with_suffix(".json")):
        try:
            file.unlink(missing_ok=True)
        except OSError as exc:
            raise BackendError(f"{file}: cannot be removed: {exc.strerror}; remove it by hand") from exc


def _signed(key: Key, engine: bytes) -> bytes:
    """What is signed of an engine: what it depends on, and its bytes, by their hashes."""
    return f"edgevision engine {key.name} {hashlib.sha256(engine).hexdigest()}".encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@contextmanager
def _whole(file: Path) -> Iterator[IO[bytes]]:
    """A file that is there when everything is in it, on the disk, and as it was when that fails."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=_ASIDE, delete=False) as aside:
        try:
            yield aside
            aside.flush()
            os.fsync(aside.fileno())
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(file)
        finally:
            Path(aside.name).unlink(missing_ok=True)
