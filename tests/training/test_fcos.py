"""FCOS is trained for real, without AGPL, and the runtime finds what the trainer found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trainings import run, settings

from edgevision.bundle import read_bundle
from edgevision.datasets.formats import read_dataset
from edgevision.evaluation.model import open_model
from edgevision.evaluation.predict import predict
from edgevision.geometry import iou
from edgevision.training.curves import read_curves

pytestmark = pytest.mark.train
pytest.importorskip("torchvision", reason="needs the extra `train`: make test-train")

MODEL = {"kind": "fcos"}
ADAM = {"kind": "adam", "rate": 0.001}


def test_it_learns_goes_on_and_makes_a_bundle_that_sees_the_same(squares: Path, tmp_path: Path) -> None:
    document = settings(squares, model=MODEL, batch=4, optimiser=ADAM, stop={"epochs": 4})
    done = run(tmp_path, document)
    assert done.returncode == 0, done.stderr
    rows = read_curves(tmp_path / "run" / "curves.csv")
    losses = [sum(value for name, value in row.items() if name.startswith("loss_")) for row in rows]
    assert losses[-1] < 0.8 * losses[0]
    bundle = read_bundle(tmp_path / "run" / "bundle")
    assert (bundle.manifest.family, bundle.manifest.licence) == ("dense-xyxy", "BSD-3-Clause")

    import torch

    from edgevision.training.fcos import FcosTrainer
    from edgevision.training.settings import TrainSettings

    trainer = FcosTrainer(TrainSettings.model_validate(document), tmp_path / "run")
    kept = torch.load(tmp_path / "run" / "fcos" / "best.pt", weights_only=True)
    network = trainer._network(2, fresh=True)
    network.load_state_dict(kept["model"])
    data = read_dataset(squares).of("test")
    theirs = trainer._detect(network, data).found
    detector = open_model(bundle.folder)
    ours = predict(detector, data).found
    detector.close()
    compared = 0
    for mine, other in zip(ours, theirs, strict=True):
        for place in np.flatnonzero(other.score > 0.1):
            same = mine.label == other.label[place]
            overlap = iou(other.xyxy[place][None], mine.xyxy[same])[0]
            assert overlap.max() > 0.98
            assert abs(mine.score[same][overlap.argmax()] - other.score[place]) < 0.01
            compared += 1
    assert compared > 0


def test_plain_weights_are_taken_over_and_others_are_refused(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "junk.pt").write_bytes(b"no weights")
    model = {**MODEL, "weights": str(tmp_path / "junk.pt")}
    done = run(tmp_path, settings(squares, model=model), "--dry-run")
    assert done.returncode == 2
    assert "holds no plain weights" in done.stderr


def test_a_frozen_backbone_stays_as_it_was_and_a_batch_is_never_of_one(squares: Path, tmp_path: Path) -> None:
    import torch
    from torchvision.models import resnet18

    torch.manual_seed(0)
    start = resnet18().state_dict()
    torch.save(start, tmp_path / "resnet18.pt")
    model = {**MODEL, "weights": str(tmp_path / "resnet18.pt"), "freeze": "backbone"}
    done = run(tmp_path, settings(squares, model=model, batch=23, optimiser=ADAM, stop={"epochs": 1}))
    assert done.returncode == 0, done.stderr
    after = torch.load(tmp_path / "run" / "fcos" / "best.pt", weights_only=True)["model"]
    body = {name: value for name, value in start.items() if f"backbone.body.{name}" in after}
    assert len(body) > 50
    assert all(torch.equal(value, after[f"backbone.body.{name}"]) for name, value in body.items())


@pytest.mark.parametrize(("count", "size", "repeat"), [(24, 23, 1), (1, 8, 1), (9, 4, 1), (5, 2, 3), (8, 8, 1)])
def test_every_picture_is_in_a_batch_and_none_alone(count: int, size: int, repeat: int) -> None:
    from edgevision.training.fcos import _batches

    batches = list(_batches(count, size, repeat, 0))
    assert sorted(index for batch in batches for index in batch) == sorted([*range(count)] * repeat)
    assert all(1 < len(batch) <= size + 1 for batch in batches) or count * repeat == 1
