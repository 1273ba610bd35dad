"""The port every backend implements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edgevision.types import Detections, Image, Letterbox


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the pre-processing must deliver.

    Attributes:
        width: Input width, px.
        height: Input height, px.
        order: Channel order of the pixels.
        align: Where the resized picture sits in the padded input.
        pad: Grey value of the padding, 0..255.
    """

    width: int
    height: int
    order: Literal["rgb", "bgr"] = "rgb"
    align: Literal["centre", "corner"] = "centre"
    pad: int = 114


@dataclass(frozen=True, slots=True)
class Batch:
    """Letterboxed pictures, ready for a model.

    Attributes:
        images: (N, H, W, 3) uint8 in the order that the detector's ``InputSpec`` names. The detector does not keep it.
        boxes: One ``Letterbox`` a picture.
    """

    images: Image
    boxes: Sequence[Letterbox]


class Detector(Protocol):
    """A loaded model. Used by one thread at a time; thresholds per class are applied inside."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names; a label is an index into them."""
        ...

    @property
    def input(self) -> InputSpec:
        """What a batch must look like."""
        ...

    @property
    def max_batch(self) -> int:
        """How many pictures one call takes at most."""
        ...

    def infer(self, batch: Batch) -> list[Detections]:
        """Detections in source pixels, one item a picture.

        Raises:
            BackendError: The backend failed.
        """
        ...

    def close(self) -> None:
        """Release the model."""
        ...
