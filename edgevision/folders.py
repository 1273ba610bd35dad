"""Folders that results go into."""

from __future__ import annotations

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
