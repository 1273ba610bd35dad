"""The shipped fake: a detector that answers from a script instead of a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, InputSpec
from edgevision.types import Detections, Image, Letterbox

Script = Callable[[Image, Letterbox], Detections]


class ScriptedDetector:
    """Says what it was told to say.

    A batch does not tell which frame a picture is: the script looks at the picture, or the pictures are counted.

    Args:
        script: Either a function of the letterboxed (H, W, 3) uint8 picture and its ``Letterbox``, or answers that are
            given in order, one a picture; both in source pixels. An answer may be an error, which is raised.
        classes: Class names.
        spec: What a batch must look like.
        max_batch: How many pictures one call takes at most.
    """

    def __init__(
        self,
        script: Script | Iterable[Detections | BackendError],
        classes: Sequence[str] = ("thing",),
        spec: InputSpec = InputSpec(64, 64),  # noqa: B008 - frozen
        max_batch: int = 8,
    ) -> None:
        self._look: Script | None = script if callable(script) else None
        self._answers: Iterator[Detections | BackendError] = iter(() if callable(script) else script)
        self._classes = tuple(classes)
        self._spec = spec
        self._max_batch = max_batch
        self._closed = threading.Event()

    @property
    def classes(self) -> Sequence[str]:
        """Class names; a label is an index into them."""
        return self._classes

    @property
    def input(self) -> InputSpec:
        """What a batch must look like."""
        return self._spec

    @property
    def max_batch(self) -> int:
        """How many pictures one call takes at most."""
        return self._max_batch

    def infer(self, batch: Batch) -> list[Detections]:
        """The script's answers.

        Raises:
            BackendError: The script says so or is over, the batch does not fit, or the detector is closed.
        """
        expected = (self._spec.height, self._spec.width, 3)
        if not 0 < len(batch.images) <= self._max_batch or batch.images.shape[1:] != expected:
            msg = f"batch: expected (1..{self._max_batch}, {', '.join(map(str, expected))}), got {batch.images.shape}"
            raise BackendError(msg)
        if self._closed.is_set():
            msg = "the detector is closed"
            raise BackendError(msg)
        return [self._answer(image, box) for image, box in zip(batch.images, batch.boxes, strict=True)]

    def close(self) -> None:
        """A later ``infer`` raises ``BackendError``."""
        self._closed.set()

    def _answer(self, image: Image, letterbox: Letterbox) -> Detections:
        if self._look is not None:
            return self._look(image, letterbox)
        answer = next(self._answers, None)
        if answer is None:
            msg = "the script is over"
            raise BackendError(msg)
        if isinstance(answer, BackendError):
            raise answer
        return answer
