"""Crashed stages are started again, within a budget."""

from __future__ import annotations

import threading

from edgevision.backoff import Backoff
from edgevision.daemon.supervisor import Budget, Stage, contained

QUICK = Backoff(first_s=0.001, cap_s=0.002)


def test_a_stage_that_returns_is_over_and_well() -> None:
    stage = Stage("a", lambda _: None)
    stage.start()
    assert stage.join(5.0)
    assert stage.health().ok


def test_a_crashed_stage_is_started_again_and_the_restart_is_reported() -> None:
    calls: list[int] = []
    restarts: list[str] = []

    def run(_: threading.Event) -> None:
        calls.append(1)
        if len(calls) < 3:
            message = "camera bug"
            raise RuntimeError(message)

    stage = Stage("a", run, backoff=QUICK, on_restart=restarts.append)
    stage.start()
    assert stage.join(5.0)
    assert len(calls) == 3
    assert restarts == ["a", "a"]
    assert stage.health().ok


def test_a_stage_beyond_its_budget_is_unhealthy_and_says_why() -> None:
    calls: list[int] = []

    def run(_: threading.Event) -> None:
        calls.append(1)
        message = "always"
        raise ValueError(message)

    stage = Stage("infer/m", run, backoff=QUICK, budget=Budget(2, 60.0), critical=True)
    stage.start()
    assert stage.join(5.0)
    assert len(calls) == 3
    health = stage.health()
    assert not health.ok
    assert health.name == "stage/infer/m"
    assert "ValueError: always" in health.detail


def test_stop_ends_the_wait_between_restarts() -> None:
    crashed = threading.Event()

    def run(_: threading.Event) -> None:
        crashed.set()
        raise OSError

    stage = Stage("a", run, backoff=Backoff(first_s=60.0, cap_s=60.0))
    stage.start()
    assert crashed.wait(5.0)
    stage.stop()
    assert stage.join(5.0)


def test_the_budget_forgets_old_crashes() -> None:
    budget = Budget(2, window_s=10.0)
    assert [budget.spend(t) for t in (0.0, 1.0, 2.0)] == [True, True, False]
    assert budget.spend(11.5)


def test_contained_turns_a_crash_into_a_line() -> None:
    assert contained("a", lambda: None) is None
    assert contained("a", lambda: int("x")) == "ValueError: invalid literal for int() with base 10: 'x'"
