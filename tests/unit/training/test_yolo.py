"""What can be known of Ultralytics' checkpoints without loading one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.errors import TrainingError
from edgevision.training.yolo import trained_size

WEIGHTS = Path("best.pt")


@pytest.mark.parametrize(
    ("told", "asked", "size"), [(640, None, 640), (640, 640, 640), ([320, 320], None, 320), (None, 512, 512)]
)
def test_the_size_is_what_it_was_trained_at(told: object, asked: int | None, size: int) -> None:
    assert trained_size(WEIGHTS, told, asked) == size


@pytest.mark.parametrize(
    ("told", "asked", "message"),
    [
        (None, None, "best.pt: does not tell at which image size it was trained; give --size, in px"),
        (640, 320, "best.pt: was trained at 640 px, and --size asks for 320; leave it out"),
        ([320, 640], None, r"best.pt: was trained at \[320, 640\] px; only squares can be exported"),
    ],
)
def test_a_size_is_never_guessed(told: object, asked: int | None, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        trained_size(WEIGHTS, told, asked)
