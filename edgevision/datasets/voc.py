"""Pascal VOC data sets: an XML file a picture (VOC2012 development kit, section 9 and annotations.txt).

Pixels count from 1 in VOC, and ``xmax``, ``ymax`` name the last pixel inside: a box over a whole picture of 200x200
is 1, 1, 200, 200, and so it stands in VOC's own files and in NEU-DET's (coordinates from 1 to 200). Here edges count
from 0 and the right and lower one lie behind the last pixel, so ``x1 = xmin - 1``, ``y1 = ymin - 1``, ``x2 = xmax``,
``y2 = ymax``. Many converters leave the 1 out; a 0 in their files is read as 1, with a warning.

Folders: ``Annotations`` or ``annotations_voc`` beside ``JPEGImages`` or ``images``, also one such pair in each of
``train``, ``valid``, ``test``; ``ImageSets/Main/SPLIT.txt``. Classes are those of ``classes.txt`` where it is there,
else all names that occur, in alphabetical order. Objects marked difficult are kept as the others are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape

from edgevision.datasets.base import SPLITS, DataSet
from edgevision.datasets.pictures import files_below
from edgevision.datasets.reading import Findings, Raw, assemble, child, split_of
from edgevision.datasets.texts import Element, class_file, decimals, lines_of, numbers, plain, read_xml
from edgevision.datasets.writing import Placed, put
from edgevision.errors import DatasetError

CLASSES = "classes.txt"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LISTS = Path("ImageSets", "Main")
_NEXT_TO_0 = 1e-9  # of a box a pixel out of the picture: a 0 would be read as a 1


def pairs(path: Path) -> list[tuple[str, Path, Path]]:
    """(split, annotations, pictures) folders of the data set at ``path``; empty when it is none."""
    if not path.is_dir():
        return []
    inside = [(split_of(item.name), item) for item in sorted(path.iterdir()) if item.is_dir() and split_of(item.name)]
    found = []
    for split, folder in [("", path), *inside]:
        labels = child(folder, "annotations", "annotations_voc", "annotation", "xml")
        pictures = child(folder, "jpegimages", "images", "image")
        if labels and pictures and next(labels.glob("**/*.xml"), None):
            found.append((split, labels, pictures))
    return found


def read(path: Path) -> DataSet:
    """Read a VOC data set.

    Raises:
        DatasetError: It is none.
    """
    found = pairs(path)
    if not found:
        wanted = "a folder such as Annotations with *.xml and one such as JPEGImages or images"
        raise DatasetError(f"{path}: no VOC data set: {wanted} are not there")
    return _Reader(path).read(found)


class _Pictures:
    """The pictures below a folder, found by their label files.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.files = files_below(folder)
        self._beside: defaultdict[Path, list[Path]] = defaultdict(list)
        self._named: defaultdict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            self._beside[file.relative_to(folder).with_suffix("")].append(file)
            self._named[file.stem].append(file)
            self._named[file.name].append(file)

    def beside(self, labels: Path, label: Path) -> list[Path]:
        """Pictures with a label file's name in the same folder below that of all pictures."""
        return self._beside.get(label.relative_to(labels).with_suffix(""), [])

    def of(self, labels: Path, label: Path, filename: str) -> Path | None:
        """A label file's picture: its folder counts most, then its name; ``filename`` decides between several."""
        found = self.beside(labels, label) or self._named.get(label.stem) or self._named.get(filename) or []
        return next((file for file in found if file.name == filename), found[0] if found else None)


class _Reader:
    """Reads one data set.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._findings = Findings()
        self._names: list[str] = []
        self._from_zero: list[str] = []
        file = path / CLASSES
        self._classes = class_file(file) if file.is_file() else None

    def read(self, found: Sequence[tuple[str, Path, Path]]) -> DataSet:
        raws: list[Raw] = []
        for split, labels, pictures in found:
            raws += self._folder(split, labels, pictures)
        classes = self._classes or tuple(sorted(set(self._names)))
        if raws and not classes:
            first = f"; the first problem: {self._findings.found[0]}" if self._findings.found else ""
            msg = f"{self._path}: no object has a name, so there are no classes; list them in {CLASSES}{first}"
            raise DatasetError(msg)
        read = {origin for raw in raws if not raw.lost for origin in raw.origins}
        if from_zero := [where for where in self._from_zero if where in read]:
            text = f"{len(from_zero)} boxes begin at 0, though VOC counts from 1; they are read as if from 1"
            self._findings.warning("counts_from_0", from_zero[0], text)
        index = {name: number for number, name in enumerate(classes)}
        for raw in raws:
            raw.label = [index[self._names[number]] for number in raw.label]
        return assemble(self._path, classes, self._with_splits(raws), self._findings)

    def _folder(self, split: str, labels: Path, pictures: Path) -> Iterable[Raw]:
        known = _Pictures(pictures)
        raws = {file: Raw(file, split) for file in known.files}
        labelled: set[Path | None] = set()
        files = files_below(labels, frozenset({".xml"}))
        for file in sorted(files, key=lambda file: not known.beside(labels, file)):  # they go before others of the name
            try:
                root = read_xml(file)
            except DatasetError as exc:
                unread = known.of(labels, file, "")
                lost = raws[unread] if unread and unread not in labelled else None  # a second file is left out itself
                self._findings.refused("bad_label", exc, lost)
                labelled.add(unread)
                continue
            picture = known.of(labels, file, root.get("filename"))
            if picture is None:
                self._findings.error("no_picture", file, f"is a label file without a picture in {pictures}")
                continue
            if picture in labelled:
                self._findings.error(
                    "name_twice", file, f"{picture.name} has a label file already; this one is left out"
                )
                continue
            labelled.add(picture)
            raws[picture].stated, raws[picture].where = _stated(root), str(file)
            for item in root.all("object"):
                self._object(item, file, raws[picture])
        for picture in raws.keys() - labelled:
            self._findings.warning("no_label", picture, f"has no XML file in {labels}; it is taken to show nothing")
        return raws.values()

    def _object(self, item: Element, file: Path, raw: Raw) -> None:
        where, name = f"{file}:{item.line}", item.get("name")
        values = numbers([item.get("bndbox", side) for side in _SIDES])
        if not name:
            self._findings.error("bad_label", where, "the object has no name", raw)
        elif self._classes is not None and name not in self._classes:
            text = f"class {name!r}; {CLASSES} has {', '.join(self._classes)}"
            self._findings.error("unknown_class", where, text, raw)
        elif values is None:
            self._findings.error("bad_label", where, f"`bndbox` must hold the numbers {', '.join(_SIDES)}", raw)
        else:
            x1, y1, x2, y2 = values
            if 0 in {x1, y1}:
                self._from_zero.append(where)
            raw.add((x1 - 1 if x1 else 0, y1 - 1 if y1 else 0, x2, y2), len(self._names), where)
            self._names.append(name)

    def _with_splits(self, raws: Sequence[Raw]) -> list[Raw]:
        """The pictures with the splits of the lists; one that is in two of them comes twice, which a check tells."""
        lists = [(split, self._path / _LISTS / f"{split}.txt") for split in SPLITS]
        lists = [(split, file) for split, file in lists if file.is_file()]
        if not lists:
            return list(raws)
        stems = {raw.file.stem: raw for raw in raws}
        out = []
        for split, file in lists:
            for where, line in lines_of(file):
                raw = stems.get(line) or stems.get(line.rpartition(" ")[0].rstrip())  # VOC's lists of a class: "ID -1"
                if raw is None:
                    self._findings.error("no_picture", where, f"there is no picture {line}")
                    continue
                out.append(replace(raw, split=split))
        listed = {raw.file for raw in out}
        return [*out, *(raw for raw in raws if raw.file not in listed)]


def _stated(root: Element) -> tuple[int, int] | None:
    values = numbers([root.get("size", "width"), root.get("size", "height")])
    return (int(values[0]), int(values[1])) if values and min(values) > 0 else None


def write(data: DataSet, folder: Path, placed: Sequence[Placed]) -> None:
    """Write ``Annotations/``, ``ImageSets/Main/SPLIT.txt`` and ``classes.txt``, which keeps the classes' order."""
    put(folder / CLASSES, "".join(f"{name}\n" for name in data.classes))
    for split in SPLITS:
        stems = [item.stem for item in placed if item.split == split]
        if stems:
            put(folder / _LISTS / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    for item in placed:
        put(folder / "Annotations" / f"{item.stem}.xml", _xml(item, data.classes))


def place(item: Placed) -> str:
    """Where a picture lies."""
    return f"JPEGImages/{item.name}"


def _xml(item: Placed, classes: Sequence[str]) -> str:
    width, height = item.sample.size
    lines = [
        "<annotation>",
        f"\t<folder>JPEGImages</folder>\n\t<filename>{escape(item.name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    for label, (x1, y1, x2, y2) in zip(item.sample.label, decimals(item.sample.xyxy), strict=True):
        values = zip(_SIDES, (x1 + 1 or _NEXT_TO_0, y1 + 1 or _NEXT_TO_0, x2, y2), strict=True)
        box = "".join(f"<{side}>{plain(value)}</{side}>" for side, value in values)
        about = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        name = escape(classes[label])
        lines.append(f"\t<object>\n\t\t<name>{name}</name>{about}\n\t\t<bndbox>{box}</bndbox>\n\t</object>")
    return "\n".join([*lines, "</annotation>", ""])
