"""The folder of a run: whose it is, what it holds, and what is left of one that could not begin."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevision.errors import TrainingError
from edgevision.folders import new_folder
from edgevision.training.settings import TrainSettings

SETTINGS, RUN = "settings.json", "run.json"
TRAINED = "trained"  # in run.json: the checkpoint that it ended with
AFTERWARDS = frozenset({"version", "judge"})  # of the settings: what the training itself does not depend on


@contextmanager
def new_run(folder: Path) -> Iterator[None]:
    """Hold a new folder for a run.

    Raises:
        TrainingError: It holds a run.
        EdgevisionError: It cannot be written, or holds something else.
    """
    if (folder / SETTINGS).exists():
        raise TrainingError(f"{folder}: holds a run; go on with --resume, or name a new folder")
    was_there = folder.exists()
    new_folder(folder)
    with _alone(folder):
        try:
            yield
        finally:
            if not (folder / SETTINGS).exists():  # it has not begun, so it is as it was before
                _empty(folder)
                if not was_there:
                    folder.rmdir()


@contextmanager
def old_run(settings: TrainSettings, folder: Path) -> Iterator[None]:
    """Hold the folder of a run of the same settings, but for what may change afterwards.

    Raises:
        TrainingError: It holds none, another, or one that still runs.
    """
    file = folder / SETTINGS
    if not file.exists():
        raise TrainingError(f"{folder}: there is no run to go on with")
    with _alone(folder):
        old, new = read_json(file), settings.model_dump(mode="json")
        changed = [name for name in new if old.get(name) != new[name] and name not in AFTERWARDS]
        if changed:
            raise TrainingError(f"{folder}: was begun with another `{changed[0]}`; go on with what it began with")
        write_json(file, new)
        yield


def read_json(file: Path) -> dict[str, Any]:
    """A document of the run.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise TrainingError(f"{file}: cannot be read: {exc}") from exc
    return document


def write_json(file: Path, document: object) -> None:
    """Write a document of the run, whole or not at all.

    Raises:
        TrainingError: It cannot be written.
    """
    aside = file.with_suffix(".writing")
    try:
        aside.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        aside.replace(file)
    except OSError as exc:
        raise TrainingError(f"{file}: cannot be written: {exc.strerror}") from exc


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """See that no other process trains in it; the lock goes with this one."""
    with (folder / ".lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise TrainingError(f"{folder}: another training works in it") from exc
        yield


def _empty(folder: Path) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()
