"""Fixtures for outboxes on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outboxes import (
    Open,
    new_boot,
)

from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def open_outbox(folder: Path) -> Iterator[Open]:
    opened: list[SqliteOutbox] = []

    def make(builder: EventBuilder | None = None, **settings: Any) -> SqliteOutbox:
        made = SqliteOutbox(OutboxSettings(path=folder / "outbox.sqlite", **settings), builder or new_boot())
        opened.append(made)
        return made

    yield make
    for outbox in opened:
        outbox.close()
