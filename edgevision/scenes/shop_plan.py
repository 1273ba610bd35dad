"""Where everything stands in the drawn shop, and who walks where and when: no pixels here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevision import geometry

Points = NDArray[np.float64]
Segment = tuple[tuple[float, float], tuple[float, float]]
Direction = Literal["in", "out"]

# All places are on a plan of 960 x 540; a scene of another size scales it.
PLAN = (960, 540)
DOOR_LINE: Segment = ((150.0, 390.0), (150.0, 150.0))
"""From the bottom up, so that walking from left to right over it, into the shop, is ``in``."""
SHELF_ZONE: tuple[tuple[float, float], ...] = ((420.0, 92.0), (720.0, 92.0), (720.0, 168.0), (420.0, 168.0))
TILL_ZONE: tuple[tuple[float, float], ...] = ((760.0, 380.0), (850.0, 380.0), (850.0, 500.0), (760.0, 500.0))
SLOTS = 12
"""Product slots of the watched shelf, left to right."""

_WALK = 92.0  # px a second, about 1.3 m/s from this height
_WANTS_SHELF, _BUYS, _TAKES = 0.75, 0.6, 0.8  # shares of the people
_STANDING_PX = 0.4  # who moves less in half a second stands
_STEP_S = 0.02  # paths are sampled this finely; positions in between are interpolated


@dataclass(frozen=True, slots=True)
class Crossing:
    """A person went over a line.

    Attributes:
        line: Its name.
        person: Who.
        t_s: When, seconds from the start.
        direction: ``in`` from the left to the right of one who stands at its first point and looks to the second.
    """

    line: str
    person: int
    t_s: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class Dwell:
    """A person was in a zone.

    Attributes:
        zone: Its name.
        person: Who.
        enter_s: When the person's centre came in, seconds from the start.
        leave_s: When it went out; the scene's end when it did not.
    """

    zone: str
    person: int
    enter_s: float
    leave_s: float


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way, sampled every ``_STEP_S``.

    Attributes:
        person: Counts from 0.
        start_s: When it begins, seconds.
        xy: (K, 2) float64, plan pixels.
        takes: (slot, time in seconds) of the products taken.
    """

    person: int
    start_s: float
    xy: Points
    takes: tuple[tuple[int, float], ...]

    @property
    def end_s(self) -> float:
        """When it ends, seconds."""
        return self.start_s + (len(self.xy) - 1) * _STEP_S

    def at(self, t_s: float) -> tuple[float, float, float] | None:
        """x, y and heading (radians, y down) at a time; ``None`` when the person is not in the shop."""
        place = (t_s - self.start_s) / _STEP_S
        if not 0 <= place < len(self.xy) - 1:
            return None
        low = int(place)
        x, y = self.xy[low] + (self.xy[low + 1] - self.xy[low]) * (place - low)
        step = self.xy[min(low + 12, len(self.xy) - 1)] - self.xy[max(low - 12, 0)]
        heading = float(np.arctan2(step[1], step[0])) if np.hypot(*step) > _STANDING_PX else self._rest_heading(low)
        return float(x), float(y), heading

    def moved_px(self, t_s: float) -> float:
        """Way walked until a time, plan pixels: what the swing of the arms follows."""
        place = int(np.clip((t_s - self.start_s) / _STEP_S, 0, len(self.xy) - 1))
        return float(np.hypot(*np.diff(self.xy[: place + 1], axis=0).T).sum())

    def _rest_heading(self, place: int) -> float:
        """Whoever stands in the upper half looks at the shelf, otherwise at the till."""
        return -np.pi / 2 if self.xy[place, 1] < PLAN[1] / 2 else 0.0


def make_walk(seed: int, person: int, start_s: float) -> Walk:
    """In through the door, along an aisle, perhaps a stop at the shelf and one at the till, and out again."""
    rng = np.random.default_rng([seed, 1, person])
    door_in, door_out = rng.uniform(190, 255), rng.uniform(285, 350)
    stops: list[tuple[float, float, float]] = [(-60, door_in, 0), (160, door_in, 0)]
    takes_at = None
    if rng.random() < _WANTS_SHELF:
        takes_at = float(rng.uniform(460, 680))
        stops += [(takes_at - 150, rng.uniform(205, 232), 0), (takes_at, rng.uniform(122, 150), rng.uniform(3, 9))]
        stops.append((takes_at + 40, rng.uniform(205, 232), 0))
    else:
        stops.append((rng.uniform(420, 560), rng.uniform(205, 232), 0))
    stops.append((rng.uniform(738, 748), rng.uniform(212, 232), 0))
    if rng.random() < _BUYS:
        stops.append((rng.uniform(785, 825), rng.uniform(415, 470), rng.uniform(2, 6)))
    stops += [(rng.uniform(738, 745), rng.uniform(380, 410), 0), (rng.uniform(430, 520), rng.uniform(380, 425), 0)]
    stops += [(295, rng.uniform(375, 400), 0), (160, door_out, 0), (-60, door_out, 0)]
    xy, arrivals = _path(np.array(stops), _WALK * rng.uniform(0.85, 1.2))
    takes: tuple[tuple[int, float], ...] = ()
    if takes_at is not None and rng.random() < _TAKES:
        slot = int(np.clip((takes_at - SHELF_ZONE[0][0]) / (SHELF_ZONE[1][0] - SHELF_ZONE[0][0]) * SLOTS, 0, SLOTS - 1))
        takes = ((slot, start_s + float(arrivals[3]) + 1.5),)
    return Walk(person, start_s, xy, takes)


def crossings(walk: Walk, line: str, segment: Segment) -> list[Crossing]:
    """Every time the walk's centre goes over a directed segment, plan pixels."""
    a, b = np.array(segment[0]), np.array(segment[1])
    sides, share = geometry.side(walk.xy, a, b), geometry.along(walk.xy, a, b)
    turns = np.flatnonzero((sides[:-1] > 0) != (sides[1:] > 0))
    out = []
    for place in turns:
        if 0 <= share[place] <= 1:
            part = float(sides[place] / (sides[place] - sides[place + 1]))
            direction: Direction = "in" if sides[place + 1] > 0 else "out"
            out.append(Crossing(line, walk.person, walk.start_s + (int(place) + part) * _STEP_S, direction))
    return out


def dwells(walk: Walk, zone: str, polygon: tuple[tuple[float, float], ...]) -> list[Dwell]:
    """Every stay of the walk's centre in a polygon, plan pixels."""
    within = np.concatenate([[False], geometry.inside(walk.xy, np.array(polygon)), [False]])
    edges = np.flatnonzero(within[1:] != within[:-1])
    return [
        Dwell(zone, walk.person, walk.start_s + float(first) * _STEP_S, walk.start_s + float(last) * _STEP_S)
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]


def _path(stops: Points, speed: float) -> tuple[Points, Points]:
    """A smooth way through (K, 3) stops (x, y, seconds to stand) at a speed in px/s, and the arrival times (K,)."""
    legs = np.hypot(*np.diff(stops[:, :2], axis=0).T)
    walking = legs / speed
    arrive = np.concatenate([[0.0], np.cumsum(walking + stops[:-1, 2])])
    knots_t = np.stack([arrive, arrive + stops[:, 2] + 1e-6], axis=1).ravel()
    knots = np.repeat(stops[:, :2], 2, axis=0)
    t = np.arange(0, knots_t[-1], _STEP_S)
    straight = np.stack([np.interp(t, knots_t, knots[:, 0]), np.interp(t, knots_t, knots[:, 1])], axis=1)
    # Averaging over about a second rounds corners and makes people slow down before they stand.
    half = 30
    window = np.hanning(2 * half + 1)
    padded = np.concatenate([np.repeat(straight[:1], half, axis=0), straight, np.repeat(straight[-1:], half, axis=0)])
    smooth = [np.convolve(padded[:, axis], window / window.sum(), mode="valid") for axis in (0, 1)]
    return np.stack(smooth, axis=1), arrive
