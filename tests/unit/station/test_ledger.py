"""Every trigger gets exactly one verdict."""

from __future__ import annotations

from datetime import datetime, timezone

from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import TriggerLedger
from edgevision.types import Part

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def signal(name: str, t_s: float = 0.0, part: Part | None = None) -> TriggerSignal:
    return TriggerSignal(name, NOON, t_s, part)


def test_a_repeated_trigger_is_recognised_while_open_and_after_its_verdict() -> None:
    ledger = TriggerLedger(deadline_s=1.0)
    assert ledger.opened(signal("a"))
    assert not ledger.opened(signal("a"))
    assert ledger.answered("a")
    assert not ledger.opened(signal("a"))
    assert not ledger.answered("a")


def test_what_is_known_of_the_part_is_kept_and_gets_the_triggers_id() -> None:
    ledger = TriggerLedger(deadline_s=None)
    ledger.opened(signal("a", part=Part("p1", serial="S9")))
    assert ledger.part("a") == Part("p1", serial="S9", trigger_id="a")
    ledger.opened(signal("b"))
    assert ledger.part("b") == Part("b", trigger_id="b")


def test_overdue_triggers_get_the_configured_verdict_once() -> None:
    ledger = TriggerLedger(deadline_s=0.5, on_timeout="ng")
    ledger.opened(signal("a", t_s=10.0))
    ledger.opened(signal("b", t_s=10.2))
    assert ledger.next_deadline_t_s() == 10.5
    assert ledger.overdue(10.4) == []
    assert ledger.overdue(10.6) == ["a"]
    (verdict,) = ledger.give_up(ledger.overdue(10.6), "timeout")
    assert verdict.data["result"] == "ng"
    assert verdict.data["reason"] == "timeout"
    assert verdict.key == "a"
    assert verdict.time.time_utc == NOON
    assert ledger.overdue(10.6) == []
    assert len(ledger) == 1


def test_the_deadline_of_an_answered_trigger_is_still_known() -> None:
    ledger = TriggerLedger(deadline_s=0.5)
    ledger.opened(signal("a", t_s=1.0))
    ledger.answered("a")
    assert ledger.deadline_t_s("a") == 1.5
    assert ledger.deadline_t_s("unknown") is None


def test_after_a_restart_open_triggers_are_open_and_never_overdue_by_the_old_clock() -> None:
    ledger = TriggerLedger(deadline_s=0.5)
    ledger.opened(signal("a", t_s=1.0, part=Part("p", lot="L")))
    ledger.opened(signal("b", t_s=1.0))
    ledger.answered("b")
    again = TriggerLedger(deadline_s=0.5)
    again.restore(ledger.state())
    assert again.all_open() == ["a"]
    assert again.overdue(1e9) == []
    assert not again.opened(signal("b"))
    (verdict,) = again.give_up(again.all_open(), "restart")
    assert verdict.part == Part("p", lot="L", trigger_id="a")
