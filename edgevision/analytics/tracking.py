"""Ids that last over frames: a vectorised ByteTrack, and a tracker that does not track.

Method: Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (arXiv:2110.06864),
with time in seconds instead of frames, and a last association with enlarged boxes for low frame rates (Yang et al.
2023, "C-BIoU", arXiv:2211.14317).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from edgevision.analytics import kalman
from edgevision.analytics.assignment import Pairs, assign
from edgevision.analytics.base import State
from edgevision.analytics.table import Records, dump, gather, join, load, scatter
from edgevision.config.settings import PositiveSeconds, Settings, Unit
from edgevision.geometry import overlapping
from edgevision.types import BoolArray, Detections, FloatArray, IntArray, Tracks

_DTYPE: np.dtype[np.void] = np.dtype(
    [
        ("id", "i8"),  # 0: tentative
        ("label", "i8"),
        ("hits", "i8"),
        ("unseen", "f8"),  # seconds since it was last matched
        ("mean", "f8", (2, 4)),
        ("cov", "f8", (3, 4)),
    ]
)
_NONE: IntArray = np.zeros(0, np.int64)
RECENT_S = 0.5  # so long unseen, a track may still be matched with a weak detection


class ByteTrackSettings(Settings):
    """Follows objects by the overlap of their boxes with where they are expected."""

    kind: Literal["bytetrack"] = "bytetrack"
    high_score: Unit = 0.5
    """Detections from here on are matched first, 0..1."""
    low_score: Unit = 0.1
    """Detections from here on may continue a track that is in view, 0..1."""
    new_score: Unit = 0.6
    """Detections from here on may start a track, 0..1."""
    min_iou: Unit = 0.2
    """Least overlap of a strong detection with the expected box, intersection over union, 0..1."""
    min_iou_low: Unit = 0.3
    """The same for a weak detection, 0..1."""
    enlarge: Annotated[float, Field(ge=0, le=2)] = 0.4
    """What is left is compared once more with boxes this share of their size larger on each side; 0 switches it off."""
    min_hits: Annotated[int, Field(ge=1, le=100)] = 2
    """Matches in a row before a track gets an id."""
    lost_s: PositiveSeconds = 2.0
    """How long a track that is not seen can come back, seconds."""
    max_tracks: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Bound on the tracks in memory; the longest unseen go first."""

    @model_validator(mode="after")
    def _ordered(self) -> ByteTrackSettings:
        if not self.low_score <= self.high_score <= self.new_score:
            msg = (
                f"scores must rise: low_score {self.low_score} <= high_score {self.high_score}"
                f" <= new_score {self.new_score}"
            )
            raise ValueError(msg)
        return self


class _Match:
    """Who has found whom so far, over several rounds.

    Attributes:
        partner: (N,) detection of each track, -1: none.
        free: (M,) which detections nobody has.
    """

    def __init__(self, tracks: int, detections: int) -> None:
        self.partner: IntArray = np.full(tracks, -1, np.int64)
        self.free: BoolArray = np.ones(detections, np.bool_)

    def take(self, pairs: Pairs, least: float, rows: BoolArray, cols: BoolArray) -> None:
        """One round: pairs worth more than ``least`` among the tracks ``rows`` and detections ``cols`` still free."""
        open_rows, open_cols = rows & (self.partner < 0), cols & self.free
        pairs = pairs.where((pairs.value > least) & open_rows[pairs.row] & open_cols[pairs.col])
        if len(pairs.row):
            found = assign(pairs)
            self.partner[found.row] = found.col
            self.free[found.col] = False


class ByteTrack:
    """Gives detections of one camera ids from 1; an id is given when a track is confirmed.

    Args:
        settings: Thresholds.
    """

    Settings = ByteTrackSettings

    def __init__(self, settings: ByteTrackSettings) -> None:
        self._set = settings
        self._tracks: Records = np.zeros(0, _DTYPE)
        self._next_id = 1
        self._t_s: float | None = None
        self._finished: IntArray = np.zeros(0, np.int64)
        self._source: IntArray = np.zeros(0, np.int64)  # detection of each track in this frame, -1: none

    @property
    def finished(self) -> IntArray:
        """Ids that the last ``update`` gave up: they will never come back."""
        return self._finished

    def update(self, detections: Detections, t_s: float) -> Tracks:
        """Tracks seen in this frame.

        Args:
            detections: All detections of the frame, weak ones too.
            t_s: The frame's monotonic time, seconds; a step back counts as no time passed.
        """
        self._predict(t_s)
        seen_rows, seen_dets = self._associate(detections)
        self._correct(seen_rows, detections, seen_dets)
        self._drop_unconfirmed(seen_rows)
        self._start(detections, seen_dets)
        if len(self._tracks) > self._set.max_tracks:
            self._shed()
        ids = self._tracks["id"]
        rows = ((self._source >= 0) & (ids > 0)).nonzero()[0]
        dets = self._source[rows]
        return Tracks(detections.xyxy[dets], detections.score[dets], detections.label[dets], ids[rows])

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        return {
            "tracks": dump(self._tracks),
            "next_id": self._next_id,
            "t_s": self._t_s,
        }

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        self._tracks = load(_DTYPE, state["tracks"])
        self._next_id = state["next_id"]
        self._t_s = state["t_s"]

    def _predict(self, t_s: float) -> None:
        dt_s = 0.0 if self._t_s is None else max(0.0, t_s - self._t_s)
        self._t_s = t_s
        tracks = self._tracks
        tracks["unseen"] += dt_s
        gone = tracks["unseen"] > self._set.lost_s
        if gone.any():
            self._finished = tracks["id"][gone & (tracks["id"] > 0)].copy()
            self._tracks = tracks = gather(tracks, ~gone)
        else:
            self._finished = np.zeros(0, np.int64)
        if dt_s > 0 and len(tracks):
            tracks["mean"], tracks["cov"] = kalman.predict(tracks["mean"], tracks["cov"], dt_s)

    def _associate(self, detections: Detections) -> tuple[IntArray, IntArray]:
        """Rows of tracks and of detections that belong together."""
        tracks, settings = self._tracks, self._set
        if not len(tracks) or not len(detections):
            return _NONE, _NONE
        near = self._of_one_class(overlapping(kalman.to_xyxy(tracks["mean"][:, 0]), detections.xyxy), detections)
        match = _Match(len(tracks), len(detections))
        confirmed, strong = tracks["id"] > 0, detections.score >= settings.high_score
        match.take(near, settings.min_iou, confirmed, strong)
        if match.free.any():
            if not strong.all():
                weak = ~strong & (detections.score >= settings.low_score)
                match.take(near, settings.min_iou_low, confirmed & (tracks["unseen"] <= RECENT_S), weak)
            self._take_enlarged(match, detections, confirmed, strong)
            if not confirmed.all():
                match.take(near, settings.min_iou, ~confirmed, strong)
                self._take_enlarged(match, detections, ~confirmed, strong)
        rows = (match.partner >= 0).nonzero()[0]
        return rows, match.partner[rows]

    def _of_one_class(self, found: tuple[IntArray, IntArray, FloatArray], detections: Detections) -> Pairs:
        pairs = Pairs(*found)
        return pairs.where(self._tracks["label"][pairs.row] == detections.label[pairs.col])

    def _take_enlarged(self, match: _Match, detections: Detections, rows: BoolArray, cols: BoolArray) -> None:
        """Match by enlarged boxes what is still free, since it moved further than its own size."""
        r, c = (rows & (match.partner < 0)).nonzero()[0], (cols & match.free).nonzero()[0]
        if not self._set.enlarge or not len(r) or not len(c):
            return
        grow = np.array([1.0, 1.0, 1 + 2 * self._set.enlarge, 1 + 2 * self._set.enlarge])
        expected = kalman.to_xyxy(self._tracks["mean"][r, 0] * grow)
        row, col, value = overlapping(expected, kalman.to_xyxy(kalman.to_axes(detections.xyxy[c]) * grow))
        match.take(self._of_one_class((r[row], c[col], value), detections), self._set.min_iou, rows, cols)

    def _correct(self, rows: IntArray, detections: Detections, dets: IntArray) -> None:
        tracks = self._tracks
        self._source = np.full(len(tracks), -1, np.int64)
        if not len(rows):
            return
        measured = kalman.to_axes(detections.xyxy[dets])
        seen = gather(tracks, rows)
        seen["mean"], seen["cov"] = kalman.correct(seen["mean"], seen["cov"], measured)
        seen["unseen"] = 0.0
        seen["hits"] += 1
        scatter(tracks, rows, seen)
        self._source[rows] = dets
        self._confirm()

    def _confirm(self) -> None:
        tracks = self._tracks
        rows = ((tracks["id"] == 0) & (tracks["hits"] >= self._set.min_hits)).nonzero()[0]
        if len(rows):
            tracks["id"][rows] = np.arange(self._next_id, self._next_id + len(rows))
            self._next_id += len(rows)

    def _drop_unconfirmed(self, seen_rows: IntArray) -> None:
        keep = self._tracks["id"] > 0
        if keep.all():
            return
        keep[seen_rows] = True
        self._tracks, self._source = gather(self._tracks, keep), self._source[keep]

    def _start(self, detections: Detections, used: IntArray) -> None:
        fresh = detections.score >= self._set.new_score
        fresh[used] = False
        dets = fresh.nonzero()[0]
        if not len(dets):
            return
        added = np.zeros(len(dets), _DTYPE)
        added["label"] = detections.label[dets]
        added["hits"] = 1
        added["mean"], added["cov"] = kalman.start(kalman.to_axes(detections.xyxy[dets]))
        self._tracks = join(self._tracks, added)
        self._source = np.concatenate([self._source, dets])
        self._confirm()

    def _shed(self) -> None:
        keep = np.sort(np.argsort(self._tracks["unseen"], kind="stable")[: self._set.max_tracks])
        lost = np.setdiff1d(self._tracks["id"], self._tracks["id"][keep])
        self._finished = np.concatenate([self._finished, lost[lost > 0]])
        self._tracks, self._source = gather(self._tracks, keep), self._source[keep]


class UntrackedSettings(Settings):
    """Every detection is new; right for inspection, which follows parts itself and wants every single sighting."""

    kind: Literal["none"] = "none"


class Untracked:
    """Gives every detection an id of its own.

    Args:
        settings: Nothing to set.
    """

    Settings = UntrackedSettings

    def __init__(self, settings: UntrackedSettings) -> None:
        del settings
        self._next_id = 1

    def update(self, detections: Detections, t_s: float) -> Tracks:
        """All detections."""
        del t_s
        ids = np.arange(self._next_id, self._next_id + len(detections), dtype=np.int64)
        self._next_id += len(detections)
        return Tracks(detections.xyxy, detections.score, detections.label, ids)

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        return {"next_id": self._next_id}

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        self._next_id = state["next_id"]
