"""The formats by their names: which one a path holds, reading it and writing it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Literal, get_args

from edgevision.datasets import coco, deeppcb, voc, yolo
from edgevision.datasets.base import DataSet
from edgevision.datasets.columns import FILE, TABLE, with_columns
from edgevision.datasets.writing import Placed, new_folder, placed, put, put_pictures
from edgevision.errors import DatasetError

FormatName = Literal["yolo", "coco", "voc", "deeppcb"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
AUTO = "auto"

_READ: dict[str, Callable[[Path], DataSet]] = {
    "yolo": yolo.read,
    "coco": coco.read,
    "voc": voc.read,
    "deeppcb": deeppcb.read,
}
_WRITE: dict[str, Callable[[DataSet, Path, Sequence[Placed]], None]] = {
    "yolo": yolo.write,
    "coco": coco.write,
    "voc": voc.write,
    "deeppcb": deeppcb.write,
}
_PLACE: dict[str, Callable[[Placed], str]] = {
    "yolo": yolo.place,
    "coco": coco.place,
    "voc": voc.place,
    "deeppcb": deeppcb.place,
}


def detect(path: Path) -> FormatName:
    """Which format ``path`` holds.

    What describes itself goes first: ``data.yaml``, then DeepPCB's three folders, VOC's XML files, COCO's JSON files,
    and last a bare YOLO folder, which often lies beside the others as a copy.

    Raises:
        DatasetError: It is not there, or none of them.
    """
    with _told(path):
        if not path.exists():
            raise DatasetError(f"{path}: there is no such file or folder")
        if yolo.description(path):
            return "yolo"
        if deeppcb.is_one(path):
            return "deeppcb"
        if voc.pairs(path):
            return "voc"
        if coco.described(path):
            return "coco"
        if path.is_dir() and yolo.bare_folders(path):
            return "yolo"
    looked = (
        "data.yaml or images/ + labels/ + classes.txt (yolo); annotations/instances_*.json, */_annotations.coco.json "
        "or one *.json (coco); Annotations/*.xml + JPEGImages/ or images/ (voc); images/ + templates/ + labels_orig/ "
        "or groupG/ (deeppcb)"
    )
    raise DatasetError(f"{path}: no data set of a known format; looked for {looked}")


def read_dataset(path: Path, format: str = AUTO, columns: Path | None = None) -> DataSet:  # noqa: A002
    """Read a data set in any format.

    Args:
        path: Its folder, or the file that describes it.
        format: One of ``FORMATS``, or ``auto``.
        columns: A CSV file with more about the pictures, see ``with_columns``; without it ``columns.csv`` in the data
            set's folder, where there is one.

    Raises:
        DatasetError: It is none, or a file that describes the whole is malformed. What is wrong with single pictures
            and labels becomes findings.
    """
    name = detect(path) if format == AUTO else format
    if name not in _READ:
        raise DatasetError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    with _told(path):
        if not path.exists():
            raise DatasetError(f"{path}: there is no such file or folder")
        data = _READ[name](path)
        table = columns or data.root / TABLE
        return with_columns(data, table) if columns or table.is_file() else data


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A folder that may not be looked into is our error, wherever a reader comes across it."""
    try:
        yield
    except OSError as exc:
        raise DatasetError(f"{exc.filename or path}: cannot be read: {exc.strerror}") from exc


def write_dataset(
    data: DataSet,
    folder: Path,
    format: str,  # noqa: A002
    *,
    link: bool = False,
    each: Callable[[], None] | None = None,
) -> None:
    """Write a data set into a new folder, pictures included; splits and columns are kept, templates by DeepPCB only.

    Pictures whose names clash get others. The folder appears when everything is in it, and not at all after an error.

    Args:
        data: What to write.
        folder: Where to; must not exist, or be empty.
        format: One of ``FORMATS``.
        link: Hard links instead of copies, where the file system has them. Who then changes a picture in place
            changes both.
        each: Called after every picture.

    Raises:
        DatasetError: The folder is there already or cannot be written, or there is no picture at all.
    """
    if format not in _WRITE:
        raise DatasetError(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    if not data.samples:
        raise DatasetError(f"{folder}: there is no picture to be written{data.why_lost()}")
    items = placed(data)
    with new_folder(folder) as fresh:
        names = [_PLACE[format](item) for item in items]
        put_pictures(
            fresh, [(item.sample.file, name) for item, name in zip(items, names, strict=True)], link=link, each=each
        )
        if format == "deeppcb":
            with_one = [(item, item.sample.template) for item in items if item.sample.template]
            put_pictures(fresh, [(file, deeppcb.place_template(item, file)) for item, file in with_one], link=link)
        _WRITE[format](data, fresh, items)
        _write_columns(fresh, items, names)


def _write_columns(folder: Path, items: Sequence[Placed], names: Sequence[str]) -> None:
    columns = sorted({key for item in items for key in item.sample.columns})
    if not columns:
        return
    text = StringIO()
    table = csv.DictWriter(text, [FILE, *columns], restval="", lineterminator="\n")
    table.writeheader()
    for item, name in zip(items, names, strict=True):
        table.writerow({**item.sample.columns, FILE: name})
    put(folder / TABLE, text.getvalue())
