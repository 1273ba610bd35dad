"""Writes what batch inspection found: JSON, CSV, COCO results and annotated pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from edgevision.batch.inspection import PictureResult
from edgevision.errors import EdgevisionError
from edgevision.folders import new_folder
from edgevision.sources.images import read_image

_COLOURS = {"ok": (80, 170, 60), "review": (0, 170, 240), "ng": (40, 40, 220)}  # BGR
_COLUMNS = ("file", "result", "reason", "defects", "labels", "width", "height")


class ResultWriter:
    """Writes into a folder of its own; results are on disk line by line, the summaries at the end.

    Files: ``results.jsonl`` and ``results.csv`` (a row a picture), ``coco_results.json`` (a list of detections whose
    ``image_id`` is the picture's name relative to the common root), ``coco_images.json`` (its ``images`` and
    ``categories`` tables with numeric ids) and ``annotated/``.

    Args:
        folder: Where to write; must be empty or new, so that no earlier run is overwritten.
        root: Names in the results are relative to this folder.
        classes: Class names.
        annotate: Whether to draw pictures.

    Raises:
        EdgevisionError: The folder cannot be used.
    """

    def __init__(self, folder: Path, root: Path, classes: Sequence[str], *, annotate: bool = True) -> None:
        new_folder(folder)
        self._folder = folder
        self._root = root
        self._classes = classes
        self._annotate = annotate
        self._lines = (folder / "results.jsonl").open("w", encoding="utf-8")
        self._table_file = (folder / "results.csv").open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._table = csv.DictWriter(self._table_file, _COLUMNS)
        self._table.writeheader()
        self._coco: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []

    def __enter__(self) -> ResultWriter:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._table_file.close()
        categories = [{"id": index, "name": name} for index, name in enumerate(self._classes)]
        _dump(self._folder / "coco_results.json", self._coco)
        _dump(self._folder / "coco_images.json", {"images": self._images, "categories": categories})

    def write(self, result: PictureResult) -> None:
        """Add one picture.

        Raises:
            EdgevisionError: Its annotated copy cannot be written.
        """
        name = self._name(result.file)
        width, height = result.size or (None, None)
        row = {"file": name, "result": result.result, "reason": result.reason, "width": width, "height": height}
        self._lines.write(json.dumps({**row, "defects": result.defects}) + "\n")
        labels = " ".join(sorted({str(defect["label"]) for defect in result.defects}))
        self._table.writerow({**row, "defects": len(result.defects), "labels": labels})
        if result.size is not None:
            self._images.append({"id": len(self._images), "file_name": name, "width": width, "height": height})
            self._coco.extend(_coco(name, result))
            if self._annotate:
                self._draw(name, result)

    def _name(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix() if file.is_relative_to(self._root) else file.as_posix()

    def _draw(self, name: str, result: PictureResult) -> None:
        target = self._folder / "annotated" / f"{name.lstrip('/')}.jpg"  # a.png and a.bmp are two pictures
        target.parent.mkdir(parents=True, exist_ok=True)
        _, jpeg = cv2.imencode(".jpg", annotated(result))
        try:
            target.write_bytes(jpeg.tobytes())  # OpenCV's own writer ends the process at names that are no UTF-8
        except OSError as exc:
            raise EdgevisionError(f"{target}: cannot be written: {exc.strerror}") from exc


def annotated(result: PictureResult) -> Any:  # noqa: ANN401 - OpenCV's array type
    """The picture with its defects and its verdict, (H, W, 3) uint8 BGR."""
    picture = read_image(result.file).copy()
    scale = max(0.4, max(picture.shape[:2]) / 1280)
    thick = max(1, round(2 * scale))
    for defect in result.defects:
        x1, y1, x2, y2 = (round(value) for value in defect["box"])
        colour = _COLOURS["review" if defect["severity"] == "review" else "ng"]
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, thick)
        _label(picture, f"{defect['label']} {defect['score']:.2f}", (x1, y1), colour, scale)
    verdict = str(result.result)
    cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, picture.shape[0] - 1), _COLOURS[verdict], 2 * thick)
    _label(picture, verdict.upper(), (4 * thick, round(34 * scale)), _COLOURS[verdict], 1.4 * scale)
    return picture


def _label(picture: Any, text: str, corner: tuple[int, int], colour: tuple[int, int, int], scale: float) -> None:  # noqa: ANN401
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(scale))
    (width, height), below = cv2.getTextSize(text, font, 0.6 * scale, thick)
    x = min(max(0, corner[0]), max(0, picture.shape[1] - width))
    y = max(height + below, corner[1])
    cv2.rectangle(picture, (x, y - height - below), (x + width, y), colour, -1)
    cv2.putText(picture, text, (x, y - below // 2), font, 0.6 * scale, (255, 255, 255), thick, cv2.LINE_AA)


def _coco(name: str, result: PictureResult) -> list[dict[str, Any]]:
    rows = []
    found = result.detections
    for (x1, y1, x2, y2), score, label in zip(
        found.xyxy.tolist(), found.score.tolist(), found.label.tolist(), strict=True
    ):
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        rows.append({"image_id": name, "category_id": label, "bbox": box, "score": round(score, 5)})
    return rows


def _dump(file: Path, document: object) -> None:
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
