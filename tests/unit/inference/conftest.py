"""Batchers that are closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from batching import TIMEOUT_S, Gate, Record, Running

from edgevision.inference.batcher import Batcher


@pytest.fixture(name="make")
def _make() -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(max_batch: int = 4, **cameras: Literal["latest", "block"]) -> Running:
        record = Record()
        batcher = Batcher(record.result, record.skip)
        for camera, policy in cameras.items():
            batcher.add(camera, policy)
        made.append(Running(batcher, record, Gate(max_batch)))
        return made[-1]

    yield make
    for running in made:
        running.batcher.close()
        running.gate.open()
        if running.thread is not None:
            running.thread.join(TIMEOUT_S)
