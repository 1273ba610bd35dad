"""YOLO data sets: a text file a picture, ``class cx cy width height`` in shares of the picture.

Described by a ``data.yaml`` as Ultralytics has it (https://docs.ultralytics.com/datasets/detect/), or a bare folder
with ``images/``, ``labels/`` (or one ``labels_*/``) and ``classes.txt``. A picture's labels are found by exchanging the
last folder ``images`` of its path for ``labels``. A line with a polygon becomes the polygon's box. A picture whose
label file is empty shows nothing; one without a label file is taken to show nothing too, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edgevision.datasets.base import SPLITS, DataSet, Sample
from edgevision.datasets.pictures import files_below, is_dir, is_file, is_there
from edgevision.datasets.reading import Box, Findings, Raw, assemble, child, split_of
from edgevision.datasets.texts import class_file, class_names, decimals, lines_of, numbers, plain, read_yaml
from edgevision.datasets.writing import Placed, put
from edgevision.errors import DatasetError
from edgevision.sources.images import SUFFIXES

CLASSES = "classes.txt"
_BOX, _TRIANGLE = 4, 6  # numbers after the class
_DIGITS = 12  # of a share that has no end: gives back the float32 pixels
_TEXT = frozenset({".txt"})
_NO_LABELS = frozenset({CLASSES, *(f"{split}.txt" for split in SPLITS)})


def description(path: Path) -> Path | None:
    """The YAML file that describes the data set at ``path``, if there is one."""
    if path.is_file():
        return path if path.suffix in {".yaml", ".yml"} else None
    named = [path / "data.yaml", path / "data.yml"]
    return next((file for file in named if file.is_file()), None)


def bare_folders(path: Path) -> tuple[Path, Path] | None:
    """(pictures, labels) of a bare folder, if it is one."""
    pictures, labels = child(path, "images"), child(path, "labels", "labels_yolo")
    if pictures is None or not (path / CLASSES).is_file():
        return None
    others = [] if labels else sorted(item for item in path.glob("labels_*") if item.is_dir())
    labels = others[0] if len(others) == 1 else labels
    return (pictures, labels) if labels else None


def read(path: Path) -> DataSet:
    """Read a YOLO data set: a YAML file, its folder, or a bare folder.

    Raises:
        DatasetError: It is none, or names nothing that exists.
    """
    file = description(path)
    if file is not None:
        return _Described(file).read()
    bare = bare_folders(path)
    if bare is None:
        raise DatasetError(f"{path}: no YOLO data set: neither data.yaml nor images/, labels/ and {CLASSES} are there")
    pictures, labels = bare
    classes = class_file(path / CLASSES)
    files = {file: labels / file.relative_to(pictures).with_suffix(".txt") for file in files_below(pictures)}
    splits = {file: _first_folder(file.relative_to(pictures)) for file in files}
    entries = [(splits[file], file, files[file]) for file in files]
    return _collect(path, classes, entries, [(pictures, labels)], Findings())


def _first_folder(file: Path) -> str:
    return split_of(file.parts[0]) if len(file.parts) > 1 else ""


class _Described:
    """Reads what a YAML file describes.

    Args:
        file: The YAML file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys, self._lines = read_yaml(file)
        self._findings = Findings()
        self._folders: list[tuple[Path, Path]] = []
        self._root = self._base()

    def read(self) -> DataSet:
        if "kpt_shape" in self._keys:
            raise DatasetError(f"{self._where('kpt_shape')}: labels of poses are not read, boxes and polygons are")
        classes = self._classes()
        if not any(self._keys.get(split) for split in SPLITS):
            raise DatasetError(f"{self._file}: names no pictures: give folders or lists as `train`, `val` or `test`")
        entries = [
            (split, file, _label_file(file))
            for split in SPLITS
            for file in self._pictures(split, self._keys.get(split))
        ]
        return _collect(self._root, classes, entries, self._folders, self._findings)

    def _where(self, key: str) -> str:
        return f"{self._file}:{self._lines[key]}" if key in self._lines else str(self._file)

    def _base(self) -> Path:
        folder = self._file.parent
        given = self._keys.get("path")
        if given is None or is_dir(folder / str(given)):
            return folder / str(given or "")
        self._findings.warning(
            "moved", self._where("path"), f"there is no folder {given}; the folder of this file is used instead"
        )
        return folder

    def _classes(self) -> tuple[str, ...]:
        names, where = self._keys.get("names"), self._where("names")
        if isinstance(names, Mapping):
            if any(isinstance(key, bool) for key in names) or set(names) != set(range(len(names))):
                raise DatasetError(f"{where}: the keys of `names` must be 0, 1, 2, ... without gaps")
            names = [names[index] for index in range(len(names))]
        if not isinstance(names, list):
            raise DatasetError(f"{where}: `names` is missing: a list of class names, or a mapping from 0, 1, ...")
        if self._keys.get("nc", len(names)) != len(names):
            raise DatasetError(f"{self._where('nc')}: `nc` is {self._keys['nc']!r}, but `names` has {len(names)}")
        return class_names(names, where)

    def _pictures(self, split: str, given: Any) -> Iterable[Path]:  # noqa: ANN401 - YAML is anything
        for item in given if isinstance(given, list) else [given] if given else []:
            if not isinstance(item, str):
                raise DatasetError(f"{self._where(split)}: `{split}` must name folders or lists of pictures")
            place = self._root / item
            if not (is_dir(place) or is_file(place)) and item.startswith("../"):
                place = self._root / item[3:]  # Roboflow's files count from a folder further down
            if is_dir(place):
                files = files_below(place)
                if not files:
                    self._findings.warning("empty_file", self._where(split), f"`{split}` names {item}: no pictures")
                self._folders.append((place, _label_file(place / "any").parent))
                yield from files
            elif is_file(place) and place.suffix == ".txt":
                yield from self._listed(place)
            elif is_file(place) and place.suffix.lower() in SUFFIXES:
                yield place
            else:
                self._findings.error("missing", self._where(split), f"`{split}` names {item}, which is not there")

    def _listed(self, file: Path) -> Iterable[Path]:
        """Pictures of a list; a relative line counts from the list's folder, or else from the data set's."""
        for where, line in lines_of(file):
            name = PurePosixPath(line)
            if ".." in name.parts:
                self._findings.error("outside_root", where, f"{line} leads out of the data set's folder by `..`")
                continue
            places = [file.parent / name, self._root / name]
            found = next((place for place in places if is_file(place)), None)
            if found is None:
                self._findings.error("no_picture", where, f"there is no picture {line}")
            else:
                yield found


def _label_file(picture: Path) -> Path:
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _collect(
    root: Path,
    classes: Sequence[str],
    entries: Sequence[tuple[str, Path, Path]],
    folders: Sequence[tuple[Path, Path]],
    findings: Findings,
) -> DataSet:
    raws = []
    owner: dict[Path, Path] = {}
    for split, picture, label in entries:
        raw = Raw(picture, split)
        if owner.setdefault(label, picture).name != picture.name:
            findings.warning("shared_label", picture, f"has the label file of {owner[label].name}, {label}")
        if is_there(label):
            _read_labels(label, raw, len(classes), findings)
        else:
            findings.warning("no_label", picture, f"has no label file {label}; it is taken to show nothing")
        raws.append(raw)
    _orphans(entries, folders, findings)
    return assemble(root, classes, raws, findings, _pixels)


def _orphans(
    entries: Sequence[tuple[str, Path, Path]], folders: Sequence[tuple[Path, Path]], findings: Findings
) -> None:
    """Label files beside those that are used, or below ``folders`` (pictures, labels), for which no picture exists."""
    used = {label for _, _, label in entries}
    beside = {label.parent: picture.parent for _, picture, label in entries}
    for pictures, labels in folders:
        for file in files_below(labels, _TEXT) if labels != pictures and is_dir(labels) else []:
            beside.setdefault(file.parent, pictures / file.parent.relative_to(labels))
    for labels, pictures in beside.items():
        if not is_dir(labels):
            continue
        inside = pictures.iterdir() if is_dir(pictures) else ()
        stems = {item.stem for item in inside if item.suffix.lower() in SUFFIXES}
        for file in sorted(labels.glob("*.txt")):
            if file not in used and file.stem not in stems and file.name not in _NO_LABELS:
                findings.error("no_picture", file, f"is a label file without a picture in {pictures}")


def _read_labels(file: Path, raw: Raw, classes: int, findings: Findings) -> None:
    for where, line in findings.lines_of(file, raw):
        first, *rest = line.split()
        values, index = numbers(rest), numbers([first])
        if values is None or index is None or not index[0].is_integer():
            findings.error("bad_label", where, f"expected a class and numbers, got {line[:60]!r}", raw)
        elif not 0 <= index[0] < classes:
            findings.error("unknown_class", where, f"class {int(index[0])}; there are 0 to {classes - 1}", raw)
        elif len(values) == _BOX:
            raw.add(values, int(index[0]), where)
        elif len(values) >= _TRIANGLE and len(values) % 2 == 0:
            raw.add(_box_of(values), int(index[0]), where)
        else:
            text = f"expected 4 numbers after the class or a polygon, got {len(values)}"
            findings.error("bad_label", where, text, raw)


def _box_of(polygon: Sequence[float]) -> Box:
    x1, x2, y1, y2 = min(polygon[::2]), max(polygon[::2]), min(polygon[1::2]), max(polygon[1::2])
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def _pixels(boxes: Sequence[Box], size: tuple[int, int]) -> Sequence[Box]:
    width, height = size
    return [
        ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        for cx, cy, w, h in boxes
    ]


def write(data: DataSet, folder: Path, placed: Sequence[Placed]) -> None:
    """Write labels, and ``data.yaml`` where every picture has a split, else a bare folder with ``classes.txt``."""
    import yaml

    for item in placed:
        put(folder / "labels" / item.split / f"{item.stem}.txt", _lines(item.sample))
    if all(item.split for item in placed):
        used = [split for split in SPLITS if any(item.split == split for item in placed)]
        document = {**{split: f"images/{split}" for split in used}, "names": dict(enumerate(data.classes))}
        put(folder / "data.yaml", yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    else:
        put(folder / CLASSES, "".join(f"{name}\n" for name in data.classes))


def place(item: Placed) -> str:
    """Where a picture lies."""
    return str(PurePosixPath("images", item.split, item.name))


def _lines(sample: Sample) -> str:
    width, height = sample.size
    lines = []
    for label, (x1, y1, x2, y2) in zip(sample.label, decimals(sample.xyxy), strict=True):
        shares = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
        lines.append(f"{label} {' '.join(plain(share, _DIGITS) for share in shares)}\n")
    return "".join(lines)
