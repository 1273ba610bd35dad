"""A detector that answers at once and hands over to a better one that takes minutes to make, as TensorRT does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from edgevision.inference.base import Batch, Detector, InputSpec
from edgevision.types import Detections

log = structlog.get_logger(__name__)


class Handover:
    """Answers by ``first`` until ``make`` has returned the detector to stay with.

    Args:
        first: Ready now; closed once it is relieved.
        make: Makes the other one, for the same batches, in a thread of its own; ``None`` when that fails: ``first``
            stays. Must not raise.
        after_first: Whether to begin only when the first pictures have been answered.
    """

    def __init__(self, first: Detector, make: Callable[[], Detector | None], *, after_first: bool = False) -> None:
        self._now = first
        self._make = make
        self._next: Detector | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._input, self._max_batch = first.input, first.max_batch
        self._waits = after_first
        if not after_first:
            self._begin()

    @property
    def classes(self) -> Sequence[str]:
        """Class names; a label is an index into them."""
        return self._now.classes

    @property
    def input(self) -> InputSpec:
        """What a batch must look like."""
        return self._input

    @property
    def max_batch(self) -> int:
        """How many pictures one call takes at most."""
        return self._max_batch

    def infer(self, batch: Batch) -> list[Detections]:
        """Detections in source pixels, one item a picture.

        Raises:
            BackendError: The detector on duty failed.
        """
        with self._lock:
            relieved = self._now if self._next is not None else None
            self._now, self._next = self._next or self._now, None
        if relieved is not None:
            relieved.close()
            log.info("model.handed_over")
        found = self._now.infer(batch)
        if self._waits:
            self._waits = False
            self._begin()
        return found

    def close(self) -> None:
        """Release the model; one that is still being made is released when it is there."""
        with self._lock:
            self._closed = True
            later, self._next = self._next, None
        for detector in (self._now, later):
            if detector is not None:
                detector.close()

    def _begin(self) -> None:
        threading.Thread(target=self._prepare, name="handover", daemon=True).start()

    def _prepare(self) -> None:
        made = self._make()
        with self._lock:
            wanted = not self._closed
            if wanted:
                self._next = made
        if made is not None and not wanted:
            made.close()
