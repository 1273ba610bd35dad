"""Every bundle in ``models/`` is whole, says where it comes from, and sees what it claims to see."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgevision.bundle import read_bundle, write_bundle
from edgevision.daemon.loading import MOST_GOLDEN
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.preprocess import single_batch
from edgevision.inference.selftest import selftest
from edgevision.media.pixels import ArrayPixels
from edgevision.scenes.pcb import PcbConveyor
from edgevision.types import Frame, FrameTime

MODELS = Path(__file__).parents[2] / "models"
BUNDLES = sorted(file.parent for file in MODELS.glob("*/bundle.yaml"))


def test_there_is_one() -> None:
    assert "pcb-defects" in {folder.name for folder in BUNDLES}


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_it_is_whole_and_has_card_and_licence(folder: Path) -> None:
    bundle = read_bundle(folder)  # checks every hash
    assert bundle.manifest.name == folder.name
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    for heading in ("How it was made", "What it reaches", "Limits", "Licence"):
        assert heading in card
    assert bundle.manifest.licence.split("-")[0] in (folder / "LICENSE").read_text("utf-8")[:4000].replace(
        "GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL"
    )


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_it_sees_its_golden_pictures_as_it_did_when_it_was_made(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.manifest.golden
    with_problems = [result for result in selftest(bundle, OnnxDetector(bundle, OnnxSettings(device="cpu")), None)
                     if result.problems]  # fmt: skip
    assert with_problems == []


def test_weights_that_were_altered_together_with_their_hash_are_seen_by_the_self_test(tmp_path: Path) -> None:
    bundle = read_bundle(MODELS / "pcb-defects")
    graph = onnx.load_from_string(bundle.load(bundle.source()))
    weights = next(item for item in graph.graph.initializer if len(item.dims) == 4)
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * np.float32(0.7), weights.name))
    golden = [item.model_dump(mode="json", by_alias=True, exclude={"sha256"}) for item in bundle.manifest.golden]
    manifest = bundle.manifest.model_dump(mode="json", by_alias=True, exclude={"artefacts", "metrics"})
    files: dict[str, Path | bytes] = {item.file: bundle.path(item.file) for item in bundle.manifest.golden}
    altered = write_bundle(
        tmp_path / "altered",
        {**manifest, "golden": golden, "artefacts": [{"file": "model.onnx"}]},
        {**files, "model.onnx": graph.SerializeToString()},
    )
    results = selftest(altered, OnnxDetector(altered, OnnxSettings(device="cpu")), most=MOST_GOLDEN)
    assert len(results) == MOST_GOLDEN
    assert not all(result.ok for result in results)


def test_the_card_names_the_numbers_of_the_manifest() -> None:
    folder = MODELS / "pcb-defects"
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    for reached in read_bundle(folder).manifest.metrics.values():
        assert isinstance(reached, dict)
        for place in reached["gate"]:  # type: ignore[union-attr]
            assert f"| {place['map50_95']:.3f} |" in card  # type: ignore[index, call-overload]
        if "map50" not in reached:
            continue
        assert f"| {reached['map50']:.3f} | {reached['map50_95']:.3f} |" in card
        for name, value in reached["map50_by_class"].items():  # type: ignore[union-attr]
            assert re.search(rf"\| {name} \| \d+ \| {value:.3f} \|", card)
        for of, words in (("escapes", "pass"), ("overkills", "are rejected")):
            failures, parts = reached[of]  # type: ignore[misc]
            assert re.search(rf"{failures} of {parts} \w+ parts {words}", card)


def test_the_board_detector_finds_nearly_all_defects_of_boards_it_has_never_seen() -> None:
    detector = OnnxDetector(read_bundle(MODELS / "pcb-defects"), OnnxSettings(device="cpu"))
    belt = PcbConveyor(40_000, boards=14, defect_rate=0.8)
    drawn = found = false = 0
    for board in belt.boards:
        index = (board.first_full + board.last_full) // 2
        frame = Frame("belt", index, FrameTime(None, 0.0), ArrayPixels(belt.render(index)))  # type: ignore[arg-type]
        (seen,) = detector.infer(single_batch([frame], detector.input))
        strong = seen[seen.score >= 0.5]
        left = set(range(len(strong)))
        for defect in (defect for view in belt.truth(index) for defect in view.defects):
            drawn += 1
            hit = next((n for n in left if _covers(strong.xyxy[n].tolist(), defect.xyxy)
                        and detector.classes[strong.label[n]] == defect.label), None)  # fmt: skip
            if hit is not None:
                found += 1
                left.discard(hit)
        false += len(left)
    assert drawn >= 15
    assert found >= 0.9 * drawn
    assert false <= 0.1 * drawn


def _covers(box: list[float], truth: tuple[float, float, float, float]) -> bool:
    x, y = (truth[0] + truth[2]) / 2, (truth[1] + truth[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
