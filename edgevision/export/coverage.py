"""Whether the pictures to calibrate on cover what cameras see, told in words of what is missing.

Ranges of activations fit what they were measured on; what lies outside is clipped without a word. So a camera is asked
how much of what it sees lies beyond all but a hundredth of those pictures, and how far: the Wasserstein distance to the
nearest distribution that lies within (of order 1, in one dimension: Vallender, "Calculation of the Wasserstein distance
between probability distributions on the line", 1974). A camera that sees but a part of what the pictures show is well
covered, which a distance to the pictures themselves would not say. The limits come from docs/LOG.md, 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from edgevision.errors import ExportError
from edgevision.evaluation.intervals import lower_bound, upper_bound
from edgevision.evaluation.predict import frame_of
from edgevision.inference.base import InputSpec
from edgevision.inference.preprocess import BatchBuffer
from edgevision.looks import SCALES, CameraLooks, Look, look_at, read_looks
from edgevision.sources.images import read_image

TAIL = 0.01  # of the pictures on each side; what lies beyond the others is outside
MOST_OUTSIDE = 0.1  # of what a camera sees; more is told
FAR = 8.0  # bins, a quarter of a scale; more, on average over all frames, is refused
LEAST_FRAMES = 100  # a quarter of an hour; with fewer, one open door would alarm
NOT_COMPARED = (
    "the pictures to calibrate on were not compared with what the cameras see; give --looks, "
    "the answer of GET /looks of their devices"
)

Side = Literal["below", "above"]

_WORDS: Final[Mapping[tuple[str, Side], tuple[str, str]]] = {
    ("grey", "below"): ("darker", "pictures with such shadows"),
    ("grey", "above"): ("brighter", "pictures with such glare"),
    ("brightness", "below"): ("darker", "pictures from its dark hours"),
    ("brightness", "above"): ("brighter", "pictures from its bright hours"),
    ("contrast", "below"): ("lower in contrast", "pictures in such haze or weak light, or clean the lens"),
    ("contrast", "above"): ("higher in contrast", "pictures in such hard light"),
    ("sharpness", "below"): ("more blurred", "pictures as blurred, or put the camera in focus"),
    ("sharpness", "above"): ("sharper or noisier", "pictures as sharp, or as noisy as in weak light"),
    ("colourfulness", "below"): ("less colourful", "pictures as grey, as in infrared light"),
    ("colourfulness", "above"): ("more colourful", "pictures as colourful, or in such lamps"),
}
_UNITS: Final[Mapping[str, str]] = {"sharpness": "doublings", "colourfulness": "points"}


@dataclass(frozen=True, slots=True)
class Gap:
    """What a camera sees and the pictures to calibrate on do not show.

    Attributes:
        what: The property, one of ``SCALES``.
        side: Whether it lies below or above what they show.
        share: Of what the camera sees, 0..1.
        distance: To what they show, bins, on average over everything the camera sees.
    """

    what: str
    side: Side
    share: float
    distance: float

    @property
    def far(self) -> bool:
        """Whether ranges of activations from such pictures are worth nothing."""
        return self.distance >= FAR

    @property
    def comparison(self) -> str:
        """E.g. ``38 % of its frames are darker``."""
        things = "pixels" if self.what == "grey" else "frames"
        return f"{100 * self.share:.0f} % of its {things} are {_WORDS[self.what, self.side][0]}"

    def words(self, pictures: int) -> str:
        """A sentence, for a comparison with so many pictures."""
        by = SCALES[self.what][1] * self.distance / self.share
        amount = f"{by:.0f}" if by >= 10 else f"{by:.1f}"  # noqa: PLR2004 - two digits say enough
        most = "all" if pictures * TAIL < 1 else f"all but {100 * TAIL:.0f} %"
        return (
            f"{self.comparison} than {most} of the pictures to calibrate on, by {amount} "
            f"{_UNITS.get(self.what, 'grey levels')} on average; add {_WORDS[self.what, self.side][1]}"
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What cameras told.

    Attributes:
        cameras: By ``site/device/camera``.
        others: Cameras that run another model.
    """

    cameras: Mapping[str, Look]
    others: tuple[str, ...]


def read_seen(paths: Sequence[Path], model: str) -> Seen:
    """Read what devices told.

    Args:
        paths: Files, and folders of such files (``*.json``); of a day that is told twice the fuller one counts.
        model: Name of the model; where some cameras run it, only these count.

    Raises:
        ExportError: There is none, or no camera has seen anything.
        EdgevisionError: A file cannot be read.
    """
    found: dict[str, CameraLooks] = {}
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise ExportError(f"{path}: holds no file of a device (*.json, the answer of GET /looks)")
        for device in map(read_looks, files):
            for name, told in device.cameras.items():
                place = f"{device.site}/{device.device}/{name}"
                found[place] = _fuller(found[place], told) if place in found else told
    run_it = [place for place, told in found.items() if told.model == model] or list(found)
    cameras = {place: total for place in run_it if (total := found[place].total).pictures}
    if not cameras:
        raise ExportError(
            f"{', '.join(map(str, paths))}: no camera has seen anything yet; let the devices run for a while"
        )
    return Seen(cameras, tuple(place for place in found if place not in run_it))


def look_of(files: Sequence[Path], spec: InputSpec) -> Look:
    """How pictures look when they are given to a model, as a device looks at its cameras' frames.

    Args:
        files: Pictures that can be read.
        spec: What the model wants.
    """
    total, buffer = Look(), BatchBuffer(spec, 1)
    for file in files:
        buffer.fill(0, frame_of(file, read_image(file)))
        total += look_at(buffer.picture(0), spec.order)
    return total


def gaps(seen: Look, own: Look) -> list[Gap]:
    """What a camera sees and the pictures do not show, the farthest first.

    A gap is told when, with 95 % confidence, more than ``MOST_OUTSIDE`` lies there and more than so few pictures may
    have missed by chance. Bins beside what they show do not count, since a value may lie on either side of an edge.

    Args:
        seen: What the camera sees.
        own: What the pictures to calibrate on show.
    """
    allowed = max(MOST_OUTSIDE, upper_bound(0, own.pictures))
    found = [_gap(name, side, counts, own.counts()[name]) for name, counts in seen.counts().items() for side in _SIDES]
    frames = seen.pictures
    told = [gap for gap in found if lower_bound(round(gap.share * frames), frames) > allowed]
    return sorted(told, key=lambda gap: -gap.distance)


def uncovered(seen: Seen, own: Look) -> list[str]:
    """What is missing, a sentence for each camera of which something is.

    Args:
        seen: What the cameras told.
        own: What the pictures to calibrate on show.

    Raises:
        ExportError: A camera sees something else altogether.
    """
    said: list[str] = []
    far: list[tuple[float, str]] = []
    for camera, look in seen.cameras.items():
        if look.pictures < LEAST_FRAMES:
            said.append(f"camera {camera}: its {look.pictures} frames are too few to compare; {LEAST_FRAMES} would do")
        elif found := gaps(look, own):
            also = f" (also: {', '.join(gap.comparison for gap in found[1:])})" if found[1:] else ""
            said.append(f"camera {camera}: {found[0].words(own.pictures)}{also}")
            if found[0].far:
                far.append((found[0].distance, said[-1]))
    if far:
        count = f"{len(far)} of {len(seen.cameras)} cameras see" if len(seen.cameras) > 1 else "the camera sees"
        raise ExportError(f"the pictures to calibrate on are far from what {count}; {max(far)[1]}")
    if seen.others:
        said.append(f"not compared, since they run another model: {', '.join(seen.others)}")
    return said


_SIDES: Final[tuple[Side, Side]] = ("below", "above")


def _gap(what: str, side: Side, seen: Sequence[int], own: Sequence[int]) -> Gap:
    """How much of ``seen``, counts by bin, lies more than a bin beyond the last hundredth of ``own``."""
    mine, theirs = (np.array(counts, np.float64)[:: 1 if side == "below" else -1] for counts in (seen, own))
    edge = int(np.searchsorted(theirs.cumsum(), TAIL * theirs.sum(), side="right"))
    shares = mine[: max(0, edge - 1)] / mine.sum()
    return Gap(what, side, float(shares.sum()), float((shares * (edge - np.arange(len(shares)))).sum()))


def _fuller(first: CameraLooks, second: CameraLooks) -> CameraLooks:
    days = dict(first.days)
    for day, look in second.days.items():
        if look.pictures > days.get(day, Look()).pictures:
            days[day] = look
    return CameraLooks(model=second.model, days=days)
