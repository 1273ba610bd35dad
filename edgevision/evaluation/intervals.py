"""How sure one may be of a rate that was counted: exact binomial intervals and claims, and the bound of a net loss.

Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26,
1934. They hold for every sample size, and are on the careful side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from scipy.stats import beta

CONFIDENCE = 0.95
_LARGEST_SAMPLE = 10**13
_MOST_DIGITS = 12
_FINE = 1e-9  # how closely a bound is looked for


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that was counted.

    Attributes:
        count: How often it happened.
        total: How often it could have happened.
    """

    count: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.total:
            msg = f"a rate needs 0 <= count <= total, got {self.count} of {self.total}"
            raise ValueError(msg)

    @property
    def value(self) -> float | None:
        """0..1; ``None`` when there was nothing to count."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided 95 % interval; 0..1 when there was nothing to count."""
        return two_sided(self.count, self.total)


def two_sided(count: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper-Pearson interval of ``count`` in ``total``."""
    half = (1 - confidence) / 2
    return lower_bound(count, total, 1 - half), upper_bound(count, total, 1 - half)


def upper_bound(count: int, total: int, confidence: float = CONFIDENCE) -> float:
    """One-sided: the rate is smaller than this with the given confidence."""
    if count >= total:
        return 1.0
    return float(beta.ppf(confidence, count + 1, total - count))


def lower_bound(count: int, total: int, confidence: float = CONFIDENCE) -> float:
    """One-sided: the rate is larger than this with the given confidence."""
    if count <= 0:
        return 0.0
    return float(beta.ppf(1 - confidence, count, total - count + 1))


def net_loss_bound(lost: int, won: int, total: int, confidence: float = CONFIDENCE) -> float:
    """One-sided: of pairs of which some are lost and some won, the share lost minus that won is smaller than this.

    The larger of two bounds. Clopper and Pearson's of what is lost on balance is exact where nothing is won; where
    nothing is lost either it is the rule of three, about 3 / ``total``. Tango's score bound ("Equivalence Test and
    Confidence Interval for the Difference in Proportions for the Paired-Sample Design", Statistics in Medicine 17,
    1998) knows that what comes and goes by chance can hide a loss. Pairs are taken to be independent.

    Args:
        lost: Pairs of which only the first is right.
        won: Pairs of which only the second is right.
        total: All pairs.
        confidence: 0..1.
    """
    if total <= max(lost, won):
        return 1.0
    limit, low, high = NormalDist().inv_cdf(confidence), (lost - won) / total, 1.0
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (middle, high) if _tango(lost, won, total, middle) > -limit else (low, middle)
    return max(high, upper_bound(max(lost - won, 0), total, confidence))


def net_loss_shown(lost: int, won: int, total: int, confidence: float = CONFIDENCE) -> float:
    """One-sided: of pairs of which some are lost and some won, the share lost minus that won is larger than this.

    Clopper and Pearson's bounds of both, each with half of the doubt (Bonferroni): on the careful side.

    Args:
        lost: Pairs of which only the first is right.
        won: Pairs of which only the second is right.
        total: All pairs.
        confidence: 0..1.
    """
    each = 1 - (1 - confidence) / 2
    return lower_bound(lost, total, each) - upper_bound(won, total, each)


def _tango(lost: int, won: int, total: int, loss: float) -> float:
    """Tango's score of a loss that is assumed: how many standard deviations less was lost on balance."""
    net = lost - won
    b, c = (2 * total - net) * loss - lost - won, -won * loss * (1 - loss)
    chance = (math.sqrt(b * b - 8 * total * c) - b) / (4 * total)  # of winning a pair, most likely under that loss
    return (net - total * loss) / math.sqrt(total * (2 * chance + loss * (1 - loss)))


def needed(claimed: float, failures: int = 0, confidence: float = CONFIDENCE) -> int:
    """Smallest sample that shows a rate below ``claimed`` (0..1, exclusive) with so many failures in it.

    Without failures this is the rule of zero failures: ln(1 - confidence) / ln(1 - claimed).
    """
    return _smallest(failures, claimed, lambda total: upper_bound(failures, total, confidence))


def needed_pairs(claimed: float, lost: int, won: int, confidence: float = CONFIDENCE) -> int:
    """Smallest number of pairs that show a net loss below ``claimed`` (0..1, exclusive) with so many lost and won."""
    return _smallest(max(lost, won), claimed, lambda total: net_loss_bound(lost, won, total, confidence))


def _smallest(low: int, claimed: float, bound: Callable[[int], float]) -> int:
    if not 0 < claimed < 1:
        msg = f"a claimed rate lies between 0 and 1, got {claimed}"
        raise ValueError(msg)
    high = low + 1
    while bound(high) >= claimed and high < _LARGEST_SAMPLE:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if bound(middle) < claimed:
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to "is the rate below this?".

    Attributes:
        what: Which rate, e.g. ``escape rate``.
        claimed: The rate, 0..1.
        supported: Whether the sample shows it.
        bound: The one-sided 95 % upper bound, 0..1; ``None`` when nothing could be counted.
        words: The answer for a person.
    """

    what: str
    claimed: float
    supported: bool
    bound: float | None
    words: str


def judge_claim(what: str, rate: Rate, claimed: float, things: str = "parts") -> Claim:
    """Whether a counted rate shows that the true one is below ``claimed``, with 95 % confidence.

    Args:
        what: Which rate, e.g. ``escape rate``.
        rate: What was counted.
        claimed: 0..1, exclusive.
        things: What was counted, e.g. ``defective parts``.
    """
    start = f"{what} below {asked(claimed)}"
    if rate.total == 0:
        words = f"Refused: {start} cannot be judged without {things}."
        return Claim(what, claimed, supported=False, bound=None, words=words)
    bound = upper_bound(rate.count, rate.total)
    seen = f"{rate.count} of {rate.total:,} {things}"
    if bound < claimed:
        words = f"Supported: {start}; {seen} shows less than {apart(bound, claimed)} with 95 % confidence."
        return Claim(what, claimed, supported=True, bound=bound, words=words)
    words = f"Refused: {start} is not shown; {seen} only shows less than {apart(bound, claimed)}."
    if (rate.value or 0.0) < claimed:
        more = f"without a failure {needed(claimed):,} are needed"
        if rate.count:
            failures = "1 failure" if rate.count == 1 else f"{rate.count:,} failures"
            more += f", with {failures} {needed(claimed, rate.count):,}"
        words += f" The sample is too small: {more}."
    else:
        words += " The rate that was counted is itself not below it."
    return Claim(what, claimed, supported=False, bound=bound, words=words)


def apart(bound: float, claimed: float) -> str:
    """The bound in percent, with as many digits as show on which side of the claim it lies."""
    words = percent(bound)
    digits = 3
    while not _same_side(words, bound, claimed) and digits < _MOST_DIGITS:
        words = f"{100 * bound:.{digits}f}".rstrip("0").rstrip(".") + " %"
        digits += 1
    return words


def _same_side(words: str, bound: float, claimed: float) -> bool:
    shown, limit = float(words.removesuffix(" %")), float(asked(claimed).removesuffix(" %"))
    return shown < limit if bound < claimed else shown > limit


def asked(value: float) -> str:
    """A rate that somebody asked for, in percent with all its digits: rounded, it would be another one."""
    return f"{100 * value:.12g} %"


def percent(value: float) -> str:
    """A rate in words of two digits or so, e.g. ``0.95 %``; only 0 is ``0 %``, and only 1 is ``100 %``."""
    hundredths = 100 * value
    if not 0 < value < 1:
        digits = 0
    elif hundredths < 1:
        digits = max(2, 1 - math.floor(math.log10(hundredths)))
    else:
        digits = max(1, -math.floor(math.log10(100 - hundredths)))
    number = f"{hundredths:.{digits}f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} %"
