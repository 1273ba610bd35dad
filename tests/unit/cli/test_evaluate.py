"""`edgevision evaluate`: exit code 0 done, 1 a claim is refused, 2 wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_process import edgevision, error_of
from onnx_models import colour_bundle
from typer.testing import CliRunner, Result

from edgevision.bundle import read_bundle
from edgevision.cli.main import app
from edgevision.errors import EdgevisionError


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> tuple[Path, Path]:
    """A bundle, and YOLO pictures: bright red ones are labelled red, dark ones are good."""
    data = tmp_path / "data"
    for split, bad, good in (("val", 25, 5), ("test", 30, 10)):
        for number in range(bad + good):
            image, text = (
                data / kind / split / f"{number}{end}" for kind, end in (("images", ".png"), ("labels", ".txt"))
            )
            image.parent.mkdir(parents=True, exist_ok=True)
            text.parent.mkdir(parents=True, exist_ok=True)
            red = 150 + 3 * number if number < bad else 100
            cv2.imwrite(str(image), np.full((48, 64, 3), (0, 0, red), np.uint8))
            text.write_text("0 0.5 0.5 0.25 0.1667\n" if number < bad else "")
    names = {"path": str(data), "train": "images/val", "val": "images/val", "test": "images/test"}
    (data / "data.yaml").write_text(json.dumps({**names, "train": None, "names": ["red", "green", "blue"]}))
    return colour_bundle(tmp_path).folder, data


def test_the_numbers_of_a_report(made: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = made
    out = tmp_path / "out"
    done = _run(model, "--data", data, "--out", out, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "Of 100 defective parts about 0 pass" in done.output
    assert {file.name for file in out.iterdir()} == {"report.html", "report.json", "predictions.json"}
    numbers = json.loads((out / "report.json").read_text())
    assert numbers["map50"] == pytest.approx(1.0)
    assert numbers["parts"]["overkill"] == {
        "count": 0,
        "total": 10,
        "value": 0.0,
        "interval_95": [0.0, pytest.approx(0.308, abs=1e-3)],
    }
    assert len(numbers["data"]["fingerprint"]) == 64


def test_a_claim_that_the_sample_cannot_show_is_refused(made: tuple[Path, Path]) -> None:
    model, data = made
    refused = _run(model, "--data", data, "--claim-escape", 0.01, "--device", "cpu")
    assert refused.exit_code == 1
    assert "only shows less than 9.5 %" in " ".join(refused.output.split())
    assert _run(model, "--data", data, "--claim-escape", 0.1, "--device", "cpu").exit_code == 0


def test_chosen_thresholds_go_into_the_bundle(made: tuple[Path, Path]) -> None:
    model, data = made
    options = ("--choose-on", "val", "--escape-rate", 0, "--write-thresholds", "--json", "--device", "cpu")
    done = _run(model, "--data", data, *options)
    assert done.exit_code == 0, done.output
    chosen = json.loads(done.stdout.splitlines()[-1])["operating_point"]["thresholds"]
    assert chosen["red"] == pytest.approx(150 / 255, abs=2e-4)
    assert read_bundle(model).manifest.thresholds["red"] == chosen["red"]


def test_least_cost(made: tuple[Path, Path]) -> None:
    model, data = made
    costs = ("--choose-on", "val", "--cost-escape", 100, "--cost-overkill", 1, "--ng-share", 0.05)
    done = _run(model, "--data", data, *costs, "--json", "--device", "cpu")
    assert "least expected cost" in json.loads(done.stdout.splitlines()[-1])["operating_point"]["how"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--split", "night"), "there is no split night; it has val, test"),
        (("--defects", "dent"), "dent: no such class"),
        (("--choose-on", "val"), "either a wanted escape rate or the costs"),
        (("--escape-rate", "0.1"), "need a split to choose the thresholds on"),
        (("--choose-on", "val", "--cost-escape", "1"), "needs all of --cost-escape"),
        (("--write-thresholds",), "--write-thresholds needs --choose-on"),
        (("--claim-escape", "1.5"), "--claim-escape 1.5 is no rate"),
        (("--device", "tpu"), "--device tpu is not known"),
        (("--backend", "tpu"), "--backend tpu is not known"),
        (("--templates-as-good",), "no picture has a template"),
    ],
)
def test_wrong_use(made: tuple[Path, Path], options: tuple[str, ...], words: str) -> None:
    model, data = made
    done = _run(model, "--data", data, *options)
    assert isinstance(done.exception, EdgevisionError)
    assert words in str(done.exception)


def test_a_used_folder_is_refused_in_two_lines_before_the_work(made: tuple[Path, Path]) -> None:
    model, data = made
    assert "is not empty" in error_of(edgevision("evaluate", model, "--data", data, "--out", data))
