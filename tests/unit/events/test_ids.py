"""Identities."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from edgevision.events.ids import natural_id, uuid7


@given(st.integers(min_value=0, max_value=(1 << 48) - 1))
def test_version_seven_carries_its_time(unix_ms: int) -> None:
    made = uuid7(unix_ms)
    assert made.int >> 80 == unix_ms
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_the_example_of_rfc_9562_differs_in_random_bits_only() -> None:
    example = uuid.UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")
    made = uuid7(0x017F22E279B0)
    fixed = (((1 << 48) - 1) << 80) | (0xF << 76) | (0x3 << 62)
    assert made.int & fixed == example.int & fixed


def test_later_ids_sort_behind_earlier_ones() -> None:
    assert str(uuid7(1_000)) < str(uuid7(1_001)) < str(uuid7(1 << 40))


def test_a_clock_before_1970_does_not_break_it() -> None:
    assert uuid7(-5).int >> 80 == 0


def test_all_random_bits_are_used() -> None:
    seen = 0
    for _ in range(200):
        seen |= uuid7(0).int
    assert seen == (0x7FFF << 64) | (0xBFFF_FFFF_FFFF_FFFF)


def test_natural_ids_are_the_same_for_ever() -> None:
    assert str(natural_id("edgevision/s/d/c", "edgevision.defect.verdict.v1", "p-1")) == PINNED
    assert natural_id("a", "b", "c") != natural_id("a", "b", "d")
    assert natural_id("a", "bc", "d") != natural_id("ab", "c", "d")


PINNED = "f75cfff0-c207-5fec-88f5-2e8869bea1ca"
