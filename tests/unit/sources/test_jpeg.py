"""Damage inside of a JPEG, which its ends do not show."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgevision.sources.jpeg import damaged

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (119, 161, 3), np.uint8))


def coded(mode: str = "RGB", **options: object) -> bytes:
    stream = BytesIO()
    PICTURE.convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}, {"quality": 100}])
def test_sound_ones_of_every_kind_are_sound_also_with_something_behind_them(
    mode: str, options: dict[str, object]
) -> None:
    data = coded(mode, **options)
    assert not any(map(damaged, (data, data + bytes(500), data + data)))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 4}])
def test_one_that_was_cut_and_given_an_end_is_damaged(mode: str, options: dict[str, object]) -> None:
    data = coded(mode, **options)
    assert all(damaged(data[: len(data) * part // 8] + b"\xff\xd9") for part in range(3, 8))


def test_what_is_no_jpeg_is_not_judged() -> None:
    assert not any(map(damaged, (b"", b"\x89PNG\r\n\x1a\n", b"text")))


def test_real_ones_are_sound(data_dir: Path) -> None:
    files = sorted((data_dir / "neu-det" / "images").glob("*.jpg"))[::10] + sorted((data_dir / "photos").glob("*.jpg"))
    assert [file.name for file in files if damaged(file.read_bytes())] == []
