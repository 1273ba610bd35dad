"""What every scene offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgevision.types import Image

BoxTuple = tuple[float, float, float, float]


class Scene(Protocol):
    """A drawn video. ``render`` is a pure function of the scene's parameters and the index, in any order."""

    @property
    def width(self) -> int:
        """Width of a frame, px."""
        ...

    @property
    def height(self) -> int:
        """Height of a frame, px."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second."""
        ...

    @property
    def frames(self) -> int:
        """Number of frames."""
        ...

    def render(self, index: int) -> Image:
        """Frame ``index``, (H, W, 3) uint8, BGR."""
        ...


@dataclass(frozen=True, slots=True)
class TruthBox:
    """A thing that really is in a frame.

    Attributes:
        label: Its class.
        xyxy: Its box, pixels of the frame, clipped to it.
        object_id: Keeps over frames.
    """

    label: str
    xyxy: BoxTuple
    object_id: int
