"""An export from a trained model to a bundle whose artefacts were all compared with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgevision.bundle import MANIFEST, Bundle, InputManifest, Precision, Tolerance, write_bundle
from edgevision.datasets.base import DataSet
from edgevision.errors import BackendError, BundleError, ExportError
from edgevision.evaluation.operating import choose_for_f1
from edgevision.evaluation.parts import parts_of, templates_as_good
from edgevision.evaluation.predict import Predictions, predict
from edgevision.evaluation.splits import split_of
from edgevision.export.calibration import Calibration, calibration
from edgevision.export.card import gate_document, with_gate
from edgevision.export.coverage import NOT_COMPARED, look_of, read_seen, uncovered
from edgevision.export.drafts import LOW, draft
from edgevision.export.gate import Budget
from edgevision.export.kinds import FP32, PREFERRED, kinds_of
from edgevision.export.making import Artefact, artefacts
from edgevision.export.origin import Origin
from edgevision.export.source import source_graph
from edgevision.export.trial import Trial
from edgevision.inference.base import InputSpec
from edgevision.inference.golden import bare_items, golden_items, with_clip
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.places import Place, places
from edgevision.inference.selftest import GoldenResult, in_exact_pixels
from edgevision.training.base import Told
from edgevision.training.bundling import golden_files
from edgevision.training.settings import JudgeSettings

CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an export.

    Attributes:
        name: Of the bundle.
        version: Of the bundle; empty to leave it as it is.
        precisions: Which artefacts are wanted; 32 bits are always there.
        split: What they are judged on.
        budget: How much worse they may be.
        calibration: Folder of pictures to calibrate on; the training pictures without it.
        looks: What devices tell of what their cameras see, files and folders of them; compared with those pictures.
        defects: Classes that make a part ng; ``None`` for all.
        with_templates: Whether templates join as good parts.
        seed: Of what is drawn by chance.
    """

    name: str
    version: str = ""
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    split: str = "val"
    budget: Budget = field(default_factory=Budget)
    calibration: Path | None = None
    looks: tuple[Path, ...] = ()
    defects: tuple[str, ...] | None = None
    with_templates: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """What came out.

    Attributes:
        bundle: With every artefact that may be used.
        artefacts: All that were tried, the refused ones among them.
        trial: What they were compared with.
        split: The pictures that it was done on.
        warnings: Of the calibration, a sentence each.
    """

    bundle: Bundle
    artefacts: tuple[Artefact, ...]
    trial: Trial
    split: str
    warnings: tuple[str, ...]


def export(origin: Origin, data: DataSet, request: Request, out: Path, steps: Told, *, replace: bool) -> Exported:
    """Make, try and write.

    Args:
        origin: The trained model.
        data: Labelled pictures, all splits.
        request: What is asked.
        out: The bundle's folder.
        steps: Who is told.
        replace: Whether a bundle that lies there is replaced.

    Raises:
        ExportError: The model cannot be exported, or even its 32-bit graph does not show what was trained.
        EdgevisionError: Pictures, classes or folders are not right.
    """
    if out.exists() and not replace:
        raise ExportError(f"{out} exists already; give --force to replace the bundle there")
    if out.exists() and not (out / MANIFEST).is_file():
        raise ExportError(f"{out} exists already and is no bundle, so it is not replaced")
    _need_room(out)
    judged = split_of(templates_as_good(data) if request.with_templates else data, request.split)
    classes = origin.manifest["classes"]
    if unknown := [name for name in request.defects or () if name not in classes]:
        raise ExportError(f"{', '.join(unknown)}: no such class; the model has {', '.join(classes)}")
    given = InputManifest.model_validate(origin.manifest["input"])
    spec = InputSpec(given.width, given.height, given.order, given.align, given.pad)
    source = _source(origin, given)
    chosen = _calibration(data, judged, spec, request, steps)
    trial = _trial(origin, source, judged, request, steps)
    kinds = [kind for precision in request.precisions for kind in kinds_of(precision)]
    done = []
    for artefact in artefacts(trial, kinds, chosen.files, spec):
        done.append(artefact)
        if artefact.content is None and not done[1:]:
            raise ExportError(f"the exported graph does not show what was trained: {artefact.reasons[0]}")
    bundle = _written(done, trial, origin, out, replace=replace)
    return Exported(bundle, tuple(done), trial, request.split, chosen.warnings)


def _need_room(out: Path) -> None:
    """See that something can be written there before the long work."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent).cleanup()
    except OSError as exc:
        raise ExportError(f"cannot write {out} ({exc.strerror or exc})") from exc


def _calibration(data: DataSet, judged: DataSet, spec: InputSpec, request: Request, steps: Told) -> Calibration:
    if "int8" not in request.precisions:
        return Calibration((), ())
    seen = read_seen(request.looks, request.name) if request.looks else None
    steps.say("looking at the pictures to calibrate on")
    found = calibration(request.calibration, data, judged, seed=request.seed)
    missing = [NOT_COMPARED] if seen is None else uncovered(seen, look_of(found.files, spec))
    if seen is not None and not missing:
        steps.say(f"they cover what the cameras see; {len(seen.cameras)} compared")
    for warning in (*found.warnings, *missing):
        steps.say(warning)
    return replace(found, warnings=(*found.warnings, *missing))


def _source(origin: Origin, given: InputManifest) -> bytes:
    try:
        return source_graph(origin.content, given)
    except ExportError as exc:
        raise ExportError(f"{origin.where}: {exc}") from exc


def _trial(origin: Origin, source: bytes, judged: DataSet, request: Request, steps: Told) -> Trial:
    """Run what was trained over the pictures; where only a graph is there, that is what was trained."""
    before = {**origin.manifest, "name": request.name} | ({"version": request.version} if request.version else {})
    trained, thresholds = _trained(origin, before, judged, steps)
    manifest: dict[str, Any] = {**before, "input": {**before["input"], "layout": "nhwc-uint8"}}
    if not origin.chosen:
        point = choose_for_f1(trained, parts_of(trained, request.defects))
        thresholds |= point.thresholds
        steps.say(f"thresholds: {point.how}")
    manifest["thresholds"] = thresholds
    pictures = _golden_files(manifest, origin, trained.data)
    manifest["golden"] = _golden(manifest, source, pictures, steps)
    here = tuple(_usable(manifest, source, steps))
    return Trial(
        manifest, pictures, trained.data, thresholds, trained, source, here, request.budget, request.defects, steps
    )


def _trained(
    origin: Origin, manifest: Mapping[str, Any], judged: DataSet, steps: Told
) -> tuple[Predictions, dict[str, float]]:
    """What was trained sees this, and its thresholds."""
    with draft(manifest, origin.content) as bundle:
        try:
            reference = (
                origin.trained(bundle, LOW) if origin.trained else OnnxDetector(bundle, OnnxSettings(device="cpu"), LOW)
            )
        except BundleError as exc:  # the draft's folder is nothing that anybody knows
            raise ExportError(str(exc).replace(str(bundle.folder), str(origin.where))) from exc
        with steps.bar("what was trained", len(judged)) as advance:
            trained = predict(reference, judged, advance=advance)
        reference.close()
        return trained, dict(bundle.manifest.thresholds)


def _golden_files(manifest: dict[str, Any], origin: Origin, judged: DataSet) -> dict[str, Path | bytes]:
    """Golden pictures and a clip: the bundle's own where it has some; the manifest then names them."""
    own: dict[str, Path | bytes] = {item["file"]: origin.files[item["file"]] for item in manifest.get("golden", ())}
    if any(item.get("frame") is not None for item in manifest.get("golden", ())):
        return own
    files = with_clip(own or golden_files(judged, JudgeSettings()))
    manifest["golden"] = bare_items(files)
    return files


def _golden(
    manifest: Mapping[str, Any], source: bytes, pictures: Mapping[str, Path | bytes], steps: Told
) -> list[dict[str, Any]]:
    """What the 32-bit graph sees in the golden items; what the pixels of cameras cost is told."""
    with draft(manifest, source, pictures=pictures) as bundle:
        reference = OnnxDetector(bundle, OnnxSettings(device="cpu"))
        seen = golden_items(bundle, reference)
        with draft({**manifest, "golden": seen}, source, pictures=pictures) as known:
            for result in in_exact_pixels(known, reference):
                steps.say(_fast_pixels(result))
        reference.close()
    return seen


def _fast_pixels(result: GoldenResult) -> str:
    """What the pixels of cameras cost, in words."""
    told = f"pixels scaled as cameras' are change scores in {result.file} by at most {result.worst_score:.3f}"
    return told if result.ok else f"{told}; {result.problems[0]} in exact ones"


def _usable(manifest: Mapping[str, Any], source: bytes, steps: Told) -> Iterator[Place]:
    """Places that run the 32-bit graph: what is installed need not have its device here."""
    with draft(manifest, source) as bundle:
        for place in places():
            try:
                place.open(bundle, thresholds=LOW).close()
            except BackendError as exc:
                steps.say(f"not tried on {place.name}: {exc}")
            else:
                yield place


def _written(done: list[Artefact], trial: Trial, origin: Origin, out: Path, *, replace: bool) -> Bundle:
    """The bundle of what may be used, and what all of them showed."""
    usable = sorted((item for item in done if item.content is not None), key=lambda item: PREFERRED.index(item.kind))
    files = {**origin.files, **trial.pictures}
    files |= {item.kind.file: item.content for item in usable if item.content is not None}
    old = files.get(CARD, b"")
    card = old.read_text("utf-8") if isinstance(old, Path) else old.decode()
    files[CARD] = with_gate(card or f"# {trial.manifest['name']}\n", done, trial).encode()
    metrics = {file: value for file, value in (origin.manifest.get("metrics") or {}).items() if file in files}
    for item in usable:
        metrics[item.kind.file] = {**metrics.get(item.kind.file, {}), "gate": gate_document(item)}
    document = {**trial.manifest, "metrics": metrics, "artefacts": [_entry(item) for item in usable]}
    return write_bundle(out, document, files, replace=replace)


def _entry(item: Artefact) -> dict[str, Any]:
    """What a manifest says of an artefact; the self-test lets pass what it showed where it is offered."""
    offered = [tried for tried in item.tried if tried.offered]
    entry: dict[str, Any] = {"file": item.kind.file, "precision": item.kind.precision, "targets": list(item.targets)}
    if item.kind != FP32:
        open_ = any(tried.judgement.outcome == "not decidable" for tried in offered)
        entry["gate"] = "not decidable" if open_ else "passed"
    limits = [tried.tolerance for tried in offered]
    widest = Tolerance(score=max(one.score for one in limits), iou=min(one.iou for one in limits))
    return entry | ({"tolerance": widest.model_dump()} if widest != Tolerance() else {})
