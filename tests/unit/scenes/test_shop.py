"""The drawn shop is what its truth says, in any order."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgevision import geometry
from edgevision.scenes.shop import ShopScene


@pytest.fixture(scope="module")
def shop() -> ShopScene:
    return ShopScene(7, people=6, seconds=45)


def test_render_is_a_pure_function_of_seed_and_index(shop: ShopScene) -> None:
    again = ShopScene(7, people=6, seconds=45)
    last, first = again.render(200), again.render(5)
    assert np.array_equal(shop.render(5), first)
    assert np.array_equal(shop.render(200), last)
    assert not np.array_equal(ShopScene(8, people=6, seconds=45).render(200), last)


def test_frames_have_the_size_and_number_asked_for() -> None:
    shop = ShopScene(1, people=2, fps=12.5, width=640, height=360, seconds=4)
    assert shop.frames == 50
    assert shop.render(49).shape == (360, 640, 3)
    assert shop.render(49).dtype == np.uint8
    with pytest.raises(IndexError, match="no frame 50"):
        shop.render(50)


@pytest.mark.parametrize("wrong", [{"people": -1}, {"fps": 0}, {"width": 0}, {"seconds": 0}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="shop scene"):
        ShopScene(0, **wrong)  # type: ignore[arg-type]


def test_boxes_hold_all_that_changes_but_for_the_shadow(shop: ShopScene) -> None:
    """Against the same shop without people: bright or coloured differences lie in the boxes, and fill them."""
    empty = ShopScene(7, people=0, seconds=45)
    index = next(i for i in range(shop.frames) if len(shop.truth(i)) >= 3)
    difference = cv2.absdiff(shop.render(index), empty.render(index)).max(axis=2)
    strong = difference > 100  # the shadow is weaker than this
    outside = strong.copy()
    for box in shop.truth(index):
        x1, y1, x2, y2 = (round(value) for value in box.xyxy)
        rows, columns = np.nonzero(difference[y1:y2, x1:x2] > 12)
        assert rows.max() - rows.min() >= 0.85 * (y2 - y1)
        assert columns.max() - columns.min() >= 0.85 * (x2 - x1)
        outside[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = False
    for slot in shop.empty_slots(index):
        x1, y1, x2, y2 = (round(value) for value in shop.slot_boxes()[slot])
        outside[y1 : y2 + 1, x1 : x2 + 1] = False
    assert strong.any()
    assert not outside.any()


def test_truth_boxes_are_inside_the_frame_and_keep_their_ids(shop: ShopScene) -> None:
    seen: dict[int, list[int]] = {}
    for index in range(shop.frames):
        for box in shop.truth(index):
            x1, y1, x2, y2 = box.xyxy
            assert 0 <= x1 < x2 <= shop.width
            assert 0 <= y1 < y2 <= shop.height
            seen.setdefault(box.object_id, []).append(index)
    assert set(seen) == set(range(6))
    for frames in seen.values():
        assert frames == list(range(frames[0], frames[-1] + 1))


def test_crossings_agree_with_the_boxes_sides_frame_by_frame(shop: ShopScene) -> None:
    a, b = (np.array(point) for point in shop.door_line)
    for crossing in shop.crossings:
        before, after = (int(crossing.t_s * shop.fps) + step for step in (0, 1))
        sides = geometry.side(np.array([shop.centres(i)[crossing.person] for i in (before, after)]), a, b)
        assert (sides[0] < 0 < sides[1]) == (crossing.direction == "in")
        assert sides[0] * sides[1] < 0


def test_walking_into_the_shop_is_in_and_everybody_enters_once_before_leaving() -> None:
    shop = ShopScene(2, people=4, seconds=90)
    for person in range(4):
        ways = [crossing for crossing in shop.crossings if crossing.person == person]
        assert [crossing.direction for crossing in ways] == ["in", "out"]
        frame = int(ways[0].t_s * shop.fps)
        assert shop.centres(frame + 3)[person][0] > shop.centres(frame - 3)[person][0]


def test_dwells_agree_with_the_centres(shop: ShopScene) -> None:
    assert {dwell.zone for dwell in shop.dwells} == {"shelf", "till"}
    for dwell in shop.dwells:
        polygon = np.array(shop.zones[dwell.zone])
        assert dwell.leave_s > dwell.enter_s
        for t_s in np.arange(dwell.enter_s + 0.1, dwell.leave_s - 0.1, 0.5):
            index = round(t_s * shop.fps)
            if dwell.enter_s < index / shop.fps < dwell.leave_s:
                assert geometry.inside(np.array([shop.centres(index)[dwell.person]]), polygon)[0]
        before = int((dwell.enter_s - 0.05) * shop.fps)
        assert not geometry.inside(np.array([shop.centres(before)[dwell.person]]), polygon)[0]


def test_people_walk_no_faster_than_people_and_not_through_shelves() -> None:
    islands = [(330, 262, 680, 336), (330, 470, 680, 506), (412, 32, 728, 86), (858, 376, 918, 496)]
    shop = ShopScene(5, people=12, seconds=60)
    previous: dict[int, tuple[float, float]] = {}
    for index in range(shop.frames):
        places = shop.centres(index)
        for person, (x, y) in places.items():
            assert not any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2 in islands)
            if person in previous:
                assert np.hypot(x - previous[person][0], y - previous[person][1]) * shop.fps < 150
        previous = places


def test_a_slot_empties_once_and_looks_empty() -> None:
    shop = ShopScene(3, people=10, seconds=60)
    taken = shop.empty_slots(shop.frames - 1)
    assert taken
    for index in range(1, shop.frames):
        assert set(shop.empty_slots(index - 1)) <= set(shop.empty_slots(index))
    first, last = shop.render(0), shop.render(shop.frames - 1)
    for slot, (x1, y1, x2, y2) in enumerate(shop.slot_boxes()):
        change = cv2.absdiff(first, last)[round(y1) : round(y2), round(x1) : round(x2)].mean()
        assert (change > 25) == (slot in taken)


def test_another_size_scales_picture_and_truth_alike() -> None:
    large, small = ShopScene(4, people=3, seconds=20), ShopScene(4, people=3, seconds=20, width=480, height=270)
    index = next(i for i in range(large.frames) if len(large.truth(i)) == 2)
    for one, other in zip(large.truth(index), small.truth(index), strict=True):
        assert np.allclose(np.array(one.xyxy) / 2, other.xyxy, atol=1e-6)
    shrunk = cv2.resize(large.render(index), (480, 270), interpolation=cv2.INTER_AREA)
    assert cv2.absdiff(shrunk, small.render(index)).mean() < 3
