"""Engines on their way to devices of the same kind: one file, signed where a key is given."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from edgevision.bundle.signature import check_signature, signature_of
from edgevision.errors import BackendError, BundleUntrusted
from edgevision.inference.engines import Engines, Key, whole


def export_engines(engines: Engines, archive: Path, key: Path | None = None) -> int:
    """Write all engines into an archive; returns how many.

    Args:
        engines: Of this device.
        archive: Where it goes.
        key: Private key (PEM) that each of them is signed with.

    Raises:
        BackendError: There is none, or it cannot be written.
        BundleError: The key cannot be used.
    """
    count = 0
    try:
        with whole(archive) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
            for item, _ in engines.listed():
                if (engine := engines.read(item)) is None:
                    continue
                _add(tar, f"{item.name}.json", json.dumps(asdict(item)).encode())
                if key is not None:
                    _add(tar, f"{item.name}.sig", json.dumps(signature_of(_signed(item, engine), key)).encode())
                _add(tar, f"{item.name}.engine", engine)
                count += 1
            if not count:
                raise BackendError(f"{engines.folder}: there is no engine to export")
    except OSError as exc:
        raise BackendError(f"{archive}: cannot be written: {exc.strerror}") from exc
    return count


def take_engines(
    engines: Engines, archive: Path, fits: Callable[[Key], bool], trusted: Sequence[Path] = ()
) -> tuple[int, int]:
    """Take engines from an archive; returns how many were taken and how many are of other devices.

    Args:
        engines: Of this device.
        archive: Of ``export_engines``.
        fits: Whether an engine is of this kind of device.
        trusted: Public keys (PEM), one of which must have signed what is taken; without them anything is.

    Raises:
        BackendError: It is no such archive.
        BundleUntrusted: None of the keys signed an engine as it is.
    """
    taken: list[Key] = []
    others = 0
    try:
        with tarfile.open(archive, "r:") as tar:  # never a compressed one, which could be of any size
            members = {item.name: item for item in tar.getmembers() if item.isfile()}
            for name in sorted(name for name in members if name.endswith(".json")):
                key = Key(**json.loads(_member(tar, members[name])))
                if not fits(key):
                    others += 1
                    continue
                engine = _member(tar, members[f"{key.name}.engine"])
                if trusted:
                    what, sig = f"{archive}: the engine {key.name}", members.get(f"{key.name}.sig")
                    if sig is None:
                        raise BundleUntrusted(f"{what} is not signed; export it with --key")
                    check_signature(what, _member(tar, sig), _signed(key, engine), trusted)
                engines.keep(key, engine)
                taken.append(key)
    except OSError as exc:
        raise BackendError(f"{archive}: cannot be read: {exc.strerror}") from exc
    except (tarfile.TarError, KeyError, ValueError, TypeError) as exc:
        raise BackendError(f"{archive}: is no archive of engines, or was cut off ({type(exc).__name__})") from exc
    engines.make_room(taken)
    return len(taken), others


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return b"" if stream is None else stream.read()


def _signed(key: Key, engine: bytes) -> bytes:
    """What is signed of an engine: what it depends on, and its bytes, by their hashes."""
    return f"edgevision engine {key.name} {hashlib.sha256(engine).hexdigest()}".encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
