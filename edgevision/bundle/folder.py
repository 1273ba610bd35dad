"""A bundle's folder: read, verified, written in one step."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgevision.bundle.manifest import (
    MANIFEST,
    SIGNATURE,
    Artefact,
    Golden,
    Manifest,
    Precision,
    Target,
    inside,
    parse_manifest,
)
from edgevision.bundle.onnx_file import onnx_header, refuse_outside, refuse_unsafe
from edgevision.errors import BundleCorrupt, BundleError

MAX_IR_VERSION = 10
MAX_OPSET = 19
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose manifest has been read.

    Attributes:
        folder: The bundle's folder.
        manifest: Its manifest.
        digest: SHA-256 of the manifest's bytes, hex; it covers the hash of every file.
    """

    folder: Path
    manifest: Manifest
    digest: str

    @property
    def model_ref(self) -> str:
        """``name@version#hash12``, as events carry it."""
        return f"{self.manifest.name}@{self.manifest.version}#{self.digest[:12]}"

    @property
    def files(self) -> tuple[Artefact | Golden, ...]:
        """Everything that the manifest names."""
        return (*self.manifest.artefacts, *self.manifest.golden)

    def path(self, file: str) -> Path:
        """Where a file of the manifest lies.

        Raises:
            BundleError: It is missing, or a link leads out of the folder.
        """
        path = self.folder / file
        if not path.is_file():
            msg = f"{self.folder}: {file} is named in {MANIFEST} but missing"
            raise BundleError(msg)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            msg = f"{self.folder}: {file} leads out of the bundle's folder"
            raise BundleError(msg)
        return path

    def artefact(self, target: Target, precision: Precision | None = None) -> Artefact:
        """The first artefact that is meant for ``target`` and, where given, has ``precision``.

        One of which it could not be decided whether it is as good as the trained model must be asked for by precision.

        Raises:
            BundleError: There is none.
        """
        artefacts = self.manifest.artefacts
        for item in artefacts:
            fits = item.precision == precision if precision else item.gate != "not decidable"
            if fits and (not item.targets or target in item.targets):
                return item
        there = ", ".join(f"{a.file} ({a.precision} for {'/'.join(a.targets) or 'all'})" for a in artefacts)
        msg = f"{self.folder}: no {precision or 'usable'} artefact for {target}; there is {there}"
        raise BundleError(msg)

    def source(self) -> Artefact:
        """The first artefact of 32-bit floats: what the others were made of.

        Raises:
            BundleError: There is none.
        """
        for item in self.manifest.artefacts:
            if item.precision == "fp32":
                return item
        raise BundleError(f"{self.folder}: has no artefact of 32-bit floats to make others of")

    def load(self, item: Artefact) -> bytes:
        """Bytes of an artefact, checked: what was verified is what will run.

        Raises:
            BundleError: The file is missing.
            BundleCorrupt: Its hash differs from the manifest, or it is no ONNX model.
            UnsafeModel: It is a pickle, or keeps weights in another file.
        """
        data = self.path(item.file).read_bytes()
        refuse_unsafe(item.file, data[:16])
        _compare(self.folder, item, hashlib.sha256(data).hexdigest())
        refuse_outside(f"{self.folder}: {item.file}", data)
        return data

    def thresholds(self, overrides: Mapping[str, float] | None = None) -> tuple[float, ...]:
        """Minimum score of every class, in the order of ``classes``.

        Args:
            overrides: Scores by class name that go before the bundle's; ``default`` holds for the classes not named.

        Raises:
            BundleError: A class of ``overrides`` does not exist.
        """
        own, given, classes = self.manifest.thresholds, dict(overrides or {}), self.manifest.classes
        if unknown := set(given) - {*classes, "default"}:
            names = ", ".join(sorted(unknown))
            msg = f"{self.folder}: threshold for unknown class {names}; classes are {', '.join(classes)}"
            raise BundleError(msg)
        merged = given if "default" in given else {"default": 0.25, **own, **given}
        return tuple(merged.get(name, merged["default"]) for name in classes)


def read_bundle(folder: Path) -> Bundle:
    """Read and check the manifest; files are only looked for, not opened.

    Raises:
        BundleError: No bundle, a broken manifest, or a missing file.
        UnsafeModel: The manifest names a pickle.
    """
    file = folder / MANIFEST
    try:
        raw = file.read_bytes()
    except OSError as exc:
        msg = f"{folder} is no model bundle: cannot read {MANIFEST} ({exc.strerror or exc})"
        raise BundleError(msg) from exc
    try:
        data = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        msg = f"{file}: not readable as YAML: {' '.join(str(exc).split())}"
        raise BundleError(msg) from exc
    bundle = Bundle(folder, parse_manifest(data, file), hashlib.sha256(raw).hexdigest())
    for item in bundle.files:
        bundle.path(item.file)
    return bundle


def verify_files(bundle: Bundle, items: Iterable[Artefact | Golden] | None = None) -> None:
    """Compare files with their hashes in the manifest.

    Args:
        bundle: The bundle.
        items: Which files; all of them without it.

    Raises:
        BundleError: A file is missing.
        BundleCorrupt: A hash differs, or a model is no ONNX.
        UnsafeModel: A pickle stands in place of a model, or one that keeps weights in another file.
    """
    for item in bundle.files if items is None else items:
        if isinstance(item, Artefact):
            bundle.load(item)
        else:
            _compare(bundle.folder, item, sha256_of(bundle.path(item.file)))


def write_bundle(
    folder: Path,
    manifest: Mapping[str, Any],
    files: Mapping[str, Path | bytes],
    *,
    replace: bool = False,
    portable: bool = True,
) -> Bundle:
    """Write a bundle in one step: either the whole folder is there or nothing.

    Args:
        folder: Where it goes.
        manifest: The content of ``bundle.yaml``; ``sha256`` and ``opset`` are filled in.
        files: Every file of the bundle, by its path inside: a file to copy, or bytes.
        replace: Whether an existing bundle is replaced.
        portable: Whether ONNX too new for JetPack 6 is refused.

    Raises:
        BundleError: It exists already or cannot be written, the manifest is wrong, or a ``portable`` one was asked
            and the ONNX is too new.
        UnsafeModel: A pickle stands in place of a model.
    """
    if folder.exists() and not (replace and (folder / MANIFEST).is_file()):
        msg = f"{folder} exists already" + (" and is no bundle, so it is not replaced" if replace else "")
        raise BundleError(msg)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as room:
            fresh, old = Path(room) / "new", Path(room) / "old"
            _fill(fresh, folder, manifest, files, portable=portable)
            _swap(fresh, folder, old)
    except OSError as exc:
        msg = f"cannot write {folder} ({exc.strerror or exc})"
        raise BundleError(msg) from exc
    return read_bundle(folder)


def _fill(
    fresh: Path, folder: Path, manifest: Mapping[str, Any], files: Mapping[str, Path | bytes], *, portable: bool
) -> None:
    """Write the whole bundle into a new folder, which will become ``folder``."""
    fresh.mkdir()
    for name, content in files.items():
        if name == SIGNATURE:
            continue  # of what lay there before
        _put(fresh / _inside_or_error(name), content)
    document = _complete(fresh, manifest, portable=portable)
    parse_manifest(document, folder / MANIFEST)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    (fresh / MANIFEST).write_text(text, encoding="utf-8")
    read_bundle(fresh)


def _swap(fresh: Path, folder: Path, old: Path) -> None:
    """Put ``fresh`` in the place of ``folder``, which moves to ``old``, and back when that fails."""
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if replaced:
            old.rename(folder)
        raise


def _compare(folder: Path, item: Artefact | Golden, found: str) -> None:
    if found != item.sha256:
        msg = f"{folder}: {item.file} differs from {MANIFEST}: SHA-256 expected {item.sha256[:12]}…, got {found[:12]}…"
        raise BundleCorrupt(msg)


def sha256_of(path: Path) -> str:
    """Hex digest of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _put(path: Path, content: Path | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    try:
        shutil.copyfile(content, path)
    except OSError as exc:
        msg = f"cannot read {content} ({exc.strerror or exc})"
        raise BundleError(msg) from exc


def _complete(folder: Path, manifest: Mapping[str, Any], *, portable: bool) -> dict[str, Any]:
    """The manifest with hashes and opsets filled in from the files beside it."""
    document = {"schema_version": 1, **manifest}
    artefacts = [dict(item) for item in manifest.get("artefacts", ())]
    golden = [dict(item) for item in manifest.get("golden", ())]
    for item in (*artefacts, *golden):
        path = folder / _inside_or_error(str(item.get("file", "")))
        if not path.is_file():
            msg = f"{item.get('file')} is named in the manifest but was not given"
            raise BundleError(msg)
        item["sha256"] = sha256_of(path)
    for item in artefacts:
        refuse_unsafe(item["file"], b"")
        header = onnx_header(folder / item["file"])
        if portable and (header.ir_version > MAX_IR_VERSION or header.opset > MAX_OPSET):
            msg = (
                f"{item['file']}: ir_version {header.ir_version}, opset {header.opset}; "
                f"JetPack 6 can read at most ir_version {MAX_IR_VERSION}, opset {MAX_OPSET}: export it for those"
            )
            raise BundleError(msg)
        item["opset"] = header.opset
    return {**document, "artefacts": artefacts, **({"golden": golden} if golden else {})}


def _inside_or_error(name: str) -> str:
    try:
        return inside(name)
    except ValueError as exc:
        raise BundleError(str(exc)) from exc
