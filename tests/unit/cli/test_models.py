"""`edgevision models`: exit code 0 done, 1 something is wrong with a bundle, 2 wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from onnx_models import COLOURS, colour_bundle, write_colour_model
from typer.testing import CliRunner, Result

from edgevision.cli.models import app
from edgevision.errors import BundleError, EdgevisionError


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> Path:
    """A bundle imported with a golden picture."""
    (tmp_path / "classes.txt").write_text("\n".join(COLOURS))
    cv2.imwrite(str(tmp_path / "red.png"), np.full((48, 64, 3), (0, 0, 230), np.uint8))
    model = write_colour_model(tmp_path / "model.onnx")
    out = tmp_path / "models" / "My_Colours"
    options = ("--classes", tmp_path / "classes.txt", "--golden", tmp_path / "red.png", "--threshold", 0.5)
    done = _run("import", model, "--out", out, *options)
    assert done.exit_code == 0, done.output
    return out


def test_an_imported_bundle_is_named_after_its_folder_and_shown(made: Path) -> None:
    shown = json.loads(_run("show", made, "--json").stdout)
    assert shown["model"].startswith("my-colours@1#")
    assert shown["manifest"]["classes"] == list(COLOURS)
    assert shown["manifest"]["golden"][0]["boxes"][0]["class"] == "red"
    text = _run("show", made).stdout
    assert "red, green, blue" in text
    assert "default 0.5" in text


def test_metrics_are_shown_in_words_whatever_they_are(made: Path) -> None:
    document = yaml.safe_load((made / "bundle.yaml").read_text())
    gate = [
        {"backend": "onnx cpu", "outcome": "passed", "offered": True},
        {"backend": "openvino cpu", "outcome": "failed", "offered": False, "checks": [{"words": "much more"}]},
    ]
    document["metrics"] = {
        "model.onnx": {"map50": 0.93265, "by class": {"red": 1.0, "[/blue]": 0.5}, "escapes": [0, 9], "gate": gate},
        "somebody's": 7,
    }
    (made / "bundle.yaml").write_text(yaml.safe_dump(document))
    shown = _run("show", made)
    assert shown.exit_code == 0, shown.exception
    said = ("map50 0.933", "[/blue] 0.500, red 1.000", "[0, 9]", "on onnx cpu: passed ", "failed, not offered", " 7 ")
    assert [text for text in said if text not in shown.stdout] == []
    assert "much more" not in shown.stdout


def test_a_good_bundle_is_verified(made: Path) -> None:
    done = _run("verify", made)
    assert done.exit_code == 0
    assert "3 files as in the manifest" in done.output
    assert "golden pictures, run by onnx cpu, model.onnx:" in done.output
    assert "good golden/000.png: 1 of 1 boxes" in done.output
    report = json.loads(_run("verify", made, "--json").stdout.splitlines()[-1])
    assert (report["ok"], report["ran"]) == (True, "onnx cpu, model.onnx")


def test_changed_bytes_fail_the_verification(made: Path) -> None:
    (made / "model.onnx").write_bytes((made / "model.onnx").read_bytes() + b"x")
    done = _run("verify", made)
    assert done.exit_code == 1
    assert "model.onnx differs from bundle.yaml" in done.stderr
    assert json.loads(_run("verify", made, "--json").stdout)["ok"] is False


def test_other_boxes_fail_the_verification(made: Path) -> None:
    document = yaml.safe_load((made / "bundle.yaml").read_text())
    document["golden"][0]["boxes"][0]["score"] = 0.7
    (made / "bundle.yaml").write_text(yaml.safe_dump(document))
    done = _run("verify", made)
    assert done.exit_code == 1
    assert "BAD  golden/000.png" in done.output
    assert "score expected 0.700, got 0.90" in done.output


def test_a_bundle_without_golden_pictures_says_so(tmp_path: Path) -> None:
    done = _run("verify", colour_bundle(tmp_path).folder)
    assert done.exit_code == 0
    assert "no golden pictures" in done.output


def test_the_list_shows_broken_bundles_too(made: Path) -> None:
    (made.parent / "broken").mkdir()
    (made.parent / "broken" / "bundle.yaml").write_text("name: 1")
    done = _run("list", made.parent, "--json")
    assert done.exit_code == 1
    good, broken = json.loads(done.stdout)
    assert "Field required" in broken["error"]
    assert good["input"] == "64x48"
    assert "my-colours@1" in _run("list", made.parent).stdout


def test_an_empty_list(tmp_path: Path) -> None:
    done = _run("list", tmp_path)
    assert (done.exit_code, done.stdout.strip()) == (0, f"no bundles in {tmp_path}")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--size", "big"), "--size big is no size; write WIDTHxHEIGHT, e.g. 640x640"),
        (("--family", "ssd"), "--family ssd is not known; allowed: yolo, yolo-e2e, yolox"),
        (("--classes", "none.txt"), "none.txt: no class names to be read"),
        ((), "give --classes FILE"),
    ],
)
def test_wrong_use_is_our_error_for_the_entry_point(tmp_path: Path, option: tuple[str, ...], message: str) -> None:
    done = _run("import", write_colour_model(tmp_path / "m.onnx"), "--out", tmp_path / "b", *option)
    assert isinstance(done.exception, EdgevisionError)
    assert message in str(done.exception)
    assert not (tmp_path / "b").exists()


def test_an_unknown_device(made: Path) -> None:
    done = _run("verify", made, "--device", "abacus")
    assert "--device abacus is not known; allowed: 'auto', 'cpu', 'cuda' or 'tensorrt'" in str(done.exception)


def test_no_bundle_at_all(tmp_path: Path) -> None:
    for command in ("show", "verify"):
        assert isinstance(_run(command, tmp_path / "none").exception, BundleError)


def test_backends_without_a_device_are_verified_too(tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path).folder
    done = _run("verify", folder, "--backend", "tensorrt")
    assert "TensorRT is not usable" in str(done.exception), "it was asked for"
    done = _run("verify", folder, "--backend", "tensorrt", "--device", "cpu")
    assert str(done.exception) == "--device is nothing that the backend tensorrt has"
