"""A conveyor of drawn circuit boards under an inspection camera, with exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.scenes.base import BoxTuple, TruthBox
from edgevision.scenes.pcb_board import STYLES, make_layout, paint
from edgevision.scenes.pcb_defects import KINDS, BoardDefect, add_defect
from edgevision.types import Image

BOARD = (432, 404)  # px
GAP = 168  # belt between boards, px
_NOISE_ROWS = 512  # the grain of a frame is a window of this many more rows, at a drawn height
_LEAST_VISIBLE = 0.6  # a defect is in a frame when this share of its box is

Affine = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Board:
    """A board that goes by.

    Attributes:
        part_id: Counts from 0.
        defects: What is wrong with it; boxes in pixels of the board.
        verdict: What inspection must find.
        first_full: First frame that shows all of it.
        last_full: Last frame that shows all of it.
    """

    part_id: int
    defects: tuple[BoardDefect, ...]
    verdict: Literal["ok", "ng"]
    first_full: int
    last_full: int


@dataclass(frozen=True, slots=True)
class BoardInView:
    """A board in one frame.

    Attributes:
        part_id: Which.
        xyxy: Its upright box, pixels of the frame, clipped.
        full: Whether all of it is in the frame.
        defects: Its defects that can be seen; ``object_id`` is their place in the board's list.
    """

    part_id: int
    xyxy: BoxTuple
    full: bool
    defects: tuple[TruthBox, ...]


class PcbConveyor:
    """Boards moving from left to right, one fully in view at a time.

    Args:
        seed: Everything follows from it.
        boards: How many go by.
        fps: Frames per second.
        speed_px: How far the belt moves from frame to frame, px.
        defect_rate: Share of boards with one to four defects, 0..1.
        width: Frame width, px; more than a board's 432.
        height: Frame height, px; more than a board's 404.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        boards: int = 24,
        fps: float = 10.0,
        speed_px: float = 36.0,
        defect_rate: float = 0.5,
        width: int = 768,
        height: int = 576,
    ) -> None:
        if width < BOARD[0] + 2 * speed_px or height < BOARD[1] + 60:
            msg = f"pcb scene: a board of {BOARD[0]} x {BOARD[1]} px does not fit into {width} x {height} px"
            raise ValueError(msg)
        self.width, self.height, self.fps = width, height, fps
        self._seed, self._speed, self._defect_rate = seed, speed_px, defect_rate
        self._pitch = BOARD[0] + GAP
        self._start = -float(BOARD[0]) - 40.0
        self.frames = int(np.ceil((boards * self._pitch + width + 80.0) / speed_px))
        self._count = boards
        self._light, self._noise, self._belt = self._surroundings()
        self._drawn = lru_cache(maxsize=4)(self._draw)
        self._faults = lru_cache(maxsize=None)(self._find_defects)

    @property
    def boards(self) -> tuple[Board, ...]:
        """All boards, in order."""
        return tuple(self._board(number) for number in range(self._count))

    def render(self, index: int) -> Image:
        """Frame ``index``, (H, W, 3) uint8, BGR."""
        rng = np.random.default_rng([self._seed, 1, index])
        frame = self._belt_at(index)
        for number in self._near(index):
            picture, _ = self._drawn(number)
            affine = self._affine(number, index)
            self._shadow(frame, affine)
            blur = float(np.random.default_rng([self._seed, 2, number]).uniform(0.0, 0.75))
            self._lay(frame, picture, affine, blur)
        gain = cv2.convertScaleAbs(self._light, alpha=float(rng.uniform(0.95, 1.05)))
        lit = cv2.multiply(frame, gain, scale=1 / 128)
        top = int(rng.integers(_NOISE_ROWS))
        grained = cv2.subtract(cv2.add(lit, self._noise[top : top + self.height]), np.full(4, 8.0))
        return np.asarray(grained, np.uint8)

    def truth(self, index: int) -> tuple[BoardInView, ...]:
        """Boards in frame ``index``."""
        return tuple(view for number in self._near(index) if (view := self._view(number, index)) is not None)

    def _board(self, number: int) -> Board:
        defects = self._faults(number)
        full = [index for index in self._span(number) if (view := self._view(number, index)) is not None and view.full]
        return Board(number, defects, "ng" if defects else "ok", full[0], full[-1])

    def _span(self, number: int) -> range:
        first = int((number * self._pitch) / self._speed)
        last = int(np.ceil((number * self._pitch + self.width - self._start + 40) / self._speed))
        return range(max(0, first), min(self.frames, last + 1))

    def _near(self, index: int) -> range:
        """Numbers of the boards that may be in view."""
        head = (index * self._speed + 60) / self._pitch
        tail = (index * self._speed - self.width + self._start - 60) / self._pitch
        return range(max(0, int(np.ceil(tail))), min(self._count, int(head) + 1))

    def _affine(self, number: int, index: int) -> Affine:
        """Board pixels to frame pixels, (2, 3)."""
        rng = np.random.default_rng([self._seed, 3, number])
        angle = np.deg2rad(rng.uniform(-1.6, 1.6))
        x = self._start + index * self._speed - number * self._pitch + rng.uniform(-6, 6)
        y = (self.height - BOARD[1]) / 2 + rng.uniform(-14, 14)
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        centre = np.array(BOARD, float) / 2
        rotation = np.array([[cos, -sin], [sin, cos]])
        shift = np.array([x, y]) + centre - rotation @ centre
        return np.column_stack([rotation, shift])

    def _view(self, number: int, index: int) -> BoardInView | None:
        affine = self._affine(number, index)
        whole = _moved((0.0, 0.0, float(BOARD[0]), float(BOARD[1])), affine)
        clipped = self._clip(whole)
        if clipped is None:
            return None
        defects = []
        for place, defect in enumerate(self._faults(number)):
            box = _moved(defect.xyxy, affine)
            seen = self._clip(box)
            if seen is not None and _area(seen) >= _LEAST_VISIBLE * _area(box):
                defects.append(TruthBox(defect.kind, seen, place))
        return BoardInView(number, clipped, clipped == whole, tuple(defects))

    def _clip(self, box: BoxTuple) -> BoxTuple | None:
        x1, y1, x2, y2 = (
            max(0.0, box[0]),
            max(0.0, box[1]),
            min(float(self.width), box[2]),
            min(float(self.height), box[3]),
        )
        return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None

    def _find_defects(self, number: int) -> tuple[BoardDefect, ...]:
        return self._drawn(number)[1]

    def _draw(self, number: int) -> tuple[Image, tuple[BoardDefect, ...]]:
        return draw_board(self._seed, number, self._defect_rate)

    def _surroundings(self) -> tuple[Image, Image, Image]:
        rng = np.random.default_rng([self._seed, 4])
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        cx, cy = rng.uniform(0.3, 0.7) * self.width, rng.uniform(0.3, 0.7) * self.height
        falloff = ((x - cx) / self.width) ** 2 + ((y - cy) / self.height) ** 2
        light = np.clip(134 - 44 * falloff * rng.uniform(0.5, 1.5), 90, 160)
        grain = rng.normal(8, 2.2, (self.height + _NOISE_ROWS, self.width, 3)).astype(np.float32)
        noise = np.clip(grain, 0, 20).astype(np.uint8)
        tile = rng.normal(0, 2.2, (self.height, self._pitch)).astype(np.float32)
        tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), 1.1), np.float32) * 2
        ribs = 1.6 * np.sin(np.arange(self._pitch, dtype=np.float32) * (2 * np.pi / 12))
        belt = np.clip(58 + tile + ribs, 0, 255)[..., None] * np.array([1.0, 0.98, 0.95], np.float32)
        long_belt = np.tile(belt.astype(np.uint8), (1, 2 + self.width // self._pitch, 1))
        return np.repeat(light[..., None], 3, axis=2).astype(np.uint8), noise, long_belt

    def _belt_at(self, index: int) -> Image:
        left = -round(index * self._speed) % self._pitch
        return self._belt[:, left : left + self.width].copy()

    def _lay(self, frame: Image, picture: Image, affine: Affine, blur: float) -> None:
        """Put a board into the frame, smoothly at its edges."""
        window = self._clip(_moved((-4.0, -4.0, BOARD[0] + 4.0, BOARD[1] + 4.0), affine))
        if window is None:
            return
        x1, y1, x2, y2 = int(window[0]), int(window[1]), int(np.ceil(window[2])), int(np.ceil(window[3]))
        local = affine - np.array([[0, 0, x1], [0, 0, y1]])
        region = frame[y1:y2, x1:x2]
        warped = cv2.warpAffine(
            picture, local, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        solid = np.full(picture.shape[:2], 255, np.uint8)
        alpha = cv2.warpAffine(solid, local, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
        if blur > 0.3:  # noqa: PLR2004 - less changes nothing
            warped = cv2.GaussianBlur(warped, (0, 0), blur)
        rows, columns = np.nonzero((alpha > 0) & (alpha < 255))  # noqa: PLR2004 - neither clear nor opaque
        share = alpha[rows, columns].astype(np.float32)[:, None] / 255
        mixed = warped[rows, columns] * share + region[rows, columns] * (1 - share)
        cv2.copyTo(warped, np.where(alpha == 255, np.uint8(255), np.uint8(0)), region)  # noqa: PLR2004 - opaque
        region[rows, columns] = mixed.astype(np.uint8)

    def _shadow(self, frame: Image, affine: Affine) -> None:
        x1, y1, x2, y2 = _moved((0.0, 0.0, float(BOARD[0]), float(BOARD[1])), affine)
        for grow, strength in ((7, 0.86), (4, 0.82)):
            window = self._clip((x1 - grow // 2, y1 - grow // 2, x2 + grow, y2 + grow))
            left, top, right, bottom = (int(value) for value in window or (0, 0, 0, 0))
            if right > left and bottom > top:
                frame[top:bottom, left:right] = cv2.convertScaleAbs(frame[top:bottom, left:right], alpha=strength)


def draw_board(seed: int, number: int, defect_rate: float) -> tuple[Image, tuple[BoardDefect, ...]]:
    """The board's picture, (404, 432, 3) uint8 BGR, and its defects."""
    rng = np.random.default_rng([seed, 0, number])
    layout = make_layout(*BOARD, rng)
    style = STYLES[int(rng.integers(len(STYLES)))]
    wanted = int(rng.integers(1, 5)) if rng.random() < defect_rate else 0
    grain = np.random.default_rng([seed, 5, number])
    copper = layout.copper.copy()
    defects = []
    for kind in rng.permutation(len(KINDS))[:wanted]:
        defect = add_defect(layout, copper, KINDS[int(kind)], rng)
        if defect is not None:
            defects.append(defect)
    return paint(layout, copper, style, grain), tuple(defects)


def _moved(box: BoxTuple, affine: Affine) -> BoxTuple:
    """Upright box around a box that was moved and turned."""
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1, 1], [x2, y1, 1], [x2, y2, 1], [x1, y2, 1]], float) @ affine.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _area(box: BoxTuple) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
