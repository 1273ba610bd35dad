"""The loop of one camera: frames out of the source, over and over until told to stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import structlog

from edgevision.backoff import Backoff
from edgevision.errors import SourceError, SourceLost, SourceUnavailable
from edgevision.sources.base import Source, SourceState
from edgevision.types import Frame

log = structlog.get_logger(__name__)

OnState = Callable[[SourceState, str], None]


class Capture:
    """Iterates a source, hands every frame on and reconnects with growing waits; runs in a thread of the caller.

    Args:
        camera: Name of the camera, for the log.
        source: Where frames come from.
        put: Takes each frame; may block (that is the back-pressure of lossless sources).
        on_state: Hears of every change of state, with a reason for a person (empty when all is well).
        backoff: Waits between tries; they start anew after a frame came.
        rng: Source of the jitter.
    """

    def __init__(
        self,
        camera: str,
        source: Source,
        put: Callable[[Frame], None],
        on_state: OnState,
        *,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._camera = camera
        self._source = source
        self._put = put
        self._on_state = on_state
        self._backoff = backoff or Backoff()
        self._rng = rng
        self._state: SourceState | None = None

    def run(self, stop: threading.Event) -> None:
        """Returns when ``stop`` is set (call ``source.close()`` too), when the source ended or when it can never work.

        The last state heard is then ENDED or FAILED, or the one it was stopped in.
        """
        self._change(SourceState.STARTING, "")
        waits = self._backoff.waits(self._rng)
        while not stop.is_set():
            try:
                for frame in self._source.frames():
                    if self._state is not SourceState.ONLINE:
                        self._change(SourceState.ONLINE, "")
                        waits = self._backoff.waits(self._rng)
                    self._put(frame)
                    if stop.is_set():
                        break
            except (SourceUnavailable, SourceLost) as exc:
                if stop.is_set():  # whoever is told to end has not lost its camera
                    break
                self._change(SourceState.RECONNECTING, str(exc))
                stop.wait(next(waits))
            except SourceError as exc:
                self._change(SourceState.FAILED, str(exc))
                break
            else:
                if not stop.is_set():
                    self._change(SourceState.ENDED, "")
                break
        self._source.close()

    def _change(self, state: SourceState, why: str) -> None:
        self._state = state
        level = log.info if state in {SourceState.STARTING, SourceState.ONLINE, SourceState.ENDED} else log.warning
        level("source.state", camera=self._camera, state=state.value, reason=why)
        self._on_state(state, why)
