"""Labels on plates in a picture, none of which covers another."""

from __future__ import annotations

import cv2

from edgevision.types import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, px."""


def plate(picture: Image, text: str, box: Box, colour: tuple[int, int, int], taken: list[Box]) -> None:
    """A label on a plate at ``box``, where it covers no other plate: above, below, right or left of it."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    width, height = width + 8, height + 8
    x1, y1, x2, y2 = box
    places = [(x1 - 1, y1 - height), (x1 - 1, y2), (x2, y1), (x1 - width, y1)]
    plates = [(x, y, x + width, y + height) for x, y in places]
    chosen = next((item for item in plates if not any(_overlap(item, other) for other in taken)), plates[0])
    taken.append(chosen)
    cv2.rectangle(picture, chosen[:2], chosen[2:], colour, cv2.FILLED)
    at = (chosen[0] + 4, chosen[3] - 5)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
