"""Pictures in a folder, and the one way a picture file is read."""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import structlog
from pydantic import AwareDatetime, Field

from edgevision.config.settings import PositiveSeconds
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import ImageError, SourceInvalid, SourceUnavailable
from edgevision.media.pixels import ArrayPixels
from edgevision.sources.base import CORRUPT, Policy, SourceContext
from edgevision.sources.imageheader import picture_size
from edgevision.types import Frame, FrameTime, Image, Position

log = structlog.get_logger(__name__)

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 100_000_000
BYTES_OF_A_PIXEL = 8  # four channels of 16 bits, not compressed
ROOM_FOR_METADATA = 16 * 2**20


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sorts ``part2`` before ``part10``."""
    pieces = re.split(r"(\d+)", str(path))
    return tuple((0, int(piece)) if piece.isdecimal() else (1, piece.casefold()) for piece in pieces)


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """A picture file as (H, W, 3) uint8 BGR, upright by its EXIF orientation; grey and alpha are converted.

    Args:
        path: The file.
        max_pixels: A larger picture is refused by its header, before memory is taken for it.

    Raises:
        ImageError: Missing, empty, truncated, too large or of an unknown format.
    """
    data = _read(path, BYTES_OF_A_PIXEL * max_pixels + ROOM_FOR_METADATA)
    if not data:
        msg = f"{path}: the file is empty"
        raise ImageError(msg)
    size = picture_size(data)
    if size is None:
        msg = f"{path}: not a picture of a known format (png, jpeg, bmp, webp, tiff)"
        raise ImageError(msg)
    width, height = size.width, size.height
    if width * height > max_pixels:
        msg = f"{path}: {width}x{height} is more than the {max_pixels:,} pixels allowed"
        raise ImageError(msg)
    if not size.complete:
        msg = f"{path}: the file is truncated"
        raise ImageError(msg)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as exc:
        msg = f"{path}: cannot be decoded: {exc.err or exc}"
        raise ImageError(msg) from exc
    if image is None:
        msg = f"{path}: damaged or truncated, it cannot be decoded"
        raise ImageError(msg)
    return np.asarray(image, dtype=np.uint8)


def _read(path: Path, most: int) -> bytes:
    """The file, unless it is larger than any picture that is allowed: then no memory is taken for it."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not path.is_dir():  # a pipe would be waited for
            raise ImageError(f"{path}: is no regular file")
        size = found.st_size
        data = path.read_bytes() if size <= most else b""
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise ImageError(msg) from exc
    if size > most:
        msg = f"{path}: {size:,} bytes are more than a picture of the allowed pixels can have"
        raise ImageError(msg)
    return data


class ImagesSource:
    """The pictures of a folder, or those a pattern matches, once each in natural order; broken ones are skipped.

    Its position is how many it has been through and the name of the last, so that it goes on after that picture also
    when others were added or taken away meanwhile. What is added before that picture in the order is not looked at.
    """

    policy: Policy = "block"

    class Settings(SettingsBase):
        """A folder of pictures."""

        kind: Literal["images"] = "images"
        path: Path
        """A folder, one picture, or a pattern such as `shots/*.png`."""
        interval_s: PositiveSeconds = 1.0
        """Time between two pictures for whatever is measured in seconds, seconds."""
        max_pixels: Annotated[int, Field(gt=0)] = MAX_PIXELS
        """Larger pictures are skipped, pixels."""
        start_time: AwareDatetime | None = None
        """Capture time of the first picture; without it each file's time of change is taken."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._count, self._last = _position(context.resume)
        self._closed = threading.Event()
        self.skipped = 0

    def frames(self) -> Iterator[Frame]:
        """Every readable picture; ``Frame.name`` is its path below the folder."""
        base, files = self._list()
        for path in self._after_the_last(base, files):
            if self._closed.is_set():
                return
            index, name = self._count, path.relative_to(base).as_posix()
            self._count, self._last = index + 1, name
            try:
                image = read_image(path, max_pixels=self._settings.max_pixels)
            except ImageError as exc:
                self.skipped += 1
                self._context.dropped(CORRUPT, 1)
                log.warning(
                    "source.picture_skipped", camera=self._context.camera, reason=str(exc), skipped=self.skipped
                )
                continue
            time = FrameTime(self._time_utc(path, index), index * self._settings.interval_s, "file")
            position = f"{self._count}/{name}"
            yield Frame(self._context.camera, index, time, ArrayPixels(image), position=position, name=name)

    def close(self) -> None:
        """End after the picture under way."""
        self._closed.set()

    def _after_the_last(self, base: Path, files: list[Path]) -> list[Path]:
        if self._last is None:
            return files[self._count :]
        last = _order(base / self._last)
        return [path for path in files if _order(path) > last]

    def _time_utc(self, path: Path, index: int) -> datetime:
        start = self._settings.start_time
        if start is not None:
            return start.astimezone(timezone.utc) + timedelta(seconds=index * self._settings.interval_s)
        try:
            return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        except OSError:
            return self._context.started_utc

    def _list(self) -> tuple[Path, list[Path]]:
        path = self._settings.path
        if path.is_dir():
            base, found = path, list(path.rglob("*"))
        elif path.is_file():
            base, found = path.parent, [path]
        elif any(sign in str(path) for sign in "*?["):
            base = Path(*(part for part in _before_pattern(path.parts)))
            found = list(base.glob(str(path.relative_to(base))))
        else:
            msg = f"{path}: there is no such folder, picture or pattern"
            raise SourceUnavailable(msg)
        files = sorted((file for file in found if file.suffix.lower() in SUFFIXES and file.is_file()), key=_order)
        if not files:
            msg = f"{path}: no pictures there; known are {' '.join(sorted(SUFFIXES))}"
            raise SourceInvalid(msg)
        return base, files


def _order(path: Path) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Natural order, and of names that differ in case only always the same one first."""
    return natural_key(path), str(path)


def _position(resume: Position | None) -> tuple[int, str | None]:
    """How many pictures are done, and the last one's name; a number alone is what earlier versions stored."""
    if not isinstance(resume, str):
        return resume or 0, None
    count, _, name = resume.partition("/")
    return int(count), name


def _before_pattern(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts[:-1]:
        if any(sign in part for sign in "*?["):
            return
        yield part
