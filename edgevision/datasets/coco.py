"""COCO data sets: JSON files with ``images``, ``annotations`` and ``categories`` (https://cocodataset.org/#format-data).

Layouts: one JSON beside its pictures or a folder ``images/``; ``annotations/instances_SPLIT.json`` with pictures in
``images/``, ``SPLIT/`` or ``images/SPLIT/``; ``SPLIT/_annotations.coco.json`` with the pictures beside it. Categories
become classes in the order of their ids, which need not be contiguous. Crowds (``iscrowd``) are left out. A picture
of the file without annotations shows nothing. Strings and numbers that an image carries beyond the standard become
columns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from edgevision.datasets.base import SPLITS, DataSet, Finding, merged
from edgevision.datasets.columns import FILE, in_table
from edgevision.datasets.pictures import files_below, is_file
from edgevision.datasets.reading import Findings, Raw, assemble, child, split_of
from edgevision.datasets.texts import class_names, decimals, numbers, read_json
from edgevision.datasets.writing import Placed, put
from edgevision.errors import DatasetError

ROBOFLOW = "_annotations.coco.json"
_STANDARD = frozenset(
    {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured", "extra", FILE}
)
_TABLES = ("images", "annotations", "categories")


def described(path: Path) -> list[tuple[str, Path]]:
    """(split, JSON file) of everything that makes up the data set at ``path``; empty when it is none.

    Raises:
        DatasetError: There are several JSON files of which one must be named.
    """
    if path.is_file():
        return [("", path)] if path.suffix == ".json" else []
    folder = child(path, "annotations")
    instances = sorted(folder.glob("instances_*.json")) if folder else []
    if instances:
        return [(split_of(file.stem.removeprefix("instances_")), file) for file in instances]
    nested = sorted(path.glob(f"*/{ROBOFLOW}"))
    if nested:
        return [(split_of(file.parent.name), file) for file in nested]
    single = sorted([*path.glob("*.json"), *(folder.glob("*.json") if folder else [])])
    if len(single) > 1 and not child(path, "labels"):
        names = ", ".join(file.name for file in single[:4])
        raise DatasetError(f"{path}: several JSON files ({names}); name the one that is meant")
    return [("", file) for file in single[:1]]


def read(path: Path) -> DataSet:
    """Read a COCO data set: a JSON file, or a folder in one of the layouts.

    Raises:
        DatasetError: It is none, or a file is malformed.
    """
    files = described(path)
    if not files:
        wanted = f"annotations/instances_*.json, */{ROBOFLOW} or one *.json"
        raise DatasetError(f"{path}: no COCO data set: neither of {wanted} is there")
    root = path if path.is_dir() else path.parent
    parts = [_File(file, split, root) for split, file in files]
    used = [part for part in parts if not part.empty] or parts[:1]
    sets = [part.read() for part in used]
    findings = [Finding("empty_file", "warning", str(part.file), "lists no image") for part in parts if part.empty]
    told = {file for part in used for file in part.listed}
    findings += [finding for part in used for finding in part.unlisted(told)]
    data = merged(sets) if len(sets) > 1 else sets[0]
    return replace(data, findings=(*data.findings, *findings))


class _File:
    """Reads one JSON file.

    Args:
        file: The file.
        split: The split of its pictures.
        root: The data set's folder.
    """

    def __init__(self, file: Path, split: str, root: Path) -> None:
        document = read_json(file)
        missing = [key for key in _TABLES if not isinstance(document, dict) or not _is_table(document.get(key))]
        if missing:
            raise DatasetError(f"{file}: no COCO file: `{missing[0]}` is no list of objects")
        self.file, self._split, self._root = file, split, root
        self.empty = not document["images"]
        self._document = document
        self._findings = Findings()
        self._folders = self._places()
        self.listed: set[Path] = set()

    def read(self) -> DataSet:
        categories = {_id(item.get("id")): item.get("name") for item in self._document["categories"]}
        if None in categories:
            raise DatasetError(f"{self.file}: a category has no id")
        ids = sorted(categories, key=lambda number: (not isinstance(number, int), number))
        if len(ids) != len(self._document["categories"]):
            raise DatasetError(f"{self.file}: two categories have one id")
        classes = class_names([categories[number] for number in ids], f"{self.file}: categories")
        raws = self._images()
        self._annotations(raws, {number: index for index, number in enumerate(ids)})
        self.listed = {raw.file for raw in raws.values() if raw}
        return assemble(self._root, classes, [raw for raw in raws.values() if raw], self._findings)

    def _places(self) -> list[Path]:
        """Folders in which a picture may lie, those that exist."""
        beside, above = self.file.parent, self.file.parent.parent
        name = self.file.stem.removeprefix("instances_")
        names = list(dict.fromkeys([name, self._split]))
        places = [beside, beside / "images"]
        if beside.name.lower() == "annotations":
            places = [above / "images", *(above / "images" / item for item in names), *(above / item for item in names)]
            places.append(above)
        return [place for place in dict.fromkeys(places) if place.is_dir()]

    def _images(self) -> dict[Any, Raw | None]:
        """A raw picture by image id; ``None`` for one whose file is missing, which has been told."""
        raws: dict[Any, Raw | None] = {}
        for item in self._document["images"]:
            where = f"{self.file}#image {item.get('id')}"
            number = _id(item.get("id"))
            if number is None or number in raws or not isinstance(item.get("file_name"), str):
                self._findings.error("bad_label", where, "an image needs an id of its own and a `file_name`")
                continue
            picture = self._picture(item["file_name"], where)
            raw = (
                Raw(picture, self._split, columns=_columns(item), stated=_stated(item), where=where)
                if picture
                else None
            )
            raws[number] = raw
        return raws

    def _picture(self, name: str, where: str) -> Path | None:
        path = PurePosixPath(name.replace("\\", "/"))
        if ".." in path.parts or path.is_absolute():
            self._findings.error("outside_root", where, f"{name} leads out of the data set's folder")
            return None
        for index, folder in enumerate(self._folders):
            if is_file(folder / path):
                self._folders.insert(0, self._folders.pop(index))  # the others lie there too, most likely
                return folder / path
        self._findings.error("no_picture", where, f"there is no picture {name}")
        return None

    def _annotations(self, raws: dict[Any, Raw | None], index: dict[Any, int]) -> None:
        left_out: Counter[str] = Counter()
        for item in self._document["annotations"]:
            where, box = f"{self.file}#annotation {item.get('id')}", item.get("bbox")
            values = numbers(box) if isinstance(box, list) and len(box) == 4 else None  # noqa: PLR2004 - x, y, w, h
            image, category = _id(item.get("image_id")), _id(item.get("category_id"))
            if image not in raws:
                self._findings.error("no_picture", where, f"there is no image {item.get('image_id')}")
            elif item.get("iscrowd"):
                left_out["crowds"] += 1
            elif category not in index:
                text = f"there is no category {item.get('category_id')}"
                self._findings.error("unknown_class", where, text, raws[image])
            elif values is None:
                text = "`bbox` must be four numbers: x, y, width, height"
                self._findings.error("bad_label", where, text, raws[image])
            elif raw := raws[image]:
                x, y, width, height = values
                raw.add((x, y, x + width, y + height), index[category], where)
        if left_out["crowds"]:
            self._findings.warning("crowd", self.file, f"{left_out['crowds']} crowds (iscrowd) are left out")

    def unlisted(self, told: set[Path]) -> Iterator[Finding]:
        """Pictures that lie among the others and are in no file; those in ``told`` are left out, the new ones added."""
        for folder in sorted({file.parent for file in self.listed}):
            for file in files_below(folder):
                if file.parent == folder and file not in told and not self._elsewhere(file):
                    told.add(file)
                    yield Finding("no_label", "warning", str(file), f"is not in {self.file.name} and left out")

    def _elsewhere(self, file: Path) -> bool:
        """Whether other JSON files may list it, since all splits lie in one folder."""
        return bool(self._split) and self._split not in {split_of(part) for part in file.parts}


def _id(value: object) -> int | str | None:
    """An id, also where a table made 1.0 of it; ``None`` for what is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) else None


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _columns(image: dict[str, Any]) -> dict[str, str]:
    kinds = (str, int, float)
    return {
        in_table(key): in_table(str(value))
        for key, value in image.items()
        if key not in _STANDARD and isinstance(value, kinds) and not isinstance(value, bool)
    }


def _stated(image: dict[str, Any]) -> tuple[int, int] | None:
    size = image.get("width"), image.get("height")
    return (size[0], size[1]) if all(isinstance(side, int) and side > 0 for side in size) else None  # type: ignore[return-value]


def write(data: DataSet, folder: Path, placed: Sequence[Placed]) -> None:
    """Write ``annotations/instances_SPLIT.json``; ``instances_all.json`` for pictures that are in no split."""
    categories = [{"id": number, "name": name} for number, name in enumerate(data.classes, start=1)]
    for split in ("", *SPLITS):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for item in placed:
            if item.split != split:
                continue
            sample, number = item.sample, len(images) + 1
            extra = {key: value for key, value in sample.columns.items() if key not in _STANDARD}
            size = {"width": sample.size[0], "height": sample.size[1]}
            images.append({"id": number, "file_name": str(PurePosixPath(split, item.name)), **size, **extra})
            for (x1, y1, x2, y2), label in zip(decimals(sample.xyxy), sample.label, strict=True):
                x, y, width, height = (round(value, 9) for value in (x1, y1, x2 - x1, y2 - y1))
                about = {"id": len(annotations) + 1, "image_id": number, "category_id": int(label) + 1}
                shape = {"bbox": [x, y, width, height], "area": round(width * height, 6), "iscrowd": 0}
                annotations.append({**about, **shape, "segmentation": []})
        if images:
            document = {"images": images, "annotations": annotations, "categories": categories}
            text = json.dumps(document, ensure_ascii=False)
            put(folder / "annotations" / f"instances_{split or 'all'}.json", text)


def place(item: Placed) -> str:
    """Where a picture lies."""
    return str(PurePosixPath("images", item.split, item.name))
