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

    When ``make`` fails, or what it makes wants other batches, ``first`` stays.

    Args:
        first: Ready now; closed once it is relieved.
        make: Makes the other one, in a thread of its own.
    """

    def __init__(self, first: Detector, make: Callable[[], Detector]) -> None:
        self._now = first
        self._make = make
        self._next: Detector | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._input, self._max_batch = first.input, first.max_batch
        threading.Thread(target=self._prepare, name="handover", daemon=True).start()

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
        return self._now.infer(batch)

    def close(self) -> None:
        """Release the model; one that is still being made is released when it is there."""
        with self._lock:
            self._closed = True
            later, self._next = self._next, None
        for detector in (self._now, later):
            if detector is not None:
                detector.close()

    def _prepare(self) -> None:
        try:
            made = self._make()
        except Exception as exc:
            log.exception("model.handover_failed", reason=str(exc))
            return
        fits = made.input == self._input and made.max_batch >= self._max_batch
        if not fits:
            log.error("model.handover_failed", reason="the new detector wants other batches")
        with self._lock:
            wanted = fits and not self._closed
            if wanted:
                self._next = made
        if not wanted:
            made.close()
