"""`backend: auto`: the fastest that sees what it should, remembered, and never waited for."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_tensorrt import install
from onnx_models import COLOURS, colour_bundle

from edgevision.bundle import Bundle
from edgevision.config.daemon import ModelSettings
from edgevision.daemon.loading import Loading
from edgevision.daemon.registry import BACKENDS
from edgevision.errors import BackendError
from edgevision.inference.auto import AutoBackend, AutoSettings
from edgevision.inference.base import Batch
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.choices import choices
from edgevision.inference.handover import Handover
from edgevision.inference.onnx import OnnxSettings
from edgevision.types import Letterbox


def settings(folder: Path) -> AutoSettings:
    return AutoSettings(kind="auto", cache_dir=folder / "choices", threads=1)


def kept(folder: Path) -> list[str]:
    return [json.loads(file.read_text("utf-8"))["choice"] for file in (folder / "choices").glob("*.json")]


def test_a_trial_chooses_and_is_remembered(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    assert AutoBackend.stand_in(bundle, settings(tmp_path)) == OnnxSettings(
        device="auto", precision="fp32", threads=1, max_batch=4
    )
    first: BundleDetector = AutoBackend(bundle, settings(tmp_path))
    (choice,) = kept(tmp_path)
    assert AutoBackend.stand_in(bundle, settings(tmp_path)) is None
    again: BundleDetector = AutoBackend(bundle, settings(tmp_path))
    assert type(again) is type(first)
    assert kept(tmp_path) == [choice]


def test_another_bundle_or_a_choice_that_is_gone_is_tried_anew(tmp_path: Path) -> None:
    AutoBackend(colour_bundle(tmp_path), settings(tmp_path))
    AutoBackend(colour_bundle(tmp_path / "b", version="2"), settings(tmp_path))
    assert len(kept(tmp_path)) == 2
    for file in (tmp_path / "choices").glob("*.json"):
        file.write_text('{"choice": "abacus, model.onnx"}', "utf-8")
    AutoBackend(colour_bundle(tmp_path / "c"), settings(tmp_path))
    assert any(choice != "abacus, model.onnx" for choice in kept(tmp_path))


def test_what_sees_something_else_is_not_chosen(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    bundle = colour_bundle(tmp_path)
    wrong = [{"file": "golden/a.png", "boxes": [{"class": "red", "xyxy": [1, 1, 9, 9], "score": 0.9}]}]
    from edgevision.bundle import write_bundle

    document = bundle.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    files = {"model.onnx": bundle.folder / "model.onnx", "golden/a.png": picture}
    spoilt = write_bundle(tmp_path / "spoilt", {**document, "golden": wrong}, files)
    with pytest.raises(BackendError, match="no backend that is installed here runs it and sees what it should"):
        AutoBackend(spoilt, settings(tmp_path))
    assert kept(tmp_path) == []


def test_the_daemon_begins_at_once_and_tries_after_the_first_detections(tmp_path: Path) -> None:
    bundle: Bundle = colour_bundle(tmp_path)
    wanted = ModelSettings.model_construct(bundle=bundle.folder, backend=settings(tmp_path), thresholds={})
    detector = Loading("m", bundle, wanted, BACKENDS.__getitem__, lambda *_: None).load()
    assert isinstance(detector, Handover)
    threading.Event().wait(0.1)
    assert kept(tmp_path) == [], "nothing is tried before the first pictures"
    red = Batch(np.full((1, 48, 64, 3), (255, 0, 0), np.uint8), [Letterbox.fit((640, 480), (64, 48))])
    for _ in range(500):
        (found,) = detector.infer(red)
        assert [COLOURS[label] for label in found.label] == ["red"], "not one picture is lost meanwhile"
        if kept(tmp_path):
            break
        threading.Event().wait(0.02)
    assert len(kept(tmp_path)) == 1
    detector.close()


def test_who_fails_in_the_trial_is_refused_and_the_next_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(bundle: Bundle, detector: BundleDetector, thresholds: object) -> list[object]:
        del bundle, thresholds
        failed.append(type(detector).__name__)
        if len(failed) == 1:
            raise BackendError("cuDNN is not there")
        return []

    failed: list[str] = []
    monkeypatch.setattr("edgevision.inference.auto.selftest", broken)
    twice = [{"file": "model.onnx", "precision": "fp32"}, {"file": "model.onnx", "precision": "fp16"}]
    AutoBackend(colour_bundle(tmp_path, artefacts=twice), settings(tmp_path))
    assert len(failed) > 1
    assert len(kept(tmp_path)) == 1


def test_an_engine_that_is_gone_is_built_behind_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 10)
    monkeypatch.setattr("edgevision.inference.places.find_spec", lambda name: name == "tensorrt" or None)
    monkeypatch.setenv("HOME", str(tmp_path))
    bundle = colour_bundle(tmp_path)
    AutoBackend(bundle, settings(tmp_path)).close()
    assert kept(tmp_path) == ["tensorrt, model.onnx"]
    assert AutoBackend.stand_in(bundle, settings(tmp_path)) is None
    for file in (tmp_path / ".cache" / "edgevision" / "engines").glob("*.engine"):
        file.unlink()
    assert AutoBackend.stand_in(bundle, settings(tmp_path)) is not None


def test_without_onnx_runtime_and_with_sixteen_bits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = colour_bundle(tmp_path, artefacts=[{"file": "model.onnx", "precision": "fp16"}])
    begun = AutoBackend.stand_in(half, settings(tmp_path))
    assert begun is not None
    assert begun.precision is None
    monkeypatch.setattr("edgevision.inference.auto.find_spec", lambda _: None)
    assert AutoBackend.stand_in(half, settings(tmp_path)) is None


def test_an_onnx_runtime_whose_libraries_are_missing_is_no_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("edgevision.inference.ort", raising=False)
    monkeypatch.setitem(sys.modules, "edgevision.inference.ort", None)
    assert not [choice for choice in choices(colour_bundle(tmp_path)) if choice.backend.startswith("onnx")]


def test_a_choice_that_does_not_run_any_more_is_forgotten_without_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> BundleDetector:
        raise BackendError("its library is gone")

    bundle = colour_bundle(tmp_path)
    AutoBackend(bundle, settings(tmp_path)).close()
    monkeypatch.setattr("edgevision.inference.places.Place.open", broken)
    with pytest.raises(BackendError, match="was the fastest and does not run: its library is gone"):
        AutoBackend(bundle, settings(tmp_path))
    assert kept(tmp_path) == []
    assert AutoBackend.stand_in(bundle, settings(tmp_path)) is not None
