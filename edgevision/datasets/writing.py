"""What all writers share: a new folder in one step, and the pictures' names in it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.pictures import suffix_of
from edgevision.errors import DatasetError

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_EDGES = re.compile(r"^[\s.]+|\s+$")


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample and what it is called in the new folder.

    Attributes:
        sample: The sample.
        stem: Its name without suffix; no other sample has it, whatever the case of letters.
    """

    sample: Sample
    stem: str

    @property
    def split(self) -> str:
        """The sample's split."""
        return self.sample.split

    @property
    def name(self) -> str:
        """File name of the picture."""
        return self.stem + suffix_of(self.sample.file)


def placed(data: DataSet) -> list[Placed]:
    """Each sample with a name of its own; one that is taken is preceded by its folder's or followed by a number.

    What would break a list or an XML file (line breaks, bytes that are no UTF-8) is replaced, and a dot in front, which
    would hide the picture, left out.
    """
    taken: set[str] = set()
    out = []
    for sample in data.samples:
        stem = _EDGES.sub("", _UNSAFE.sub("_", sample.file.stem)) or "_"
        if stem.lower() in taken:
            stem = f"{_UNSAFE.sub('_', sample.file.parent.name)}_{stem}"
        base, number = stem, 2
        while stem.lower() in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(stem.lower())
        out.append(Placed(sample, stem))
    return out


def must_be_new(folder: Path) -> None:
    """Whether a folder can be written, before hours of work are put into it.

    Raises:
        DatasetError: It is there already and not empty, or cannot be replaced.
    """
    try:
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise DatasetError(f"{folder}: is there already; name a new folder, nothing is overwritten")
        if folder.is_dir() and (folder.is_mount() or folder.samefile(Path.cwd())):
            raise DatasetError(f"{folder}: cannot be replaced, as a mount or the current folder; name a new one in it")
    except OSError as exc:
        raise DatasetError(f"{folder}: cannot be written: {exc.strerror}") from exc


def must_be_outside(folder: Path, data: DataSet) -> None:
    """Refuse a folder inside the data set: its pictures would be found there again.

    Raises:
        DatasetError: It is inside.
    """
    _must_be_elsewhere(folder, {data.root, *_picture_folders(data)})


def must_be_beside(folder: Path, data: DataSet) -> None:
    """Refuse a folder among the data set's pictures: what is drawn there would be one of them, or replace one.

    Raises:
        DatasetError: It is among them.
    """
    _must_be_elsewhere(folder, _picture_folders(data))


def _picture_folders(data: DataSet) -> set[Path]:
    """Those that hold pictures, and what is between them and the root."""
    inner = {file.parent for sample in data.samples for file in (sample.file, sample.template) if file}
    return inner | {above for place in inner for above in place.parents if data.root in above.parents}


def _must_be_elsewhere(folder: Path, places: set[Path]) -> None:
    target = folder.resolve()
    for place in places:
        if target.is_relative_to(place.resolve()):
            raise DatasetError(f"{folder}: lies inside of the data set at {place}; name a folder elsewhere")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that takes its place when all went well and is removed when not.

    Raises:
        DatasetError: It is there already, or cannot be written.
    """
    must_be_new(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent))
    except OSError as exc:
        raise DatasetError(f"{folder}: cannot be written: {exc.strerror}") from exc
    try:
        inner = fresh / "new"  # made by us, so that it has the user's ordinary permissions
        inner.mkdir()
        yield inner
        inner.replace(folder)
    except OSError as exc:
        copying = exc.filename2 is not None  # which ended in the second: that is no fault of the first
        where = folder if copying else exc.filename or folder
        raise DatasetError(f"{where}: cannot be read or written: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def put(file: Path, text: str) -> None:
    """Write a text file, its folders too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def put_pictures(
    folder: Path, items: Sequence[tuple[Path, str]], *, link: bool, each: Callable[[], None] | None = None
) -> None:
    """Copy pictures to names below ``folder``; with ``link`` as hard links where the file system allows it."""
    for source, name in items:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (link and _linked(source, target)):
            shutil.copyfile(source, target)
        if each is not None:
            each()


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True
