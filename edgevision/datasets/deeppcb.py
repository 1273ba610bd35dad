"""DeepPCB (Tang et al., 2019, https://github.com/tangsanli5201/DeepPCB): board pictures with defect-free templates.

Layouts: ``images/ID.png``, ``templates/ID.png``, ``labels_orig/ID.txt`` (or ``labels/``), and the original one,
``groupG/G/ID_test.jpg``, ``ID_temp.jpg``, ``groupG/G_not/ID.txt``. A line is ``x1 y1 x2 y2 type`` with spaces or
commas, edges in pixels from 0, and types from 1: open, short, mousebite, spur, copper, pin-hole, unless
``classes.txt`` names others. The column ``board`` is the first five digits of the ID. ``train.txt``, ``val.txt`` and
``test.txt`` list IDs, or the original's paths; ``trainval.txt`` is train where ``test.txt`` lies beside it and says
nothing where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevision.datasets.base import SPLITS, DataSet
from edgevision.datasets.pictures import files_below
from edgevision.datasets.reading import Findings, Raw, assemble, by_stem, child
from edgevision.datasets.texts import class_file, decimals, lines_of, numbers, plain
from edgevision.datasets.writing import Placed, put
from edgevision.errors import DatasetError

TYPES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
CLASSES = "classes.txt"
BOARD = "board"
_TEST, _TEMPLATE = "_test", "_temp"
_TEXT = frozenset({".txt"})
_NUMBERS = 5


@dataclass(frozen=True, slots=True)
class _Layout:
    """Files by their IDs."""

    pictures: Mapping[str, Path]
    templates: Mapping[str, Path]
    labels: Mapping[str, Path]
    surplus: Sequence[Path] = ()


def is_one(path: Path) -> bool:
    """Whether DeepPCB's folders are there."""
    flat = child(path, "images") and child(path, "templates") and child(path, "labels_orig", "labels")
    return bool(flat) or bool(path.is_dir() and _groups(path))


def _groups(path: Path) -> list[Path]:
    inner = child(path, "PCBData") or path
    return sorted(folder for folder in inner.glob("group*") if (folder / f"{folder.name[5:]}_not").is_dir())


def read(path: Path) -> DataSet:
    """Read a DeepPCB data set.

    Raises:
        DatasetError: It is none.
    """
    if not is_one(path):
        wanted = "images/, templates/ and labels_orig/, or groupG/G and groupG/G_not"
        raise DatasetError(f"{path}: no DeepPCB data set: {wanted} are not there")
    layout, findings = _original(path) if _groups(path) else _flat(path), Findings()
    classes = class_file(path / CLASSES) if (path / CLASSES).is_file() else TYPES
    splits = _splits(path, layout.pictures, findings)
    raws = []
    for name, picture in layout.pictures.items():
        raw = Raw(picture, splits.get(name, ""), columns=_board(name), template=layout.templates.get(name))
        if name in layout.labels:
            _read_labels(layout.labels[name], raw, classes, findings)
        else:
            findings.warning("no_label", picture, "has no label file; it is taken to show nothing")
        if layout.templates and raw.template is None:
            findings.warning("no_template", picture, "has no template")
        raws.append(raw)
    if not layout.templates:
        findings.warning("no_template", path, "has no templates")
    for picture in layout.surplus:
        findings.error("name_twice", picture, "another picture has the same ID; this one is left out")
    for name in sorted(layout.labels.keys() - layout.pictures.keys()):
        findings.error("no_picture", layout.labels[name], "is a label file without a picture")
    return assemble(path, classes, raws, findings)


def _flat(path: Path) -> _Layout:
    pictures, templates = child(path, "images"), child(path, "templates")
    labels = child(path, "labels_orig", "labels")
    files = files_below(pictures) if pictures else []
    known = by_stem(files)
    return _Layout(
        known,
        by_stem(files_below(templates)) if templates else {},
        by_stem(files_below(labels, _TEXT)) if labels else {},
        [file for file in files if known[file.stem] != file],
    )


def _original(path: Path) -> _Layout:
    files, labels = {}, {}
    for group in _groups(path):
        files.update(by_stem(files_below(group / group.name[5:])))
        labels.update(by_stem(files_below(group / f"{group.name[5:]}_not", _TEXT)))
    ends = {
        end: {name.removesuffix(end): file for name, file in files.items() if name.endswith(end)}
        for end in (_TEST, _TEMPLATE)
    }
    return _Layout(ends[_TEST], ends[_TEMPLATE], labels)


def _board(name: str) -> dict[str, str]:
    digits = re.match(r"\d{5}", name)
    return {BOARD: digits.group()} if digits else {}


def _splits(path: Path, known: Mapping[str, Path], findings: Findings) -> dict[str, str]:
    inner = path if any((path / f"{name}.txt").is_file() for name in (*SPLITS, "trainval")) else path / "PCBData"
    lists = {split: inner / f"{split}.txt" for split in SPLITS}
    if lists["test"].is_file() and not lists["train"].is_file():
        lists["train"] = inner / "trainval.txt"
    out: dict[str, str] = {}
    for split, file in lists.items():
        for where, line in lines_of(file) if file.is_file() else []:
            name = line if line in known else Path(re.split(r"[\s,]", line)[0]).stem
            if name not in known:
                findings.error("no_picture", where, f"there is no picture {name}")
            elif out.setdefault(name, split) != split:
                findings.error("two_splits", where, f"{name} is in {out[name]} already, and stays there")
    return out


def _read_labels(file: Path, raw: Raw, classes: Sequence[str], findings: Findings) -> None:
    for where, line in findings.lines_of(file, raw):
        values = numbers(re.split(r"[\s,]+", line))
        if values is None or len(values) != _NUMBERS:
            findings.error("bad_label", where, f"expected x1 y1 x2 y2 type, got {line[:60]!r}", raw)
        elif not (values[4].is_integer() and 1 <= values[4] <= len(classes)):
            findings.error("unknown_class", where, f"type {values[4]:g}; there are 1 to {len(classes)}", raw)
        else:
            raw.add(values[:4], int(values[4]) - 1, where)


def write(data: DataSet, folder: Path, placed: Sequence[Placed]) -> None:
    """Write ``labels_orig/`` and lists of the splits; ``classes.txt`` where the classes are not DeepPCB's."""
    if data.classes != TYPES:
        put(folder / CLASSES, "".join(f"{name}\n" for name in data.classes))
    for split in SPLITS:
        stems = [item.stem for item in placed if item.split == split]
        if stems:
            put(folder / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    (folder / "templates").mkdir(exist_ok=True)
    for item in placed:
        rows = zip(decimals(item.sample.xyxy), item.sample.label, strict=True)
        lines = [f"{' '.join(map(plain, box))} {label + 1}\n" for box, label in rows]
        put(folder / "labels_orig" / f"{item.stem}.txt", "".join(lines))


def place(item: Placed) -> str:
    """Where a picture lies."""
    return f"images/{item.name}"


def place_template(item: Placed, template: Path) -> str:
    """Where its template lies."""
    return f"templates/{item.stem}{template.suffix.lower()}"
