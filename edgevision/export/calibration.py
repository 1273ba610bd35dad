"""The pictures that ranges of activations are measured on, and whether they will do.

Ranges that come from few pictures, from others than the cameras take, or from those that judge the result, are how
8-bit models go wrong without a word. There is no sample data set to fall back to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevision.batch.files import pictures
from edgevision.datasets.base import DataSet
from edgevision.datasets.duplicates import near_pairs
from edgevision.datasets.measure import measure_all
from edgevision.errors import ExportError

LEAST = 16  # pictures; fewer are refused
ENOUGH = 100  # fewer are told
MOST = 300  # are looked at


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pictures to measure ranges on.

    Attributes:
        files: The pictures.
        warnings: What may be wrong with them, a sentence each.
    """

    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def calibration(
    path: Path | None,
    data: DataSet,
    judged: DataSet,
    *,
    seed: int = 0,
    each: Callable[[], None] | None = None,
) -> Calibration:
    """Choose the pictures and look whether they will do.

    Args:
        path: A folder of pictures such as the cameras take; without it the data set's training pictures.
        data: Labelled pictures, all splits.
        judged: Those of them that the artefacts are judged on.
        seed: Of the choice, where there are more than enough.
        each: Called when a picture has been looked at.

    Raises:
        ExportError: There are too few, or some are among those that judge or test.
    """
    files = [sample.file for sample in data.of("train").samples] if path is None else pictures([path])
    where = f"the training pictures of {data.root}" if path is None else str(path)
    if len(files) < LEAST:
        raise ExportError(f"{where}: {len(files)} pictures to calibrate on are too few; give {ENOUGH} or more")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(files))[:MOST])
    files = [files[place] for place in chosen]
    held_out = list(
        {sample.file: None for part in (judged, data.of("val"), data.of("test")) for sample in part.samples}
    )
    good = _apart(files, held_out, where, each)
    if len(good) < LEAST:
        raise ExportError(f"{where}: only {len(good)} of {len(files)} pictures to calibrate on can be read")
    warnings = [f"{len(files) - len(good)} pictures to calibrate on cannot be read"] if len(good) < len(files) else []
    if len(good) < ENOUGH:
        warnings.append(f"{len(good)} pictures to calibrate on are few; {ENOUGH} or more would be safer")
    if missing := _missing_classes(good, data):
        warnings.append(f"no picture to calibrate on shows {', '.join(missing)}")
    return Calibration(tuple(good), tuple(warnings))


def _apart(files: Sequence[Path], held_out: Sequence[Path], where: str, each: Callable[[], None] | None) -> list[Path]:
    """Those that can be read; none may be, or look like, one that judges.

    Raises:
        ExportError: One is.
    """
    measured = measure_all([*files, *held_out], each)
    good = [file for file in files if not measured[file].error]
    known = {measured[file].sha256: file for file in held_out if not measured[file].error}
    if same := [file for file in good if measured[file].sha256 in known]:
        raise ExportError(
            f"{where}: {len(same)} pictures to calibrate on are among those that judge the result, e.g. {same[0]}; "
            "leave them out"
        )
    others = list(known.values())
    every = [measured[file] for file in (*good, *others)]
    splits = ["calibration"] * len(good) + ["judged"] * len(others)
    near = [pair for pair in near_pairs(every, splits) if splits[pair.first] != splits[pair.second]]
    if near:
        first = good[near[0].first]
        raise ExportError(
            f"{where}: {len({pair.first for pair in near})} pictures to calibrate on look like the same shot as one "
            f"that judges the result, e.g. {first}; leave them out"
        )
    return good


def _missing_classes(files: Sequence[Path], data: DataSet) -> list[str]:
    """Classes that the labelled ones among them do not show; nothing is known of pictures without labels."""
    wanted = set(files)
    own = data.where(lambda sample: sample.file in wanted)
    if not own.samples:
        return []
    return [
        name
        for name, count, of_all in zip(data.classes, own.counts(), data.counts(), strict=True)
        if of_all > count == 0
    ]
