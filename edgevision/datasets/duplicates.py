"""Pictures that are there twice: the same bytes, or the same shot stored again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.datasets.measure import Measured
from edgevision.types import Image, IntArray

NEAR_BITS = 80  # of 256; copies stored smaller, brighter, as JPEG or moved by 1 % of the picture differ in up to 56
_NEAREST = 5
_BLOCK = 1024
_DIFFERENT = 0.2  # of the range of greys, in a spot of the thumbnail; copies came to 0.2, other shots to 0.25 and more


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are one.

    Attributes:
        first: Index of the one that comes first.
        second: Index of the other.
        bits: How many of the 256 bits of their hashes differ; 0 for equal bytes.
    """

    first: int
    second: int
    bits: int


def exact_pairs(measured: Sequence[Measured]) -> list[Pair]:
    """Each picture whose bytes came before, with the first one of them."""
    first: dict[str, int] = {}
    pairs = []
    for index, item in enumerate(measured):
        before = first.setdefault(item.sha256, index)
        if before != index:
            pairs.append(Pair(before, index, 0))
    return pairs


def near_pairs(measured: Sequence[Measured], splits: Sequence[str], most_bits: int = NEAR_BITS) -> list[Pair]:
    """Pictures of which one seems to be the other, stored again; equal bytes are not among them.

    The hash proposes and the thumbnails decide: parts of one design in one fixture have nearly equal hashes, but a
    defect, or a part that lies differently, leaves a spot where the aligned thumbnails differ. Of each picture only the
    five nearest of its own split and of the others are looked at, so a set of pictures that are all alike stays cheap.

    Args:
        measured: Readable pictures.
        splits: The split of each.
        most_bits: Pairs whose hashes differ in more bits are not looked at.
    """
    if not measured:
        return []
    found: dict[tuple[int, int], int] = {}
    # Of equally near ones only some are looked at; which ones must not depend on names and order.
    order = sorted(range(len(measured)), key=lambda index: (measured[index].sha256, splits[index]))
    sorted_splits = np.unique([splits[index] for index in order], return_inverse=True)[1]
    for first, second, bits in _candidates([measured[index] for index in order], sorted_splits, most_bits):
        row, column = order[first], order[second]
        pair = (min(row, column), max(row, column))
        if pair not in found and measured[row].sha256 != measured[column].sha256:
            found[pair] = bits
    return [
        Pair(a, b, bits) for (a, b), bits in sorted(found.items()) if same_shot(measured[a].thumb, measured[b].thumb)
    ]


def _candidates(
    measured: Sequence[Measured], split: NDArray[np.intp], most_bits: int
) -> Iterator[tuple[int, int, int]]:
    """(row, column, differing bits): Hamming distances of all pairs in blocks, as products of signs."""
    signs = np.where(np.stack([item.bits for item in measured]), 1, -1).astype(np.float32)
    length = signs.shape[1]
    for start in range(0, len(signs), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(signs)))
        bits = np.asarray((length - signs[rows] @ signs.T) / 2, np.float32)
        bits[np.arange(len(rows)), rows] = length + 1
        same = split[rows, None] == split
        for mask in (same, ~same):
            yield from _nearest(np.where(mask, bits, length + 1), rows, most_bits)


def _nearest(bits: NDArray[np.float32], rows: IntArray, most_bits: int) -> Iterator[tuple[int, int, int]]:
    wanted = np.flatnonzero(bits.min(axis=1) <= most_bits)
    few = min(_NEAREST, bits.shape[1])
    for row in wanted:
        columns = np.argpartition(bits[row], few - 1)[:few]
        yield from ((int(rows[row]), int(c), int(bits[row, c])) for c in columns if bits[row, c] <= most_bits)


def same_shot(first: Image, second: Image) -> bool:
    """Whether two grey thumbnails differ nowhere, but for brightness, contrast and a small shift."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    window = cv2.createHanningWindow((a.shape[1], a.shape[0]), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(a, b, window)
    if max(abs(x), abs(y)) > a.shape[0] / 16:
        x = y = 0.0  # no shift of a copy: what looks alike there is a repeating pattern
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(a, move, (a.shape[1], a.shape[0]), flags=cv2.INTER_LINEAR)
    inner = np.s_[8:-8, 8:-8]
    soft_a, soft_b = (np.asarray(cv2.GaussianBlur(item, (5, 5), 0)[inner], np.float32) for item in (moved, b))
    deviation = float(soft_a.std()), float(soft_b.std())
    if min(deviation) < 1:
        return abs(deviation[0] - deviation[1]) < 1  # two blank pictures
    fitted = (soft_a - soft_a.mean()) / deviation[0] * deviation[1] + soft_b.mean()
    span = float(np.percentile(soft_b, 99) - np.percentile(soft_b, 1))
    return bool(np.abs(fitted - soft_b).max() < _DIFFERENT * max(span, 1.0))
