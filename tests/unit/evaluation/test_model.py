"""Opening a bundle for evaluation, and writing thresholds into one."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_models import colour_bundle, colour_manifest, write_colour_model

from edgevision.bundle import Bundle, read_bundle, verify_files, write_bundle
from edgevision.errors import BackendError, BundleError, EdgevisionError
from edgevision.evaluation.model import open_model, write_thresholds
from edgevision.evaluation.predict import LOWEST_SCORE
from edgevision.inference.base import Detector
from edgevision.inference.golden import detect, golden_items, read_picture
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.selftest import selftest


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Bundle:
    """With a golden picture of score 0.8, a card, and thresholds by class."""
    cv2.imwrite(str(tmp_path / "red.png"), np.full((48, 64, 3), (0, 0, 204), np.uint8))
    model = write_colour_model(tmp_path / "model.onnx")
    files: dict[str, Path | bytes] = {"model.onnx": model, "golden/0.png": tmp_path / "red.png", "CARD.md": b"card"}
    manifest = colour_manifest(thresholds={"default": 0.5, "green": 0.6}, golden=[{"file": "golden/0.png"}])
    draft = write_bundle(tmp_path / "models" / "colours", manifest, files)
    detector = OnnxDetector(draft)
    golden = golden_items(draft, detector)
    detector.close()
    return write_bundle(draft.folder, {**manifest, "golden": golden}, files, replace=True)


def test_low_scores_come_through_whatever_the_manifest_says_of_a_class(bundle: Bundle, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "green.png"), np.full((48, 64, 3), (0, 3, 0), np.uint8))
    detector = open_model(bundle.folder, device="cpu", threads=1)
    assert detect(detector, read_picture(tmp_path / "green.png")).score.tolist() == pytest.approx([3 / 255])
    detector.close()
    assert LOWEST_SCORE < 3 / 255


def test_any_backend_with_settings_can_run_it(bundle: Bundle) -> None:
    class Foreign(OnnxDetector):
        """As an installed backend would be."""

    detector: Detector = open_model(bundle.folder, Foreign)
    assert isinstance(detector, Foreign)
    detector.close()
    with pytest.raises(EdgevisionError, match=r"device: Input should be 'auto', 'cpu', 'cuda' or 'tensorrt'"):
        open_model(bundle.folder, device="gpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("best.pt", "holds weights, which are not evaluated by themselves; a model is the folder of a bundle"),
        ("model.onnx", "is a bare ONNX file: make a bundle with `edgevision models import"),
        ("notes.txt", "is a file; a model is the folder of a bundle"),
    ],
)
def test_a_file_is_no_bundle_and_the_error_says_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BundleError, match=words):
        open_model(tmp_path / name)


def test_what_is_not_there_is_not_called_weights(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"best\.pt: there is no such file"):
        open_model(tmp_path / "best.pt")
    with pytest.raises(BundleError):
        open_model(tmp_path / "nothing")


def test_written_thresholds_keep_every_file_and_hash_and_the_golden_pictures(bundle: Bundle) -> None:
    before = {path.name for path in bundle.folder.rglob("*")}
    made = write_thresholds(bundle.folder, {"red": 0.3, "blue": 0.7})
    assert made.manifest.thresholds == {"default": 0.5, "green": 0.6, "red": 0.3, "blue": 0.7}
    verify_files(read_bundle(bundle.folder))
    detector = OnnxDetector(made)
    assert all(result.ok for result in selftest(made, detector))
    detector.close()
    assert {path.name for path in bundle.folder.rglob("*")} == before
    assert (bundle.folder / "CARD.md").read_bytes() == b"card"
    assert made.model_ref != bundle.model_ref


def test_golden_items_follow_the_new_thresholds(bundle: Bundle) -> None:
    assert len(bundle.manifest.golden[0].boxes) == 1
    assert not write_thresholds(bundle.folder, {"red": 0.9}).manifest.golden[0].boxes
    (box,) = write_thresholds(bundle.folder, {"red": 0.4}).manifest.golden[0].boxes
    assert (box.class_name, box.score) == ("red", pytest.approx(0.8))


def test_a_bundle_that_does_not_show_what_it_should_is_left_alone(bundle: Bundle) -> None:
    picture = bundle.folder / "golden/0.png"
    cv2.imwrite(str(picture), np.full((48, 64, 3), (204, 0, 0), np.uint8))
    with pytest.raises(BundleError, match="differs from"):
        write_thresholds(bundle.folder, {"red": 0.3})
    assert read_bundle(bundle.folder).manifest.thresholds == {"default": 0.5, "green": 0.6}


def test_unknown_classes_are_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="dent"):
        write_thresholds(bundle.folder, {"dent": 0.3})


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / ("m" * 250)  # no room for the name of a folder beside it
    shutil.copytree(colour_bundle(tmp_path / "x").folder, folder)
    with pytest.raises(BundleError, match=r"cannot write .*File name too long"):
        write_thresholds(folder, {"red": 0.3})


def test_a_damaged_graph_is_the_backends_error(bundle: Bundle) -> None:
    (bundle.folder / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises((BackendError, BundleError)):
        open_model(bundle.folder)
