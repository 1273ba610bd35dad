"""Results in plain words, for a card, and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgevision.evaluation.evaluate import Request, judge
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.parts import PartRates
from edgevision.evaluation.report import _class_rows, _confusion_rows
from edgevision.evaluation.words import About, ap_words, card_sections, document, no_mistake, rate_words, verdict

ABOUT = About("boards@1#abc", "boards", "f" * 64, "2026-11-25")


@pytest.fixture(name="judged")
def _judged(scored: Any) -> Any:
    """From parts as (ng, score of the class open)."""

    def make(rows: list[tuple[bool, float]], **request: Any) -> Any:
        predictions = scored([(ng, (score,)) for ng, score in rows])
        return judge(predictions, predictions.data, Request(split="", thresholds={"default": 0.5}, **request))

    return make


def test_the_headline_is_about_parts(judged: Any) -> None:
    results = judged([(True, 0.9)] * 19 + [(True, 0.1)] + [(False, 0.9)] + [(False, 0.1)] * 3)
    assert verdict(results) == [
        "Of 100 defective parts about 5 pass (between 0.1 and 25; 1 of 20 were counted).",
        "Of 100 good parts about 25 are rejected (between 0.6 and 81; 1 of 4 were counted).",
    ]


@pytest.mark.parametrize(
    ("ng", "good", "words"),
    [
        (0.9, 0.9, "Not usable: it rejects every part, all 6 good ones among them."),
        (0.1, 0.1, "Not usable: on none of 6 defective parts does it find a defect where one is."),
    ],
)
def test_what_makes_the_rates_worthless_comes_first(judged: Any, ng: float, good: float, words: str) -> None:
    assert verdict(judged([(True, ng)] * 6 + [(False, good)] * 6))[0] == words
    assert len(verdict(judged([(True, 0.9)] * 6 + [(False, 0.1)] * 6))) == 2


def test_no_mistake_says_what_it_shows_and_what_more_would_take(judged: Any) -> None:
    assert verdict(judged([(True, 0.9)] * 30 + [(False, 0.1)]))[0] == (
        "None of 30 defective parts passed, which only shows a rate below 9.5 %; without a mistake it takes 299 "
        "for less than 1 %, 2,995 for less than 0.1 %."
    )
    assert "299 for" not in no_mistake(299, "good")
    assert "2,995 for less than 0.1 %" in no_mistake(299, "good")


@pytest.mark.parametrize(("ng", "place", "kind"), [(True, 1, "good"), (False, 0, "defective")])
def test_what_cannot_be_measured_is_said(judged: Any, *, ng: bool, place: int, kind: str) -> None:
    results = judged([(ng, 0.9)])
    assert verdict(results)[place].endswith(f"is not measurable: there is no {kind} part among the pictures.")
    told = document(results, ABOUT)["parts"]
    assert told["overkill" if ng else "escape"] is None
    assert f"not measurable {'good' if ng else 'defective'} parts" not in card_sections(results)


def test_rates_in_words() -> None:
    assert rate_words(Rate(4, 211)) == "1.9 % (0.52 to 4.8), 4 of 211"
    assert rate_words(Rate(0, 0)) == rate_words(None) == "not measurable"
    assert ap_words(None) == "-"
    assert ap_words(0.73549) == "0.735"


def test_the_card_has_tables_rates_claims_and_limits(judged: Any) -> None:
    card = card_sections(judged([(True, 0.9)] * 30 + [(False, 0.1)] * 5, claim_escape=0.01))
    assert card.startswith("## What it reaches\n\nOn all pictures: 35 pictures.\n")
    assert "| open | 30 | 1.000 | 1.000 | 0.5 | 100 % (88.4 to 100), 30 of 30 | 0 |" in card
    assert "- **Escape:** 0 % (0 to 11.6), 0 of 30 defective parts pass." in card
    assert "- Refused: escape rate below 1 % is not shown" in card
    assert "## Limits\n\n- None of 30 defective parts passed, which only shows a rate below 9.5 %" in card


def test_the_card_says_what_is_not_measurable(judged: Any) -> None:
    card = card_sections(judged([(True, 0.9)]))
    assert "- **Overkill:** not measurable: there was no good part." in card


def test_json_holds_no_infinity_and_what_words_say(judged: Any) -> None:
    results = judged([(True, 0.9)] * 3, claim_overkill=0.1)
    told = json.loads(json.dumps(document(results, ABOUT), allow_nan=False))
    assert told["model"] == "boards@1#abc"
    assert told["by_class"]["open"]["map50"] == 1.0
    assert told["by_class"]["short"]["map50"] is None
    assert told["parts"]["escape"]["interval_95"][1] == pytest.approx(0.7076, abs=1e-4)
    assert told["claims"][0]["supported"] is False
    assert len(told["curves"]["open"]) == 101


def test_hardly_any_is_not_none_and_almost_all_not_all(judged: Any) -> None:
    results = judged([(True, 0.9), (False, 0.1)])
    few = replace(results, rates=PartRates(Rate(249, 250), Rate(1, 100_000)))
    assert verdict(few) == [
        "Of 100 defective parts about 99.6 pass (between 98 and 99.99; 249 of 250 were counted).",
        "Of 100 good parts about 0.001 are rejected (between 0.000025 and 0.0056; 1 of 100,000 were counted).",
    ]


def test_a_bar_in_a_class_name_does_not_end_its_cell(labels: Any, dets: Any, preds: Any) -> None:
    seen = preds([(labels([(0, 0, 9, 9, 0)]), dets([]))], ("a|b",))
    assert r"| a\|b | 1 |" in card_sections(judge(seen, seen.data, Request(split="")))


def test_precision_is_of_what_is_reported_and_recall_of_what_is_labelled(labels: Any, dets: Any, preds: Any) -> None:
    boxes = [(10 * step, 0, 10 * step + 8, 8, 0) for step in range(9)]
    found = [*boxes[:2], *((box[0], 50, box[2], 60, 0) for box in boxes[:3])]
    seen = preds([(labels(boxes), dets([(*box, 0.9) for box in found]))])
    results = judge(seen, seen.data, Request(split=""))
    told = document(results, ABOUT)["by_class"]["open"]
    assert [(told[name]["count"], told[name]["total"]) for name in ("recall", "precision")] == [(2, 9), (2, 5)]
    row = _class_rows(results)[0]
    assert (row["recall"], row["precision"]) == (Rate(2, 9), Rate(2, 5))
    cells = _confusion_rows(results)[0]["cells"]
    assert [cell["share"] for cell in cells] == [2 / 9, 0, 0, 7 / 9]
