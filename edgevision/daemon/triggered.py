"""A camera that answers triggers: one frame for each, none otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from edgevision.backoff import Backoff
from edgevision.errors import SourceLost, StationError
from edgevision.sources.base import Policy, Source
from edgevision.sources.capture import Capture, OnState
from edgevision.station.base import Trigger, TriggerSignal
from edgevision.types import Frame, FrameTime

POLL_S = 0.2
SMALLEST_STEP_S = 1e-6


class TriggeredSource:
    """Lets a free-running camera run and picks, for every trigger, the first frame that arrives after it.

    The camera is captured, and reconnected, by a thread of its own: triggers go on being answered while it is away,
    each
    by ``on_missed``. Give its states to the daemon through ``on_state``; the loop that runs this source sees none of
    them.

    Args:
        camera: Name of the camera.
        inner: The live camera.
        trigger: What asks for inspections.
        on_signal: Hears of every trigger at once, before its frame is there.
        on_missed: Hears of a trigger for which no frame came in ``timeout_s``.
        on_state: Hears of the camera's states.
        timeout_s: How long to wait for the frame of a trigger, seconds.
        backoff: Waits between tries to reach the camera.
    """

    policy: Policy = "block"

    def __init__(
        self,
        camera: str,
        inner: Source,
        trigger: Trigger,
        *,
        on_signal: Callable[[TriggerSignal], None],
        on_missed: Callable[[TriggerSignal], None],
        on_state: OnState,
        timeout_s: float = 1.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._camera = camera
        self._inner = inner
        self._trigger = trigger
        self._on_signal = on_signal
        self._on_missed = on_missed
        self._on_state = on_state
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._stop = threading.Event()
        self._arrived = threading.Condition()
        self._newest: tuple[Frame, float] | None = None
        self._thread: threading.Thread | None = None
        self._index = 0
        self._last_s = float("-inf")

    def frames(self) -> Iterator[Frame]:
        """One frame a trigger, with ``trigger_id`` and the trigger's time.

        Raises:
            SourceLost: The line of the trigger is broken.
        """
        if self._thread is None:
            capture = Capture(self._camera, self._inner, self._keep, self._on_state, backoff=self._backoff)
            self._thread = threading.Thread(
                target=capture.run, args=(self._stop,), name=f"camera/{self._camera}", daemon=True
            )
            self._thread.start()
        while not self._stop.is_set():
            try:
                signal = self._trigger.wait(POLL_S)
            except StationError as exc:
                msg = f"{self._camera}: the trigger is broken: {exc}"
                raise SourceLost(msg) from exc
            if signal is None:
                continue
            self._on_signal(signal)
            frame = self._frame_for(signal)
            if frame is None:
                self._on_missed(signal)
            else:
                yield frame

    def close(self) -> None:
        """End at once; the camera's thread ends with its present frame."""
        self._stop.set()
        self._inner.close()
        with self._arrived:
            self._arrived.notify_all()

    def _keep(self, frame: Frame) -> None:
        with self._arrived:
            self._newest = frame, time.monotonic()
            self._arrived.notify_all()

    def _frame_for(self, signal: TriggerSignal) -> Frame | None:
        deadline_s = signal.t_s + self._timeout_s
        with self._arrived:
            while not self._stop.is_set():
                if self._newest is not None and self._newest[1] >= signal.t_s:
                    return self._answer(signal, *self._newest)
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._arrived.wait(left_s)
        return None

    def _answer(self, signal: TriggerSignal, frame: Frame, arrived_s: float) -> Frame:
        # Two triggers may share a frame; time grows nevertheless.
        self._last_s = max(frame.time.t_s, self._last_s + SMALLEST_STEP_S)
        index, self._index = self._index, self._index + 1
        taken = FrameTime(signal.time_utc, self._last_s, "trigger", (arrived_s - signal.t_s) * 1000)
        return replace(frame, index=index, time=taken, trigger_id=signal.id)
