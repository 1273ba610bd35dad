"""Settings of a training say what is wrong with them, and a recipe gives way to what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.config.load import load
from edgevision.errors import ConfigError
from edgevision.training.settings import TrainSettings

FEW = "recipe: few_shot\n"
REPOSITORY = Path(__file__).resolve().parents[3]


def read(tmp_path: Path, text: str) -> TrainSettings:
    file = tmp_path / "train.yaml"
    file.write_text("name: x\ndata: {path: d}\n" + text, "utf-8")
    return load(file, TrainSettings)


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    return str(refused.value)


def test_the_fewest_settings_are_a_name_and_pictures(tmp_path: Path) -> None:
    settings = read(tmp_path, "")
    assert (settings.model.kind, settings.image_size, settings.recipe) == ("yolo", 640, "plain")
    assert settings.data.path == tmp_path / "d"


def test_few_shot_brings_its_own_defaults_and_the_file_goes_first(tmp_path: Path) -> None:
    settings = read(tmp_path, FEW + "augment: {paste: 0.2}\nmodel: {architecture: yolov8s, weights: a.pt}\n")
    assert (settings.repeat, settings.model.freeze, settings.augment.paste) == (8, "backbone", 0.2)
    assert settings.model.architecture == "yolov8s"
    assert settings.augment.mosaic == 0.5, "what the file leaves out stays the recipe's"
    assert read(tmp_path, FEW + "model: {weights: a.pt}\n").model.freeze == "backbone"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stop: {epochs: 0}\n", "train.yaml:3: stop.epochs: "),
        ("image_size: 100\n", "multiple of 32"),
        ("model: {kind: yolo, architecture: yolo12n}\n", "train.yaml:3: model.architecture: 'yolo12n'"),
        ("model: {kind: yolo, weights: a.pt, init: orthogonal}\n", "`init` draws new weights"),
        (
            "model: {kind: fcos}\noptimiser: {kind: musgd}\n",
            "`optimiser.kind: musgd` comes with `model.kind: yolo` only",
        ),
        ("model: {kind: fcos}\nclass_weights: 0.5\n", "`class_weights` works with `model.kind: yolo` only"),
        ('model: {kind: fcos}\ndevices: "0,1"\n', "`several devices` works with `model.kind: yolo` only"),
        ("model: {kind: yolo, freeze: backbone}\n", "`freeze: backbone` keeps what weights bring"),
        (FEW, "`freeze: backbone` keeps what weights bring"),
        ("model: {kind: fcos}\nbatch: 1\n", "`batch` must be 2 at least"),
        ("optimiser: {kind: sgd, momentum: 0}\n", "`optimiser.momentum` is Nesterov's"),
        ("optimiser: {kind: lion}\n", "'musgd', 'adam'"),
        ("judge: {cost_escape: 10}\n", "choosing by cost needs all of"),
        ("judge: {escape_rate: 0.1, cost_escape: 1, cost_overkill: 1, ng_share: 0.1}\n", "not both"),
        ("learning_rate: 0.1\n", "learning_rate"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    assert says in problem(tmp_path, text)


@pytest.mark.parametrize("file", sorted((REPOSITORY / "configs" / "train").glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_settings_are_sound(file: Path, tmp_path: Path) -> None:
    assert load(file, TrainSettings, environ={"EDGEVISION_DATA": str(tmp_path)}).name


@pytest.mark.parametrize("pipeline", ["none", "retail", "mine.yaml"])
def test_settings_outlive_a_file(tmp_path: Path, pipeline: str) -> None:
    settings = read(tmp_path, f"augment: {{pipeline: {pipeline}}}\nmodel: {{kind: fcos}}\n")
    assert TrainSettings.model_validate_json(settings.model_dump_json()) == settings
