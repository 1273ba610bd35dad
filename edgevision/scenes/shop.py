"""A shop seen from above, with people who walk, stop at a shelf, pay and leave; every place and time is known."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from edgevision.scenes import shop_drawing, shop_plan
from edgevision.scenes.base import BoxTuple, TruthBox
from edgevision.scenes.shop_plan import Crossing, Dwell, Segment, Walk
from edgevision.types import Image

_NOISE_ROWS = 256  # the grain of a frame is a window of this many more rows, at a drawn height
_STRIDE_PX = 46.0  # plan pixels of a double step
_LEAST_VISIBLE = 0.3  # a person is in a frame when this share of the box is


class ShopScene:
    """People in a drawn shop. Centres of people are what crosses lines and stays in zones.

    Args:
        seed: Everything follows from it.
        people: How many come; their starts are spread so that all have left, or nearly, by the end.
        fps: Frames per second.
        width: Frame width, px.
        height: Frame height, px; the plan is scaled to both.
        seconds: Length.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        people: int = 8,
        fps: float = 10.0,
        width: int = 960,
        height: int = 540,
        seconds: float = 60.0,
    ) -> None:
        if people < 0 or min(fps, width, height, seconds) <= 0:
            msg = f"shop scene: people ({people}) must be 0 or more; fps, width, height and seconds more than 0"
            raise ValueError(msg)
        self.width, self.height, self.fps = width, height, fps
        self.frames = max(1, round(seconds * fps))
        self._seed, self._seconds = seed, self.frames / fps
        self._scale = np.array([width, height]) / np.array(shop_plan.PLAN)
        starts = _starts(seed, people, self._seconds)
        self._walks = tuple(shop_plan.make_walk(seed, person, start) for person, start in enumerate(starts))
        self._looks = tuple(shop_drawing.make_look(seed, person) for person in range(people))
        self._room = shop_drawing.draw_room(seed)
        grain = np.random.default_rng([seed, 4]).normal(8, 2.0, (height + _NOISE_ROWS, width, 3))
        self._noise = np.clip(grain, 0, 20).astype(np.uint8)

    @property
    def door_line(self) -> Segment:
        """The line inside the door, pixels of the frame; into the shop is ``in``."""
        (x1, y1), (x2, y2) = self._place(shop_plan.DOOR_LINE)
        return (x1, y1), (x2, y2)

    @property
    def zones(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """Polygons ``shelf`` and ``till``, pixels of the frame."""
        return {name: self._place(polygon) for name, polygon in _ZONES.items()}

    @property
    def crossings(self) -> tuple[Crossing, ...]:
        """Everybody's ways over the line ``door`` while the scene lasts, by time."""
        found = [item for walk in self._walks for item in shop_plan.crossings(walk, "door", shop_plan.DOOR_LINE)]
        return tuple(sorted((item for item in found if item.t_s < self._seconds), key=lambda item: item.t_s))

    @property
    def dwells(self) -> tuple[Dwell, ...]:
        """Everybody's stays in the zones ``shelf`` and ``till``, by time; cut off at the scene's end."""
        found = [
            Dwell(item.zone, item.person, item.enter_s, min(item.leave_s, self._seconds))
            for walk in self._walks
            for name, polygon in _ZONES.items()
            for item in shop_plan.dwells(walk, name, polygon)
            if item.enter_s < self._seconds
        ]
        return tuple(sorted(found, key=lambda item: item.enter_s))

    def empty_slots(self, index: int) -> tuple[int, ...]:
        """Slots of the shelf from which the products are gone in frame ``index``, ascending."""
        t_s = index / self.fps
        return tuple(sorted({slot for walk in self._walks for slot, taken_s in walk.takes if taken_s <= t_s}))

    def slot_boxes(self) -> tuple[BoxTuple, ...]:
        """Where the shelf's slots are, pixels of the frame."""
        boxes = []
        for slot in range(shop_plan.SLOTS):
            x1, y1, x2, y2 = shop_drawing.slot_box(slot)
            (left, top), (right, bottom) = self._place(((x1, y1), (x2, y2)))
            boxes.append((left, top, right, bottom))
        return tuple(boxes)

    def render(self, index: int) -> Image:
        """Frame ``index``, (H, W, 3) uint8, BGR."""
        frame = self._room.copy()
        empty = self.empty_slots(index)
        for slot in range(shop_plan.SLOTS):
            if slot not in empty:
                shop_drawing.draw_slot(frame, slot)
        present = self._present(index)
        for person, x, y, heading, _ in present:
            shop_drawing.draw_shadow(frame, (x, y), self._looks[person], heading)
        for person, x, y, heading, swing in present:
            shop_drawing.draw_person(frame, (x, y), self._looks[person], heading, swing)
        if (self.width, self.height) != shop_plan.PLAN:
            frame = _image(cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA))
        top = int(np.random.default_rng([self._seed, 5, index]).integers(_NOISE_ROWS))
        grained = _image(cv2.add(frame, self._noise[top : top + self.height]))
        return _image(cv2.subtract(grained, (8.0, 8.0, 8.0, 0.0)))  # type: ignore[call-overload]  # a colour, as in C++

    def truth(self, index: int) -> tuple[TruthBox, ...]:
        """The people in frame ``index``."""
        out = []
        for person, x, y, heading, swing in self._present(index):
            points = shop_drawing.person_points((x, y), self._looks[person], heading, swing) * self._scale
            low, high = points.min(axis=0), points.max(axis=0)
            clipped_low = np.clip(low, 0, (self.width, self.height))
            clipped_high = np.clip(high, 0, (self.width, self.height))
            if np.prod(clipped_high - clipped_low) >= _LEAST_VISIBLE * np.prod(high - low):
                box = (float(clipped_low[0]), float(clipped_low[1]), float(clipped_high[0]), float(clipped_high[1]))
                out.append(TruthBox("person", box, person))
        return tuple(out)

    def centres(self, index: int) -> dict[int, tuple[float, float]]:
        """The exact centres, by person, of all on their way in frame ``index``, pixels; some beyond the edge."""
        return {person: self._place(((x, y),))[0] for person, x, y, _, _ in self._present(index)}

    def _present(self, index: int) -> list[tuple[int, float, float, float, float]]:
        """(person, x, y, heading, swing) of all on their way, plan pixels."""
        if not 0 <= index < self.frames:
            msg = f"shop scene: no frame {index}, there are {self.frames}"
            raise IndexError(msg)
        t_s = index / self.fps
        out = []
        for walk in self._walks:
            place = walk.at(t_s)
            if place is not None:
                out.append((walk.person, *place, _swing(walk, t_s)))
        return out

    def _place(self, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((float(x), float(y)) for x, y in np.array(points, float) * self._scale)


_ZONES = {"shelf": shop_plan.SHELF_ZONE, "till": shop_plan.TILL_ZONE}


def _image(result: object) -> Image:
    """What OpenCV gives for uint8 is uint8; its stubs promise less."""
    return cast("Image", result)


def _swing(walk: Walk, t_s: float) -> float:
    return float(np.sin(walk.moved_px(t_s) * 2 * np.pi / _STRIDE_PX))


def _starts(seed: int, people: int, seconds: float) -> list[float]:
    """When each begins: spread evenly over what leaves time to walk through, with some jitter; the first at once."""
    rng = np.random.default_rng([seed, 6])
    room = max(seconds * 0.5, seconds - 25.0)
    pitch = room / max(1, people)
    return [person * pitch + float(rng.uniform(0, 0.6)) * pitch for person in range(people)]
