"""A run begins only when its pictures, settings and one batch are right, and goes on only as what it was begun as."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from trainings import write_squares

from edgevision.datasets.base import DataSet
from edgevision.errors import DatasetError, EdgevisionError, TrainingError
from edgevision.training.base import Epoch, Graph, Watcher
from edgevision.training.curves import append_epoch
from edgevision.training.run import Steps, run
from edgevision.training.settings import TrainSettings


class Stopped(Exception):
    """The machine went away in mid-training."""


@dataclass
class Trainer:
    """Trains nothing; notes how it was called."""

    trial: Exception | None = None
    ends: Path | None = None
    fits: list[bool] = field(default_factory=list)

    def check(self, data: DataSet) -> None:
        del data
        if self.trial is not None:
            raise self.trial

    def fit(self, data: DataSet, watcher: Watcher, *, resume: bool) -> Path:
        del data
        self.fits.append(resume)
        if self.ends is None:
            raise Stopped
        watcher.epoch(Epoch(1, 1.0, 0.1, {"box": 1.0}, {"map50": 0.5}))
        return self.ends

    def export_onnx(self, weights: Path) -> Graph:
        assert weights == self.ends
        raise Stopped


Run = Callable[..., list[str]]


@pytest.fixture(name="begin")
def _begin(tmp_path: Path) -> Run:
    """Run in ``out``; gives what was said."""

    def begin(trainer: Trainer, folder: Path, *, resume: bool = False, **more: Any) -> list[str]:
        said: list[str] = []
        steps = Steps(
            said.append,
            lambda *_: nullcontext(lambda _: None),
            Watcher(print, lambda done: append_epoch(tmp_path / "out" / "curves.csv", done)),
        )
        settings = TrainSettings.model_validate({"name": "x", "data": {"path": str(folder)}, "image_size": 96, **more})
        with pytest.raises(Stopped):
            run(settings, tmp_path / "out", lambda *_: trainer, steps, resume=resume, dry_run=False)
        return said

    return begin


def refused(begin: Run, error: type[EdgevisionError], says: str, *args: Any, **more: Any) -> None:
    with pytest.raises(error, match=says):
        begin(*args, **more)


@pytest.fixture(name="squares")
def _squares(tmp_path: Path) -> Path:
    return write_squares(tmp_path / "data", {"train": 8, "val": 4})


def test_it_says_what_it_trains_on_and_goes_on_where_it_was(begin: Run, squares: Path) -> None:
    trainer = Trainer()
    said = begin(trainer, squares)
    assert "12 pictures (8 train, 4 val, 0 test), 22 boxes of 2 classes" in said
    begin(trainer, squares, resume=True)
    assert trainer.fits == [False, True]
    refused(begin, TrainingError, "holds a run; go on with --resume", trainer, squares)
    refused(begin, TrainingError, "was begun with another `batch`", trainer, squares, resume=True, batch=2)
    (squares / "labels" / "train" / "train0.txt").write_text("0 0.5 0.5 0.5 0.5", "ascii")
    refused(begin, TrainingError, "the pictures of .* have changed", trainer, squares, resume=True)
    assert trainer.fits == [False, True]


def test_a_run_does_not_go_on_with_another_start(begin: Run, squares: Path, tmp_path: Path) -> None:
    trainer, start = Trainer(), tmp_path / "start.pt"
    start.write_bytes(b"one")
    model = {"kind": "yolo", "weights": str(start)}
    begin(trainer, squares, model=model)
    start.write_bytes(b"two")
    refused(begin, TrainingError, "`model.weights` names has changed", trainer, squares, resume=True, model=model)
    start.unlink()  # its last epoch is all that it needs
    begin(trainer, squares, resume=True, model=model)
    assert trainer.fits == [False, True]


def test_a_run_that_was_broken_off_while_it_was_judged_is_not_trained_again(
    begin: Run, squares: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    trainer = Trainer(ends=tmp_path / "out" / "yolo" / "best.pt")
    begin(trainer, squares)
    begin(trainer, squares, resume=True)
    begin(trainer, squares, resume=True, judge={"escape_rate": 0.1})
    refused(begin, TrainingError, "was begun with another `seed`", trainer, squares, resume=True, seed=9)
    assert trainer.fits == [False]


def _without_pictures(data: Path) -> None:
    for file in data.glob("images/*/*"):
        file.unlink()


def _labels_of_others(data: Path) -> None:
    for file in data.glob("labels/*/*"):
        file.rename(file.with_name(f"other-{file.name}"))


def _cut_pictures(data: Path) -> None:
    for file in data.glob("images/train/*"):
        file.write_bytes(file.read_bytes()[:60])


def _only_empty(data: Path) -> None:
    for file in data.glob("labels/train/*"):
        file.write_text("", "ascii")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without_pictures, "no picture"),
        (_labels_of_others, "has a box to learn from; .*other-train0.txt: is a label file without a picture"),
        (_cut_pictures, "8 errors; see `edgevision data check"),
        (_only_empty, "not one training picture has a box"),
    ],
)
def test_pictures_that_cannot_be_trained_on_leave_no_run_behind(
    begin: Run, squares: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(squares)
    with pytest.raises((DatasetError, TrainingError), match=says):
        begin(Trainer(), squares)
    assert not (tmp_path / "out").exists()


def test_a_batch_that_fails_leaves_the_folder_as_it_was(begin: Run, squares: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    refused(begin, TrainingError, "no memory", Trainer(trial=TrainingError("no memory")), squares)
    assert list((tmp_path / "out").iterdir()) == []
    begin(Trainer(), squares)


def test_one_class_is_enough_and_said(begin: Run, squares: Path) -> None:
    said = begin(Trainer(), squares, data={"path": str(squares), "classes": ["red"]})
    assert any("boxes of 1 classes" in line for line in said)


def test_a_folder_with_something_else_is_not_touched(begin: Run, squares: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", "utf-8")
    refused(begin, EdgevisionError, "is not empty", Trainer(), squares)
    assert (tmp_path / "out" / "mine.txt").read_text("utf-8") == "mine"


def test_two_trainings_do_not_work_in_one_folder(begin: Run, squares: Path, tmp_path: Path) -> None:
    trainer = Trainer()
    began: list[Path] = []

    def second(data: DataSet) -> None:
        del data
        refused(begin, EdgevisionError, "is not empty", Trainer(), squares)
        began.extend((tmp_path / "out").iterdir())

    trainer.check = second  # type: ignore[method-assign]
    begin(trainer, squares)
    assert began, "the second has left what the first one has"
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(begin, TrainingError, "another training works in it", Trainer(), squares, resume=True)


def test_classes_in_another_order_are_other_pictures(begin: Run, squares: Path) -> None:
    begin(Trainer(), squares)
    described = squares / "data.yaml"
    described.write_text(described.read_text("utf-8").replace("- red\n- blue", "- blue\n- red"), "utf-8")
    for file in squares.glob("labels/*/*"):
        lines = file.read_text("ascii").splitlines()
        file.write_text("\n".join(f"{1 - int(line[0])}{line[1:]}" for line in lines), "ascii")
    refused(begin, TrainingError, "the pictures of .* have changed", Trainer(), squares, resume=True)


def test_pictures_of_one_part_are_in_one_split(begin: Run, squares: Path) -> None:
    (squares / "columns.csv").write_text("file,part\nimages/train/train0.png,A\nimages/val/val0.png,A\n", "utf-8")
    refused(begin, TrainingError, "the part A is in train 1, val 1", Trainer(), squares)
    begin(Trainer(), squares, data={"path": str(squares), "split": {}})


def test_a_validation_without_boxes_judges_nothing(begin: Run, squares: Path) -> None:
    for file in squares.glob("labels/val/*"):
        file.write_text("", "ascii")
    refused(begin, TrainingError, "not one validation picture has a box", Trainer(), squares)
