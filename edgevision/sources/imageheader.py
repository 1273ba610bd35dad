"""Size and completeness of a picture file by its first and last bytes, before anything is decoded.

Formats: PNG (W3C PNG, section 5), JPEG (ITU-T T.81 annex B), BMP (BITMAPINFOHEADER), WebP (RFC 9649), TIFF 6.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SHORT = 256, 257, 3


@dataclass(frozen=True, slots=True)
class PictureSize:
    """What a header says.

    Attributes:
        width: Pixels.
        height: Pixels.
        complete: Whether the file's end is there, as far as the format tells.
    """

    width: int
    height: int
    complete: bool


def picture_size(data: bytes) -> PictureSize | None:  # noqa: PLR0911 - one a format
    """Read the header; ``None`` when it belongs to no known format or is cut off."""
    try:
        if data.startswith(_PNG):
            width, height = struct.unpack_from(">II", data, 16)
            return PictureSize(width, height, complete=b"IEND" in data[-64:])
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"BM"):
            (length,) = struct.unpack_from("<I", data, 2)
            width, height = struct.unpack_from("<ii", data, 18)
            return PictureSize(abs(width), abs(height), complete=len(data) >= length)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:4] in {b"II*\0", b"MM\0*"}:
            return _tiff(data)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg(data: bytes) -> PictureSize | None:
    at = 2
    while at < len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - every segment starts so
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker in _JPEG_SIZES:
                height, width = struct.unpack_from(">HH", data, at + 5)
                # Some cameras pad the file behind its end marker. A preview has one of its own, before this segment.
                return PictureSize(width, height, complete=data.rfind(b"\xff\xd9", max(at, len(data) - 65536)) >= 0)
            at += 2 + length
    return None


def _webp(data: bytes) -> PictureSize | None:
    complete = len(data) >= 8 + struct.unpack_from("<I", data, 4)[0]
    match data[12:16]:
        case b"VP8X":
            width = 1 + int.from_bytes(data[24:27], "little")
            height = 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        case _:
            return None
    return PictureSize(width, height, complete)


def _tiff(data: bytes) -> PictureSize | None:
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    sides = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        (sides[tag],) = struct.unpack_from(order + ("H" if kind == _TIFF_SHORT else "I"), data, entry + 8)
    if _TIFF_WIDTH not in sides or _TIFF_HEIGHT not in sides:
        return None
    return PictureSize(sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT], complete=True)
