"""How pictures look, as counts: what a device may tell of what its cameras see without giving a picture away.

Measured on what a model is given, made smaller, so that a device and an export measure the same. Five properties that
ranges of activations depend on: the grey values themselves (glare, dark corners), and of each picture its brightness
(night, exposure), its contrast (haze, a dirty lens), its sharpness (focus, motion, noise) and its colourfulness (lamps,
infrared at night). How many edges there are follows contrast and sharpness, so it is left out.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000)
over that of the grey values, so that a dark picture does not pass for a blurred one. Colourfulness is that of Hasler
and Süsstrunk, "Measuring colourfulness in natural images", 2003.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgevision.errors import EdgevisionError
from edgevision.types import Image

BINS = 32
SIDE = 320  # px, of the longer side; a smaller picture is measured as it is
SCALES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "grey": (0.0, 8.0),  # of 256 levels
        "brightness": (0.0, 8.0),  # of 256 levels
        "contrast": (0.0, 4.0),  # standard deviation of the grey values, 127.5 at most
        "sharpness": (-10.0, 0.5),  # doublings of the variance; 64 times that of the grey values at most
        "colourfulness": (0.0, 4.0),  # 15 is slightly, 33 moderately, 59 quite and 109 extremely colourful
    }
)
"""By property: where its first bin begins, and the width of a bin. What lies beyond an end counts in the bin there."""

Order = Literal["rgb", "bgr"]
Counts = Annotated[tuple[Annotated[int, Field(ge=0, le=2**53)], ...], Field(min_length=BINS, max_length=BINS)]
_NOTHING = (0,) * BINS


class Look(BaseModel):
    """How some pictures look: for each property of ``SCALES`` how many fall into each bin. They add up.

    Attributes:
        grey: Pixels by grey value.
        brightness: Pictures by mean grey value.
        contrast: Pictures by standard deviation of the grey values.
        sharpness: Pictures by log2 of the variance of the Laplacian over that of the grey values.
        colourfulness: Pictures by colourfulness.
    """

    model_config = ConfigDict(frozen=True)

    grey: Counts = _NOTHING
    brightness: Counts = _NOTHING
    contrast: Counts = _NOTHING
    sharpness: Counts = _NOTHING
    colourfulness: Counts = _NOTHING

    @model_validator(mode="after")
    def _of_the_same_pictures(self) -> Look:
        pictures = {sum(counts) for name, counts in self.counts().items() if name != "grey"}
        if len(pictures) > 1 or bool(sum(self.grey)) != bool(self.pictures):
            msg = "its properties were not counted on the same pictures"
            raise ValueError(msg)
        return self

    @property
    def pictures(self) -> int:
        """How many pictures."""
        return sum(self.brightness)

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Counts by property, in the order of ``SCALES``."""
        return {name: getattr(self, name) for name in SCALES}

    def __add__(self, other: Look) -> Look:
        more = other.counts()
        return Look(**{name: tuple(map(sum, zip(own, more[name], strict=True))) for name, own in self.counts().items()})


class CameraLooks(BaseModel):
    """What one camera saw.

    Attributes:
        model: Name of the model that was given its frames.
        days: By day (UTC) of the capture.
    """

    model: str
    days: dict[date, Look]

    @property
    def total(self) -> Look:
        """All days together."""
        return sum(self.days.values(), Look())


class DeviceLooks(BaseModel):
    """What the cameras of a device saw: the file on the device and the answer that it gives are this as JSON."""

    schema_version: Literal[1] = 1
    site: str
    device: str
    cameras: dict[str, CameraLooks]


def read_looks(file: Path) -> DeviceLooks:
    """Read what a device told.

    Raises:
        EdgevisionError: It cannot be read, is damaged, or was written by another version.
    """
    try:
        return DeviceLooks.model_validate_json(file.read_bytes())
    except OSError as exc:
        raise EdgevisionError(f"{file}: cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise EdgevisionError(f"{file}: is not what GET /looks gives: {where}{first['msg']}") from exc


def look_at(picture: Image, order: Order) -> Look:
    """Measure one picture.

    Args:
        picture: (H, W, 3) uint8, as a model is given it, without padding. Not written into.
        order: Of its channels.
    """
    small = _small(picture)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY if order == "rgb" else cv2.COLOR_BGR2GRAY)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    curvature = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0])
    levels = cv2.calcHist([grey], [0], None, [BINS], [0, 256]).astype(int).ravel()
    return Look(
        grey=tuple(levels.tolist()),
        brightness=_one("brightness", mean),
        contrast=_one("contrast", deviation),
        sharpness=_one("sharpness", float(np.log2((1 + curvature**2) / (1 + deviation**2)))),
        colourfulness=_one("colourfulness", _colourfulness(small, order)),
    )


def _small(picture: Image) -> Image:
    height, width = picture.shape[:2]
    ratio = SIDE / max(height, width)
    if ratio >= 1:
        return picture
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _colourfulness(picture: Image, order: Order) -> float:
    first, green, last = (channel.astype(np.float32) for channel in cv2.split(picture))
    red, blue = (first, last) if order == "rgb" else (last, first)
    (mean_rg, std_rg), (mean_yb, std_yb) = map(cv2.meanStdDev, (red - green, (red + green) / 2 - blue))
    return float(np.hypot(std_rg, std_yb)[0, 0] + 0.3 * np.hypot(mean_rg, mean_yb)[0, 0])


def _one(name: str, value: float) -> tuple[int, ...]:
    start, width = SCALES[name]
    place = min(BINS - 1, max(0, int((value - start) // width)))
    return tuple(int(index == place) for index in range(BINS))
