"""Zones: who entered, who left, and how long they stayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.clock import ROUNDING_S
from edgevision.analytics.lines import ANCHORS
from edgevision.analytics.table import Field as RecordField
from edgevision.analytics.table import Records
from edgevision.config.settings import Name, RelativePoint, Seconds, Settings
from edgevision.geometry import Anchor, Points, Polygons, polygon_problem
from edgevision.types import IntArray

Action = Literal["entered", "left"]
_EDGE = 1e-9  # a box that ends at the picture's edge is inside a zone that ends there too


class ZoneSettings(Settings):
    """A polygon in which the anchor of a box must lie."""

    polygon: Annotated[list[RelativePoint], Field(min_length=3, max_length=100)]
    """Corners [x, y] in shares of the picture, 0..1, in order; edges must not cross."""
    anchor: Anchor = "feet"
    """The point of the box that must lie inside: bottom centre, centre or top centre."""
    labels: list[str] = []
    """Class names that count; all when empty."""
    min_stay_s: Seconds = 0.5
    """How long an object must be inside before it has entered, seconds; its stay counts from the first moment."""
    min_away_s: Seconds = 1.0
    """How long it must be outside before it has left, seconds; its stay ends at the first moment outside."""

    @field_validator("polygon", mode="after")
    @classmethod
    def _sound(cls, polygon: list[RelativePoint]) -> list[RelativePoint]:
        problem = polygon_problem(np.array(polygon, np.float64))
        if problem:
            raise ValueError(problem)
        return polygon


ZoneTable = dict[Name, ZoneSettings]


@dataclass(frozen=True, slots=True)
class Passage:
    """Row ``row`` of the given records entered or left zone ``zone``; ``dwell_s`` when it left."""

    row: int
    zone: int
    action: Action
    dwell_s: float | None = None


class Zones:
    """All zones of one camera.

    Args:
        settings: Zones by name.
        context: Camera and class names.

    Raises:
        ConfigError: Unknown class names.
    """

    def __init__(self, settings: Mapping[str, ZoneSettings], context: AnalysisContext) -> None:
        zones = list(settings.values())
        self.names = list(settings)
        self._inside = Polygons([np.array(zone.polygon, np.float64) for zone in zones])
        self._anchor = np.array([ANCHORS.index(zone.anchor) for zone in zones], np.int64)
        self._stay_s = np.array([zone.min_stay_s for zone in zones])
        self._away_s = np.array([zone.min_away_s for zone in zones])
        self._wanted = np.array(
            [context.wanted(zone.labels, f"zones.{name}.labels") for name, zone in settings.items()],
            np.bool_,
        ).reshape(len(zones), len(context.classes))

    def fields(self) -> list[RecordField]:
        """What has to be remembered of every track."""
        shape = (len(self.names),)
        return [
            ("within", "?", shape),  # it has entered and not left
            (
                "doubt",
                "?",
                shape,
            ),  # it has been on the other side of the border since ...
            ("doubt_s", "f8", shape),  # ... then
            ("entered_s", "f8", shape),
        ]

    def update(self, records: Records, label: IntArray, relative: Points, now_s: float) -> list[Passage]:
        """Judge one frame; ``records`` are written to.

        Args:
            records: (N,) what is remembered of the frame's tracks.
            label: (N,) labels.
            relative: (N, 3, 2) feet, centre and head in shares of the picture.
            now_s: Time of the frame, seconds.
        """
        points = np.minimum(np.maximum(relative[:, self._anchor], 0.0), 1.0 - _EDGE)
        here = self._inside(points) & self._wanted[:, label].T
        differs = here != records["within"]
        if not differs.any():
            records["doubt"] = False
            return []
        records["doubt_s"] = np.where(differs & ~records["doubt"], now_s, records["doubt_s"])
        records["doubt"] = differs
        due = differs & (now_s - records["doubt_s"] >= np.where(here, self._stay_s, self._away_s) - ROUNDING_S)
        return [self._pass(records, int(row), int(zone)) for row, zone in np.argwhere(due)]

    @staticmethod
    def _pass(records: Records, row: int, zone: int) -> Passage:
        since = float(records["doubt_s"][row, zone])
        entering = not records["within"][row, zone]
        records["within"][row, zone] = entering
        records["doubt"][row, zone] = False
        if entering:
            records["entered_s"][row, zone] = since
            return Passage(row, zone, "entered")
        return Passage(row, zone, "left", since - float(records["entered_s"][row, zone]))

    @staticmethod
    def leave(gone: Records) -> list[Passage]:
        """Tracks that will not be seen again leave where they still are, at their last sighting."""
        passages = []
        for row, zone in np.argwhere(gone["within"]):
            end = gone["doubt_s"][row, zone] if gone["doubt"][row, zone] else gone["seen"][row]
            passages.append(
                Passage(
                    int(row),
                    int(zone),
                    "left",
                    float(end - gone["entered_s"][row, zone]),
                )
            )
        return passages

    @staticmethod
    def occupancy(records: Records) -> NDArray[np.int64]:
        """(zones,) how many are inside now."""
        out: NDArray[np.int64] = records["within"].sum(axis=0)
        return out
