from __future__ import annotations

import struct
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
import video_files

from edgevision.errors import ImageError, SourceInvalid
from edgevision.sources.base import SourceContext
from edgevision.sources.imageheader import picture_size
from edgevision.sources.images import ImagesSource, natural_key, read_image

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
FORMATS = [".png", ".jpg", ".bmp", ".webp", ".tiff"]


def source(path: Path, **settings: object) -> ImagesSource:
    return ImagesSource(ImagesSource.Settings(path=path, **settings), SourceContext("cam", None, START))


def picture(path: Path) -> Path:
    assert cv2.imwrite(str(path), video_files.drawn(3, (97, 61)))
    return path


def bomb(path: Path) -> Path:
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82")
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_and_its_header_tells_the_size(tmp_path: Path, suffix: str) -> None:
    path = picture(tmp_path / f"a{suffix}")
    assert read_image(path).shape == (61, 97, 3)
    size = picture_size(path.read_bytes())
    assert size is not None
    assert (size.width, size.height, size.complete) == (97, 61, True)


def test_grey_and_alpha_become_bgr(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((5, 7), 100, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((5, 7, 4), 100, np.uint8))
    assert read_image(tmp_path / "grey.png").shape == (5, 7, 3)
    assert read_image(tmp_path / "alpha.png").shape == (5, 7, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_truncated_pictures_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = picture(tmp_path / f"a{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"truncated|known format|empty"):
        read_image(path)


def test_a_truncated_jpeg_with_a_whole_preview_in_it_is_refused(tmp_path: Path) -> None:
    preview = picture(tmp_path / "small.jpg").read_bytes()
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), video_files.drawn(3, (640, 480)))
    data = path.read_bytes()
    exif = b"\xff\xe1" + struct.pack(">H", len(preview) + 8) + b"Exif\0\0" + preview
    path.write_bytes(data[:2] + exif + data[2:])
    assert read_image(path).shape == (480, 640, 3)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match="the file is truncated"):
        read_image(path)


def test_empty_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    for name, why in (("empty.png", "empty"), ("text.png", "known format"), ("gone.png", "cannot be read")):
        with pytest.raises(ImageError, match=why):
            read_image(tmp_path / name)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="60000x60000 is more than"):
        read_image(bomb(tmp_path / "bomb.png"))
    path = picture(tmp_path / "a.png")
    with pytest.raises(ImageError, match="97x61"):
        read_image(path, max_pixels=97 * 61 - 1)
    assert read_image(path, max_pixels=97 * 61).shape == (61, 97, 3)


def test_a_file_larger_than_any_allowed_picture_is_not_read(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ImageError, match=r"1,099,511,627,776 bytes are more than"):
        read_image(path)


def test_broken_pictures_are_skipped_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a1.png")
    (tmp_path / "a2.png").touch()
    bomb(tmp_path / "a3.png")
    picture(tmp_path / "a10.png")
    dropped: list[tuple[str, int]] = []
    context = SourceContext("cam", None, START, dropped=lambda reason, count: dropped.append((reason, count)))
    pictures = ImagesSource(ImagesSource.Settings(path=tmp_path), context)
    assert [(frame.name, frame.index) for frame in pictures.frames()] == [("a1.png", 0), ("a10.png", 3)]
    assert pictures.skipped == 2
    assert dropped == [("corrupt", 1)] * 2


def test_order_is_natural_and_patterns_match(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b2.png", "b10.png", "b1.jpg", "sub/c1.png"):
        picture(tmp_path / name)
    assert [frame.name for frame in source(tmp_path).frames()] == ["b1.jpg", "b2.png", "b10.png", "sub/c1.png"]
    assert [frame.name for frame in source(tmp_path / "*.png").frames()] == ["b2.png", "b10.png"]
    assert [frame.name for frame in source(tmp_path / "b2.png").frames()] == ["b2.png"]
    assert sorted(map(Path, ["x10", "x9"]), key=natural_key) == [Path("x9"), Path("x10")]


def seen(folder: Path, resume: int | str | None) -> list[tuple[str | None, int, int | str | None]]:
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    opened = ImagesSource(ImagesSource.Settings(path=folder), SourceContext("c", resume, start))
    return [(frame.name, frame.index, frame.position) for frame in opened.frames()]


def test_it_goes_on_after_the_picture_that_was_last_whatever_was_added_or_taken_away(tmp_path: Path) -> None:
    for name in ("b1.png", "b2.png", "b3.png"):
        picture(tmp_path / name)
    assert seen(tmp_path, None)[1] == ("b2.png", 1, "2/b2.png")
    picture(tmp_path / "a.png")
    picture(tmp_path / "b10.png")
    assert [name for name, *_ in seen(tmp_path, "2/b2.png")] == ["b3.png", "b10.png"], "none twice"
    (tmp_path / "b2.png").unlink()
    again = seen(tmp_path, "2/b2.png")
    assert again == [("b3.png", 2, "3/b3.png"), ("b10.png", 3, "4/b10.png")], "numbers and times go on"
    assert [name for name, *_ in seen(tmp_path, 2)] == ["b3.png", "b10.png"], "an earlier version stored a number"


def test_names_that_differ_in_case_only_are_both_seen(tmp_path: Path) -> None:
    for name in ("A.png", "a.png"):
        picture(tmp_path / name)
    ((first, _, position), (second, *_)) = seen(tmp_path, None)
    assert {first, second} == {"A.png", "a.png"}
    assert [name for name, *_ in seen(tmp_path, position)] == [second]


def test_times_come_from_the_settings_or_the_files(tmp_path: Path) -> None:
    changed = picture(tmp_path / "a1.png").stat().st_mtime
    picture(tmp_path / "a2.png")
    assert next(iter(source(tmp_path).frames())).time.time_utc.timestamp() == pytest.approx(changed, abs=1e-3)
    timed = list(source(tmp_path, start_time=START, interval_s=2).frames())
    assert timed[1].time.time_utc == START + timedelta(seconds=2)
    assert timed[1].time.t_s == 2


def test_a_folder_without_pictures_never_works(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="no pictures there"):
        next(iter(source(tmp_path).frames()))
