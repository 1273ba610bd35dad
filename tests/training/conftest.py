"""Pictures that all trainings here share."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainings import write_squares


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures to train on, 10 to validate, 10 to test."""
    return write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 24, "val": 10, "test": 10})
