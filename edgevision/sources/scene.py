"""A drawn scene as a camera: for the demo, for tests and for benchmarks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from edgevision.config.settings import PositiveSeconds
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid
from edgevision.media.pixels import Order, resize
from edgevision.scenes.base import Scene
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.shop import ShopScene
from edgevision.sources.base import Policy, SourceContext
from edgevision.sources.clock import Pace
from edgevision.types import Frame, FrameTime, Image


class SceneSource:
    """Frames of a scene, drawn when somebody asks for their pixels. The same settings give the same frames."""

    recorded = True

    class Settings(SettingsBase):
        """A drawn scene with exactly known contents."""

        kind: Literal["scene"] = "scene"
        scene: Literal["pcb", "shop"] = "pcb"
        """`pcb`: boards on a belt; `shop`: people seen from above."""
        seed: Annotated[int, Field(ge=0)] = 0
        """Everything in the scene follows from it."""
        fps: Annotated[float, Field(gt=0, le=240)] = 10.0
        """Frames per second."""
        pace: Literal["every_frame", "realtime"] = "every_frame"
        """`every_frame` loses nothing and runs as fast as the model; `realtime` plays it like a camera."""
        boards: Annotated[int, Field(ge=1, le=100_000)] = 24
        """How many boards go by (`pcb`)."""
        people: Annotated[int, Field(ge=0, le=1000)] = 8
        """How many people come (`shop`)."""
        length_s: PositiveSeconds = 60.0
        """Length of `shop`, seconds; `pcb` ends after its boards."""
        start_time: AwareDatetime | None = None
        """Capture time of the first frame; without it the start of the daemon."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._next = int(context.resume or 0)
        self._closed = threading.Event()

    @property
    def policy(self) -> Policy:
        """A scene played like a camera may lose frames like one."""
        return "latest" if self._settings.pace == "realtime" else "block"

    def frames(self) -> Iterator[Frame]:
        """Yield frames from the position on."""
        scene = make_scene(self._settings)
        start = (self._settings.start_time or self._context.started_utc).astimezone(timezone.utc)
        pace = Pace(self._context.monotonic, self._closed) if self._settings.pace == "realtime" else None
        for index in range(self._next, scene.frames):
            t_s = index / scene.fps
            if pace is not None:
                pace.wait(t_s)
            if self._closed.is_set():
                return
            self._next = index + 1
            time = FrameTime(start + timedelta(seconds=t_s), t_s, "file")
            yield Frame(self._context.camera, index, time, ScenePixels(scene, index), position=index + 1)

    def close(self) -> None:
        """End after the frame under way."""
        self._closed.set()


def make_scene(settings: SceneSource.Settings) -> Scene:
    """The scene that the settings name.

    Raises:
        SourceInvalid: It cannot be drawn so.
    """
    try:
        if settings.scene == "pcb":
            return PcbConveyor(settings.seed, boards=settings.boards, fps=settings.fps)
        return ShopScene(settings.seed, people=settings.people, fps=settings.fps, seconds=settings.length_s)
    except ValueError as exc:
        raise SourceInvalid(str(exc)) from exc


class ScenePixels:
    """Pixels of one frame of a scene, drawn once, when they are first asked for."""

    __slots__ = ("_image", "_index", "_lock", "_scene")

    def __init__(self, scene: Scene, index: int) -> None:
        self._scene = scene
        self._index = index
        self._image: Image | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._scene.width, self._scene.height

    def bgr(self) -> Image:
        """Full resolution, (H, W, 3) uint8, BGR, not to be written into."""
        with self._lock:
            if self._image is None:
                self._image = self._scene.render(self._index)
            return self._image

    def scaled(self, width: int, height: int, order: Order) -> Image:
        """The picture resized to exactly (height, width, 3) uint8 in the wanted channel order."""
        return resize(self.bgr(), width, height, order)
