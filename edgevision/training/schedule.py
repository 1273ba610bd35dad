"""Learning-rate schedules: the share of the first rate that is left after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from edgevision.config.settings import Settings

Share = Annotated[float, Field(gt=0, le=1)]
Schedule = Callable[[float], float]


class ScheduleSettings(Settings):
    """How the learning rate falls."""

    kind: Literal["linear", "cosine", "step", "exponential", "time"] = "cosine"
    """``cosine`` suits most; ``linear`` keeps learning longest; ``step`` when you know where losses flatten;
    ``exponential`` and ``time`` (1 / (1 + k epoch)) fall early, for short fine-tuning of good weights."""
    final_share: Share = 0.02
    """What is left of the rate at the end; ``step`` ends where its steps lead."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the rate rises from zero; fractions allowed."""
    step_epochs: Annotated[int, Field(ge=1)] = 30
    """``step``: so many epochs from one step to the next."""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """``step``: what the rate is multiplied by."""


def schedule(settings: ScheduleSettings, epochs: int) -> Schedule:
    """The share of the first rate as a function of the epochs done, counted from 0.

    Args:
        settings: Which curve.
        epochs: How many there will be; at this number ``final_share`` is reached.
    """
    final = settings.final_share

    def done(epoch: float) -> float:
        return min(1.0, epoch / max(1, epochs))

    curves: dict[str, Schedule] = {
        "linear": lambda epoch: 1 - (1 - final) * done(epoch),
        "cosine": lambda epoch: final + (1 - final) * (1 + math.cos(math.pi * done(epoch))) / 2,
        "step": lambda epoch: settings.step_factor ** int(epoch // settings.step_epochs),
        "exponential": lambda epoch: final ** done(epoch),
        "time": lambda epoch: 1 / (1 + (1 / final - 1) * done(epoch)),
    }
    return curves[settings.kind]
