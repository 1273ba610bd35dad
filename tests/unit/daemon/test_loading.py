"""A model is checked where it runs, and nobody waits for an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx_models import COLOURS, colour_manifest, write_colour_model

from edgevision.bundle import Bundle, write_bundle
from edgevision.config.daemon import ModelSettings
from edgevision.daemon.loading import Loading
from edgevision.errors import BackendError
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections

TIMEOUT_S = 10.0
RED_ROW = Detections(np.float32([[10, 10, 50, 40]]), np.float32([0.9]), np.array([COLOURS.index("red")]))


class Heard:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, Sequence[str], int]] = []

    def __call__(self, model: str, backend: str, problems: Sequence[str], pictures: int) -> None:
        self.said.append((model, backend, problems, pictures))


def bundle_with(folder: Path, golden: list[dict[str, Any]], picture: bytes | None = None) -> Bundle:
    if picture is None:
        picture = cv2.imencode(".png", np.zeros((96, 128, 3), np.uint8))[1].tobytes()
    files: dict[str, Path | bytes] = {"model.onnx": write_colour_model(folder / "m.onnx")}
    files |= {item["file"]: picture for item in golden}
    return write_bundle(folder / "b", colour_manifest(golden=golden), files)


def finds_red(*_: object) -> ScriptedDetector:
    return ScriptedDetector(lambda _image, _box: RED_ROW, COLOURS, InputSpec(64, 48))


def nothing(*_: object) -> ScriptedDetector:
    return ScriptedDetector(lambda _image, _box: Detections.empty(), COLOURS, InputSpec(64, 48))


def settings(bundle: Bundle, **more: Any) -> ModelSettings:
    return ModelSettings.model_construct(
        bundle=bundle.folder, backend=OnnxSettings(device="cpu"), thresholds={}, **more
    )


RED = {"file": "golden/a.png", "boxes": [{"class": "red", "xyxy": [10, 10, 50, 40], "score": 0.9}]}
EMPTY = {"file": "golden/a.png", "boxes": []}


def test_a_model_that_sees_what_it_saw_is_announced_and_healthy(tmp_path: Path) -> None:
    bundle, heard = bundle_with(tmp_path, [RED]), Heard()
    loading = Loading("m", bundle, settings(bundle), lambda _: finds_red, heard)
    loading.load()
    assert heard.said == [(bundle.model_ref, "onnx", [], 1)]
    assert loading.health().ok


def test_a_backend_that_sees_something_else_is_refused_and_the_plain_one_taken(tmp_path: Path) -> None:
    bundle, heard = bundle_with(tmp_path, [EMPTY]), Heard()
    loading = Loading("m", bundle, settings(bundle), lambda _: finds_red, heard)
    detector = loading.load()
    assert isinstance(detector, OnnxDetector)
    assert (detector.device, detector.artefact.precision) == ("cpu", "fp32")
    (_, _, problems, _), (_, instead, none, _) = heard.said
    assert "red 0.90" in problems[0]
    assert (instead, none) == ("onnx cpu", [])
    health = loading.health()
    assert (health.ok, health.critical) == (False, True)
    assert "golden/a.png" in health.detail
    assert health.detail.endswith("; onnx cpu runs instead")


def test_a_backend_that_fails_with_the_first_picture_is_closed_and_the_plain_one_taken(tmp_path: Path) -> None:
    class Fails:
        device, max_batch, classes, input = "cuda", 1, COLOURS, InputSpec(64, 48)
        closed = False

        def infer(self, _batch: Batch) -> list[Detections]:
            raise BackendError("cuDNN is not there")

        def close(self) -> None:
            self.closed = True

    broken = Fails()
    bundle = bundle_with(tmp_path, [RED])
    loading = Loading("m", bundle, settings(bundle), lambda _: lambda *_: broken, Heard(), fallback=finds_red)
    loading.load()
    assert broken.closed
    assert loading.health().detail == "onnx: cuDNN is not there; onnx cpu runs instead"


def test_a_model_that_sees_something_else_everywhere_does_not_run(tmp_path: Path) -> None:
    bundle, heard = bundle_with(tmp_path, [RED]), Heard()
    loading = Loading("m", bundle, settings(bundle), lambda _: OnnxDetector, heard)
    with pytest.raises(BackendError, match=r"saw when it was made: onnx cpu: golden/a\.png: red 0\.90"):
        loading.load()
    assert len(heard.said) == 1, "it is the plain one itself"
    loading = Loading("m", bundle, settings(bundle), lambda _: nothing, heard)
    with pytest.raises(BackendError, match="does not see what it saw"):
        loading.load()
    assert len(heard.said) == 3


def test_three_golden_pictures_are_enough_at_a_start(tmp_path: Path) -> None:
    golden = [{**RED, "file": f"golden/{number}.png"} for number in range(3)]
    bundle, heard = bundle_with(tmp_path, [*golden, {**EMPTY, "file": "golden/3.png"}]), Heard()
    Loading("m", bundle, settings(bundle), lambda _: finds_red, heard).load()
    assert heard.said == [(bundle.model_ref, "onnx", [], 3)]


def test_a_broken_golden_picture_is_told_and_nothing_runs(tmp_path: Path) -> None:
    bundle, heard = bundle_with(tmp_path, [RED], b"no picture"), Heard()
    with pytest.raises(BackendError, match="is no picture"):
        Loading("m", bundle, settings(bundle), lambda _: finds_red, heard).load()
    assert "is no picture" in heard.said[0][2][0]


def test_without_golden_pictures_nothing_is_claimed(tmp_path: Path) -> None:
    bundle, heard = bundle_with(tmp_path, []), Heard()
    loading = Loading("m", bundle, settings(bundle), lambda _: finds_red, heard)
    loading.load()
    assert heard.said == []
    assert loading.health().ok


def other_batches() -> ScriptedDetector:
    return ScriptedDetector(lambda _image, _box: RED_ROW, COLOURS, InputSpec(32, 32))


def no_memory() -> ScriptedDetector:
    msg = "no memory for the engine"
    raise BackendError(msg)


def foreign_fault() -> ScriptedDetector:
    msg = "of a driver"
    raise RuntimeError(msg)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (finds_red, ""),
        (no_memory, "BackendError: no memory for the engine; a stand-in goes on"),
        (foreign_fault, "RuntimeError: of a driver; a stand-in goes on"),
        (other_batches, "BackendError: the new detector wants other batches; a stand-in goes on"),
        (
            nothing,
            (
                "BackendError: it does not see what it saw when it was made: onnx: golden/a.png: red 0.90 at "
                "(10, 10, 50, 40) not found, best IoU 0.00; a stand-in goes on"
            ),
        ),
    ],
)
def test_a_stand_in_answers_while_the_engine_is_built(
    tmp_path: Path, make: Callable[[], ScriptedDetector], problem: str
) -> None:
    ready = threading.Event()

    class SlowEngine:
        """A backend whose best device takes its time."""

        @staticmethod
        def stand_in(_bundle: Bundle, wanted: OnnxSettings) -> OnnxSettings | None:
            return wanted.model_copy(update={"device": "cpu"}) if wanted.device == "tensorrt" else None

        def __new__(cls, _bundle: Bundle, wanted: OnnxSettings, _thresholds: object) -> Any:
            if wanted.device != "tensorrt":
                return finds_red()
            assert ready.wait(TIMEOUT_S)
            return make()

    bundle, heard = bundle_with(tmp_path, [RED]), Heard()
    wanted = settings(bundle).model_copy(update={"backend": OnnxSettings(device="tensorrt")})
    loading = Loading("m", bundle, wanted, lambda _: SlowEngine, heard)
    detector = loading.load()
    assert len(heard.said) == 1, "the stand-in is checked"
    ready.set()
    for _ in range(500):
        if (len(heard.said) == 2 and not problem) or loading.health().detail == problem != "":
            break
        threading.Event().wait(0.01)
    assert loading.health().detail == problem
    detector.close()


def test_onnx_runtime_needs_no_stand_in_unless_an_engine_must_be_built(tmp_path: Path) -> None:
    bundle = bundle_with(tmp_path, [])
    assert OnnxDetector.stand_in(bundle, OnnxSettings(device="cpu")) is None
    assert OnnxDetector.stand_in(bundle, OnnxSettings(device="auto")) is None
