"""What can be measured of a picture file without its labels: readable or not, its hashes, how bright it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgevision.errors import DatasetError, ImageError
from edgevision.sources.imageheader import picture_size
from edgevision.sources.images import BYTES_OF_A_PIXEL, MAX_PIXELS, read_image
from edgevision.sources.jpeg import damaged
from edgevision.types import BoolArray, Image

HASH_SIDE = 16  # 256 bits; 64 do not tell the places of one board design apart
THUMB_SIDE = 96


@dataclass(frozen=True, slots=True)
class Measured:
    """One picture file.

    Attributes:
        sha256: Of its bytes, hex.
        size: (width, height) of the upright picture, px.
        bits: (256,) perceptual hash (imagehash's ``phash``); two pictures are alike when few bits differ.
        thumb: (96, 96) uint8, the grey picture without its aspect ratio.
        brightness: Mean of the grey picture, 0..255.
        error: Why it cannot be read; everything else is empty then.
    """

    sha256: str
    size: tuple[int, int]
    bits: BoolArray
    thumb: Image
    brightness: float
    error: str = ""


_NOTHING = Measured("", (0, 0), np.zeros(HASH_SIDE**2, np.bool_), np.zeros((THUMB_SIDE, THUMB_SIDE), np.uint8), 0.0)


def measure(file: Path) -> Measured:
    """Read and measure one picture."""
    import imagehash
    from PIL import Image as PilImage

    try:
        if _damaged(file):
            raise ImageError(f"{file}: is damaged inside: it can be decoded only in part")
        grey = cv2.cvtColor(read_image(file), cv2.COLOR_BGR2GRAY)
        digest = sha256(file)
    except ImageError as exc:
        return Measured("", (0, 0), _NOTHING.bits, _NOTHING.thumb, 0.0, str(exc).partition(": ")[2])
    thumb = np.asarray(cv2.resize(grey, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    bits = np.asarray(imagehash.phash(PilImage.fromarray(thumb), hash_size=HASH_SIDE).hash, np.bool_).ravel()
    return Measured(digest, (grey.shape[1], grey.shape[0]), bits, thumb, float(grey.mean()))


def _damaged(file: Path) -> bool:
    """Whether a JPEG that is complete by its ends is not so inside; everything else is left to the decoder."""
    try:
        with file.open("rb") as stream:
            if stream.read(2) != b"\xff\xd8" or file.stat().st_size > BYTES_OF_A_PIXEL * MAX_PIXELS:
                return False
            data = b"\xff\xd8" + stream.read()
    except OSError:
        return False
    size = picture_size(data)
    return size is not None and size.complete and size.width * size.height <= MAX_PIXELS and damaged(data)


def measure_all(files: Sequence[Path], each: Callable[[], None] | None = None) -> dict[Path, Measured]:
    """Measure each file once, several at a time; ``each`` is called after every one.

    Raises:
        DatasetError: The extra ``data`` is not installed.
    """
    try:
        import imagehash  # noqa: F401 - asked for once, not once a picture
    except ImportError as exc:
        raise DatasetError('comparing pictures needs imagehash: pip install "edgevision[data]"') from exc
    wanted = list(dict.fromkeys(files))
    out: dict[Path, Measured] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding and hashing leave the interpreter's lock alone
        for file, measured in zip(wanted, pool.map(measure, wanted), strict=True):
            out[file] = measured
            if each is not None:
                each()
    return out


def sha256(file: Path) -> str:
    """Hash of the file's bytes, hex.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as exc:
        msg = f"{file}: cannot be read: {exc.strerror}"
        raise ImageError(msg) from exc
    return digest.hexdigest()
