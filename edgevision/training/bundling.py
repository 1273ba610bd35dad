"""From a trained checkpoint to a bundle that is judged by the runtime itself."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgevision import __version__
from edgevision.bundle import Bundle, write_bundle
from edgevision.datasets.base import DataSet
from edgevision.evaluation.evaluate import Request, Results, evaluate
from edgevision.evaluation.model import open_model
from edgevision.evaluation.operating import Costs
from edgevision.evaluation.predict import Advance
from edgevision.evaluation.report import write_report
from edgevision.evaluation.words import About, card_sections
from edgevision.inference.golden import bare_items, golden_items, with_clip
from edgevision.inference.onnx import OnnxDetector
from edgevision.training.base import Graph
from edgevision.training.curves import read_curves
from edgevision.training.settings import JudgeSettings, TrainSettings

FILE = "model.onnx"
_NMS_IOU = 0.6


@dataclass(frozen=True, slots=True)
class Made:
    """What came out.

    Attributes:
        bundle: With chosen thresholds and measured metrics.
        results: On the test split, or on validation where there is none.
        about: Where they come from.
        report: The page.
    """

    bundle: Bundle
    results: Results
    about: About
    report: Path


def make_bundle(
    graph: Graph,
    data: DataSet,
    settings: TrainSettings,
    folder: Path,
    fingerprint: str,
    *,
    advance: Advance | None = None,
) -> Made:
    """Write ``bundle/`` and ``report/`` into a run's folder.

    A draft is run over the pictures by the runtime's own detector; what it reaches, the thresholds chosen on
    validation and what it finds on its golden pictures then go into the bundle itself.

    Args:
        graph: The model.
        data: All splits.
        settings: Of the training.
        folder: The run's.
        fingerprint: Of the data set.
        advance: Told how many pictures are done.
    """
    files: dict[str, Path | bytes] = {FILE: graph.content, **with_clip(golden_files(data, settings.judge))}
    if licence := _licence(graph):
        files["LICENSE"] = licence
    manifest = _manifest(graph, data, settings, fingerprint)
    draft = write_bundle(folder / "bundle", manifest, files, replace=True)
    detector = open_model(draft.folder)
    request = _request(data, settings.judge)
    results = evaluate(detector, data, request, advance=advance)
    detector.close()
    manifest["thresholds"] = {**request.thresholds, **results.point.thresholds}
    manifest["metrics"] = {FILE: _metrics(results)}
    files["MODEL_CARD.md"] = _card(results, graph, settings, data, len(read_curves(folder / "curves.csv"))).encode()
    bundle = _with_golden(folder / "bundle", manifest, files)
    about = About(bundle.model_ref, settings.data.path.name, fingerprint, datetime.now(timezone.utc).date().isoformat())
    report = folder / "report"
    report.mkdir(exist_ok=True)
    curves = folder / "curves.csv"
    page = write_report(results, report, about, curves=curves if curves.exists() else None)
    return Made(bundle, results, about, page)


def bundle_of_weights(graph: Graph, name: str, folder: Path) -> Bundle:
    """A bundle of a bare checkpoint's graph, to be judged: no golden pictures, no chosen thresholds."""
    files: dict[str, Path | bytes] = {FILE: graph.content}
    if licence := _licence(graph):
        files["LICENSE"] = licence
    return write_bundle(folder, _described(graph, name), files)


def _request(data: DataSet, judge: JudgeSettings) -> Request:
    split = "test" if data.of("test").samples else "val"
    templates = judge.templates_as_good and any(sample.template for sample in data.samples)
    costs = None
    if judge.cost_escape is not None and judge.cost_overkill is not None and judge.ng_share is not None:
        costs = Costs(judge.cost_escape, judge.cost_overkill, judge.ng_share)
    return Request(
        split=split,
        choose_on="val",
        escape_rate=judge.escape_rate,
        costs=costs,
        best_f1=costs is None and judge.escape_rate is None,
        with_templates=templates,
    )


def _manifest(graph: Graph, data: DataSet, settings: TrainSettings, fingerprint: str) -> dict[str, Any]:
    counts = ", ".join(f"{len(data.of(split))} {split}" for split in ("train", "val", "test") if data.of(split).samples)
    known = {"fingerprint": fingerprint, "description": f"{settings.data.path.name}: {counts} pictures"}
    return {**_described(graph, settings.name), "version": settings.version, "training_data": known}


def _described(graph: Graph, name: str) -> dict[str, Any]:
    """What a graph alone says of a bundle."""
    return {
        "name": name,
        "version": "1",
        "classes": list(graph.classes),
        "input": {"width": graph.size, "height": graph.size, "order": "rgb", "layout": "nhwc-uint8"},
        "family": graph.family,
        "thresholds": {"default": 0.25},
        "nms_iou": _NMS_IOU,
        "artefacts": [{"file": FILE, "precision": "fp32"}],
        "licence": graph.licence,
        "tools": {"edgevision": __version__, "python": platform.python_version(), **graph.tools},
    }


def golden_files(data: DataSet, judge: JudgeSettings) -> dict[str, Path]:
    """Validation pictures with as many boxes of as many kinds as possible, and so that they differ."""
    fit = [item for item in data.of("val").samples if fnmatch(item.file.name, judge.golden_pattern)]
    fit.sort(key=lambda item: (-len(set(item.label.tolist())), -len(item), item.file.name))
    seen = np.zeros(len(data.classes), np.int64)
    chosen: list[Path] = []
    while fit and len(chosen) < judge.golden:
        best = min(fit, key=lambda item: (-sum(not seen[label] for label in set(item.label.tolist())), fit.index(item)))
        fit.remove(best)
        chosen.append(best.file)
        seen[best.label] += 1
    return {f"golden/{number}{file.suffix.lower()}": file for number, file in enumerate(chosen)}


def _with_golden(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Bundle:
    bare = bare_items(name for name in files if name.startswith("golden/"))
    draft = write_bundle(folder, {**manifest, "golden": bare}, files, replace=True)
    detector = OnnxDetector(draft)
    golden = golden_items(draft, detector)
    detector.close()
    return write_bundle(folder, {**manifest, "golden": golden}, files, replace=True)


def _metrics(results: Results) -> dict[str, Any]:
    overall, rates = results.coco.overall, results.rates
    named = {name: item.map50 for name, item in results.coco.by_class.items()}
    return {
        "split": results.request.split,
        "map50": overall.map50,
        "map50_95": overall.map50_95,
        "map50_by_class": named,
        "escapes": [rates.escape.count, rates.escape.total],
        "overkills": [rates.overkill.count, rates.overkill.total],
    }


def _licence(graph: Graph) -> bytes | None:
    """The text of the AGPL as the library brings it."""
    if not graph.licence.startswith("AGPL"):
        return None
    text = metadata.distribution("ultralytics").read_text("licenses/LICENSE")
    return text.encode() if text else None


def _card(results: Results, graph: Graph, settings: TrainSettings, data: DataSet, epochs: int) -> str:
    model = settings.model
    start = f"`{model.weights.name}`" if model.weights else "newly drawn weights"
    if teacher := getattr(model, "teacher", None):
        start += f" with `{teacher.name}` as teacher"
    use = (
        f"Pictures like those it was trained on (`{settings.data.path.name}`): same kind of part, camera, distance and "
        "light. What it reaches elsewhere has not been measured."
    )
    how = (
        f"`edgevision train`: {model.kind} {model.architecture} at {settings.image_size} px from {start}; "
        f"{epochs} epochs, {settings.optimiser.kind} from {settings.optimiser.rate:g} "
        f"({settings.schedule.kind}), batch {settings.batch}, seed {settings.seed}."
    )
    licence = f"{graph.licence}." + (" See `LICENSE`." if graph.licence.startswith("AGPL") else "")
    sections = (
        f"# {settings.name}\n\nFinds {', '.join(data.classes)}.",
        f"## Intended use\n\n{use}",
        f"## How it was made\n\n{how}",
        card_sections(results).strip(),
        f"## Licence\n\n{licence}\n",
    )
    return "\n\n".join(sections)
