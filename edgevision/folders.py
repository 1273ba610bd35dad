"""Folders that results go into, and files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from edgevision.errors import EdgevisionError


def new_folder(folder: Path) -> None:
    """Make the folder of results before the long work, so that this does not end in vain.

    Raises:
        EdgevisionError: It cannot be written, or holds something already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        msg = f"{folder}: cannot be written: {exc.strerror}"
        raise EdgevisionError(msg) from exc
    if used:
        msg = f"{folder}: is not empty; choose a new folder, earlier results are never overwritten"
        raise EdgevisionError(msg)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that it is there with all its content, on the disk, or as it was before; for one writer.

    Raises:
        OSError: It cannot be written.
    """
    aside = file.with_name(f"{file.name}.writing")
    with aside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)
