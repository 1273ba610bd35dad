"""Picture files of data sets: found, and their upright sizes read from their first bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgevision.errors import DatasetError, ImageError
from edgevision.sources.imageheader import picture_size
from edgevision.sources.images import SUFFIXES, natural_key, read_image

_HEAD_BYTES = 256 * 1024
_TAIL_BYTES = 64 * 1024
_WEBP_HAS_EXIF = 0x08  # among the flags of VP8X (RFC 9649, 2.7.1)
_ORIENTATION, _TURNED = 0x0112, range(5, 9)  # orientations that lie on their side (EXIF 2.32, 4.6.4)
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_STARTS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"RIFF": ".webp"}


def files_below(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """Files of these suffixes below a folder in natural order; links are followed, each folder once.

    A link that leads in a circle or nowhere is listed, so that reading it tells what is wrong.

    Raises:
        DatasetError: The folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: cannot be read: {error.strerror}") from error

    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in names if Path(name).suffix.lower() in suffixes and name[0] != "."]
    return sorted(found, key=natural_key)


def suffix_of(file: Path) -> str:
    """A picture's suffix in small letters, that of its contents where the name has no known one.

    Raises:
        OSError: It cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix in SUFFIXES:
        return suffix
    with file.open("rb") as stream:
        head = stream.read(4)
    return next((known for start, known in _STARTS.items() if head.startswith(start)), ".tif")


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that is no possible one, e.g. far too long, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether there is such a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, though it may not be read: not only where it is certainly missing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def upright_size(file: Path) -> tuple[int, int]:
    """(width, height) in px of the picture as ``read_image`` gives it; mostly from its header alone.

    Raises:
        ImageError: It is missing, empty or no picture.
    """
    try:
        if file.is_fifo():  # it would be waited for
            raise ImageError(f"{file}: is no regular file")
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            stream.seek(max(len(head), stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = stream.read()
    except OSError as exc:
        msg = f"{file}: cannot be read: {exc.strerror}"
        raise ImageError(msg) from exc
    size = picture_size(head)
    if size is None or not size.width * size.height or _orientation_needs_decoding(head, tail):
        image = read_image(file)
        return image.shape[1], image.shape[0]
    turned = head.startswith(b"\xff\xd8") and _jpeg_orientation(head) in _TURNED
    return (size.height, size.width) if turned else (size.width, size.height)


def sizes(files: Sequence[Path]) -> list[tuple[int, int] | ImageError]:
    """The upright size of each file, or why it has none."""

    def one(file: Path) -> tuple[int, int] | ImageError:
        try:
            return upright_size(file)
        except ImageError as exc:
            return exc

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        return list(pool.map(one, files))


def _orientation_needs_decoding(head: bytes, tail: bytes) -> bool:
    """Formats where the installed OpenCV decides whether an orientation counts, so it is asked."""
    if head.startswith(b"\x89PNG"):
        return b"eXIf" in head or b"eXIf" in tail
    if head[8:12] == b"WEBP":  # the block itself lies behind the pixels
        return b"EXIF" in head or (head[12:16] == b"VP8X" and bool(head[20] & _WEBP_HAS_EXIF))
    return head[:4] in {b"II*\0", b"MM\0*"}


def _jpeg_orientation(head: bytes) -> int:
    """The orientation in a JPEG's EXIF block, 1 (upright) where there is none (EXIF 2.32, 4.5 and 4.6)."""
    for body in _exif_blocks(head):
        order = "<" if body[:2] == b"II" else ">"
        try:
            (start,) = struct.unpack_from(order + "I", body, 4)
            (count,) = struct.unpack_from(order + "H", body, start)
            for entry in range(start + 2, start + 2 + 12 * count, 12):
                tag, _, _, value = struct.unpack_from(order + "HHIH", body, entry)
                if tag == _ORIENTATION:
                    return int(value)
        except struct.error:
            return 1
    return 1


def _exif_blocks(head: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:  # noqa: PLR2004 - every segment starts so
        marker, (length,) = head[at + 1], struct.unpack_from(">H", head, at + 2)
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return
        body = head[at + 4 : at + 2 + length]
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            yield body[6:]
        at += 2 + length
