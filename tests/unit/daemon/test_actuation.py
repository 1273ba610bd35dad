"""Verdicts reach the machine in order, in time or not at all."""

from __future__ import annotations

import threading
import time

from edgevision.daemon.actuation import Actuation
from edgevision.daemon.metrics import Metrics
from edgevision.errors import StationError
from edgevision.station.base import Verdict
from edgevision.station.plc import FakePlc
from edgevision.types import Part


class BrokenMachine:
    def act(self, verdict: Verdict) -> None:
        message = f"no {verdict.part.id}"
        raise StationError(message)

    def close(self) -> None:
        pass


def outcome(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value("edgevision_actuations_total", {"camera": "c", "outcome": name}) or 0.0


def run_to_end(actuation: Actuation) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=actuation.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_what_was_given_before_the_stop_is_acted_on_and_the_late_one_is_not() -> None:
    plc, metrics = FakePlc(), Metrics()
    actuation = Actuation("c", plc, metrics)
    now = time.monotonic()
    for name, deadline in (("a", None), ("late", now - 0.001), ("b", now + 60)):
        actuation.give(Verdict(Part(name), "ok", "", deadline, {}))
    run_to_end(actuation)
    assert [action.verdict.part.id for action in plc.actions] == ["a", "b"]
    assert (outcome(metrics, "done"), outcome(metrics, "too_late")) == (2.0, 1.0)


def test_a_machine_that_refuses_is_counted_and_the_next_verdict_is_tried() -> None:
    metrics = Metrics()
    actuation = Actuation("c", BrokenMachine(), metrics)
    for name in "ab":
        actuation.give(Verdict(Part(name), "ng", "", None, {}))
    run_to_end(actuation)
    assert outcome(metrics, "failed") == 2.0
