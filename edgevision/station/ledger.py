"""The promise that every trigger gets exactly one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from edgevision.station.base import TriggerSignal
from edgevision.types import FrameTime, Occurrence, Part

RESTART = "restart"
TIMEOUT = "timeout"
NO_FRAME = "no frame"
ANALYSIS_FAILED = "analysis failed"
ENDED = "camera ended"
GIVEN_UP = frozenset({RESTART, TIMEOUT, NO_FRAME, ANALYSIS_FAILED, ENDED})
"""Why a trigger got a verdict without a judgement."""
PATIENCE_S = 60.0  # without a deadline, a trigger that nothing answers is given up after this
REMEMBERED = 10_000  # ids of answered triggers that are kept to recognise a repeated one


@dataclass(frozen=True, slots=True)
class _Open:
    part: Part
    time_utc: datetime
    deadline_t_s: float | None
    until_t_s: float = float("inf")


class TriggerLedger:
    """Which triggers wait for their verdict. Used by one thread.

    Args:
        deadline_s: Time from a trigger until its verdict must have been given, seconds; ``None``: no limit for the
            machine, and a minute for us.
        on_timeout: The verdict of a trigger that could not be answered in time.
    """

    def __init__(self, deadline_s: float | None, on_timeout: Literal["review", "ng"] = "review") -> None:
        self._deadline_s = deadline_s
        self._on_timeout = on_timeout
        self._open: dict[str, _Open] = {}
        self._answered: dict[str, float | None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, signal: TriggerSignal) -> bool:
        """Note a trigger; ``False`` when its id is known already, so that a repeated request does nothing."""
        if signal.id in self._open or signal.id in self._answered:
            return False
        known = signal.part or Part(signal.id)
        part = Part(**{**asdict(known), "trigger_id": signal.id})
        deadline = None if self._deadline_s is None else signal.t_s + self._deadline_s
        until = signal.t_s + PATIENCE_S if deadline is None else deadline
        self._open[signal.id] = _Open(part, signal.time_utc, deadline, until)
        return True

    def part(self, trigger_id: str) -> Part | None:
        """What is known of the part of an open trigger."""
        entry = self._open.get(trigger_id)
        return None if entry is None else entry.part

    def deadline_t_s(self, trigger_id: str) -> float | None:
        """When the verdict of a trigger, open or answered, must have been given, monotonic seconds."""
        entry = self._open.get(trigger_id)
        return self._answered.get(trigger_id) if entry is None else entry.deadline_t_s

    def answered(self, trigger_id: str) -> bool:
        """Close a trigger; ``False`` when it was not open, so that a second verdict is dropped."""
        entry = self._open.pop(trigger_id, None)
        if entry is None:
            return False
        self._answered[trigger_id] = entry.deadline_t_s
        if len(self._answered) > REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return True

    def next_deadline_t_s(self) -> float | None:
        """When the first open trigger has to be given up, monotonic seconds."""
        return min((entry.until_t_s for entry in self._open.values()), default=None)

    def overdue(self, t_s: float) -> list[str]:
        """Ids of open triggers that have to be given up at ``t_s``."""
        return [trigger_id for trigger_id, entry in self._open.items() if entry.until_t_s <= t_s]

    def give_up(self, trigger_ids: Sequence[str], reason: str) -> list[Occurrence]:
        """Verdicts for triggers that will get no better one; they are closed."""
        occurrences = []
        for trigger_id in trigger_ids:
            entry = self._open[trigger_id]
            self.answered(trigger_id)
            time = FrameTime(entry.time_utc, 0.0, "trigger")
            data = {"result": self._on_timeout, "reason": reason, "defects": [], "frames": 0}
            occurrences.append(Occurrence("defect", "verdict", time, data, key=entry.part.id, part=entry.part))
        return occurrences

    def all_open(self) -> list[str]:
        """Ids of all open triggers, oldest first."""
        return list(self._open)

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, JSON-able. Deadlines are not in it: they mean nothing after a restart."""
        opened = [
            {"part": {key: value for key, value in asdict(entry.part).items() if value is not None},
             "time_utc": entry.time_utc.isoformat()}
            for entry in self._open.values()
        ]  # fmt: skip
        return {"open": opened, "answered": list(self._answered)[-200:]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what an earlier process left open."""
        self._answered = dict.fromkeys(state["answered"])
        for item in state["open"]:
            part = Part(**item["part"])
            self._open[str(part.trigger_id)] = _Open(part, datetime.fromisoformat(item["time_utc"]), None)
