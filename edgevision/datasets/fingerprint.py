"""What a data set contains as one number: two with the same fingerprint train and measure the same."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.measure import sha256


def fingerprint(data: DataSet, each: Callable[[], None] | None = None) -> str:
    """SHA-256, hex, over the sorted (split, hash of the picture's bytes, boxes with class names) of every sample.

    Boxes are rounded to a tenth of a pixel, at limits that whole, half and tenth pixels do not come near, so that a
    format's own rounding changes nothing. Names and order of files, folders, the format, the order of classes,
    columns and templates do not count.

    Raises:
        ImageError: A picture cannot be read.
    """

    def one(sample: Sample) -> str:
        rows = zip(sample.label, sample.xyxy.astype(float), strict=True)
        boxes = sorted([data.classes[label], *(math.floor(value * 10 + 0.37) for value in box)] for label, box in rows)
        return json.dumps([sample.split, sha256(sample.file), boxes])

    lines = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(one, data.samples):
            lines.append(line)
            if each is not None:
                each()
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
