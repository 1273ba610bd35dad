"""One camera's loop: detections in, occurrences out. No threads, no clock, no I/O."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from edgevision.analytics.base import Analysis, Tracker
from edgevision.daemon.supervisor import Budget, contained
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import ANALYSIS_FAILED, TIMEOUT, TriggerLedger
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Position, Tracks


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a stored state still holds. Open triggers always do.

    Attributes:
        source: Whether the position holds.
        tracker: Whether the tracks hold.
        analyses: Place of each analysis that goes on, and its place in the stored state.
    """

    source: bool
    tracker: bool
    analyses: Mapping[int, int]

    def readable(self, state: Mapping[str, Any], tracker: Tracker, analyses: Sequence[Analysis]) -> Kept:
        """What of it can be read: another version may have written it, or another plugin of the same name.

        Args:
            state: What a pipeline told.
            tracker: One to try it on; it is of no use afterwards.
            analyses: The same.
        """
        if not self.tracker or contained("restore/tracker", lambda: tracker.restore(state["tracker"])) is not None:
            return dataclasses.replace(self, tracker=False, analyses={})
        read = [
            new
            for new, old in self.analyses.items()
            if contained("restore/analysis", lambda new=new, old=old: analyses[new].restore(state["analyses"][old]))  # type: ignore[misc]
            is None
        ]
        return dataclasses.replace(self, analyses={new: self.analyses[new] for new in read})


@dataclass(slots=True)
class _Slot:
    """An analysis, maybe a foreign one, which may crash: it pays for that, its neighbours do not.

    Attributes:
        foreign: Whether what it says has to be checked.
        broken: Why it is asked no more; empty while it is.
        stored: The last state it told.
    """

    analysis: Any
    name: str
    foreign: bool = False
    budget: Budget = field(default_factory=Budget)
    broken: str = ""
    stored: dict[str, Any] = field(default_factory=dict)

    @property
    def judges(self) -> bool:
        return bool(getattr(self.analysis, "judges", False))


def _slot(camera: str, analysis: Analysis) -> _Slot:
    kind = type(analysis)
    return _Slot(analysis, f"{camera}/{kind.__name__.lower()}", foreign=not kind.__module__.startswith("edgevision."))


class CameraPipeline:
    """Tracker, analyses and open triggers of one camera. Used by one thread.

    An analysis that crashes loses what it would have said of that frame; when it goes on crashing (more often than a
    ``Budget`` in the camera's time allows) it is asked no more. The others go on.

    Args:
        camera: Name of the camera.
        tracker: Gives detections lasting ids.
        analyses: What looks at the tracks, in order.
        ledger: Open triggers; ``None`` for a camera that runs free.
        on_crash: Hears of each crash of an analysis.
        check: Raises for an occurrence that cannot become an event; asked about those of foreign analyses.
    """

    def __init__(
        self,
        camera: str,
        tracker: Tracker,
        analyses: Sequence[Analysis],
        ledger: TriggerLedger | None = None,
        *,
        on_crash: Callable[[], None] = lambda: None,
        check: Callable[[Occurrence], object] = lambda _: None,
    ) -> None:
        self.camera = camera
        self.ledger = ledger
        self._tracker = tracker
        self._tracking = _Slot(tracker, f"{camera}/tracker")
        self._slots = [_slot(camera, item) for item in analyses]
        self._on_crash = on_crash
        self._check = check
        self._last: FrameTime | None = None
        self._next_position: Position | None = None

    @property
    def position(self) -> Position | None:
        """Where a file source stands after the last frame; ``None`` before the first and for live sources."""
        return self._next_position

    @property
    def broken(self) -> str:
        """Which analyses are asked no more, and why; empty while all are well."""
        return "; ".join(slot.broken for slot in self._slots if slot.broken)

    @property
    def dead(self) -> bool:
        """Whether no analysis is left of those there were."""
        return bool(self._slots) and all(slot.broken for slot in self._slots)

    def begin(self, time_utc: datetime) -> None:
        """A live camera is watched from ``time_utc`` on, whether or not a frame comes: its intervals begin now."""
        last = self._last
        if last is None:
            self._last = FrameTime(time_utc, 0.0)
        else:
            away_s = max(0.0, (time_utc - last.time_utc).total_seconds())
            self._last = dataclasses.replace(last, time_utc=time_utc, t_s=last.t_s + away_s)

    def step(self, frame: Frame, detections: Detections) -> list[Occurrence]:
        """One frame with what was detected in it."""
        tracks: list[Tracks] = []
        t_s = frame.time.t_s
        self._guard(self._tracking, lambda: tracks.append(self._tracker.update(detections, t_s)), t_s)
        if self._tracking.broken:
            for slot in self._slots:
                slot.broken = slot.broken or self._tracking.broken
        occurrences, crashed = (
            self._ask(lambda analysis: analysis.update(frame, tracks[0]), t_s) if tracks else ([], [])
        )
        self._last = frame.time
        self._next_position = frame.position
        occurrences = self._settled(occurrences)
        lost = not tracks or self._mute() or any(slot.judges for slot in crashed)
        if frame.trigger_id is not None and lost:
            occurrences += self.give_up(ANALYSIS_FAILED, frame.trigger_id)
        return occurrences

    def advance(self, elapsed_s: float) -> list[Occurrence]:
        """``elapsed_s`` seconds have passed since ``begin`` or the last frame; nothing happens before either."""
        if self._last is None:
            return []
        time_utc, t_s = self._after_last(elapsed_s)
        return self._settled(self._ask(lambda analysis: analysis.advance(time_utc, t_s), t_s)[0])

    def finish(self) -> list[Occurrence]:
        """The source has ended for good: what is still open is closed."""
        if self._last is None:
            return []
        time_utc, t_s = self._after_last(0.0)
        return self._settled(self._ask(lambda analysis: analysis.finish(time_utc, t_s), t_s)[0])

    def opened(self, signal: TriggerSignal) -> bool:
        """A trigger fired; ``False`` when it is known already or the camera has none."""
        return self.ledger is not None and self.ledger.opened(signal)

    def is_overdue(self, t_s: float) -> bool:
        """Whether ``overdue`` would say something."""
        return self.ledger is not None and bool(self.ledger.overdue(t_s))

    def overdue(self, t_s: float) -> list[Occurrence]:
        """Verdicts of the triggers whose deadline is reached at ``t_s`` (the daemon's monotonic clock, seconds)."""
        return [] if self.ledger is None else self.ledger.give_up(self.ledger.overdue(t_s), TIMEOUT)

    def give_up(self, reason: str, trigger_id: str | None = None) -> list[Occurrence]:
        """Verdicts for every open trigger, or for one if it is still open."""
        if self.ledger is None:
            return []
        chosen = [item for item in self.ledger.all_open() if trigger_id in {None, item}]
        return self.ledger.give_up(chosen, reason)

    def unanswerable(self) -> list[Occurrence]:
        """Verdicts for the open triggers when what would judge them is asked no more."""
        return self.give_up(ANALYSIS_FAILED) if self._mute() else []

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, JSON-able. Of a broken analysis it is the state that it told last."""
        last = self._last
        for slot in self._slots:
            if not slot.broken:
                self._guard(slot, lambda slot=slot: self._remember(slot))  # type: ignore[misc]
        return {
            "tracker": self._tracker.state(),
            "analyses": [slot.stored for slot in self._slots],
            "names": [slot.name for slot in self._slots],
            "ledger": None if self.ledger is None else self.ledger.state(),
            "last": None if last is None else [last.time_utc.isoformat(), last.t_s, last.source, last.uncertainty_ms],
        }

    def restore(self, state: Mapping[str, Any], kept: Kept, position: Position | None) -> None:
        """Go on from an earlier ``state()``.

        Args:
            state: What a pipeline of this camera told.
            kept: What of it still holds. Open triggers always do: they are owed a verdict whatever has changed.
            position: Where a file source goes on.
        """
        self._next_position = position
        if self.ledger is not None and state["ledger"] is not None:
            self.ledger.restore(state["ledger"])
        if kept.tracker:
            self._tracker.restore(state["tracker"])
        for place, slot in enumerate(self._slots):
            if place in kept.analyses:
                slot.analysis.restore(state["analyses"][kept.analyses[place]])
            elif hasattr(slot.analysis, "inherit"):
                alike = [old for old, name in enumerate(state["names"]) if name == slot.name]
                for old in [place] if place in alike else alike[:1]:
                    contained(
                        f"inherit/{slot.name}",
                        lambda slot=slot, old=old: slot.analysis.inherit(state["analyses"][old]),  # type: ignore[misc]
                    )
        if kept.tracker and state["last"] is not None:
            time_utc, t_s, source, uncertainty_ms = state["last"]
            self._last = FrameTime(datetime.fromisoformat(time_utc), t_s, source, uncertainty_ms)

    def _ask(self, ask: Callable[[Analysis], Sequence[Occurrence]], t_s: float) -> tuple[list[Occurrence], list[_Slot]]:
        """What the analyses say, and which of them crashed."""
        occurrences: list[Occurrence] = []
        crashed = []
        for slot in self._slots:
            if slot.broken:
                continue
            said: list[Occurrence] = []
            if self._guard(slot, lambda slot=slot, said=said: said.extend(self._heard(slot, ask)), t_s):  # type: ignore[misc]
                occurrences += said
            else:
                crashed.append(slot)
        return occurrences, crashed

    def _heard(self, slot: _Slot, ask: Callable[[Analysis], Sequence[Occurrence]]) -> Sequence[Occurrence]:
        said = ask(slot.analysis)
        for occurrence in said if slot.foreign else ():
            self._check(occurrence)
        return said

    def _guard(self, slot: _Slot, work: Callable[[], None], t_s: float | None = None) -> bool:
        error = contained(f"analysis/{slot.name}", work)
        if error is None:
            return True
        self._on_crash()
        if not slot.budget.spend((self._last.t_s if self._last is not None else 0.0) if t_s is None else t_s):
            slot.broken = f"{slot.name} crashes: {error}"
        return False

    @staticmethod
    def _remember(slot: _Slot) -> None:
        state = slot.analysis.state()
        if slot.foreign:
            json.dumps(state)  # what cannot be stored must not stop the others from being stored
        slot.stored = state

    def _mute(self) -> bool:
        """Whether nothing is left that could answer a trigger."""
        judges = [slot for slot in self._slots if slot.judges]
        return bool(judges) and all(slot.broken for slot in judges)

    def _after_last(self, elapsed_s: float) -> tuple[datetime, float]:
        last = self._last
        assert last is not None  # noqa: S101 - the callers have looked
        return last.time_utc + timedelta(seconds=elapsed_s), last.t_s + elapsed_s

    def _settled(self, occurrences: list[Occurrence]) -> list[Occurrence]:
        """Verdicts close their triggers and carry what is known of the part; a second one is dropped."""
        if self.ledger is None:
            return occurrences
        triggers = {item.part.trigger_id for item in occurrences if item.part is not None and item.part.trigger_id}
        parts = {trigger_id: part for trigger_id in triggers if (part := self.ledger.part(trigger_id)) is not None}
        kept = []
        for occurrence in occurrences:
            trigger_id = occurrence.part.trigger_id if occurrence.part is not None else None
            if trigger_id is None:
                kept.append(occurrence)
            elif trigger_id in parts and (occurrence.name != "verdict" or self.ledger.answered(trigger_id)):
                part = parts[trigger_id]
                kept.append(dataclasses.replace(occurrence, part=part, key=part.id if occurrence.key else None))
        return kept
