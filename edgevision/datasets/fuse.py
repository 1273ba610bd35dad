"""A picture and its defect-free template as one picture, so that a detector sees what should not be there.

What is meant and what is a defect can look alike: a gap between two planes of copper is an open on another board. The
template tells them apart (Tang et al. 2019 train on such pairs). Channels: the picture in grey, the template in grey,
and how much they differ; any detector of three channels learns from that as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.formats import write_dataset
from edgevision.datasets.writing import must_be_new
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import read_image
from edgevision.types import Image


def fuse(picture: Image, template: Image) -> Image:
    """Channels 0 to 2: picture, template, their absolute difference.

    Args:
        picture: (H, W, 3) uint8 BGR.
        template: The same view without defects, aligned, of the same shape.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: The shapes differ.
    """
    if picture.shape != template.shape:
        msg = f"picture {picture.shape[1]}x{picture.shape[0]}, template {template.shape[1]}x{template.shape[0]}"
        raise ImageError(f"only pictures of one size can be fused, got {msg}")
    seen, meant = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.cvtColor(template, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.merge([seen, meant, cv2.absdiff(seen, meant)]), np.uint8)


def fuse_dataset(data: DataSet, folder: Path, each: Callable[[], None] | None = None) -> int:
    """Write a YOLO data set of fused pictures; returns how many. Splits, columns and boxes are kept.

    Args:
        data: Samples without a template, or of another size than it, are left out.
        folder: A new folder.
        each: Called after every picture.

    Raises:
        DatasetError: Not one sample has a fitting template, or the folder cannot be written.
    """
    must_be_new(folder)
    with _room(folder) as room:
        samples = []
        for number, sample in enumerate(data.samples):
            fused = _fused(sample, room / str(number))
            if fused is not None:
                samples.append(fused)
            if each is not None:
                each()
        if not samples:
            raise DatasetError(f"{data.root}: not one picture has a template of its own size to be fused with")
        write_dataset(replace(data, samples=tuple(samples)), folder, "yolo", link=True)
    return len(samples)


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """A folder for a while, beside ``folder``: the pictures need not be copied from there, nor fit into memory."""
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as room:
            yield Path(room)
    except OSError as exc:
        raise DatasetError(f"{exc.filename or folder}: cannot be written: {exc.strerror}") from exc


def _fused(sample: Sample, folder: Path) -> Sample | None:
    if sample.template is None:
        return None
    try:
        picture = fuse(read_image(sample.file), read_image(sample.template))
    except ImageError:
        return None
    folder.mkdir()
    file = folder / f"{sample.file.stem}.png"
    file.write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # OpenCV's own writing dies of names that are no UTF-8
    return replace(sample, file=file)
