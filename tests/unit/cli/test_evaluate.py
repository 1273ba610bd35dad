"""`edgevision evaluate`: exit code 0 done, 1 a claim is refused, 2 wrong use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from cli_process import edgevision, error_of
from labelled import drawn_boards
from onnx_models import colour_bundle
from typer.testing import CliRunner, Result

from edgevision.bundle import read_bundle
from edgevision.cli.evaluate import _about, evaluate
from edgevision.cli.models import app as models
from edgevision.datasets.base import DataSet, Sample, merged
from edgevision.datasets.formats import read_dataset, write_dataset
from edgevision.errors import EdgevisionError
from edgevision.scenes.pcb_defects import KINDS

BUNDLE = Path(__file__).parents[3] / "models" / "pcb-defects"
COLOURS = ("red", "green", "blue")
Row = tuple[str, int, bool]
ROWS: tuple[Row, ...] = (
    ("test", 204, True), ("test", 102, True), ("test", 51, False), ("val", 153, True), ("val", 51, False),
)  # fmt: skip


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])


def refused(*arguments: object) -> str:
    """The message of a wrong use."""
    done = run(*arguments)
    assert isinstance(done.exception, EdgevisionError), done.output
    return str(done.exception)


def numbers(done: Result) -> Any:
    assert done.exit_code in {0, 1}, done.output
    return json.loads(done.stdout.splitlines()[-1])


def write_coloured(folder: Path, rows: Sequence[Row] = ROWS, kind: str = "yolo") -> Path:
    """A data set of pictures in one colour: (split, red, whether labelled)."""
    room = folder.parent / f"{folder.name}-pictures"
    room.mkdir(parents=True)
    samples = []
    for number, (split, red, ng) in enumerate(rows):
        cv2.imwrite(str(room / f"{number}.png"), np.full((48, 64, 3), (0, 0, red), np.uint8))
        boxes = np.array([[24, 20, 40, 28]] if ng else [], np.float32).reshape(-1, 4)
        columns = {"board": f"B{number % 2}"}
        label = np.zeros(len(boxes), np.int64)
        samples.append(Sample(room / f"{number}.png", (64, 48), boxes, label, split=split, columns=columns))
    write_dataset(DataSet(COLOURS, tuple(samples), root=room), folder, kind)
    return folder


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    return colour_bundle(tmp_path / "models").folder


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    return write_coloured(tmp_path / "data")


@pytest.fixture(name="drawn", scope="module")
def _drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn boards with their truth: five to choose on, five to report on."""
    room = tmp_path_factory.mktemp("boards")
    chosen, reported = (
        drawn_boards(room, range(first, 920_010, 2), split) for first, split in ((920_000, "val"), (920_001, "test"))
    )
    write_dataset(merged([chosen, reported]), room / "set", "yolo")
    return room / "set"


def test_drawn_boards_from_end_to_end(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = run(BUNDLE, "--data", drawn, "--choose-on", "val", "--escape-rate", 0, "--out", out)
    assert done.exit_code == 0, done.output
    assert "defective parts" in done.output
    told = json.loads((out / "report.json").read_text("utf-8"))
    assert told["pictures"] == 5
    assert told["map50"] > 0.9
    assert told["data"]["split"] == "test"
    assert len(told["data"]["fingerprint"]) == 64
    assert told["operating_point"]["chosen_on"] == "val"
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "predictions.json"}
    assert read_bundle(BUNDLE).model_ref in (out / "report.html").read_text("utf-8")


def test_thresholds_are_written_and_the_bundle_is_verified(drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pcb"
    shutil.copytree(BUNDLE, folder)
    done = run(folder, "--data", drawn, "--choose-on", "val", "--escape-rate", 0, "--write-thresholds")
    assert done.exit_code == 0, done.output
    manifest = read_bundle(folder).manifest
    assert set(manifest.thresholds) == {"default", *KINDS}
    assert manifest.metrics == read_bundle(BUNDLE).manifest.metrics
    verified = CliRunner().invoke(models, ["verify", str(folder)])
    assert verified.exit_code == 0, verified.output
    told = numbers(run(folder, "--data", drawn, "--json"))
    assert told["operating_point"]["thresholds"] == {name: manifest.thresholds[name] for name in KINDS}


def test_a_claim_that_is_refused_is_exit_code_1(bundle: Path, data: Path) -> None:
    done = run(bundle, "--data", data, "--claim-escape", 0.01)
    assert done.exit_code == 1
    assert "Refused: escape rate below 1 % is not shown" in done.output
    assert run(bundle, "--data", data).exit_code == 0


def test_a_claim_that_enough_parts_show_is_exit_code_0(bundle: Path, tmp_path: Path) -> None:
    data = write_coloured(tmp_path / "many", [("test", 204, True)] * 29)
    done = run(bundle, "--data", data, "--claim-escape", 0.1)
    assert done.exit_code == 0, done.output
    assert "Supported: escape rate below 10 %; 0 of 29 defective parts" in done.output


def test_a_claim_about_what_was_not_there_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = write_coloured(tmp_path / "bad", [("test", 204, True)])
    done = run(bundle, "--data", data, "--claim-overkill", 0.1)
    assert done.exit_code == 1
    assert "overkill rate below 10 % cannot be judged without good parts" in done.output
    assert "How many good parts are rejected is not measurable" in done.output


def test_no_defective_parts(bundle: Path, tmp_path: Path) -> None:
    data = write_coloured(tmp_path / "good", [("test", 204, False), ("test", 20, False)])
    told = numbers(run(bundle, "--data", data, "--json"))
    assert told["map50"] is None
    assert told["parts"]["escape"] is None
    assert told["parts"]["overkill"]["count"] == 1


def test_json_is_one_document_with_numbers(bundle: Path, data: Path) -> None:
    told = numbers(run(bundle, "--data", data, "--choose-on", "val", "--escape-rate", 0, "--json"))
    assert told["parts"]["escape"]["count"] == 1
    assert told["operating_point"]["there"]["escape"]["total"] == 1
    assert told["out"] is None
    assert {item["by"] for item in told["slices"]} >= {"board"}


def test_one_class_and_one_board(bundle: Path, data: Path) -> None:
    assert "dent: no such class; classes are red, green, blue" in refused(bundle, "--data", data, "--defects", "dent")
    told = numbers(run(bundle, "--data", data, "--split", "board=B1", "--defects", "red", "--json"))
    assert told["pictures"] == 2


def test_choosing_by_cost_wants_all_three(bundle: Path, data: Path) -> None:
    given = ("--cost-escape", 100, "--cost-overkill", 1)
    wanted = "needs all of --cost-escape, --cost-overkill and --ng-share"
    assert wanted in refused(bundle, "--data", data, "--choose-on", "val", *given)
    done = run(bundle, "--data", data, "--choose-on", "val", *given, "--ng-share", 0.05)
    assert "an escape costs 100, an overkill 1 and 5 % of the parts are defective" in " ".join(done.output.split())


def test_a_cost_without_end_is_refused(bundle: Path, data: Path) -> None:
    given = ("--choose-on", "val", "--cost-escape", "inf", "--cost-overkill", 1, "--ng-share", 0)
    assert "must be finite" in refused(bundle, "--data", data, *given)


def test_wrong_use_is_told_in_words(bundle: Path, data: Path, tmp_path: Path) -> None:
    ours = (bundle, "--data", data)
    assert "there is no split dev; it has val, test" in refused(*ours, "--split", "dev")
    assert "needs --choose-on" in refused(*ours, "--write-thresholds")
    assert "--claim-escape 1 is no rate that can be shown" in refused(*ours, "--claim-escape", 1)
    assert "--backend tpu is not known; there are onnx" in refused(*ours, "--backend", "tpu")
    assert "there is no such file" in refused(bundle, "--data", tmp_path / "nothing")
    assert "there is no such file" in refused(tmp_path / "best.pt", "--data", data)
    assert "no picture has a template" in refused(*ours, "--templates-as-good")


def test_curves_are_read_before_the_model_runs(bundle: Path, data: Path, tmp_path: Path) -> None:
    curves, out = tmp_path / "curves.csv", tmp_path / "out"
    assert "say where to with --out" in refused(bundle, "--data", data, "--curves", curves)
    curves.write_text("a,b\n1,2\n")
    assert "expected a column epoch" in refused(bundle, "--data", data, "--curves", curves, "--out", out)
    assert not out.exists()
    curves.write_text("epoch,loss_box\n0,2\n1,1\n")
    assert run(bundle, "--data", data, "--curves", curves, "--out", out).exit_code == 0
    assert "<h2>Training</h2>" in (out / "report.html").read_text("utf-8")


def test_folders_for_the_report(bundle: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    assert "is not empty" in refused(bundle, "--data", data, "--out", tmp_path / "used")
    below = tmp_path / "used" / "notes.txt" / "report"
    assert "cannot be written: Not a directory" in refused(bundle, "--data", data, "--out", below)


def test_empty_sets_and_broken_pictures(bundle: Path, data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    for name in ("images", "labels"):
        (empty / name).mkdir(parents=True)
    (empty / "classes.txt").write_text("\n".join(COLOURS))
    assert "there are no pictures" in refused(bundle, "--data", empty)
    test = [sample.file for sample in read_dataset(data).of("test").samples]
    test[0].write_bytes(test[0].read_bytes()[:50])
    test[1].write_bytes(b"no picture")
    done = run(bundle, "--data", data)
    assert done.exit_code == 0, done.output
    assert "truncated" in done.output
    told = numbers(run(bundle, "--data", data, "--json"))
    assert told["pictures"] == 1
    assert len(told["unusable"]) == 2


def test_a_picture_that_goes_meanwhile_costs_the_fingerprint_only(bundle: Path, data: Path) -> None:
    gone = read_dataset(data).of("test").samples[0]
    about = _about(read_bundle(bundle), data, read_dataset(data), quiet=True)
    assert len(about.fingerprint) == 64
    known = read_dataset(data)
    gone.file.unlink()
    assert _about(read_bundle(bundle), data, known, quiet=True).fingerprint == ""


def test_deeppcb_with_and_without_templates(bundle: Path, tmp_path: Path) -> None:
    folder = write_coloured(tmp_path / "pairs", kind="deeppcb")
    message = refused(bundle, "--data", folder, "--templates-as-good")
    assert "no picture has a template, so there are none to take as good parts" in message
    for file in (folder / "images").iterdir():
        cv2.imwrite(str(folder / "templates" / file.name), np.full((48, 64, 3), (0, 0, 20), np.uint8))
    told = numbers(run(bundle, "--data", folder, "--templates-as-good", "--json"))
    assert told["templates"] == 3
    assert told["parts"]["overkill"] == {**told["parts"]["overkill"], "count": 0, "total": 4}


def test_classes_that_differ(bundle: Path, drawn: Path) -> None:
    message = refused(bundle, "--data", drawn)
    assert "the model does not know" in message
    assert "it knows red, green, blue (classes go by their name)" in message


def test_as_a_command_it_says_one_line_and_no_traceback(data: Path, tmp_path: Path) -> None:
    message = error_of(edgevision("evaluate", tmp_path, "--data", data))
    assert message.startswith(f"error: {tmp_path}")


def test_a_file_name_that_is_no_unicode_is_told(bundle: Path, data: Path, tmp_path: Path) -> None:
    first = read_dataset(data).of("test").samples[0].file
    first.write_bytes(b"")
    first.rename(os.fsdecode(os.fsencode(first.parent) + b"/pr\xfcf.png"))
    command = [sys.executable, "-m", "edgevision", "evaluate", bundle, "--data", data, "--out", tmp_path / "report"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, text=True, env=strict, check=False)
    assert done.returncode == 0, done.stderr
    assert r"pr\udcfcf.png" in done.stdout
    assert "pr?f.png" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_thresholds_are_not_written_into_weights(data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"x")
    words = ("--choose-on", "val", "--escape-rate", "0.1", "--write-thresholds")
    assert "needs a bundle to write into" in error_of(edgevision("evaluate", weights, "--data", data, *words))


def test_weights_need_what_trains(data: Path, tmp_path: Path) -> None:
    if find_spec("ultralytics") is not None:
        pytest.skip("it is installed here")
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"x")
    assert error_of(edgevision("evaluate", weights, "--data", data)) == (
        'error: this needs torch: pip install "edgevision[train,cpu]", in an environment of its own'
    )


def test_without_the_extra_it_says_what_to_install(bundle: Path, data: Path) -> None:
    hide = "import sys; sys.modules['faster_coco_eval'] = None; import importlib.util as u; f = u.find_spec; "
    hide += "u.find_spec = lambda name, *a: None if name == 'faster_coco_eval' else f(name, *a); "
    call = hide + "from edgevision.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", call, "evaluate", str(bundle), "--data", str(data)],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, check=False, timeout=60,
    )  # fmt: skip
    assert error_of(done) == 'error: an evaluation needs faster_coco_eval: pip install "edgevision[data]"'


def test_a_backend_beside_onnx_runtime_is_opened_by_its_name(bundle: Path, data: Path) -> None:
    assert run(bundle, "--data", data, "--backend", "openvino").exit_code == 0
    app = typer.Typer()
    app.command()(evaluate)
    done = CliRunner().invoke(app, [str(bundle), "--data", str(data), "--backend", "tensorrt"])
    assert "TensorRT is not usable" in str(done.exception)
