"""A camera that answers triggers: the frames that a trigger asks for, none otherwise."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from edgevision.backoff import Backoff
from edgevision.daemon.supervisor import Stage
from edgevision.errors import SourceInvalid, SourceLost, StationError
from edgevision.sources.base import Policy, Source, SourceState
from edgevision.sources.capture import Capture, OnState
from edgevision.station.base import Trigger, TriggerSignal
from edgevision.types import Frame, FrameTime

POLL_S = 0.2
SMALLEST_STEP_S = 1e-6
REMEMBERED = 8  # newest frames, for a trigger that is told late; they hold the decoder's memory
KNOWN = 1000  # ids of triggers that are kept to recognise a repeated one
MOST_WAITING = 32  # frames that wait for the model or are waited for; a trigger beyond is missed


@dataclass(frozen=True, slots=True)
class Burst:
    """What answers one trigger.

    Attributes:
        frames: So many frames in a row.
        window_s: How long after the first one the others are waited for, seconds.
    """

    frames: int = 1
    window_s: float = 0.5


@dataclass(slots=True, eq=False)
class _Asked:
    """A trigger and the frames it has got so far, each with its time of arrival."""

    signal: TriggerSignal
    until_s: float
    frames: list[tuple[Frame, float]] = field(default_factory=list)


class TriggeredSource:
    """Lets a free-running camera run and picks, for every trigger, the first frames that arrive after it.

    Camera and trigger have a supervised thread each, so that frames are picked when they arrive, also while the model
    is busy, and triggers are heard while the camera is away; each of those ends in ``on_missed``. Give the camera's
    states to the daemon through ``on_state``; the loop that runs this source sees none of them.

    Args:
        camera: Name of the camera.
        inner: The live camera.
        trigger: What asks for inspections.
        on_signal: Hears of every trigger at once, before its frames are there.
        on_missed: Hears of a trigger that gets no frame.
        on_state: Hears of the camera's states.
        burst: How many frames a trigger gets.
        timeout_s: How long to wait for the first frame of a trigger, seconds.
        backoff: Waits between tries to reach the camera.
    """

    policy: Policy = "block"

    def __init__(  # noqa: PLR0913 - four callbacks of the daemon
        self,
        camera: str,
        inner: Source,
        trigger: Trigger,
        *,
        on_signal: Callable[[TriggerSignal], None],
        on_missed: Callable[[TriggerSignal], None],
        on_state: OnState,
        burst: Burst = Burst(),
        timeout_s: float = 1.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._inner = inner
        self._trigger = trigger
        self._on_signal = on_signal
        self._on_missed = on_missed
        self._on_state = on_state
        self._burst = burst
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pending: deque[_Asked] = deque()
        self._known: deque[str] = deque(maxlen=KNOWN)
        self._recent: deque[tuple[Frame, float]] = deque(maxlen=REMEMBERED)
        self._forgotten_s = float("-inf")  # arrival of the newest frame that is no longer remembered
        self._answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._broken: StationError | None = None
        capture = Capture(camera, inner, self._keep, self._state, backoff=backoff)
        self._capturing = Stage(f"camera/{camera}", capture.run, critical=False, on_failed=lambda _: self._wake())
        self._listener = f"trigger/{camera}"
        self._listening: Stage | None = None
        self._index = 0
        self._last_s = float("-inf")

    def frames(self) -> Iterator[Frame]:
        """The frames of each trigger, with ``trigger_id`` and the trigger's time.

        Raises:
            SourceLost: The line of the trigger is broken.
            SourceInvalid: The camera's driver crashes for good.
        """
        self._start()
        while not self._stop.is_set():
            frame = self._answers.get()
            if frame is not None:
                yield frame
            elif self._broken is not None:
                msg = f"the trigger is broken: {self._broken}"
                raise SourceLost(msg) from self._broken
            elif not self._capturing.health().ok:
                raise SourceInvalid(self._capturing.health().detail)

    def close(self) -> None:
        """End at once; the threads end with their present frame and signal."""
        self._stop.set()
        self._capturing.stop()
        if self._listening is not None:
            self._listening.stop()
        self._wake()
        self._trigger.close()
        self._inner.close()  # last: its driver may crash

    def _start(self) -> None:
        """Start the camera's thread, once, and the trigger's, again after its line was broken."""
        self._broken = None
        if not self._capturing.started:
            self._capturing.start()
        self._listening = Stage(self._listener, self._listen, critical=False, on_failed=self._deaf)
        self._listening.start()

    def _state(self, state: SourceState, reason: str) -> None:
        if not self._stop.is_set():  # its name may be another's by now
            self._on_state(state, reason)

    def _wake(self) -> None:
        self._answers.put(None)

    def _deaf(self, error: str) -> None:
        self._broken = StationError(error)
        self._wake()

    def _listen(self, stop: threading.Event) -> None:
        while not (stop.is_set() or self._stop.is_set()):
            try:
                signal = self._trigger.wait(self._patience_s())
            except StationError as exc:
                self._broken = exc
                self._wake()
                return
            if signal is not None:
                self._on_signal(signal)
                self._ask(signal)
            self._expire()

    def _patience_s(self) -> float:
        with self._lock:
            until_s = min((asked.until_s for asked in self._pending), default=float("inf"))
        return min(POLL_S, max(0.0, until_s - time.monotonic()))

    def _ask(self, signal: TriggerSignal) -> None:
        if signal.id in self._known:
            return  # it has its frames or its answer already; what is in front of the camera now may be another part
        self._known.append(signal.id)
        with self._lock:
            waiting = self._answers.qsize() + len(self._pending) * self._burst.frames
            late = self._forgotten_s >= signal.t_s or waiting >= max(MOST_WAITING, self._burst.frames)
            if not late:
                asked = _Asked(signal, signal.t_s + self._timeout_s)
                self._pending.append(asked)
                for frame, arrived_s in list(self._recent):
                    self._offer(asked, frame, arrived_s)
        if late:
            self._on_missed(signal)

    def _keep(self, frame: Frame) -> None:
        """A frame has come from the camera."""
        arrived_s = time.monotonic()
        with self._lock:
            if len(self._recent) == REMEMBERED:
                self._forgotten_s = self._recent[0][1]
            self._recent.append((frame, arrived_s))
            for asked in list(self._pending):
                self._offer(asked, frame, arrived_s)

    def _offer(self, asked: _Asked, frame: Frame, arrived_s: float) -> None:
        """Give a frame to a trigger that wants it. Needs the lock."""
        if arrived_s < asked.signal.t_s or len(asked.frames) >= self._burst.frames:
            return
        if not asked.frames:
            asked.until_s = arrived_s + self._burst.window_s
        asked.frames.append((frame, arrived_s))
        if len(asked.frames) == self._burst.frames:
            self._pending.remove(asked)
            self._answer(asked)

    def _expire(self) -> None:
        """Close the triggers whose time is over: with the frames they have, or with none."""
        now_s = time.monotonic()
        missed = []
        with self._lock:
            for asked in [asked for asked in self._pending if now_s >= asked.until_s]:
                self._pending.remove(asked)
                if asked.frames:
                    self._answer(asked)
                else:
                    missed.append(asked.signal)
        for signal in missed:
            self._on_missed(signal)

    def _answer(self, asked: _Asked) -> None:
        """Hand the frames of a trigger on, together, so that no other trigger's come between. Needs the lock."""
        signal, first_s = asked.signal, asked.frames[0][1]
        for frame, arrived_s in asked.frames:
            # Two triggers may share a frame; time grows nevertheless.
            self._last_s = max(frame.time.t_s, self._last_s + SMALLEST_STEP_S)
            taken_utc = signal.time_utc + timedelta(seconds=arrived_s - first_s)
            taken = FrameTime(taken_utc, self._last_s, "trigger", (first_s - signal.t_s) * 1000)
            self._answers.put(replace(frame, index=self._index, time=taken, trigger_id=signal.id))
            self._index += 1
