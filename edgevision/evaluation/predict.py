"""Runs a detector over labelled pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import numpy as np

from edgevision.datasets.base import DataSet, Finding, Sample
from edgevision.errors import DatasetError, ImageError
from edgevision.inference.base import Detector
from edgevision.inference.preprocess import single_batch
from edgevision.media.pixels import ArrayPixels
from edgevision.sources.images import read_image
from edgevision.types import Detections, Frame, FrameTime, Image, IntArray

LOWEST_SCORE = 0.001  # as COCO results are commonly made; an average precision needs the low scores too
MOST_DETECTIONS = 300  # a picture, the best first
DECODERS = 2  # threads that read pictures while the model runs

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Labelled pictures with what a detector saw in them.

    Attributes:
        data: The pictures that could be used, without the parts of which one could not: they might pass for good.
            Boxes are cut to their picture, and those of which nothing is left are dropped; classes that only the
            detector knows follow the data set's own.
        found: One item a picture, source pixels of the upright picture, labels of ``data``.
        brightness: Mean grey value of each picture, 0..255.
        unreadable: The pictures that could not be used, and why.
        notes: What the reader of the numbers should know, a sentence each.
    """

    data: DataSet
    found: tuple[Detections, ...]
    brightness: tuple[float, ...]
    unreadable: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, wanted: Callable[[Sample], bool]) -> Predictions:
        """The pictures that ``wanted`` says yes to."""
        places = [place for place, sample in enumerate(self.data.samples) if wanted(sample)]
        data = replace(self.data, samples=tuple(self.data.samples[place] for place in places))
        found = tuple(self.found[place] for place in places)
        brightness = tuple(self.brightness[place] for place in places)
        return replace(self, data=data, found=found, brightness=brightness)


def predict(detector: Detector, data: DataSet, *, advance: Advance | None = None) -> Predictions:
    """Run a detector over every picture of a data set.

    The detector must have been opened with low thresholds (``open_model`` does so), or an average precision comes out
    too small.

    Args:
        detector: The model.
        data: Labelled pictures.
        advance: Told how many pictures are done, each time that some are.

    Raises:
        DatasetError: There are no pictures, none can be read, or the classes do not fit.
        BackendError: The model failed.
    """
    if not data.samples:
        msg = f"{data.root}: there are no pictures to evaluate on"
        raise DatasetError(msg)
    known, label, notes = classes_of_both(detector.classes, data)
    seen: list[tuple[Sample, Detections, float]] = []
    unreadable: list[Finding] = []
    broken = {sample.part for sample in data.lost}
    lost = 0
    pictures = _read_ahead(data.samples)
    while chunk := list(islice(pictures, max(1, detector.max_batch))):
        good = [(sample, image) for sample, image in chunk if not isinstance(image, Finding)]
        unreadable += [image for _, image in chunk if isinstance(image, Finding)]
        broken.update(sample.part for sample, image in chunk if isinstance(image, Finding))
        if good:
            answers = detector.infer(
                single_batch([frame_of(sample.file, image) for sample, image in good], detector.input)
            )
            for (sample, image), answer in zip(good, answers, strict=True):
                cut = _cut(sample)
                lost += len(sample) - len(cut)
                seen.append((cut, _mapped(answer, label), float(image.mean())))
        if advance is not None:
            advance(len(chunk))
    whole = [row for row in seen if row[0].part not in broken]
    if not whole:
        why = unreadable or [finding for finding in data.findings if finding.picture]
        msg = f"none of {len(data)} pictures can be used; the first: {why[0].message}"
        raise DatasetError(msg)
    if lost:
        notes = (*notes, f"{lost} labelled boxes lie outside of their picture and are not counted.")
    if more := len(seen) - len(whole):
        notes = (*notes, f"Pictures left out since another picture of the same part could not be used: {more}.")
    samples, found, brightness = zip(*whole, strict=True)
    return Predictions(replace(data, classes=known, samples=samples), found, brightness, tuple(unreadable), notes)


def coco_results(predictions: Predictions) -> list[dict[str, object]]:
    """COCO results form: ``image_id`` is the picture's name in the data set, ``bbox`` is x, y, width, height in px."""
    rows: list[dict[str, object]] = []
    for sample, found in zip(predictions.data.samples, predictions.found, strict=True):
        name = predictions.data.name(sample.file)
        for (x1, y1, x2, y2), score, label in zip(
            found.xyxy.tolist(), found.score.tolist(), found.label.tolist(), strict=True
        ):
            box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            rows.append({"image_id": name, "category_id": label, "bbox": box, "score": round(score, 5)})
    return rows


def thresholds_of(classes: Sequence[str], named: Mapping[str, float]) -> tuple[float, ...]:
    """Minimum score of each class; ``default`` holds for the classes not named."""
    return tuple(named.get(name, named.get("default", 0.25)) for name in classes)


def classes_of_both(model: Sequence[str], data: DataSet) -> tuple[tuple[str, ...], IntArray, tuple[str, ...]]:
    """The classes of both, the place of each of the model's among them, and what is to say about it.

    Args:
        model: The classes that the model knows.
        data: Labelled pictures.

    Raises:
        DatasetError: The data set has boxes of a class that the model does not know.
    """
    used = [name for name, count in zip(data.classes, data.counts(), strict=True) if count]
    missing = [name for name in used if name not in model]
    if missing or (data.classes and not set(model) & set(data.classes)):
        strange = missing or list(data.classes)
        msg = f"the model does not know {', '.join(strange)}; it knows {', '.join(model)} (classes go by their name)"
        raise DatasetError(msg)
    more = [name for name in model if name not in data.classes]
    known = (*data.classes, *more)
    notes = (
        (f"The labels do not know {', '.join(more)}: what the model reports of it counts as false.",) if more else ()
    )
    return known, np.array([known.index(name) for name in model], np.int64), notes


def _mapped(found: Detections, label: IntArray) -> Detections:
    best = np.argsort(-found.score, kind="stable")[:MOST_DETECTIONS]
    return Detections(found.xyxy[best], found.score[best], label[found.label[best]])


def _cut(sample: Sample) -> Sample:
    """Its boxes cut to the picture; what lies outside is dropped."""
    width, height = sample.size
    xyxy = np.clip(sample.xyxy, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)
    stay = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    origins = tuple(item for item, kept in zip(sample.origins, stay, strict=False) if kept)
    return replace(sample, xyxy=xyxy[stay], label=sample.label[stay], origins=origins)


def frame_of(file: Path, image: Image) -> Frame:
    """A picture as the runtime's pre-processing takes it."""
    time = FrameTime(datetime.fromtimestamp(0, timezone.utc), 0.0, "file")
    return Frame("evaluation", 0, time, ArrayPixels(image), name=str(file))


def _read_ahead(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Image | Finding]]:
    """Pictures in order, read by threads a few ahead."""
    waiting: deque[tuple[Sample, Future[Image | Finding]]] = deque()
    with ThreadPoolExecutor(DECODERS, "evaluation-read") as pool:
        for sample in samples:
            waiting.append((sample, pool.submit(_read, sample)))
            if len(waiting) > 4 * DECODERS:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _read(sample: Sample) -> Image | Finding:
    name = str(Path(sample.file))
    try:
        image = read_image(sample.file)
    except ImageError as exc:
        return Finding("unreadable", "error", name, str(exc).removeprefix(f"{name}: "))
    size = (image.shape[1], image.shape[0])
    if size != tuple(sample.size):
        have, said = (f"{width}x{height}" for width, height in (size, sample.size))
        return Finding("size", "error", name, f"the picture is {have} px, its labels are for {said} px")
    if set(sample.label.tolist()) != set(_cut(sample).label.tolist()):  # it would pass for one without the defect
        return Finding("outside", "error", name, "all its labelled boxes of a class lie outside of the picture")
    return image
