"""A training from settings to report, in one folder that a killed run goes on in.

The folder holds ``settings.json``, ``run.json`` (what it ran with), ``curves.csv`` and ``curves.png``, the trainer's
own ``yolo/`` or ``fcos/``, and in the end ``bundle/`` and ``report/``.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision import __version__
from edgevision.bundle import MANIFEST, sha256_of
from edgevision.datasets.base import DataSet
from edgevision.datasets.check import CheckSettings, check, files_to_read
from edgevision.datasets.fingerprint import fingerprint
from edgevision.datasets.settings import load_data
from edgevision.errors import TrainingError
from edgevision.training.base import Build, Told, Trainer, Watcher
from edgevision.training.curves import plot_curves, read_curves
from edgevision.training.folder import RUN, SETTINGS, TRAINED, new_run, old_run, read_json, write_json
from edgevision.training.settings import TrainSettings
from edgevision.training.tensorboard import logged

if TYPE_CHECKING:
    from edgevision.training.bundling import Made

SHOWN = 5  # of many problems
FEW_EPOCHS = 5  # of which a training in minutes says so
NEAR = "near_duplicate"  # across splits: an error for a check, but what only looks alike must not stop a training
_LIBRARIES = ("torch", "torchvision", "ultralytics", "albumentations", "numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class Steps(Told):
    """Who is told about a run.

    Attributes:
        watcher: Told about batches and epochs.
    """

    watcher: Watcher


def pictures(settings: TrainSettings, steps: Steps) -> DataSet:
    """The data set, checked: whatever would make the training or its numbers wrong is an error before it begins.

    Raises:
        DatasetError: It cannot be read.
        TrainingError: It has errors, or a split is empty.
    """
    data = load_data(settings.data)
    for split in ("train", "val"):
        if not data.of(split).samples:
            hint = f"say how to divide it under `data.split`{data.why_lost()}"
            raise TrainingError(f"{settings.data.path}: no picture is in the split {split}; {hint}")
    if not sum(data.of("train").counts()):
        why = next((f"; {item}" for item in data.findings if item.severity == "error"), "")
        raise TrainingError(f"{settings.data.path}: not one training picture has a box to learn from{why}")
    if not sum(data.of("val").counts()):
        raise TrainingError(
            f"{settings.data.path}: not one validation picture has a box, so nothing can be judged by it"
        )
    with steps.bar("checking pictures", len(files_to_read(data))) as advance:
        checked = check(data, CheckSettings(image_size=settings.image_size), lambda: advance(1))
    errors = [item for item in checked.findings if item.severity == "error" and not item.kind.startswith(NEAR)]
    if errors:
        shown = "\n".join(str(finding) for finding in errors[:SHOWN])
        more = f"\n... and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        hint = f"see `edgevision data check {settings.data.path}`, which can also write a cleaned copy (--fix)"
        raise TrainingError(f"{settings.data.path}: {len(errors)} errors; {hint}\n{shown}{more}")
    near = sum(item.severity == "error" for item in checked.findings)
    if near:
        steps.say(f"{near} pairs of pictures in two splits look like the same shot: if they are, the numbers flatter")
    if warnings := len(checked.findings) - near:
        steps.say(f"{warnings} warnings about the pictures; `edgevision data check {settings.data.path}` shows them")
    return data


def run(
    settings: TrainSettings, folder: Path, build: Build, steps: Steps, *, resume: bool, dry_run: bool
) -> Made | None:
    """Train, make the bundle and judge it; ``None`` after a dry run.

    Args:
        settings: What to do.
        folder: New, or with ``resume`` that of a run that was broken off.
        build: Makes the trainer.
        steps: Who is told.
        resume: Go on from the last finished epoch; when the training had ended, only judge again.
        dry_run: Only check pictures, settings and one batch; nothing is left behind.

    Raises:
        EdgevisionError: Anything that the user can do something about.
    """
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="edgevision-") as room:
            build(settings, Path(room)).check(_told(settings, steps))
        return None
    with old_run(settings, folder) if resume else new_run(folder):
        data = _told(settings, steps)
        trainer, print_ = build(settings, folder), fingerprint(data)
        if resume:
            _as_begun(folder, data, print_, settings)
        else:
            steps.say("trying one batch")
            trainer.check(data)
            write_json(folder / RUN, _environment(data, print_) | {"files": _hashes(settings)})
            write_json(folder / SETTINGS, settings.model_dump(mode="json"))
        weights = _trained(trainer, data, settings, folder, steps, resume=resume)
        # Not before the trainer: matplotlib asks where it may write when it is imported, and the trainer has said it.
        from edgevision.training.bundling import make_bundle

        graph = trainer.export_onnx(weights)
        judged = sum(len(data.of(name)) for name in ("val", "test"))
        with steps.bar("judging", judged) as advance:
            return make_bundle(graph, data, settings, folder, print_, advance=advance)


def _as_begun(folder: Path, data: DataSet, print_: str, settings: TrainSettings) -> None:
    """See that a run goes on with what it was begun with; what is not there any more, its trainer tells."""
    begun, files = read_json(folder / RUN), _hashes(settings)
    if (begun["fingerprint"], begun["classes"]) != (print_, [*data.classes]):
        raise TrainingError(f"{folder}: the pictures of {settings.data.path} have changed since it was begun")
    for name, digest in begun.get("files", {}).items():
        if files.get(name, digest) != digest:
            raise TrainingError(f"{folder}: the file that `{name}` names has changed since it was begun")


def _hashes(settings: TrainSettings) -> dict[str, str]:
    """SHA-256 of the files that it reads besides the pictures; a bundle's manifest holds those of its files."""
    files = {name: file / MANIFEST if file.is_dir() else file for name, file in settings.files().items()}
    return {name: sha256_of(file) for name, file in files.items() if file.is_file()}


def _trained(
    trainer: Trainer, data: DataSet, settings: TrainSettings, folder: Path, steps: Steps, *, resume: bool
) -> Path:
    """The best checkpoint; of a run that had ended its training, the one it ended with."""
    facts = read_json(folder / RUN)
    if TRAINED in facts:
        steps.say("its training has ended: judging again")
        return folder / str(facts[TRAINED])
    watcher = logged(steps.watcher, folder / "tensorboard") if settings.tensorboard else steps.watcher
    weights = trainer.fit(data, watcher, resume=resume)
    plot_curves(folder / "curves.csv", folder / "curves.png")
    done = len(read_curves(folder / "curves.csv"))
    if settings.stop.minutes is not None and done < FEW_EPOCHS:
        steps.say(f"only {done} epochs fitted into {settings.stop.minutes:g} minutes: give more, or smaller pictures")
    write_json(folder / RUN, facts | {TRAINED: weights.relative_to(folder).as_posix()})
    steps.say(f"trained: {weights}")
    return weights


def _told(settings: TrainSettings, steps: Steps) -> DataSet:
    data = pictures(settings, steps)
    counts = ", ".join(f"{len(data.of(name))} {name}" for name in ("train", "val", "test"))
    steps.say(f"{len(data)} pictures ({counts}), {sum(data.counts())} boxes of {len(data.classes)} classes")
    return data


def _environment(data: DataSet, print_: str) -> dict[str, Any]:
    """What it ran with."""
    versions = {name: _version(name) for name in _LIBRARIES}
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "edgevision": __version__,
        "git_revision": _git_revision(),
        "fingerprint": print_,
        "classes": list(data.classes),
        "pictures": {name: len(data.of(name)) for name in ("train", "val", "test")},
        "python": platform.python_version(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {name: version for name, version in versions.items() if version},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git_revision() -> str | None:
    """Of the folder the command runs in; with ``+`` when files differ from it."""
    try:
        revision, changes = (
            subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603, S607 - git, wherever it is
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}+" if changes else revision
