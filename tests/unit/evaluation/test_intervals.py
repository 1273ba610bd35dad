"""Exact intervals and the answers to claims."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from edgevision.evaluation.intervals import (
    Rate,
    judge_claim,
    lower_bound,
    needed,
    needed_pairs,
    net_loss_bound,
    net_loss_shown,
    percent,
    two_sided,
    upper_bound,
)


def test_no_escape_in_30_parts_shows_less_than_nine_and_a_half_percent() -> None:
    assert upper_bound(0, 30) == pytest.approx(0.095, abs=5e-4)
    assert percent(upper_bound(0, 30)) == "9.5 %"


@pytest.mark.parametrize(("claimed", "parts"), [(0.01, 299), (0.001, 2995), (0.05, 59)])
def test_the_rule_of_zero_failures(claimed: float, parts: int) -> None:
    assert needed(claimed) == parts
    assert upper_bound(0, parts) < claimed <= upper_bound(0, parts - 1)


def test_a_failure_asks_for_more_parts() -> None:
    assert needed(0.01, 1) == 473
    assert needed(0.01, 0) < needed(0.01, 1) < needed(0.01, 2)


def test_known_interval() -> None:
    # Clopper and Pearson's own chart, and any table: 8 of 20
    assert two_sided(8, 20) == pytest.approx((0.1912, 0.6395), abs=1e-4)
    assert two_sided(0, 0) == (0.0, 1.0)
    assert two_sided(5, 5)[1] == 1.0


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_are_where_the_binomial_tail_is_five_percent(counted: tuple[int, int]) -> None:
    count, total = counted
    if count < total:
        assert binom.cdf(count, total, upper_bound(count, total)) == pytest.approx(0.05, rel=1e-6)
    if count:
        assert binom.sf(count - 1, total, lower_bound(count, total)) == pytest.approx(0.05, rel=1e-6)


def test_claims_are_answered_in_words() -> None:
    good = judge_claim("escape rate", Rate(0, 299), 0.01, "defective parts")
    assert good.supported
    assert good.words.startswith("Supported: escape rate below 1 %")
    small = judge_claim("escape rate", Rate(0, 30), 0.01, "defective parts")
    assert not small.supported
    assert "only shows less than 9.5 %" in small.words
    assert "299 are needed" in small.words
    bad = judge_claim("escape rate", Rate(9, 30), 0.01, "defective parts")
    assert "is itself not below it" in bad.words
    none = judge_claim("overkill rate", Rate(0, 0), 0.01, "good parts")
    assert none.words == "Refused: overkill rate below 1 % cannot be judged without good parts."
    assert none.bound is None


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= count <= total"):
        Rate(3, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        needed(0.0)


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 %"), (1, "100 %"), (0.0095, "0.95 %"), (0.0951, "9.5 %"), (0.5, "50 %"), (0.1, "10 %")]
)
def test_percent(value: float, words: str) -> None:
    assert percent(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.00001, "0.001 %"), (0.000123, "0.012 %"), (0.9996, "99.96 %"), (0.999999, "99.9999 %"), (0.9962, "99.6 %")],
)
def test_only_nothing_is_0_and_only_all_is_100_percent(value: float, words: str) -> None:
    assert percent(value) == words


def test_an_answer_never_contradicts_itself_by_rounding() -> None:
    almost = judge_claim("escape rate", Rate(0, 298), 0.01, "defective parts")
    assert not almost.supported
    assert "0 of 298 defective parts only shows less than 1.0002 %" in almost.words
    assert "shows less than 0.997 % with" in judge_claim("escape rate", Rate(0, 299), 0.01, "defective parts").words


def test_the_claim_is_told_with_all_its_digits() -> None:
    shown = judge_claim("escape rate", Rate(0, 240), 0.0125, "defective parts").words
    assert shown.startswith("Supported: escape rate below 1.25 %; 0 of 240 defective parts shows less than 1.2 % with")
    refused = judge_claim("escape rate", Rate(0, 240), 0.01238, "defective parts").words
    assert refused.startswith("Refused: escape rate below 1.238 % is not shown; 0 of 240 defective parts only shows")
    assert "less than 1.24 %. The sample is too small: without a failure 241 are needed." in refused


@given(st.floats(0.001, 0.3), st.integers(20, 2000))
def test_a_bound_in_words_lies_on_its_side_of_the_claim(claimed: float, parts: int) -> None:
    claimed = round(claimed, 6)
    claim = judge_claim("escape rate", Rate(0, parts), claimed)
    said = float(claim.words.split("shows less than ")[1].split(" %")[0])
    assert said < 100 * claimed if claim.supported else said > 100 * claimed


def test_a_single_failure_is_one() -> None:
    assert "with 1 failure 473." in judge_claim("escape rate", Rate(1, 300), 0.01).words
    assert "with 2 failures 628." in judge_claim("escape rate", Rate(2, 300), 0.01).words


def test_tiny_claims_take_as_many_as_they_take() -> None:
    assert needed(1e-10) == pytest.approx(2.9957e10, rel=1e-4)


def test_a_claim_is_about_less_and_not_about_as_much() -> None:
    assert not judge_claim("escape rate", Rate(0, 100), upper_bound(0, 100)).supported
    words = judge_claim("escape rate", Rate(1, 100), 0.01).words
    assert "The rate that was counted is itself not below it." in words


def test_where_nothing_is_won_a_net_loss_is_a_loss() -> None:
    assert net_loss_bound(0, 0, 149) == upper_bound(0, 149) < 0.02
    assert net_loss_bound(1, 0, 236) == upper_bound(1, 236) < 0.02
    assert needed_pairs(0.02, 0, 0) == needed(0.02) == 149
    assert needed_pairs(0.02, 1, 0) == needed(0.02, 1) == 236


def test_of_many_pairs_it_is_the_normal_distributions() -> None:
    assert net_loss_bound(500, 400, 100_000) == pytest.approx(0.001 + 1.645 * 900**0.5 / 100_000, rel=0.01)


def test_what_is_won_counts_and_never_hides_how_few_the_pairs_are() -> None:
    assert net_loss_bound(3, 3, 300) < net_loss_bound(3, 0, 300)
    assert net_loss_bound(3, 3, 300) > net_loss_bound(0, 0, 300), "what comes and goes could hide a loss"
    assert net_loss_bound(0, 5, 120) >= upper_bound(0, 120)
    assert (net_loss_bound(0, 0, 0), net_loss_bound(9, 0, 9)) == (1.0, 1.0)


@pytest.mark.parametrize("boxes", [149, 200, 300])
@pytest.mark.parametrize("won", [0.0, 0.005, 0.02])
def test_a_loss_as_large_as_the_claim_is_seldom_taken_for_less(boxes: int, won: float) -> None:
    counts = [(lost, gained) for lost in range(25) for gained in range(25)]
    shown = [pair for pair in counts if net_loss_bound(*pair, boxes) <= 0.02]
    chances = (won + 0.02, won, 1 - 0.02 - 2 * won)
    assert sum(multinomial.pmf([*pair, boxes - sum(pair)], boxes, chances) for pair in shown) < 0.053


@pytest.mark.parametrize("boxes", [20, 60, 99])
@pytest.mark.parametrize("won", [0.0, 0.005, 0.02])
def test_a_loss_as_large_as_the_claim_is_seldom_taken_for_more(boxes: int, won: float) -> None:
    counts = [(lost, gained) for lost in range(boxes + 1) for gained in range(boxes + 1 - lost)]
    shown = [pair for pair in counts if net_loss_shown(*pair, boxes) > 0.02]
    assert shown
    chances = (won + 0.02, won, 1 - 0.02 - 2 * won)
    assert sum(multinomial.pmf([*pair, boxes - sum(pair)], boxes, chances) for pair in shown) <= 0.05
