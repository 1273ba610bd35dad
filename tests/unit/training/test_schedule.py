"""Rates fall from 1 to where they should, each in its own way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pydantic import ValidationError

from edgevision.training.schedule import ScheduleSettings, schedule

EPOCHS = 40


@pytest.mark.parametrize("kind", ["linear", "cosine", "exponential", "time"])
def test_it_begins_at_the_whole_rate_falls_all_the_time_and_ends_at_its_share(kind: str) -> None:
    shares = schedule(ScheduleSettings(kind=kind, final_share=0.05), EPOCHS)  # type: ignore[arg-type]
    values = [shares(epoch) for epoch in range(EPOCHS + 1)]
    assert values[0] == pytest.approx(1)
    assert values[-1] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in pairwise(values))
    assert shares(EPOCHS + 5) == pytest.approx(0.05), "after the end it stays"


def test_curves_are_what_they_are_called() -> None:
    def half(kind: str) -> float:
        return schedule(ScheduleSettings(kind=kind, final_share=0.01), EPOCHS)(EPOCHS / 2)  # type: ignore[arg-type]

    assert half("linear") == pytest.approx(0.505)
    assert half("cosine") == pytest.approx(0.505)
    assert half("exponential") == pytest.approx(0.1)
    assert half("time") == pytest.approx(1 / (1 + 99 / 2))


def test_steps_go_down_every_so_many_epochs() -> None:
    shares = schedule(ScheduleSettings(kind="step", step_epochs=10, step_factor=0.5), EPOCHS)
    assert [shares(epoch) for epoch in (0, 9, 10, 19, 20, 39)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="final_share"):
        ScheduleSettings(final_share=0)
