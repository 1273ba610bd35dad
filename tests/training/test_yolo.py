"""A YOLO is trained for real: loss falls, a killed run goes on, the bundle runs, nothing leaves the run's folder."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from trainings import REPOSITORY, command, run, settings, write_squares

from edgevision.bundle import read_bundle
from edgevision.datasets.settings import load_data
from edgevision.training.base import Watcher
from edgevision.training.curves import read_curves

pytestmark = pytest.mark.train
pytest.importorskip("ultralytics", reason="needs the extra `train`: make test-train")


EPOCHS, KILLED_AFTER = 24, 8
TRAINED: dict[str, Any] = {"stop": {"epochs": EPOCHS}, "repeat": 4, "judge": {"escape_rate": 0.2}}


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a home of its own and, where that can be had, without any network."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "home").mkdir()
    document = settings(squares, **TRAINED)
    alone = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HOME": str(folder / "home")}
    environ.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [*alone, *command(folder, document, "--json")],
        capture_output=True,
        text=True,
        timeout=600,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout, "utf-8")
    return folder


def test_loss_falls_and_curves_are_kept(trained: Path) -> None:
    rows = read_curves(trained / "run" / "curves.csv")
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    losses = [sum(value for name, value in row.items() if name.startswith("loss_")) for row in rows]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert (trained / "run" / "curves.png").stat().st_size > 5000


def test_the_bundle_is_judged_by_the_runtime_and_says_where_it_comes_from(trained: Path) -> None:
    bundle = read_bundle(trained / "run" / "bundle")
    manifest = bundle.manifest
    assert (manifest.classes, manifest.family, manifest.licence) == (("red", "blue"), "yolo", "AGPL-3.0-only")
    assert manifest.metrics["model.onnx"]["split"] == "test"
    assert [item.frame for item in manifest.golden] == [None] * 4 + [5]
    assert manifest.training_data is not None
    ran = json.loads((trained / "run" / "run.json").read_text("utf-8"))
    assert ran["fingerprint"] == manifest.training_data.fingerprint
    assert ran["pictures"] == {"train": 24, "val": 10, "test": 10}
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in (bundle.folder / "LICENSE").read_text("utf-8")
    last = json.loads((trained / "stdout").read_text("utf-8").splitlines()[-1])
    assert Path(last["report"]).read_text("utf-8").lower().startswith("<!doctype html>")


def test_nothing_is_written_into_the_users_home(trained: Path) -> None:
    assert list((trained / "home").rglob("*")) == []


def test_weights_are_judged_as_their_bundle_is(trained: Path, squares: Path) -> None:
    """Same network, same detector: only the threshold that was chosen for the bundle is another."""
    told = []
    for model in (trained / "run" / "bundle", trained / "run" / "yolo" / "weights" / "best.pt"):
        words = [sys.executable, "-m", "edgevision", "evaluate", str(model), "--data", str(squares), "--json"]
        environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environ, check=False)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout.splitlines()[-1]))
    assert told[0]["map50"] == pytest.approx(told[1]["map50"], abs=1e-6)
    assert told[0]["map50_95"] == pytest.approx(told[1]["map50_95"], abs=1e-6)


def test_a_killed_run_goes_on_from_its_last_epoch_and_reaches_what_an_unbroken_one_does(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    document = settings(squares, **TRAINED)
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    running = subprocess.Popen(
        command(tmp_path, document), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    )
    deadline_s = time.monotonic() + 240
    while len(read_curves(tmp_path / "run" / "curves.csv")) < KILLED_AFTER:
        assert time.monotonic() < deadline_s
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = read_curves(tmp_path / "run" / "curves.csv")
    done = run(tmp_path, document, "--resume")
    assert done.returncode == 0, done.stderr
    rows = read_curves(tmp_path / "run" / "curves.csv")
    unbroken = read_curves(trained / "run" / "curves.csv")
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in unbroken]
    assert rows[: KILLED_AFTER - 1] == before[: KILLED_AFTER - 1], "those epochs were not done again"
    best, wanted = (max(row["map50"] for row in some) for some in (rows, unbroken))
    assert best == pytest.approx(wanted, abs=0.03)


def test_only_the_run_that_was_begun_goes_on(squares: Path, tmp_path: Path) -> None:
    assert run(tmp_path, settings(squares), "--dry-run").returncode == 0
    assert not (tmp_path / "run").exists(), "a dry run leaves nothing behind"
    assert run(tmp_path, settings(squares, stop={"epochs": 1})).returncode == 0
    other = run(tmp_path, settings(squares, stop={"epochs": 1}, batch=4), "--resume")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "was begun with another `batch`" in other.stderr
    assert "holds a run; go on with --resume" in run(tmp_path, settings(squares)).stderr
    (tmp_path / "new").mkdir()
    assert "there is no run to go on with" in run(tmp_path / "new", settings(squares), "--resume").stderr


def test_the_rate_falls_to_its_end_where_time_decides(squares: Path, tmp_path: Path) -> None:
    done = run(tmp_path, settings(squares, stop={"epochs": 1, "minutes": 0.3}))
    assert done.returncode == 0, done.stderr
    rates = [row["rate"] for row in read_curves(tmp_path / "run" / "curves.csv")]
    assert len(rates) > 1, "time decides, not `epochs`"
    assert rates[-1] < 0.3 * max(rates)


def test_a_bundle_is_where_the_next_training_starts(squares: Path, trained: Path, tmp_path: Path) -> None:
    model = {"kind": "yolo", "weights": str(trained / "run" / "bundle")}
    optimiser = {"kind": "adamw", "rate": 0.00001}
    done = run(tmp_path, settings(squares, model=model, optimiser=optimiser, stop={"epochs": 1}, ema=False))
    assert done.returncode == 0, done.stderr
    before, after = (
        read_bundle(folder / "run" / "bundle").manifest.metrics["model.onnx"]["map50"] for folder in (trained, tmp_path)
    )
    assert after == pytest.approx(before, abs=0.05), "an epoch that hardly learns leaves what the bundle knew"


def test_other_thresholds_need_no_other_training(squares: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    before = read_curves(tmp_path / "run" / "curves.csv")
    document = settings(squares, **{**TRAINED, "judge": {"cost_escape": 9, "cost_overkill": 1, "ng_share": 0.5}})
    done = run(tmp_path, document, "--resume")
    assert done.returncode == 0, done.stderr
    assert "its training has ended: judging again" in done.stdout
    assert read_curves(tmp_path / "run" / "curves.csv") == before
    assert "an escape costs 9" in " ".join((tmp_path / "run" / "bundle" / "MODEL_CARD.md").read_text("utf-8").split())


class Harmful:
    """What a checkpoint of a stranger may hold."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._target),)


def test_a_checkpoint_that_runs_code_is_refused_before_it_does(squares: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"model": Harmful(tmp_path / "harm")}, tmp_path / "a.pt", pickle_module=pickle)
    model = {"kind": "yolo", "weights": str(tmp_path / "a.pt")}
    done = run(tmp_path, settings(squares, model=model))
    assert done.returncode == 2
    assert "--trust" in done.stderr
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": {"kind": "yolo", "weights": "nowhere.pt"}}, "nowhere.pt: no such file"),
        ({"model": {"kind": "yolo", "weights": "TRAINED", "architecture": "yolov8s"}}, "tensors fit yolov8s"),
        ({"model": {"kind": "yolo", "weights": "BROKEN"}}, "empty, truncated or corrupted"),
        ({"model": {"kind": "yolo", "weights": "BUNDLE", "architecture": "yolov8n"}}, "model.onnx is no yolov8n"),
    ],
)
def test_weights_that_do_not_fit_are_told_before_the_training(
    squares: Path, trained: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 not much more")
    run_ = trained / "run"
    real = {
        "TRAINED": run_ / "yolo" / "weights" / "best.pt",
        "BROKEN": tmp_path / "broken.pt",
        "BUNDLE": run_ / "bundle",
    }
    model = change["model"]
    change = {"model": {**model, "weights": str(real.get(model["weights"], model["weights"]))}}
    done = run(tmp_path, settings(squares, **change), "--dry-run")
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_by_name_need_the_network_and_say_so(squares: Path, tmp_path: Path) -> None:
    model = {"kind": "yolo", "weights": "yolo11n.pt", "fetch": True}
    nowhere = "http://127.0.0.1:9"
    done = run(tmp_path, settings(squares, model=model), "--dry-run", HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Download failure for https://")
    assert "yolo11n.pt" in done.stderr
    assert not list(REPOSITORY.glob("*.pt"))


def test_broken_pictures_and_labels_are_told_before_the_training(tmp_path: Path) -> None:
    data = write_squares(tmp_path / "data", {"train": 6, "val": 3})
    (data / "images" / "train" / "train0.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (data / "labels" / "train" / "train1.txt").write_text("7 0.5 0.5 0.1 0.1", "ascii")
    done = run(tmp_path, settings(data))
    assert done.returncode == 2
    assert "2 errors" in done.stderr
    assert "train1.txt:1" in done.stderr
    assert "train0.png" in done.stderr


def test_no_pictures_to_validate_on(tmp_path: Path) -> None:
    data = write_squares(tmp_path / "data", {"train": 6})
    done = run(tmp_path, settings(data))
    assert done.returncode == 2
    assert "no picture is in the split val; say how to divide it" in done.stderr


def test_pictures_of_every_kind_are_trained_on(tmp_path: Path) -> None:
    """Grey, 16 bit, CMYK, turned by EXIF, and a name beyond ASCII."""
    from PIL import Image

    data = write_squares(tmp_path / "data", {"train": 8, "val": 4})
    folder = data / "images" / "train"
    upright = Image.open(folder / "train0.png")
    upright.convert("L").save(folder / "train0.png")
    deep = np.asarray(Image.open(folder / "train1.png").convert("L"), np.uint16) * 257
    cv2.imwrite(str(folder / "train1.png"), deep)
    Image.open(folder / "train2.png").convert("CMYK").save(folder / "train2.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.open(folder / "train3.png").rotate(90, expand=True).save(folder / "train3.jpg", exif=exif)
    for name in ("train2.png", "train3.png"):
        (folder / name).unlink()
    (folder / "train5.png").rename(folder / "Prüfling 5.png")
    (data / "labels" / "train" / "train5.txt").rename(data / "labels" / "train" / "Prüfling 5.txt")
    done = run(tmp_path, settings(data, stop={"epochs": 1}))
    assert done.returncode == 0, done.stderr
    assert "8 train" in " ".join(done.stdout.split())


def test_a_full_disk_in_mid_training_costs_no_checkpoint(squares: Path, tmp_path: Path) -> None:
    document = settings(squares, stop={"epochs": 4})
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    running = subprocess.Popen(
        command(tmp_path, document), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
    )
    last = tmp_path / "run" / "yolo" / "weights" / "last.pt"
    deadline_s = time.monotonic() + 240
    while not last.exists():
        assert time.monotonic() < deadline_s
        assert running.poll() is None
        time.sleep(0.02)
    subprocess.run(["prlimit", f"--pid={running.pid}", "--fsize=1000000"], check=True)
    _, told = running.communicate(timeout=240)
    assert running.returncode == 2
    assert "File too large" in told
    assert "Traceback" not in told
    done = run(tmp_path, document, "--resume")
    assert done.returncode == 0, done.stderr
    assert [row["epoch"] for row in read_curves(tmp_path / "run" / "curves.csv")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": {"kind": "adagrad", "rate": 0.01}, "schedule": {"kind": "step", "step_epochs": 1}},
        {
            "optimiser": {"kind": "sgd", "rate": 0.01},
            "schedule": {"kind": "time"},
            "class_weights": 0.5,
            "ema": False,
            "tensorboard": True,
        },
        {"model": {"kind": "yolo", "init": "kaiming_normal"}, "augment": {"paste": 0.5, "mosaic": 0.5}},
        {"model": {"kind": "yolo", "architecture": "yolo26n"}, "precision": "bf16", "repeat": 2},
        {"model": {"kind": "yolo", "architecture": "yolov8n", "teacher": "TRAINED"}},
    ],
    ids=["adagrad-step", "sgd-time-weights-noema", "init-paste", "yolo26-bf16-repeat", "teacher"],
)
def test_options_train(squares: Path, trained: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    teacher = change.get("model", {}).get("teacher")
    if teacher:
        change = {"model": {**change["model"], "teacher": str(trained / "run" / "yolo" / "weights" / "best.pt")}}
    done = run(tmp_path, settings(squares, stop={"epochs": 1}, **change))
    assert done.returncode == 0, done.stderr
    assert read_bundle(tmp_path / "run" / "bundle").manifest.classes == ("red", "blue")
    assert (tmp_path / "run" / "tensorboard").is_dir() == ("tensorboard" in change)
    (row,) = read_curves(tmp_path / "run" / "curves.csv")
    assert (row.get("loss_dis", 0.0) > 0) == bool(teacher), "what the teacher says is part of the loss"


def _tensors(file: Path) -> dict[str, Any]:
    from ultralytics.nn.tasks import load_checkpoint

    tensors: dict[str, Any] = load_checkpoint(file)[0].state_dict()
    return tensors


def test_few_shots_leave_the_backbone_as_it_was_and_teach_the_rest(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    start = trained / "run" / "yolo" / "weights" / "best.pt"
    model = {"kind": "yolo", "weights": str(start)}
    document = settings(squares, recipe="few_shot", model=model, stop={"epochs": 1}, augment={"pipeline": "inspection"})
    done = run(tmp_path, document)
    assert done.returncode == 0, done.stderr
    before, after = _tensors(start), _tensors(tmp_path / "run" / "yolo" / "weights" / "best.pt")
    backbone = [name for name in before if int(name.split(".")[1]) < 11 and "num_batches" not in name]
    assert all(bool((before[name] == after[name]).all()) for name in backbone)
    assert any(bool((before[name] != after[name]).any()) for name in set(before) - set(backbone))


def test_a_training_that_has_ended_is_not_trained_again_whatever_was_noted(trained: Path, tmp_path: Path) -> None:
    from edgevision.training.settings import TrainSettings
    from edgevision.training.yolo import YoloTrainer

    shutil.copytree(trained / "run" / "yolo", tmp_path / "yolo")
    ended = TrainSettings.model_validate(json.loads((trained / "run" / "settings.json").read_text("utf-8")))
    weights = YoloTrainer(ended, tmp_path).fit(load_data(ended.data), Watcher(print, print), resume=True)
    assert weights == tmp_path / "yolo" / "weights" / "best.pt"


def test_sums_of_adagrad_survive_a_checkpoint() -> None:
    import torch
    from ultralytics.utils.torch_utils import convert_optimizer_state_dict_to_fp16

    from edgevision.training.yolo_engine import Adagrad

    weight = torch.nn.Parameter(torch.ones(4))
    optimiser = Adagrad([weight], lr=0.1)
    weight.grad = torch.full((4,), 1e-6)
    optimiser.step()
    kept = convert_optimizer_state_dict_to_fp16(copy.deepcopy(optimiser.state_dict()))
    other = Adagrad([weight], lr=0.1)
    other.load_state_dict(kept)
    assert torch.equal(other.state[weight]["sum"], optimiser.state[weight]["sum"])
    assert other.state[weight]["sum"].min() > 0


def test_a_picture_that_the_trainer_leaves_out_is_told(tmp_path: Path) -> None:
    data = write_squares(tmp_path / "data", {"train": 6, "val": 3})
    cv2.imwrite(str(data / "images" / "train" / "train0.png"), np.zeros((8, 96, 3), np.uint8))
    (data / "labels" / "train" / "train0.txt").write_text("0 0.5 0.5 0.5 0.5", "ascii")
    done = run(tmp_path, settings(data), "--dry-run")
    assert done.returncode == 2
    assert "train0.png: the trainer cannot use it: too small, or damaged" in done.stderr
