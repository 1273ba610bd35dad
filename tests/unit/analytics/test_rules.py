"""Each rule of acceptance, alone and together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgevision.analytics.measure import Measure
from edgevision.analytics.rules import FrameCount, Rule, Sighted, judge

SIZE = Measure(9.0, 4.0, 36.0)


def _seen(
    label: str = "scratch", *scores: float, start: int = 0, length_px: float = 20.0, regions: tuple[str, ...] = ()
) -> Sighted:
    size = Measure(length_px, 4.0, 4 * length_px)
    return Sighted(label, [(start + i, score) for i, score in enumerate(scores or (0.9,))], size, frozenset(regions))


def test_nothing_found_is_ok() -> None:
    assert judge([Rule()], [], 5).result == "ok"


def test_one_defect_too_many_is_ng_and_says_why() -> None:
    judgement = judge([Rule(max_count=1)], [_seen(), _seen(), _seen("hole")], 5)
    assert (judgement.result, judgement.reason) == ("ng", "2 scratch, 1 hole; 1 allowed")
    assert judgement.severity == ("ng", "ng", "ng")


def test_allowed_defects_are_minor() -> None:
    judgement = judge([Rule(max_count=1)], [_seen()], 5)
    assert (judgement.result, judgement.severity) == ("ok", ("minor",))


@pytest.mark.parametrize(
    ("score", "result", "severity"), [(0.8, "ng", "ng"), (0.5, "review", "review"), (0.2, "ok", None)]
)
def test_the_score_decides_between_ng_review_and_nothing(score: float, result: str, severity: str | None) -> None:
    judgement = judge([Rule(min_score=0.6, review_score=0.4)], [_seen("scratch", score)], 1)
    assert (judgement.result, judgement.severity) == (result, (severity,))


def test_labels_and_regions_select() -> None:
    rules = [Rule(labels=["scratch"], max_count=3), Rule(labels=["scratch"], region="pads"), Rule(labels=["hole"])]
    assert judge(rules, [_seen(), _seen()], 5).result == "ok"
    inside = judge(rules, [_seen(), _seen(regions=("pads",))], 5)
    assert (inside.result, inside.severity) == ("ng", ("minor", "ng"))
    assert inside.reason == "1 scratch in pads; 0 allowed"
    assert judge(rules, [_seen("hole")], 5).result == "ng"
    assert judge(rules, [_seen("dust")], 5).severity == (None,)


def test_small_defects_do_not_count() -> None:
    assert judge([Rule(min_length_px=21)], [_seen()], 1).result == "ok"
    assert judge([Rule(min_length_px=20)], [_seen()], 1).result == "ng"
    assert judge([Rule(min_area_px=81)], [_seen()], 1).result == "ok"
    assert judge([Rule(min_area_px=80)], [_seen()], 1).result == "ng"
    rule = Rule(min_length_mm=2.0)
    assert judge([rule], [_seen()], 1, mm_per_px=0.09).result == "ok"
    assert judge([rule], [_seen()], 1, mm_per_px=0.11).result == "ng"
    rule = Rule(min_area_mm2=0.8)
    assert judge([rule], [_seen()], 1, mm_per_px=0.09).result == "ok"
    assert judge([rule], [_seen()], 1, mm_per_px=0.11).result == "ng"


class TestFrames:
    def test_k_frames(self) -> None:
        rule = Rule(frames=FrameCount(seen=3))
        assert judge([rule], [_seen("s", 0.9, 0.9)], 10).result == "ok"
        assert judge([rule], [_seen("s", 0.9, 0.9, 0.9)], 10).result == "ng"

    def test_k_of_n_in_a_row(self) -> None:
        rule = Rule(frames=FrameCount(seen=2, of=3))
        far = Sighted("s", [(0, 0.9), (4, 0.9), (8, 0.9)], SIZE)
        near = Sighted("s", [(0, 0.9), (4, 0.9), (6, 0.9)], SIZE)
        assert judge([rule], [far], 10).result == "ok"
        assert judge([rule], [near], 10).result == "ng"

    def test_a_share_of_the_frames(self) -> None:
        rule = Rule(frames=FrameCount(share=0.5))
        assert judge([rule], [_seen("s", *[0.9] * 4)], 10).result == "ok"
        assert judge([rule], [_seen("s", *[0.9] * 5)], 10).result == "ng"

    def test_only_frames_with_the_score_count(self) -> None:
        rule = Rule(min_score=0.6, review_score=0.4, frames=FrameCount(seen=2))
        assert judge([rule], [_seen("s", 0.9, 0.5, 0.5)], 10).result == "review"
        assert judge([rule], [_seen("s", 0.9, 0.7)], 10).result == "ng"

    def test_a_strong_defect_in_too_few_frames_to_tell_is_reviewed(self) -> None:
        rule = Rule(frames=FrameCount(seen=3))
        judgement = judge([rule], [_seen("s", 0.9)], 2)
        assert (judgement.result, judgement.reason) == ("review", "uncertain: 1 s")


def test_too_few_frames_is_review_unless_a_rule_is_broken() -> None:
    assert judge([Rule()], [], 1, min_frames=2).reason == "inspected in 1 of at least 2 frames"
    assert judge([Rule()], [], 0, min_frames=1).reason == "never fully in view"
    assert judge([Rule()], [_seen()], 1, min_frames=2).result == "ng"


def test_ng_beats_review_whatever_the_order() -> None:
    uncertain, broken = Rule(labels=["a"], min_score=0.6, review_score=0.3), Rule(labels=["b"])
    defects = [_seen("a", 0.4), _seen("b", 0.9)]
    for rules in ([uncertain, broken], [broken, uncertain]):
        judgement = judge(rules, defects, 3)
        assert (judgement.result, judgement.reason, judgement.severity) == ("ng", "1 b; 0 allowed", ("review", "ng"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule(min_score=0.4, review_score=0.5), "must not be above"),
        (lambda: FrameCount(seen=4, of=3), "can never be seen"),
        (lambda: Rule(max_count=-1), "greater than or equal to 0"),
    ],
)
def test_impossible_rules_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()  # type: ignore[operator]
