"""`edgevision export` of a small network: what passes the gate is written, what fails is not, and why is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from fake_tensorrt import install
from typer.testing import CliRunner, Result

from edgevision.bundle import Bundle, Target, read_bundle, write_bundle
from edgevision.cli.export import export
from edgevision.errors import EdgevisionError, ExportError
from edgevision.evaluation.model import write_thresholds
from edgevision.export.making import artefacts
from edgevision.export.trial import Tried
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.places import places
from edgevision.inference.selftest import selftest
from edgevision.logs import setup_logging
from edgevision.looks import CameraLooks, DeviceLooks, Look, look_at


def run(*arguments: object) -> Result:
    setup_logging("warning", "console")
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, [str(item) for item in arguments])


def refused(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, EdgevisionError), error
    return str(error)


def grey(folder: Path, count: int, top: int) -> Path:
    """Pictures that no camera of ours takes."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, top, (32, 32, 3)).astype(np.uint8))
    return folder


@pytest.fixture(name="exported", scope="module")
def _exported(small: Bundle, patches: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Bundle]:
    out = tmp_path_factory.mktemp("exported") / "out"
    done = run(small.folder, "--out", out, "--data", patches, "--most-recall-loss", 0.1, "--json")
    return done, read_bundle(out)


def test_every_artefact_is_there_judged_and_meant_for_something(exported: tuple[Result, Bundle]) -> None:
    done, bundle = exported
    document = json.loads(done.stdout)
    by_name = {item["name"]: item for item in document["artefacts"]}
    assert set(by_name) == {"fp32", "fp16", "int8", "int8-cpu"}
    first = by_name["fp32"]["gate"][0]
    assert first["map50"] > 0.8, "the small network sees its patches"
    assert first["recall"]["red"] == {"boxes": first["recall"]["red"]["boxes"], "lost": 0, "won": 0, "change": [0, 0]}
    assert first["recall"]["red"]["boxes"] > 20
    named = {item.file: item for item in bundle.manifest.artefacts}
    assert named["model.onnx"].targets == ()
    assert named["model.fp16.onnx"].targets == ("cuda", "tensorrt")
    assert named["model.int8.onnx"].targets == ("tensorrt",)
    assert {item.gate for item in named.values() if item.precision != "fp32"} == {"passed"}
    assert [place["backend"] for place in by_name["fp32"]["gate"]] == [place.name for place in places()]
    assert all(item.opset <= 19 for item in named.values())


def test_the_card_and_the_manifest_tell_the_same(exported: tuple[Result, Bundle]) -> None:
    _, bundle = exported
    card = (bundle.folder / "MODEL_CARD.md").read_text("utf-8")
    for file in ("model.onnx", "model.fp16.onnx", "model.int8.onnx"):
        (first, *_) = bundle.manifest.metrics[file]["gate"]  # type: ignore[index, call-overload]
        assert f"{first['map50_95']:.3f}" in card  # type: ignore[index, call-overload]
    assert "## Artefacts" in card


def test_what_is_offered_sees_what_it_should(exported: tuple[Result, Bundle]) -> None:
    _, bundle = exported
    assert [item.frame for item in bundle.manifest.golden] == [None, None, None, None, 5]
    for place in places():
        detector = place.open(bundle)
        thresholds = {"default": 0.4}
        assert [item.problems for item in selftest(bundle, detector, thresholds)] == [()] * 5, place.name


def test_an_export_of_an_export_starts_from_its_floats(
    exported: tuple[Result, Bundle], patches: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(exported[1].folder, folder)
    again = run(folder, "--out", folder, "--force", "--data", patches, "--precision", "fp16")
    assert again.exit_code == 0, again.stdout
    files = {item.file for item in read_bundle(folder).manifest.artefacts}
    assert files == {"model.onnx", "model.fp16.onnx"}
    assert not (folder / "model.int8.onnx").exists()
    assert (folder / "MODEL_CARD.md").read_text("utf-8").count("## Artefacts") == 1


def test_a_harmful_calibration_is_caught_and_nothing_of_it_is_usable(
    small: Bundle, patches: Path, tmp_path: Path
) -> None:
    dark = grey(tmp_path / "dark", 30, 20)
    done = run(small.folder, "--out", tmp_path / "out", "--data", patches, "--calibration", dark)
    assert done.exit_code == 1
    bundle = read_bundle(tmp_path / "out")
    assert {item.precision for item in bundle.manifest.artefacts} == {"fp32", "fp16"}
    assert not list(bundle.folder.glob("*int8*"))
    assert "int8, int8-cpu: refused." in done.stdout
    assert "refused" in (bundle.folder / "MODEL_CARD.md").read_text("utf-8")
    with pytest.raises(EdgevisionError, match="no int8 artefact for cpu"):
        OnnxDetector(bundle, OnnxSettings(device="cpu", precision="int8"))


def told_by_a_device(file: Path, pictures: Iterable[Path], top: int = 255) -> Path:
    """What a camera tells that has seen these pictures, made darker."""
    look = Look()
    for picture in pictures:
        look += look_at((cv2.imread(str(picture)) * (top / 255)).astype(np.uint8), "bgr")
    seen = {"line": CameraLooks(model="out", days={date(2026, 1, 1): look})}
    file.write_text(DeviceLooks(site="s", device="d", cameras=seen).model_dump_json(), "utf-8")
    return file


def test_what_the_cameras_see_is_compared_with_the_pictures_to_calibrate_on(
    exported: tuple[Result, Bundle], small: Bundle, patches: Path, tmp_path: Path
) -> None:
    assert (
        sum("not compared with what the cameras see" in said for said in json.loads(exported[0].stdout)["warnings"])
        == 1
    )
    pictures = sorted(patches.rglob("*.png"))
    near = told_by_a_device(tmp_path / "near.json", pictures)
    options = (
        small.folder,
        "--out",
        tmp_path / "out",
        "--data",
        patches,
        "--precision",
        "int8",
        "--most-recall-loss",
        0.1,
    )
    done = run(*options, "--looks", near)
    said = " ".join(done.stdout.split())
    assert "they cover what the cameras see; 1 compared" in said
    assert "not compared" not in said
    dark = grey(tmp_path / "dark", 30, 20)
    far = refused(*options, "--force", "--calibration", dark, "--looks", tmp_path / "near.json")
    assert far.startswith("the pictures to calibrate on are far from what the camera sees; camera s/d/line: ")
    (tmp_path / "bad.json").write_text("{}")
    assert "is not what GET /looks gives" in refused(*options, "--force", "--looks", tmp_path / "bad.json")


def test_without_eight_bits_nothing_is_compared(small: Bundle, patches: Path, tmp_path: Path) -> None:
    done = run(small.folder, "--out", tmp_path / "out", "--data", patches, "--precision", "fp16", "--json")
    assert json.loads(done.stdout)["warnings"] == []


def test_what_the_self_test_would_refuse_is_not_offered(small: Bundle, dim: Path, tmp_path: Path) -> None:
    image = np.full((32, 32, 3), 30, np.uint8)
    image[8:18, 8:18, 0] = 255  # brighter than whatever the ranges are measured on, so 8 bits cannot hold it
    cv2.imwrite(str(tmp_path / "blue.png"), image)
    manifest = small.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    manifest |= {"thresholds": {"default": 0.4, "blue": 0.8}, "golden": [{"file": "golden/blue.png"}]}
    files = {"model.onnx": small.path("model.onnx"), "golden/blue.png": tmp_path / "blue.png"}
    bright = write_bundle(tmp_path / "bright", manifest, files)
    out = tmp_path / "out"
    done = run(bright.folder, "--out", out, "--data", dim, "--precision", "int8", "--most-recall-loss", 0.1, "--json")
    assert done.exit_code == 1, done.exception
    _, signed, unsigned = json.loads(done.stdout)["artefacts"]
    says = "the self-test would refuse it: golden/clip.mp4: blue at (8, 8, 18, 18): score expected 0.96"
    for item in (signed, unsigned):
        assert item["file"] is None
        assert item["not_offered"][0].startswith(f"onnx cpu: {says}")
        checks = [check for check in item["gate"][0]["checks"] if check["outcome"] == "failed"]
        assert [check["what"] for check in checks] == ["golden pictures"], "nothing else is wrong with it"
        assert checks[0]["words"].startswith(says)
    card = " ".join((out / "MODEL_CARD.md").read_text("utf-8").split())
    assert f"**int8-cpu:** not offered on onnx cpu: {says}" in card
    assert [item.precision for item in read_bundle(out).manifest.artefacts] == ["fp32"]


def test_what_cannot_be_decided_is_written_and_only_taken_by_name(small: Bundle, patches: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    done = run(small.folder, "--out", few, "--data", patches, "--precision", "fp16", "--split", "train")
    assert done.exit_code == 0, done.stdout
    bundle = read_bundle(few)
    half = next(item for item in bundle.manifest.artefacts if item.precision == "fp16")
    assert half.gate == "not decidable"
    assert bundle.artefact("cuda").precision == "fp32"
    assert bundle.artefact("cuda", "fp16") == half
    assert "not decidable: recall of red: 0 of 27 boxes lost" in " ".join(done.stdout.split())


def test_where_tensorrt_is_it_is_tried_and_not_stood_in_for(
    small: Bundle, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    faults = install(monkeypatch, 10)
    wanted = ("--data", patches, "--precision", "fp16", "--most-recall-loss", 0.1)
    done = run(small.folder, "--out", tmp_path / "out", *wanted, "--json")
    assert done.exit_code in {0, 1}, done.exception  # the stand-in may be slower in 16 bits
    half = json.loads(done.stdout)["artefacts"][1]
    assert [(row["backend"], row["for_others"], row["outcome"]) for row in half["gate"]] == [
        ("tensorrt", False, "passed")
    ]
    faults.free_bytes = 0
    (tmp_path / ".cache").rename(tmp_path / "gone")
    told = run(small.folder, "--out", tmp_path / "no-room", "--data", patches, "--precision", "fp16")
    assert "not tried on tensorrt: 0 MiB of the GPU's memory are free" in " ".join(told.stdout.split())
    assert (
        "fp16: * its numbers in ONNX Runtime on a CPU; not tried on cuda and tensorrt, which are not here"
        in " ".join(told.stdout.split())
    )


def test_a_network_of_one_unit_has_nothing_to_keep_and_is_refused(
    patches: Path, tmp_path: Path, network: Callable[..., bytes], small: Bundle
) -> None:
    manifest = small.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    one = write_bundle(tmp_path / "one", manifest, {"model.onnx": network(layers=1)})
    dark = grey(tmp_path / "dark", 30, 20)
    done = run(one.folder, "--out", tmp_path / "out", "--data", patches, "--calibration", dark, "--precision", "int8")
    assert done.exit_code == 1, done.exception
    assert {item.precision for item in read_bundle(tmp_path / "out").manifest.artefacts} == {"fp32"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--precision", "int4"), "--precision int4 is not known; allowed: fp32, fp16, int8"),
        (("--split", "night"), "there is no split night"),
        (("--calibration", "nowhere"), "nowhere: there is no such file or folder"),
        (("--defects", "dent"), "dent: no such class"),
    ],
)
def test_wrong_use_is_named_before_the_work(
    small: Bundle, patches: Path, tmp_path: Path, arguments: tuple[Any, ...], says: str
) -> None:
    done = run(small.folder, "--out", tmp_path / "out", "--data", patches, *arguments)
    assert isinstance(done.exception, EdgevisionError)
    assert says in str(done.exception)
    assert "golden" not in done.stdout, "nothing has run yet"
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written_is_told_before_the_work(small: Bundle, patches: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(small.folder, "--out", tmp_path / "file" / "out", "--data", patches, "--precision", "fp32")
    assert isinstance(done.exception, EdgevisionError)
    assert f"cannot write {tmp_path / 'file' / 'out'} (" in str(done.exception)
    assert done.stdout == ""


def test_what_is_no_model_and_what_is_in_the_way(small: Bundle, patches: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out", "--data", patches)
    assert "is no bundle, no folder of a training and no checkpoint" in refused(tmp_path, *out)
    assert "--data is missing" in refused(small.folder, "--out", tmp_path / "out")
    assert "exists already; give --force" in refused(small.folder, "--out", small.folder, "--data", patches)


def test_a_broken_off_training_is_told(tmp_path: Path, patches: Path) -> None:
    (tmp_path / "run.json").write_text("{}", "utf-8")
    with pytest.raises(ExportError, match="its training has not ended"):
        raise run(tmp_path, "--out", tmp_path / "out", "--data", patches).exception or AssertionError


def test_floats_that_fail_somewhere_are_not_meant_for_everything(
    exported: tuple[Result, Bundle],
) -> None:
    def tried(target: Target, outcome: str) -> Tried:
        judgement = SimpleNamespace(outcome=outcome, reasons=("mAP50-95 -0.1",))
        return Tried(target, target, judgement, 1.0, 1.0)  # type: ignore[arg-type]

    content = exported[1].load(exported[1].manifest.artefacts[-1])
    trial: Any = SimpleNamespace(of=lambda *_: [tried("cpu", "passed"), tried("openvino", "failed")], source=content)
    (made,) = artefacts(trial, [], [], None)  # type: ignore[arg-type]
    assert made.targets == ("cpu", "cuda", "tensorrt")
    assert made.reasons == ("openvino: mAP50-95 -0.1",)


def test_a_folder_that_is_no_bundle_is_told_before_the_work(small: Bundle, patches: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    said = refused(small.folder, "--out", tmp_path / "out", "--force", "--data", patches, "--split", "night")
    assert "exists already and is no bundle, so it is not replaced" in said


def test_thresholds_that_are_written_later_keep_what_the_floats_see(
    exported: tuple[Result, Bundle], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(exported[1].folder, folder)
    before = {item.file: item.boxes for item in read_bundle(folder).manifest.golden}
    after = write_thresholds(folder, dict(exported[1].manifest.thresholds)).manifest.golden
    assert {item.file: item.boxes for item in after} == before, "not what the 8 bits that are preferred see"
