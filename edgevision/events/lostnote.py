"""A small file beside the outbox: what was lost at a close with a full disk, for the next start to announce."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

RESERVED = 16_384  # bytes: about 200 topics


class LostNote:
    """How many events of each topic were lost. Used by one thread at a time.

    The file has its bytes from the start and is written in place, so that it needs no room when there is none.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("ab") as file:
                file.write(b" " * (RESERVED - file.tell()))
        except OSError as error:  # the disk is full already: the note may fit all the same
            log.warning("outbox.no_reserve", file=str(path), reason=str(error))

    def read(self) -> Counter[str]:
        """Events lost by topic; empty when there is nothing to tell."""
        try:
            text = self._path.read_bytes().strip()
            return Counter(json.loads(text) if text else {})
        except (OSError, ValueError, TypeError) as error:
            log.warning("outbox.note_unreadable", file=str(self._path), reason=str(error))
            return Counter()

    def write(self, lost: Counter[str]) -> None:
        """Leave a note in place of the one before; an empty one says nothing."""
        text = json.dumps(lost).encode() if lost else b""
        try:
            with self._path.open("r+b" if self._path.exists() else "wb") as file:
                file.write(text.ljust(RESERVED))
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("outbox.no_note", file=str(self._path), reason=str(error), lost=dict(lost))
