"""What each camera sees, remembered as counts for the day that a model is calibrated; no picture is kept."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from edgevision.daemon.supervisor import contained
from edgevision.errors import EdgevisionError
from edgevision.folders import write_whole
from edgevision.looks import CameraLooks, DeviceLooks, Look, Order, look_at, read_looks
from edgevision.types import Frame, Image

log = structlog.get_logger(__name__)

EVERY_S = 10.0
"""How often a camera is looked at, on average: now sooner and now later, since a line may have that very beat."""
SAVE_EVERY_S = 300.0
DAYS = 14
"""How many days are kept of a camera, the last ones on which it ran."""
MOST_WAITING = 8
"""Pictures that wait to be measured; while there are so many no more are taken."""
PATIENCE_S = 0.5
"""How long a stop may wait for the stage; waking up five times a second would cost more than the looks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    camera: str
    model: str
    day: date
    picture: Image
    order: Order


class Looks:
    """Looks at a frame of each camera now and then; ``run`` is a stage that measures, counts and saves.

    Args:
        file: Where the counts are kept; one that cannot be read, or is another device's, is set aside.
        site: The plant or shop.
        device: This box.
        cameras: The cameras that there are; what was kept of others is forgotten.
    """

    def __init__(self, file: Path, site: str, device: str, cameras: Collection[str]) -> None:
        self._file = file
        self._site, self._device = site, device
        self._due_s: dict[str, float] = {}
        self._chance = random.Random()  # noqa: S311 - no secret
        self._samples: queue.Queue[_Sample] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._cameras = self._stored()
        self._saved = True
        self.keep(cameras)

    def see(self, model: str, frame: Frame, picture: Image, order: Order) -> None:
        """A frame was given to a model. Quick, and whatever goes wrong here costs nothing but this look.

        Args:
            model: Name of the model.
            frame: The frame.
            picture: (H, W, 3) uint8, what the model was given of it, without padding; not needed after the call.
            order: Of its channels.
        """
        t_s = frame.time.t_s
        if 0 < self._due_s.get(frame.camera, t_s) - t_s < 2 * EVERY_S:  # more when its stream has begun anew
            return
        self._due_s[frame.camera] = t_s + EVERY_S * self._chance.uniform(0.5, 1.5)
        contained("looks", lambda: self._take(model, frame, picture, order))

    def run(self, stop: threading.Event) -> None:
        """Work until stopped; what was taken before is still counted."""
        save_at_s = time.monotonic() + SAVE_EVERY_S
        while not (stop.is_set() and self._samples.empty()):
            with suppress(queue.Empty):
                self._count(self._samples.get(timeout=PATIENCE_S))
            if time.monotonic() >= save_at_s:
                save_at_s = time.monotonic() + SAVE_EVERY_S
                self._save()
        self._save()

    def keep(self, cameras: Collection[str]) -> None:
        """Forget all other cameras."""
        with self._lock:
            self._cameras = {name: seen for name, seen in self._cameras.items() if name in cameras}

    def document(self) -> dict[str, Any]:
        """What was seen so far, JSON-able: a ``DeviceLooks``."""
        return self._device_looks().model_dump(mode="json")

    def _device_looks(self) -> DeviceLooks:
        with self._lock:
            return DeviceLooks(site=self._site, device=self._device, cameras=self._cameras)

    def _take(self, model: str, frame: Frame, picture: Image, order: Order) -> None:
        if not self._samples.full():
            day = frame.time.time_utc.date()
            with suppress(queue.Full):
                self._samples.put_nowait(_Sample(frame.camera, model, day, picture.copy(), order))

    def _count(self, sample: _Sample) -> None:
        look = look_at(sample.picture, sample.order)
        with self._lock:
            seen = self._cameras.get(sample.camera)
            days = {} if seen is None else dict(seen.days)
            days[sample.day] = days.get(sample.day, Look()) + look
            last = {day: days[day] for day in sorted(days)[-DAYS:]}
            self._cameras[sample.camera] = CameraLooks(model=sample.model, days=last)
            self._saved = False

    def _stored(self) -> dict[str, CameraLooks]:
        if not self._file.is_file():
            return {}
        try:
            stored = read_looks(self._file)
            if (stored.site, stored.device) != (self._site, self._device):
                raise EdgevisionError(f"{self._file}: is of {stored.site}/{stored.device}")
        except EdgevisionError as exc:
            aside = self._file.with_name(f"{self._file.name}.aside")
            log.warning("looks.set_aside", reason=str(exc), file=str(aside))
            with suppress(OSError):
                self._file.replace(aside)
            return {}
        return stored.cameras

    def _save(self) -> None:
        if self._saved:
            return
        self._saved = True  # what comes meanwhile is new
        try:
            write_whole(self._file, self._device_looks().model_dump_json().encode() + b"\n")
        except OSError as exc:  # a full disk: the next time
            self._saved = False
            log.warning("looks.not_saved", file=str(self._file), reason=str(exc))
