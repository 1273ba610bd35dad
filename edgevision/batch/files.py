"""Which pictures a command line means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgevision.errors import EdgevisionError
from edgevision.sources.images import SUFFIXES, natural_key


def pictures(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, folders searched through in natural order, each picture once.

    Raises:
        EdgevisionError: A path does not exist, or there is no picture at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = [item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and item.is_file()]
            found.update(dict.fromkeys(sorted(inside, key=natural_key)))
        elif path.is_file():
            found[path] = None
        else:
            msg = f"{path}: there is no such file or folder"
            raise EdgevisionError(msg)
    if not found:
        msg = f"no pictures in {', '.join(map(str, paths))}; known are {' '.join(sorted(SUFFIXES))}"
        raise EdgevisionError(msg)
    return list(found)


def common_root(paths: Sequence[Path]) -> Path:
    """The folder that names in the results are relative to."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    return Path(os.path.commonpath(folders)) if len({path.is_absolute() for path in folders}) == 1 else Path()
