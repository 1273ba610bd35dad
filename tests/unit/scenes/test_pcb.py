"""The drawn belt: the same seed draws the same, and the truth is where the picture says it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edgevision.scenes.pcb import PcbConveyor, draw_board
from edgevision.scenes.pcb_defects import KINDS


@pytest.fixture(name="belt", scope="module")
def _belt() -> PcbConveyor:
    return PcbConveyor(11, boards=30, defect_rate=0.6)


def test_the_same_seed_draws_the_same(belt: PcbConveyor) -> None:
    other = PcbConveyor(11, boards=30, defect_rate=0.6)
    index = belt.boards[2].first_full
    np.testing.assert_array_equal(belt.render(index), other.render(index))
    assert belt.truth(index) == other.truth(index)
    assert belt.boards == other.boards


def test_another_seed_draws_something_else(belt: PcbConveyor) -> None:
    other = PcbConveyor(12, boards=30, defect_rate=0.6)
    assert [board.defects for board in other.boards] != [board.defects for board in belt.boards]


def test_frames_can_be_drawn_in_any_order(belt: PcbConveyor) -> None:
    index = belt.boards[4].first_full
    later = PcbConveyor(11, boards=30, defect_rate=0.6)
    later.render(index + 20)
    np.testing.assert_array_equal(later.render(index), belt.render(index))


def test_all_six_kinds_are_drawn_and_good_boards_too(belt: PcbConveyor) -> None:
    assert {defect.kind for board in belt.boards for defect in board.defects} == set(KINDS)
    assert {board.verdict for board in belt.boards} == {"ok", "ng"}
    assert all((board.verdict == "ng") == bool(board.defects) for board in belt.boards)


def test_a_board_is_fully_in_view_for_as_long_as_the_truth_says(belt: PcbConveyor) -> None:
    for board in belt.boards[:6]:
        full = [
            index
            for index in range(max(0, board.first_full - 3), min(belt.frames, board.last_full + 4))
            if any(view.part_id == board.part_id and view.full for view in belt.truth(index))
        ]
        assert full == list(range(board.first_full, board.last_full + 1))


def test_boards_follow_each_other_and_move_one_way(belt: PcbConveyor) -> None:
    assert [board.part_id for board in belt.boards] == list(range(30))
    assert all(one.last_full < other.last_full for one, other in pairwise(belt.boards))
    board = belt.boards[1]
    middles = [
        (view.xyxy[0] + view.xyxy[2]) / 2
        for index in range(board.first_full, board.last_full + 1)
        for view in belt.truth(index)
        if view.part_id == 1
    ]
    steps = np.diff(middles)
    assert (np.sign(steps) == np.sign(steps[0])).all()
    assert np.abs(steps).mean() == pytest.approx(36.0, rel=0.05)


def test_boxes_are_in_the_picture_and_on_their_board(belt: PcbConveyor) -> None:
    for index in range(0, belt.frames, 7):
        height, width = belt.render(index).shape[:2]
        for view in belt.truth(index):
            for box in (view.xyxy, *(defect.xyxy for defect in view.defects)):
                x1, y1, x2, y2 = box
                assert 0 <= x1 < x2 <= width
                assert 0 <= y1 < y2 <= height
            for defect in view.defects:
                assert view.xyxy[0] - 1 <= (defect.xyxy[0] + defect.xyxy[2]) / 2 <= view.xyxy[2] + 1
                assert view.xyxy[1] - 1 <= (defect.xyxy[1] + defect.xyxy[3]) / 2 <= view.xyxy[3] + 1


def test_a_defect_changes_the_picture_in_its_box_and_nowhere_else() -> None:
    for number in range(12):
        broken, defects = draw_board(5, number, 1.0)
        good, none = draw_board(5, number, 0.0)
        assert none == ()
        assert defects
        changed = np.abs(broken.astype(np.int16) - good).max(axis=2) > 25
        outside = changed.copy()
        for defect in defects:
            x1, y1, x2, y2 = (round(value) for value in defect.xyxy)
            assert changed[y1:y2, x1:x2].any(), f"board {number}: {defect.kind} is not to be seen in {defect.xyxy}"
            outside[y1 - 3 : y2 + 3, x1 - 3 : x2 + 3] = False
        assert not outside.any()


@pytest.mark.parametrize("options", [{"width": 300}, {"height": 200}])
def test_a_frame_too_small_for_a_board_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a board of 432 x 404 px does not fit into"):
        PcbConveyor(0, **options)  # type: ignore[arg-type]
